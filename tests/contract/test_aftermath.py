"""What one task does to its process is nothing that a later task finds there."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import builtins
import os
import pickle
import resource
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from tests.contract.tools import DEADLINE

ALONE = "simulated processes share the folder, the descriptors and the handlers of one real one"


@pytest.fixture(autouse=True)
def one_worker(fresh_grid: Callable[..., Any]) -> None:
    """Have every task run where the one before it ran, unless that process has gone."""
    fresh_grid(num_cpus=1)


@ag.remote(max_retries=0)
def call(function: Callable[..., Any], *args: Any) -> tuple[int, Any]:
    """Return which process this is, and what ``function`` returns."""
    return os.getpid(), function(*args)


def run(function: Callable[..., Any], *args: Any) -> tuple[int, Any]:
    found: tuple[int, Any] = ag.get(call.remote(function, *args), timeout=DEADLINE)
    return found


# ------------------------------------------------------------------------------------------------------ the environment


def change_the_environment() -> None:
    os.environ["MINE"] = "1"
    del os.environ["KEPT"]
    os.environ["CHANGED"] = "after"


def see_the_environment() -> list[str | None]:
    return [os.environ.get(name) for name in ("MINE", "KEPT", "CHANGED")]


def test_environment_that_a_task_changes_is_put_back(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1, runtime_env={"env_vars": {"KEPT": "kept", "CHANGED": "before"}})
    pid, _ = run(change_the_environment)
    assert run(see_the_environment) == (pid, [None, "kept", "before"])


def test_environment_of_a_runtime_environment_is_what_is_put_back() -> None:
    set_up = call.options(runtime_env={"env_vars": {"KEPT": "its own", "CHANGED": "its own"}})
    pid, _ = ag.get(set_up.remote(change_the_environment), timeout=DEADLINE)
    seen = ag.get(set_up.remote(see_the_environment), timeout=DEADLINE)
    assert seen == (pid, [None, "its own", "its own"])


def test_actor_keeps_the_environment_that_it_changes() -> None:
    @ag.remote(num_cpus=0)
    class Owner:
        def change(self) -> None:
            os.environ["MINE"] = "1"

        def see(self) -> str | None:
            return os.environ.get("MINE")

    owner = Owner.remote()
    ag.get(owner.change.remote(), timeout=DEADLINE)
    assert ag.get(owner.see.remote(), timeout=DEADLINE) == "1"


@pytest.mark.processes("simulated programs start no others")
def test_variable_that_is_set_past_os_environ_is_put_back_for_programs_too() -> None:
    pid, _ = run(lambda: os.putenv("MINE", "1"))
    assert run(lambda: os.popen("echo $MINE").read().strip()) == (pid, "")


@pytest.mark.processes(ALONE)
def test_what_a_module_sets_while_it_is_imported_stays_as_the_module_does(tmp_path: Path) -> None:
    (tmp_path / "sets_a_variable.py").write_text("import os\nos.environ['SET_BY_MODULE'] = '1'\n")

    def load() -> None:
        sys.path.insert(0, str(tmp_path))
        import sets_a_variable  # type: ignore[import-not-found]  # noqa: F401  # written above

    pid, _ = run(load)
    assert run(lambda: os.environ.get("SET_BY_MODULE")) == (pid, "1")
    assert run(lambda: str(tmp_path) in sys.path) == (pid, True), "it may import more from there"


# ---------------------------------------------------------------------------------------------- the rest of the process


def move() -> None:
    os.chdir("/")
    os.umask(0o077)
    sys.path.insert(0, "/zz")
    sys.argv[:] = ["other"]


def look_around() -> tuple[Any, ...]:
    mask = os.umask(0)
    os.umask(mask)
    return Path.cwd(), mask, list(sys.path), list(sys.argv)


@pytest.mark.processes(ALONE)
def test_folder_mask_path_and_arguments_are_put_back() -> None:
    before = run(look_around)
    run(move)
    assert run(look_around) == before


def take_signals() -> None:
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    signal.setitimer(signal.ITIMER_REAL, 60)


def see_signals() -> tuple[Any, ...]:
    handlers = [repr(signal.getsignal(number)) for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT)]
    return handlers, signal.pthread_sigmask(signal.SIG_BLOCK, ()), signal.getitimer(signal.ITIMER_REAL)


@pytest.mark.processes(ALONE)
def test_signals_and_timers_are_put_back() -> None:
    before = run(see_signals)
    run(take_signals)
    assert run(see_signals) == before


@pytest.mark.processes(ALONE)
def test_limit_that_a_task_lowers_is_put_back_or_its_process_goes() -> None:
    _, before = run(lambda: resource.getrlimit(resource.RLIMIT_NOFILE))
    run(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60)))
    assert run(lambda: resource.getrlimit(resource.RLIMIT_NOFILE))[1] == before


@pytest.mark.processes(ALONE)
def test_priority_that_a_task_lowers_is_put_back_or_its_process_goes() -> None:
    _, before = run(lambda: os.nice(0))
    assert run(lambda: os.nice(5))[1] == min(before + 5, 19)
    assert run(lambda: os.nice(0))[1] == before


@pytest.mark.processes(ALONE)
@pytest.mark.usefixtures("capfd")
@pytest.mark.parametrize("descriptors", [(0,), (1,), (2,), (0, 1, 2)])
def test_process_whose_standard_descriptors_a_task_has_closed_goes(descriptors: tuple[int, ...]) -> None:
    def close() -> None:
        for fd in descriptors:
            os.close(fd)

    pid, _ = run(close)
    later, printed = run(lambda: print("visible", file=sys.stderr, flush=True))  # noqa: T201  # that is the point
    assert printed is None
    assert later != pid


@pytest.mark.processes(ALONE)
def test_descriptor_that_a_task_replaces_for_a_while_is_nothing() -> None:
    def divert() -> None:
        kept = os.dup(1)
        os.dup2(2, 1)
        os.dup2(kept, 1)
        os.close(kept)

    pid, _ = run(divert)
    assert run(lambda: None)[0] == pid


@pytest.mark.processes(ALONE)
@pytest.mark.parametrize("name", ["close", "detach"])
def test_stream_that_a_task_closes_is_opened_anew(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    pid, _ = run(lambda: (getattr(sys.stdout, name)(), None)[1])
    assert run(lambda: print("still visible", flush=True)) == (pid, None)  # noqa: T201  # that is the point
    assert wait_until(lambda: "still visible" in capfd.readouterr().err, DEADLINE)


@pytest.mark.processes(ALONE)
def test_stream_that_a_task_replaces_is_put_back() -> None:
    def replace() -> None:
        sys.stdout = sys.stderr = None

    pid, _ = run(replace)
    assert run(lambda: sys.stdout.isatty() or sys.stderr.isatty()) == (pid, False)


@pytest.mark.processes(ALONE)
def test_process_whose_descriptors_a_task_keeps_goes() -> None:
    def keep() -> int:
        kept: list[int] = []
        builtins.kept_descriptors = kept  # somewhere that stays
        try:
            while True:
                kept.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            return len(kept)

    pid, count = run(keep)
    assert count > 10
    later, size = run(lambda: len(Path("/etc/hostname").read_bytes()) >= 0)
    assert (later != pid, size) == (True, True)


@pytest.mark.processes("a simulated process has its modules from the one real one")
def test_process_whose_modules_a_task_has_unloaded_goes() -> None:
    def unload() -> None:
        sys.modules.clear()

    pid, _ = run(unload)
    later, value = run(lambda: __import__("json").dumps([1]))
    assert (later != pid, value) == (True, "[1]")


@pytest.mark.processes("a simulated process has its modules from the one real one")
def test_exception_of_a_process_without_modules_arrives_as_text() -> None:
    def unload_and_fail() -> None:
        sys.modules.clear()
        raise ValueError("the message")

    with pytest.raises(ag.exceptions.TaskError, match="ValueError: the message"):
        run(unload_and_fail)


@pytest.mark.processes(ALONE)
def test_functions_that_are_watched_are_what_they_were_to_everybody(tmp_path: Path) -> None:
    def use() -> list[bool]:
        (tmp_path / "folder" / "file").mkdir(parents=True)
        shutil.rmtree(tmp_path / "folder")

        class Mover:
            go = os.chdir

        mover: Any = Mover()
        mover.go(str(tmp_path))  # a builtin never becomes a method
        return [
            pickle.loads(pickle.dumps(os.chdir)) is os.chdir,
            os.chdir in os.supports_fd,
            Path.cwd() == tmp_path,
            ag.get(ag.put(os.umask)) is os.umask,
        ]

    pid, seen = run(use)
    assert all(seen), seen
    assert run(lambda function: function("/"), os.chdir)[0] == pid
    assert run(Path.cwd)[1] != Path("/")
    with pytest.raises(TypeError):
        run(os.chdir)
