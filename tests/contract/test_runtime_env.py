"""Runtime environments: variables, folders, modules and a first function, for a job, an actor, a task."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.runtime_env import RuntimeEnv
from actorgrid.testing.waiting import wait_until
from tests.contract.tools import DEADLINE, Gate, count_run, runs


@ag.remote
def variable(name: str) -> str | None:
    return os.environ.get(name)


@ag.remote
def variables(*names: str) -> list[str | None]:
    return [os.environ.get(name) for name in names]


@ag.remote
def process() -> int:
    return os.getpid()


@ag.remote
def where() -> str:
    return str(Path.cwd())


@ag.remote
def load(module: str) -> Any:
    return importlib.import_module(module).ANSWER


@ag.remote
def environment() -> dict[str, Any]:
    return dict(ag.get_runtime_context().runtime_env)


@ag.remote
class Inspector:
    def variables(self, *names: str) -> list[str | None]:
        return [os.environ.get(name) for name in names]

    def child_variables(self, *names: str) -> Any:
        return ag.get(variables.remote(*names))

    def where(self) -> str:
        return str(Path.cwd())

    def die(self) -> None:
        os._exit(1)


def get(ref: Any) -> Any:
    return ag.get(ref, timeout=DEADLINE)


def with_variables(**given: str) -> dict[str, Any]:
    return {"env_vars": given}


def write_module(folder: Path, name: str, answer: int) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(f"ANSWER = {answer}\n", encoding="utf-8")
    return path


def mark_process() -> None:
    os.environ["AG_TEST_HOOKED"] = "by the hook"


def refuse() -> None:
    raise LookupError("no licence here")


# ------------------------------------------------------------------------------------------------------- variables


@pytest.mark.usefixtures("grid")
class TestVariables:
    def test_task_sees_its_own(self) -> None:
        assert get(variable.options(runtime_env=with_variables(AG_TEST_A="1")).remote("AG_TEST_A")) == "1"

    def test_other_tasks_and_the_driver_do_not(self) -> None:
        get(variable.options(runtime_env=with_variables(AG_TEST_A="1")).remote("AG_TEST_A"))
        assert get(variable.remote("AG_TEST_A")) is None
        assert "AG_TEST_A" not in os.environ

    def test_actor_sees_its_own_in_every_call(self) -> None:
        actor = Inspector.options(runtime_env=with_variables(AG_TEST_A="1")).remote()
        assert [get(actor.variables.remote("AG_TEST_A")) for _ in range(2)] == [["1"], ["1"]]

    def test_restarted_actor_sees_its_own_again(self) -> None:
        actor = Inspector.options(
            runtime_env=with_variables(AG_TEST_A="1"), max_restarts=1, max_task_retries=1
        ).remote()
        actor.die.options(max_task_retries=0).remote()
        assert get(actor.variables.remote("AG_TEST_A")) == ["1"]

    def test_decorator_gives_them_too(self) -> None:
        @ag.remote(runtime_env=with_variables(AG_TEST_A="decorated"))
        def look() -> str | None:
            return os.environ.get("AG_TEST_A")

        assert get(look.remote()) == "decorated"

    def test_options_replace_those_of_the_decorator(self) -> None:
        @ag.remote(runtime_env=with_variables(AG_TEST_A="decorated"))
        def look() -> list[str | None]:
            return [os.environ.get("AG_TEST_A"), os.environ.get("AG_TEST_B")]

        assert get(look.options(runtime_env=with_variables(AG_TEST_B="2")).remote()) == [None, "2"]

    def test_reference_to_a_variable_is_its_value_where_the_call_is_made(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AG_TEST_BASE", "/base")
        env = with_variables(AG_TEST_PATH="${AG_TEST_BASE}:/more", AG_TEST_NONE="<${AG_TEST_NOWHERE}>")
        assert get(variables.options(runtime_env=env).remote("AG_TEST_PATH", "AG_TEST_NONE")) == ["/base:/more", "<>"]

    @pytest.mark.processes("simulated processes share the time zone of one real one")
    def test_time_zone_is_one_of_them(self) -> None:
        @ag.remote(runtime_env=with_variables(TZ="XXX-5"))
        def zone() -> str:
            return time.strftime("%Z")

        assert get(zone.remote()) == "XXX"


@pytest.mark.usefixtures("grid")
class TestInheritance:
    def test_child_inherits_what_its_parent_has(self) -> None:
        parent = Inspector.options(runtime_env=with_variables(AG_TEST_A="parent")).remote()
        assert get(parent.child_variables.remote("AG_TEST_A")) == ["parent"]

    def test_variables_are_merged_by_name(self) -> None:
        @ag.remote(runtime_env=with_variables(AG_TEST_A="parent", AG_TEST_B="parent"))
        def parent() -> Any:
            child = variables.options(runtime_env=with_variables(AG_TEST_B="child", AG_TEST_C="child"))
            return ag.get(child.remote("AG_TEST_A", "AG_TEST_B", "AG_TEST_C"))

        assert get(parent.remote()) == ["parent", "child", "child"]

    def test_reference_to_a_variable_of_the_parent_is_what_the_parent_has(self) -> None:
        @ag.remote(runtime_env=with_variables(AG_TEST_A="parent"))
        def parent() -> Any:
            return ag.get(
                variable.options(runtime_env=with_variables(AG_TEST_A="${AG_TEST_A}+child")).remote("AG_TEST_A")
            )

        assert get(parent.remote()) == "parent+child"

    def test_folder_is_replaced_and_what_is_not_named_is_inherited(self, tmp_path: Path) -> None:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()

        @ag.remote(runtime_env={"working_dir": str(tmp_path / "one"), "env_vars": {"AG_TEST_A": "1"}})
        def parent() -> Any:
            other = {"working_dir": str(tmp_path / "two")}
            return ag.get([where.remote(), where.options(runtime_env=other).remote()]), ag.get(
                variable.options(runtime_env=other).remote("AG_TEST_A")
            )

        folders, inherited = get(parent.remote())
        assert folders == [str(tmp_path / "one"), str(tmp_path / "two")]
        assert inherited == "1"


class TestJob:
    def test_every_task_and_actor_inherits_from_init(self, fresh_grid: Callable[..., Any], tmp_path: Path) -> None:
        fresh_grid(num_cpus=2, runtime_env={"working_dir": tmp_path, "env_vars": {"AG_TEST_A": "job"}})
        assert get(where.remote()) == str(tmp_path)
        actor = Inspector.remote()
        assert get(actor.where.remote()) == str(tmp_path)
        assert get(actor.child_variables.remote("AG_TEST_A")) == ["job"]

    def test_task_adds_to_what_it_inherits(self, fresh_grid: Callable[..., Any]) -> None:
        fresh_grid(num_cpus=2, runtime_env=with_variables(AG_TEST_A="job", AG_TEST_B="job"))
        env = with_variables(AG_TEST_B="${AG_TEST_B}+task")
        assert get(variables.options(runtime_env=env).remote("AG_TEST_A", "AG_TEST_B")) == ["job", "job+task"]

    def test_driver_stays_where_it_is(self, fresh_grid: Callable[..., Any], tmp_path: Path) -> None:
        before, path = Path.cwd(), list(sys.path)
        fresh_grid(num_cpus=1, runtime_env={"working_dir": tmp_path})
        get(where.remote())
        assert (Path.cwd(), sys.path) == (before, path)

    def test_hook_runs_before_anything_else(self, fresh_grid: Callable[..., Any]) -> None:
        fresh_grid(num_cpus=1, runtime_env={"worker_process_setup_hook": mark_process})
        assert get(variable.remote("AG_TEST_HOOKED")) == "by the hook"

    def test_job_that_cannot_be_set_up_is_an_error_of_its_tasks(self, fresh_grid: Callable[..., Any]) -> None:
        fresh_grid(num_cpus=1, runtime_env={"worker_process_setup_hook": refuse})
        for _ in range(3):
            with pytest.raises(ag.exceptions.RuntimeEnvSetupError, match="no licence"):
                get(process.remote())

    def test_folder_that_is_not_there_is_refused_before_anything_starts(self, no_grid: None, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="working_dir"):
            ag.init(num_cpus=1, runtime_env={"working_dir": tmp_path / "nowhere"})
        assert not ag.is_initialized()


# -------------------------------------------------------------------------------------------------------- processes


@pytest.mark.usefixtures("grid")
class TestProcesses:
    def test_another_environment_is_another_process(self) -> None:
        other = process.options(runtime_env=with_variables(AG_TEST_A="1"))
        assert get(process.remote()) != get(other.remote())

    def test_same_environment_is_the_same_process_while_that_is_idle(self) -> None:
        pids = [get(process.options(runtime_env=with_variables(AG_TEST_A="2")).remote()) for _ in range(3)]
        assert len(set(pids)) == 1

    def test_more_environments_than_processes_may_be_take_turns(self, fresh_grid: Callable[..., Any]) -> None:
        fresh_grid(num_cpus=2, max_workers=2)
        look = [variable.options(runtime_env=with_variables(AG_TEST_A=str(n % 5))) for n in range(15)]
        found = ag.get([task.remote("AG_TEST_A") for task in look], timeout=DEADLINE)
        assert found == [str(n % 5) for n in range(15)]

    def test_one_process_serves_environments_in_turn(self, fresh_grid: Callable[..., Any]) -> None:
        fresh_grid(num_cpus=1, max_workers=1)
        look = [variable.options(runtime_env=with_variables(AG_TEST_A=name)) for name in ("x", "y", "x")]
        assert [get(task.remote("AG_TEST_A")) for task in look] == ["x", "y", "x"]

    def test_parent_waits_for_children_of_many_environments(self) -> None:
        @ag.remote(num_cpus=0, runtime_env=with_variables(AG_TEST_A="parent"))
        def parent() -> Any:
            looks = [variable.options(runtime_env=with_variables(AG_TEST_A=str(n))) for n in range(6)]
            return ag.get([look.remote("AG_TEST_A") for look in looks])

        assert get(parent.remote()) == [str(n) for n in range(6)]

    def test_retried_task_finds_its_environment_again(self, tmp_path: Path) -> None:
        @ag.remote(max_retries=1, runtime_env=with_variables(AG_TEST_A="again"))
        def dies_once(path: Path) -> str | None:
            if count_run(path) == 1:
                os._exit(1)
            return os.environ.get("AG_TEST_A")

        assert get(dies_once.remote(tmp_path / "runs")) == "again"


# ------------------------------------------------------------------------------------------------ folders and modules


@pytest.mark.usefixtures("grid")
class TestFolders:
    def test_task_runs_in_its_folder_and_imports_from_there(self, tmp_path: Path) -> None:
        write_module(tmp_path, "ag_test_local", 42)
        env = {"working_dir": str(tmp_path)}
        assert get(where.options(runtime_env=env).remote()) == str(tmp_path)
        assert get(load.options(runtime_env=env).remote("ag_test_local")) == 42

    def test_files_are_used_where_they_lie(self, tmp_path: Path) -> None:
        @ag.remote(runtime_env={"working_dir": tmp_path})
        def write() -> None:
            Path("written").write_text("here", encoding="ascii")

        get(write.remote())
        assert (tmp_path / "written").read_text(encoding="ascii") == "here"

    def test_other_tasks_do_not_find_the_modules(self, tmp_path: Path) -> None:
        write_module(tmp_path, "ag_test_private", 1)
        get(load.options(runtime_env={"working_dir": tmp_path}).remote("ag_test_private"))
        with pytest.raises(ModuleNotFoundError):
            get(load.remote("ag_test_private"))
        assert "ag_test_private" not in sys.modules

    def test_two_environments_have_each_their_module_of_one_name(self, tmp_path: Path) -> None:
        for number in (1, 2):
            write_module(tmp_path / str(number), "ag_test_same", number)
        looks = [load.options(runtime_env={"working_dir": tmp_path / str(number)}) for number in (1, 2, 1)]
        assert [get(look.remote("ag_test_same")) for look in looks] == [1, 2, 1]

    def test_tasks_of_two_folders_that_run_at_once_stay_in_theirs(self, tmp_path: Path) -> None:
        @ag.remote
        def before_and_after(gate: Any) -> list[str]:
            before = str(Path.cwd())
            ag.get(gate.pass_through.remote())
            return [before, str(Path.cwd())]

        gate, folders = Gate.remote(), [tmp_path / "a", tmp_path / "b"]
        for folder in folders:
            folder.mkdir()
        refs = [before_and_after.options(runtime_env={"working_dir": folder}).remote(gate) for folder in folders]
        get(gate.arrivals.remote(2))
        get(gate.open.remote())
        assert get(refs) == [[str(folder)] * 2 for folder in folders]

    def test_folder_stays_when_the_driver_goes_elsewhere_and_its_path_grows(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("home", "later"):
            (tmp_path / name).mkdir()
        env = {"working_dir": tmp_path / "home"}
        get(where.options(runtime_env=env).remote())
        write_module(tmp_path / "later", "ag_test_later", 3)
        write_module(tmp_path / "home", "ag_test_at_home", 4)
        monkeypatch.syspath_prepend(str(tmp_path / "later"))
        monkeypatch.chdir(tmp_path)

        @ag.remote
        def both() -> tuple[str, list[int]]:
            names = ("ag_test_later", "ag_test_at_home")
            return str(Path.cwd()), [importlib.import_module(name).ANSWER for name in names]

        try:
            assert get(both.options(runtime_env=env).remote()) == (str(tmp_path / "home"), [3, 4])
        finally:
            sys.modules.pop("ag_test_later", None)

    def test_relative_folder_is_one_of_the_caller(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "sub").mkdir()
        monkeypatch.chdir(tmp_path)
        assert get(where.options(runtime_env={"working_dir": "sub"}).remote()) == str(tmp_path / "sub")

    def test_folder_that_is_not_there_is_refused_at_the_call(self, tmp_path: Path) -> None:
        missing = where.options(runtime_env={"working_dir": tmp_path / "nowhere"})
        with pytest.raises(ValueError, match="no folder"):
            missing.remote()

    def test_folder_that_is_gone_when_the_task_starts_is_a_setup_error(self, tmp_path: Path) -> None:
        folder = tmp_path / "soon_gone"
        folder.mkdir()

        @ag.remote(runtime_env={"working_dir": folder})
        def late(_: Any) -> None: ...

        gate = Gate.remote()
        ref = late.remote(gate.pass_through.remote())
        get(gate.arrivals.remote(1))
        folder.rmdir()
        get(gate.open.remote())
        with pytest.raises(ag.exceptions.RuntimeEnvSetupError, match="soon_gone"):
            get(ref)


@pytest.mark.usefixtures("grid")
class TestModules:
    def test_package_of_another_folder_can_be_imported(self, tmp_path: Path) -> None:
        write_module(tmp_path / "ag_test_package", "__init__", 7)
        write_module(tmp_path / "ag_test_package", "inner", 8)
        look = load.options(runtime_env={"py_modules": [str(tmp_path / "ag_test_package")]})
        assert [get(look.remote(name)) for name in ("ag_test_package", "ag_test_package.inner")] == [7, 8]

    def test_file_can_be_imported(self, tmp_path: Path) -> None:
        look = load.options(runtime_env={"py_modules": [write_module(tmp_path, "ag_test_file", 9)]})
        assert get(look.remote("ag_test_file")) == 9

    def test_what_lies_beside_it_cannot(self, tmp_path: Path) -> None:
        write_module(tmp_path, "ag_test_beside", 1)
        look = load.options(runtime_env={"py_modules": [write_module(tmp_path, "ag_test_named", 2)]})
        with pytest.raises(ModuleNotFoundError):
            get(look.remote("ag_test_beside"))

    def test_module_object_stands_for_where_it_lies(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_module(tmp_path, "ag_test_imported", 11)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(tmp_path))
            module = importlib.import_module("ag_test_imported")
        try:
            assert get(load.options(runtime_env={"py_modules": [module]}).remote("ag_test_imported")) == 11
        finally:
            del sys.modules["ag_test_imported"]

    def test_children_can_import_what_their_parent_can(self, tmp_path: Path) -> None:
        @ag.remote(runtime_env={"py_modules": [write_module(tmp_path, "ag_test_family", 5)]})
        def parent() -> Any:
            return ag.get(load.remote("ag_test_family"))

        assert get(parent.remote()) == 5

    def test_module_that_is_not_there_is_refused_at_the_call(self, tmp_path: Path) -> None:
        missing = load.options(runtime_env={"py_modules": [tmp_path / "nowhere.py"]})
        with pytest.raises(ValueError, match="no folder and no file"):
            missing.remote("nowhere")


def test_module_of_the_environment_goes_before_a_preloaded_one(
    fresh_grid: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_module(tmp_path / "program", "ag_test_preloaded", 1)
    module = write_module(tmp_path / "environment", "ag_test_preloaded", 2)
    monkeypatch.syspath_prepend(str(tmp_path / "program"))
    try:
        fresh_grid(num_cpus=1, preload=["ag_test_preloaded"])
        looks = [load, load.options(runtime_env={"py_modules": [module]})]
        assert [get(look.remote("ag_test_preloaded")) for look in looks] == [1, 2]
    finally:
        sys.modules.pop("ag_test_preloaded", None)


# ------------------------------------------------------------------------------------------------------------- hooks


@pytest.mark.usefixtures("grid")
class TestHooks:
    def test_hook_runs_once_in_each_process(self, tmp_path: Path) -> None:
        path = tmp_path / "hooked"
        look = process.options(runtime_env={"worker_process_setup_hook": lambda: count_run(path)})
        pids = {get(look.remote()) for _ in range(3)}
        assert runs(path) == len(pids)

    def test_hook_sees_variables_and_folder(self, tmp_path: Path) -> None:
        def note() -> None:
            Path("noted").write_text(os.environ["AG_TEST_A"], encoding="ascii")

        env = {"working_dir": tmp_path, "env_vars": {"AG_TEST_A": "seen"}, "worker_process_setup_hook": note}
        get(process.options(runtime_env=env).remote())
        assert (tmp_path / "noted").read_text(encoding="ascii") == "seen"

    def test_hook_may_be_named(self) -> None:
        env = {"worker_process_setup_hook": "tests.contract.test_runtime_env.mark_process"}
        assert get(variable.options(runtime_env=env).remote("AG_TEST_HOOKED")) == "by the hook"

    def test_hook_that_raises_is_a_setup_error_with_its_cause_and_traceback(self) -> None:
        with pytest.raises(ag.exceptions.RuntimeEnvSetupError, match="no licence here") as caught:
            get(process.options(runtime_env={"worker_process_setup_hook": refuse}).remote())
        assert "in refuse" in caught.value.error_message
        assert isinstance(caught.value.__cause__, LookupError)

    def test_hook_that_exits_is_a_setup_error(self) -> None:
        with pytest.raises(ag.exceptions.RuntimeEnvSetupError, match="SystemExit"):
            get(process.options(runtime_env={"worker_process_setup_hook": lambda: sys.exit(3)}).remote())

    def test_name_that_leads_nowhere_is_a_setup_error(self) -> None:
        with pytest.raises(ag.exceptions.RuntimeEnvSetupError, match="no_such_module"):
            get(process.options(runtime_env={"worker_process_setup_hook": "no_such_module.hook"}).remote())

    def test_setup_that_fails_is_not_tried_again(self, tmp_path: Path) -> None:
        path = tmp_path / "tries"

        def fail() -> None:
            count_run(path)
            raise LookupError("always")

        look = process.options(runtime_env={"worker_process_setup_hook": fail}, max_retries=-1, retry_exceptions=True)
        with pytest.raises(ag.exceptions.RuntimeEnvSetupError):
            get(look.remote())
        assert runs(path) == 1

    def test_setup_that_fails_leaves_the_pool_unharmed(self) -> None:
        bad = process.options(runtime_env={"worker_process_setup_hook": refuse})
        refs = [task.remote() for _ in range(4) for task in (bad, process)]
        ag.wait(refs, num_returns=len(refs), timeout=DEADLINE)
        assert len(ag.get(refs[1::2], timeout=DEADLINE)) == 4
        for ref in refs[0::2]:
            with pytest.raises(ag.exceptions.RuntimeEnvSetupError):
                get(ref)

    def test_process_that_failed_halfway_runs_nothing_else(self, tmp_path: Path) -> None:
        path = tmp_path / "tries"

        def fail_first() -> None:
            os.environ["AG_TEST_TRY"] = str(count_run(path))
            if runs(path) == 1:
                raise LookupError("the first time")

        look = variable.options(runtime_env={"worker_process_setup_hook": fail_first})
        with pytest.raises(ag.exceptions.RuntimeEnvSetupError):
            get(look.remote("AG_TEST_TRY"))
        assert get(look.remote("AG_TEST_TRY")) == "2"

    def test_actor_that_cannot_be_set_up_is_dead_and_says_why(self) -> None:
        env = {"worker_process_setup_hook": refuse}
        actor = Inspector.options(runtime_env=env, max_restarts=-1).remote()
        for _ in range(2):
            with pytest.raises(ag.exceptions.RuntimeEnvSetupError, match="no licence here"):
                get(actor.where.remote())

    def test_error_of_a_child_is_the_parents_like_any_other(self) -> None:
        @ag.remote
        def parent() -> Any:
            return ag.get(process.options(runtime_env={"worker_process_setup_hook": refuse}).remote())

        with pytest.raises(ag.exceptions.RuntimeEnvSetupError) as caught:
            get(parent.remote())
        assert isinstance(caught.value, ag.exceptions.TaskError)

    def test_hook_that_kills_its_process_is_a_crash_of_the_task(self, tmp_path: Path) -> None:
        path = tmp_path / "tries"

        def die() -> None:
            count_run(path)
            os._exit(1)

        with pytest.raises(ag.exceptions.WorkerCrashedError):
            get(process.options(runtime_env={"worker_process_setup_hook": die}, max_retries=2).remote())
        assert runs(path) == 3

    def test_hook_that_never_ends_ends_with_the_time_of_its_task(self, tmp_path: Path) -> None:
        def hang() -> None:
            time.sleep(3600)

        hung = process.options(runtime_env={"worker_process_setup_hook": hang}, run_timeout=0.2)
        with pytest.raises(ag.exceptions.TaskTimeoutError):
            get(hung.remote())

    def test_task_that_is_cancelled_during_its_hook_takes_the_process_with_it(self, tmp_path: Path) -> None:
        path = tmp_path / "tries"

        def hang_first() -> None:
            if count_run(path) == 1:
                time.sleep(3600)

        look = process.options(runtime_env={"worker_process_setup_hook": hang_first})
        ref = look.remote()
        assert wait_until(lambda: runs(path) == 1)
        ag.cancel(ref)
        with pytest.raises(ag.exceptions.TaskCancelledError):
            get(ref)
        get(look.remote())
        assert runs(path) == 2

    def test_hook_cannot_make_calls(self) -> None:
        def call() -> None:
            process.remote()

        with pytest.raises(ag.exceptions.RuntimeEnvSetupError, match="cannot make calls"):
            get(process.options(runtime_env={"worker_process_setup_hook": call}).remote())

    def test_hook_that_cannot_be_pickled_is_refused_at_the_call(self) -> None:
        lock = threading.Lock()
        unsendable = process.options(runtime_env={"worker_process_setup_hook": lambda: lock})
        with pytest.raises(ag.exceptions.SerializationError, match="lock"):
            unsendable.remote()

    def test_hook_that_refers_to_an_object_is_refused_at_the_call(self) -> None:
        ref = ag.put(1)
        unsendable = process.options(runtime_env={"worker_process_setup_hook": lambda: ref})
        with pytest.raises(ValueError, match="objects of the grid"):
            unsendable.remote()


# ------------------------------------------------------------------------------------------------- the runtime context


@pytest.mark.usefixtures("grid")
class TestContext:
    def test_task_without_an_environment_says_so(self) -> None:
        assert get(environment.remote()) == {}
        assert ag.get_runtime_context().runtime_env == {}
        assert ag.get_runtime_context().get_runtime_env_string() == "{}"

    def test_task_knows_its_environment(self, tmp_path: Path) -> None:
        module = write_module(tmp_path, "ag_test_told", 1)
        env = {"working_dir": str(tmp_path), "env_vars": {"AG_TEST_A": "1"}, "py_modules": [str(module)]}
        assert get(environment.options(runtime_env=env).remote()) == env

    def test_environment_of_a_task_can_be_given_to_another_one(self) -> None:
        env = get(environment.options(runtime_env={"worker_process_setup_hook": mark_process}).remote())
        assert get(variable.options(runtime_env=env).remote("AG_TEST_HOOKED")) == "by the hook"

    def test_text_of_it_is_json_with_the_name_of_the_hook(self) -> None:
        @ag.remote(runtime_env={"worker_process_setup_hook": mark_process, "env_vars": {"AG_TEST_A": "1"}})
        def told() -> str:
            return ag.get_runtime_context().get_runtime_env_string()

        found = json.loads(get(told.remote()))
        assert found["env_vars"] == {"AG_TEST_A": "1"}
        assert found["worker_process_setup_hook"].endswith("test_runtime_env.mark_process")

    def test_it_is_a_runtime_env(self) -> None:
        @ag.remote(runtime_env=RuntimeEnv(env_vars={"AG_TEST_A": "1"}))
        def told() -> Any:
            return ag.get_runtime_context().runtime_env

        found = get(told.remote())
        assert isinstance(found, RuntimeEnv)
        assert found.env_vars() == {"AG_TEST_A": "1"}


def test_driver_knows_what_its_tasks_inherit(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=1, runtime_env=with_variables(AG_TEST_A="job"))
    assert ag.get_runtime_context().runtime_env == with_variables(AG_TEST_A="job")
    assert get(environment.remote()) == with_variables(AG_TEST_A="job")
