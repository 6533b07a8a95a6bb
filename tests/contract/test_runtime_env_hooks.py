"""Runtime environments: a function that runs first."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from tests.contract.environments import (
    Inspector,
    get,
    process,
    refuse,
    variable,
)
from tests.contract.tools import DEADLINE, count_run, runs


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
        env = {"worker_process_setup_hook": "tests.contract.environments.mark_process"}
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
