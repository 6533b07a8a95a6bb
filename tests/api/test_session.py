from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

import actorgrid as ag
from actorgrid.api import session
from actorgrid.engine import current
from actorgrid.engine.definitions import Context, Setup, StartConfig
from actorgrid.job_config import JobConfig
from actorgrid.runtime import cgroups
from actorgrid.sim.grid import CPUS

if TYPE_CHECKING:
    from tests.api.fake_engine import FakeEngine


@pytest.fixture
def started(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> list[StartConfig]:
    """Nothing runs yet, and whatever starts is the fake engine."""
    configs: list[StartConfig] = []

    def start(config: StartConfig) -> FakeEngine:
        configs.append(config)
        return engine

    current.install(None)
    monkeypatch.setattr(current, "_processes", start)
    monkeypatch.setattr(session, "_at_exit", True)
    ours = ("ACTORGRID_NAMESPACE", "ACTORGRID_LOG_TO_DRIVER", "ACTORGRID_ENABLE_AUTO_CONNECT", "ACTORGRID_NUM_CPUS")
    for name in ours:
        monkeypatch.delenv(name, raising=False)
    return configs


def test_init_and_shutdown(started: list[StartConfig], engine: FakeEngine) -> None:
    assert not ag.is_initialized()
    with ag.init(num_cpus=3) as context:
        assert ag.is_initialized()
        assert context.ray_version == ag.__version__
        assert context.address_info["node_id"] == ag.nodes()[0]["NodeID"]
        assert ag.cluster_resources() == {"CPU": 2.0}
        assert ag.available_resources() == {"CPU": 1.0}
        assert "actorgrid" in repr(context)
    assert not ag.is_initialized()
    assert engine.closed == 1
    ag.shutdown()
    assert engine.closed == 1
    assert started[0].num_cpus == 3


def test_context_is_a_mapping_as_it_was_once(started: list[StartConfig]) -> None:
    context = ag.init()
    with pytest.warns(DeprecationWarning, match=r"use context\.address_info\['node_id'\]") as warned:
        assert context["node_id"] == ag.nodes()[0]["NodeID"]
    assert warned[0].filename == __file__
    with pytest.warns(DeprecationWarning, match="as a mapping"):
        assert dict(context) == context.address_info
    with pytest.warns(DeprecationWarning, match="as a mapping"):
        assert len(context) == 11
    ag.shutdown()
    assert context
    assert context.address_info["address"] == ""


def test_second_init(started: list[StartConfig]) -> None:
    ag.init()
    with pytest.raises(RuntimeError, match="by accident"):
        ag.init()
    ag.init(ignore_reinit_error=True).disconnect()
    assert not ag.is_initialized()
    assert len(started) == 1


def test_inside_a_task(engine: FakeEngine) -> None:
    engine.here = Context(worker=5)
    with pytest.raises(RuntimeError, match="by accident"):
        ag.init(num_cpus=7)
    ag.init(ignore_reinit_error=True).disconnect()
    assert ag.is_initialized()
    assert engine.closed == 0


def test_the_first_call_starts_a_grid(started: list[StartConfig], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTORGRID_ENABLE_AUTO_CONNECT", "0")
    with pytest.raises(RuntimeError, match=r"actorgrid\.init"):
        ag.put(1)
    monkeypatch.delenv("ACTORGRID_ENABLE_AUTO_CONNECT")
    assert ag.get(ag.put(1)) == 1
    assert started == [StartConfig()]


def test_what_needs_a_grid_says_so(started: list[StartConfig]) -> None:
    for ask in (ag.nodes, ag.cluster_resources, ag.available_resources):
        with pytest.raises(RuntimeError, match=r"actorgrid\.init"):
            ask()
    assert started == []


def test_config(started: list[StartConfig], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTORGRID_NAMESPACE", "from env")
    monkeypatch.setenv("ACTORGRID_LOG_TO_DRIVER", "0")
    ag.init(
        "local", num_cpus=0, num_gpus=1, resources={"x": 2}, object_store_memory=1000, preload=["json"], max_workers=4,
        runtime_env={"env_vars": {"A": "1"}, "pip": None}, include_dashboard=False, logging_level="error",
    )  # fmt: skip
    assert started == [
        StartConfig(
            0, 1.0, {"x": 2.0}, 1000, "from env", ("json",), log_to_driver=False, setup=Setup({"A": "1"}), max_workers=4
        )
    ]
    ag.shutdown()
    ag.init(namespace="mine", log_to_driver=True)
    assert (started[1].namespace, started[1].log_to_driver) == ("mine", True)


@pytest.mark.parametrize(
    ("said", "affinity", "quota", "cpus"),
    [
        ("3", 8, None, 3), ("30", 8, None, 8), ("3", 2, None, 2), ("3", 8, 1.5, 2), ("3", 8, 0.2, 1), ("1", 8, 1.5, 1),
        (" 3 ", 8, 6.5, 3), (None, 8, 1.5, None),
    ],
)  # fmt: skip
def test_grid_has_the_least_of_affinity_quota_and_what_the_environment_says(
    started: list[StartConfig],
    monkeypatch: pytest.MonkeyPatch,
    said: str | None,
    affinity: int,
    quota: float | None,
    cpus: int | None,  # None: the head looks for itself, at affinity and quota alone
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)))
    monkeypatch.setattr(cgroups, "cpu_quota", lambda: quota)
    if said is not None:
        monkeypatch.setenv("ACTORGRID_NUM_CPUS", said)
    with ag.init():
        assert started[0].num_cpus == cpus
    with ag.init(num_cpus=5):
        assert started[1].num_cpus == 5


@pytest.mark.parametrize("said", ["", "0", "-1", "two", "1.5", "1e3"])
def test_number_of_cpus_that_is_none_is_refused_by_the_name_of_its_variable(
    started: list[StartConfig], monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.setenv("ACTORGRID_NUM_CPUS", said)
    text = f"ACTORGRID_NUM_CPUS (is no whole number|must be at least 1): '{said}'"
    with pytest.raises(ValueError, match=text):
        ag.init()
    with pytest.raises(ValueError, match=text):
        ag.put(1)
    with ag.init(num_cpus=2):
        assert [config.num_cpus for config in started] == [2]


def test_simulated_machine_has_the_same_cpus_whatever_the_environment_says(
    started: list[StartConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTORGRID_NUM_CPUS", "1")
    with ag.init(engine="sim"):
        assert ag.cluster_resources()["CPU"] == CPUS


def test_configuration_of_a_job_has_the_arguments_that_ray_has_and_comes_from_a_dictionary() -> None:
    job = JobConfig(None, None, {}, False, {"who": "me"}, "ours", "non_detached")
    assert (job.metadata, job.ray_namespace) == ({"who": "me"}, "ours")
    told = {"runtime_env": {"env_vars": {"A": "1"}}, "ray_namespace": "ours", "client_job": False}
    job = JobConfig.from_json(told)
    assert (job.runtime_env, job.ray_namespace, job.metadata) == (told["runtime_env"], "ours", {})
    with pytest.raises(ValueError, match="_py_driver_sys_path"):
        JobConfig.from_json({"py_driver_sys_path": ["/elsewhere"]})


def test_configuration_of_a_job_stands_for_arguments(started: list[StartConfig]) -> None:
    job = JobConfig(runtime_env={"env_vars": {"A": "1"}}, ray_namespace="ours", metadata={"who": "me"})
    job.set_metadata("why", "a test")
    job.set_py_logging_config(ag.LoggingConfig(encoding="JSON"))
    with ag.init(job_config=job):
        assert (started[0].namespace, started[0].setup) == ("ours", Setup({"A": "1"}))
        assert started[0].logging is not None
    with ag.init(job_config=job, namespace="mine", runtime_env={"env_vars": {"B": "2"}}):
        assert (started[1].namespace, started[1].setup) == ("mine", Setup({"B": "2"}))
    assert job.metadata == {"who": "me", "why": "a test"}


@pytest.mark.parametrize(
    ("kwargs", "error", "text"),
    [
        ({"default_actor_lifetime": "detached"}, ValueError, "of each actor"),
        ({"default_actor_lifetime": "long"}, ValueError, "must be one of"),
        ({"jvm_options": ["-Xmx1g"]}, ValueError, "other languages"),
        ({"runtime_env": {"pip": ["x"]}}, ValueError, "not supported"),
        ({"ray_namespace": ""}, ValueError, "empty"),
    ],
)
def test_configuration_of_a_job_refuses(kwargs: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        JobConfig(**kwargs)


@pytest.mark.parametrize(
    "kwargs", [{"include_dashboard": True}, {"dashboard_port": 8265}, {"enable_resource_isolation": True}]
)
def test_what_would_be_missed_is_said(kwargs: Any, started: list[StartConfig]) -> None:
    with pytest.warns(UserWarning, match=f"{next(iter(kwargs))}=.* has no effect") as warned:
        ag.init(**kwargs)
    assert warned[0].filename == __file__


def test_what_nobody_misses_is_accepted(started: list[StartConfig]) -> None:
    ag.init(
        include_dashboard=False, dashboard_host="0.0.0.0", dashboard_port=None, configure_logging=True,
        logging_level=10, logging_format="%(message)s", cgroup_path=None, _system_config={"a": 1}, _temp_dir="/tmp",
        _tracing_startup_hook=None,
    )  # fmt: skip
    assert started == [StartConfig()]


def test_variables_of_ray_are_those_of_ray(started: list[StartConfig], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setenv("RAY_NAMESPACE", "theirs")
    ag.init()
    assert started == [StartConfig()]


@pytest.mark.parametrize(
    ("kwargs", "error"),
    [
        ({"nonsense": 1}, RuntimeError),
        ({"local_mode": True}, RuntimeError),
        ({"address": "ray://host:1"}, ConnectionError),
        ({"engine": "nowhere"}, ValueError),
        ({"job_config": object()}, TypeError),
        ({"num_cpus": -1}, ValueError),
        ({"num_cpus": 1.5}, ValueError),
        ({"resources": {"CPU": 1}}, ValueError),
        ({"object_store_memory": 0}, ValueError),
        ({"namespace": 3}, TypeError),
        ({"preload": "json"}, TypeError),
        ({"runtime_env": {"pip": ["x"]}}, ValueError),
        ({"runtime_env": {"env_vars": {"A": 1}}}, TypeError),
        ({"runtime_env": 3}, TypeError),
        ({"max_workers": 0}, ValueError),
        ({"include_dashboard": "yes"}, TypeError),
        ({"dashboard_port": "8265"}, TypeError),
        ({"logging_level": 1.5}, TypeError),
        ({"_system_config": "{}"}, TypeError),
        ({"_temp_dir": 3}, TypeError),
        ({"cgroup_path": 3}, TypeError),
        ({"namespace": ""}, ValueError),
        ({"namespace": "", "job_config": JobConfig(ray_namespace="jobs")}, ValueError),
        ({"num_gpus": 1.5}, ValueError),
        ({"log_to_driver": "x"}, TypeError),
        ({"_memory": -1}, ValueError),
        ({"_node_name": ""}, ValueError),
    ],
)
def test_init_refuses(kwargs: Any, error: type[Exception], started: list[StartConfig]) -> None:
    with pytest.raises(error):
        ag.init(**kwargs)
    assert started == []
    assert not ag.is_initialized()


def test_sigterm(started: list[StartConfig]) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with ag.init(), pytest.raises(SystemExit):
            os.kill(os.getpid(), signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        thread = threading.Thread(target=ag.init)
        thread.start()
        thread.join()
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        ag.shutdown()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        with ag.init():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_failing_shutdown_still_leaves_no_grid(started: list[StartConfig], engine: FakeEngine) -> None:
    ag.init()
    engine.shutdown = lambda: 1 / 0  # type: ignore[method-assign, assignment]
    with pytest.raises(ZeroDivisionError):
        ag.shutdown()
    assert not ag.is_initialized()


def test_runtime_context(engine: FakeEngine) -> None:
    context = ag.get_runtime_context()
    assert context.get_job_id() == "01000000"
    assert [len(text) for text in (context.get_node_id(), context.get_worker_id())] == [56, 56]
    assert context.get_task_id() is None
    assert context.get_actor_id() is None
    assert context.get_actor_name() is None
    assert context.get_task_name() is None
    assert context.namespace == "ns"
    assert not context.is_canceled()
    with pytest.warns(DeprecationWarning, match="deprecated, as in Ray"):
        assert set(context.get()) == {"job_id", "node_id", "namespace"}
    for ask in ("current_actor", "was_current_actor_reconstructed"):
        with pytest.raises(RuntimeError):
            getattr(context, ask)


def test_runtime_context_in_an_actor(engine: FakeEngine) -> None:
    handle: ag.ActorHandle[Any] = ag.remote(type("A", (), {"m": lambda self: 5})).remote()
    engine.here = Context(
        session="ab" * 16, worker=3, task=9, actor=handle._actor_id.ident, task_name="mine", incarnation=1,
        assigned_resources={"CPU": 1.0}, cancelled=True, function="module.A.m",
    )  # fmt: skip
    context = ag.get_runtime_context()
    assert context.get_task_id() == "0000000000000009" + "ab" * 16
    assert len(context.get_actor_id() or "") == 32
    assert context.get_actor_name() == ""
    assert (context.get_task_name(), context.get_task_function_name()) == ("mine", "module.A.m")
    assert context.was_current_actor_reconstructed
    assert context.is_canceled()
    assert context.get_assigned_resources() == {"CPU": 1.0}
    assert context.current_actor == handle
    assert ag.get(context.current_actor.m.remote()) == 5
    assert (context.get_accelerator_ids(), context.get_runtime_env_string()) == ({"GPU": []}, "{}")
    assert context.get_node_labels() == {"zone": "here"}


def test_names() -> None:
    for name in ag.__all__:
        assert getattr(ag, name) is not None
        assert name in dir(ag)
    with pytest.raises(AttributeError):
        _ = ag.nonsense  # type: ignore[attr-defined]
    homes = [name for names in ag._HOMES.values() for name in names]
    assert sorted([*homes, *ag._SUBMODULES, "__version__"]) == ag.__all__


def test_simulator_is_there_and_is_imported_when_it_is_used() -> None:
    code = (
        "import sys, actorgrid as ag\n"
        "assert 'actorgrid.sim' not in sys.modules and 'greenlet' not in sys.modules\n"
        "print(ag.sim.run(lambda: 3).value)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")


def test_importing_imports_nothing() -> None:
    code = "import sys; before = set(sys.modules); import actorgrid; print(sorted(set(sys.modules) - before))"
    shown = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, env={
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    })  # fmt: skip
    assert shown.stdout.strip() == "['__future__', 'actorgrid']"
