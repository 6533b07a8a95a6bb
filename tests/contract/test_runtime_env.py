"""Runtime environments: variables, whose they are, the processes that have them, and what code is told of them."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.runtime_env import RuntimeEnv
from tests.contract.environments import (
    Inspector,
    environment,
    get,
    mark_process,
    process,
    refuse,
    variable,
    variables,
    where,
    with_variables,
    write_module,
)
from tests.contract.tools import DEADLINE, count_run

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
        assert found["worker_process_setup_hook"].endswith("environments.mark_process")

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
