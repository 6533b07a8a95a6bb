"""Names of Ray's beside the interface proper: what they are here, or that they are not here."""

from __future__ import annotations

import pickle
from importlib import metadata
from operator import attrgetter
from typing import Any, get_args

import pytest

import actorgrid as ag
from actorgrid import cloudpickle, types
from actorgrid.api.absent import ABSENT
from actorgrid.experimental.tqdm_ray import safe_print, tqdm
from actorgrid.util import debug
from actorgrid.util.annotations import RayDeprecationWarning
from actorgrid.util.placement_group import PlacementGroup
from actorgrid.util.state import common


@pytest.mark.parametrize("name", sorted(ABSENT))
def test_name_that_means_nothing_here_can_be_imported_and_says_so(name: str) -> None:
    absent = attrgetter(name)(ag)
    with pytest.raises(NotImplementedError, match=f"actorgrid has no {name}: "):
        absent()
    with pytest.raises(AttributeError, match=f"actorgrid has no {name}.anything: "):
        _ = absent.anything
    assert "does not have" in repr(absent)


def test_types_of_identifiers_can_stand_in_annotations_and_in_isinstance() -> None:
    @ag.remote
    class A:
        pass

    context = ag.get_runtime_context()
    kinds = [getattr(ag, f"{kind}ID") for kind in ("Job", "Node", "Task", "Actor", "PlacementGroup", "Unique")]
    with pytest.warns(RayDeprecationWarning):
        job, node = context.job_id, context.node_id
    things: list[Any] = [
        job,
        node,
        A.remote()._actor_id,  # type: ignore[attr-defined]  # mypy does not see the decorator
        PlacementGroup.empty().id,
        context.get_job_id(),
        None,
    ]
    actor: ag.ActorID = things[2]
    assert (actor.binary().hex(), actor.is_nil()) == (actor.hex(), False)
    found = [[kind.__name__ for kind in kinds if isinstance(thing, kind)] for thing in things]
    assert found == [["JobID"], ["NodeID"], ["ActorID"], ["PlacementGroupID"], [], []]
    assert pickle.loads(pickle.dumps(kinds)) == kinds
    assert get_args(kinds[0] | None) == (kinds[0], type(None))
    with pytest.raises(AttributeError, match=r"actorgrid has no JobID.nil: identifiers are strings"):
        kinds[0].nil()


def test_generators_have_no_names_of_the_inside() -> None:
    assert not hasattr(ag.ObjectRefGenerator, "_next_sync")
    assert not hasattr(ag.ObjectRefGenerator, "_next_async")
    with pytest.raises(AttributeError, match=r"a util\.Variable keeps a value under a name"):
        getattr(ag.experimental, "internal_kv")._internal_kv_get()  # noqa: B009  # type checkers know of none


def test_something_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debug, "_said", debug._Said())
    assert [ag.util.log_once(key) for key in ("a", "b", "a")] == [True, True, False]
    monkeypatch.setattr(debug, "PERIOD", -1.0)
    assert not ag.util.log_once("a")
    ag.util.enable_periodic_logging()
    assert [ag.util.log_once(key) for key in ("a", "a")] == [False, True]
    ag.util.disable_log_once_globally()
    assert not ag.util.log_once("c")


def test_kinds_of_accelerators_have_the_names_that_options_take() -> None:
    assert ag.util.accelerators.NVIDIA_H100 == "H100"
    assert ag.util.get_node_ip_address() == "127.0.0.1"


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("TaskState", ["label_selector", "fallback_strategy"]),
        ("ActorState", ["label_selector", "fallback_strategy"]),
        ("NodeState", ["start_time_ms", "end_time_ms"]),
        ("JobState", ["metadata", "runtime_env"]),
    ],
)
def test_columns_of_states_that_there_are_not(kind: str, names: list[str]) -> None:
    there = getattr(common, kind).__dataclass_fields__
    assert not set(names) & set(there)


def test_any_other_name_is_unknown() -> None:
    with pytest.raises(AttributeError, match="module 'actorgrid' has no attribute 'java'"):
        _ = ag.java  # type: ignore[attr-defined]  # that is the point


def test_modules_beside_have_what_is_expected_of_them() -> None:
    assert types.ObjectRef is ag.ObjectRef is ag.ObjectID
    assert pickle.loads(cloudpickle.dumps(lambda: 3))() == 3


def test_bar_says_how_far_it_is_once_in_a_while_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(tqdm(range(4), desc="rows", flush_interval_s=1000)) == [0, 1, 2, 3]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("rows: 100 % of 4 it, ")
    bar: tqdm[int] = tqdm(None, "steps", None, "step", 0, 0)
    bar.update(2)
    bar.set_description("more steps")
    bar.update(3)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["steps: 2 step", "more steps: 5 step"]
    bar.close()
    bar.close()
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_bar_without_anything_to_iterate_over_says_so() -> None:
    with pytest.raises(ValueError, match="made without an iterable"):
        list(tqdm())


def test_line_between_bars(capsys: pytest.CaptureFixture[str]) -> None:
    safe_print("a", "line", sep="-")
    assert capsys.readouterr().out == "a-line\n"


@pytest.mark.parametrize("name", ["actor_id", "current_placement_group_id", "job_id", "node_id", "task_id"])
def test_older_name_is_what_took_its_place_and_warns(name: str) -> None:
    context = ag.get_runtime_context()
    newer = f"get_{name.removeprefix('current_')}"
    with pytest.warns(DeprecationWarning, match=rf"use {newer}\(\)") as warned:
        ident = getattr(context, name)
    assert warned[0].filename == __file__
    assert ident == getattr(context, newer)()
    assert ident is None or ident.hex() == ident


def test_older_methods_answer_and_warn() -> None:
    context = ag.get_runtime_context()
    with pytest.warns(DeprecationWarning, match="get_accelerator_ids"):
        assert context.get_resource_ids() == context.get_accelerator_ids()
    with pytest.warns(DeprecationWarning, match="get_job_id"):
        assert context.get()["job_id"].hex() == context.get_job_id()
    assert not hasattr(context, "anything_else")


def test_configuration_of_logging_can_be_written_down_and_read() -> None:
    config = ag.LoggingConfig("JSON", "DEBUG", ["name"])
    told = config.to_dict()
    assert told == {"encoding": "JSON", "log_level": "DEBUG", "additional_log_standard_attrs": ["name"]}
    assert ag.LoggingConfig.from_dict(told | {"of a later version": 1}) == config


def test_columns_of_states_are_told_with_and_without_details() -> None:
    basic = common.WorkerState.base_columns()
    assert {"worker_id", "pid"} <= basic < common.WorkerState.detail_columns() == common.WorkerState.columns()
    assert "start_time_ms" not in basic
    state = common.WorkerState()
    state["pid"] = 3
    assert (state.pid, state["pid"]) == (3, 3)
    with pytest.raises(KeyError):
        state["pit"] = 3


def test_something_may_be_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debug, "_said", debug._Said())
    assert [debug.log_once(key) for key in ("a", "b")] == [True, True]
    debug.reset_log_once("a")
    assert [debug.log_once(key) for key in ("a", "b")] == [True, False]
    debug.reset_log_once()
    assert debug.log_once("b")


def test_smaller_names_are_there() -> None:
    from actorgrid.util.state import exception

    assert issubclass(exception.ServerUnavailable, exception.RayStateApiException)
    assert issubclass(exception.DataSourceUnavailable, Exception)
    assert cloudpickle.list_registry_pickle_by_value() == set()
    assert ag.util.get_node_ip_address(address="8.8.8.8:53") == "127.0.0.1"
    assert ag.runtime_env.RuntimeEnv.deserialize(serialized_runtime_env='{"env_vars": {"A": "1"}}')["env_vars"]


def test_environment_is_checked_when_a_key_is_set() -> None:
    env = ag.runtime_env.RuntimeEnv()
    env["env_vars"] = {"A": "1"}
    with pytest.raises(TypeError, match="env_vars"):
        env["env_vars"] = {"A": 1}
    with pytest.raises(ValueError, match="pip"):
        env["pip"] = ["requests"]
    assert env == {"env_vars": {"A": "1"}}


def test_bar_takes_none_for_what_is_not_said(capsys: pytest.CaptureFixture[str]) -> None:
    bar: tqdm[int] = tqdm(desc=None, unit=None, flush_interval_s=None)
    bar.update()
    bar.close()
    assert capsys.readouterr().err.startswith("1 it, ")


@pytest.mark.parametrize("name", ["has_pip", "has_conda", "has_uv", "pip_config", "working_dir_uri", "plugins"])
def test_environments_do_not_tell_of_what_is_not_installed(name: str) -> None:
    assert not hasattr(ag.runtime_env.RuntimeEnv(), name)


@pytest.mark.parametrize("name", ["to_bytes", "from_bytes", "from_ray_exception"])
def test_exceptions_are_pickled_and_do_not_know_rays_own_form(name: str) -> None:
    assert not hasattr(ag.exceptions.RayError("lost"), name)


def test_version_is_that_of_actorgrid() -> None:
    assert ag.__version__ == metadata.version("actorgrid")
    assert ag.init(ignore_reinit_error=True).ray_version == ag.__version__
