"""How actors come back."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from tests.contract.mortals import Mortal, behind, dies, eventually
from tests.contract.tools import DEADLINE, Gate, count_run, kill_this_process, runs

pytestmark = pytest.mark.usefixtures("grid")


def test_restart_makes_running_and_queued_calls_unavailable_and_state_anew() -> None:
    mortal, gate = Mortal.options(max_restarts=1).remote(), Gate.remote()
    ag.get([mortal.add.remote(), mortal.add.remote()])
    held = mortal.echo.remote(behind.remote(gate, 1))
    refs = [mortal.die.remote(), mortal.add.remote()]
    gate.open.remote()
    assert ag.get(held, timeout=DEADLINE) == 1
    for ref in refs:
        with pytest.raises(ag.exceptions.ActorUnavailableError):
            ag.get(ref, timeout=DEADLINE)
    assert eventually(mortal.add.remote) == 1


class DiesAtBirth:
    """Waits before it is there, and is not, as often as it was told."""

    def __init__(self, births: Path, gate: Any, deaths: int) -> None:
        self.value = 0
        ag.get(gate.pass_through.remote())
        if count_run(births) <= deaths:
            kill_this_process()

    def add(self) -> int:
        self.value += 1
        return self.value


def dies_at_birth(**options: Any) -> Any:
    return ag.remote(**options)(DiesAtBirth)


WAYS = [{}, {"max_concurrency": 2}, {"allow_out_of_order_execution": True}, {"concurrency_groups": {"io": 1}}]


@pytest.mark.parametrize("options", WAYS)
def test_calls_that_wait_for_a_constructor_outlive_its_deaths(options: dict[str, Any], tmp_path: Path) -> None:
    gate = Gate.remote()
    actor = dies_at_birth(max_restarts=2, **options).remote(tmp_path / "births", gate, 2)
    refs = [actor.add.remote() for _ in range(3)]
    gate.open.remote()
    assert sorted(ag.get(refs, timeout=DEADLINE)) == [1, 2, 3]
    assert runs(tmp_path / "births") == 3


@pytest.mark.parametrize("options", WAYS)
def test_calls_that_wait_for_a_constructor_outlive_a_kill_that_restarts(
    options: dict[str, Any], tmp_path: Path
) -> None:
    gate = Gate.remote()
    actor = dies_at_birth(max_restarts=1, **options).remote(tmp_path / "births", gate, 0)
    refs = [actor.add.remote() for _ in range(3)]
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    ag.kill(actor, no_restart=False)
    gate.open.remote()
    assert sorted(ag.get(refs, timeout=DEADLINE)) == [1, 2, 3]


def test_calls_that_wait_for_a_constructor_die_with_the_last_restart(tmp_path: Path) -> None:
    gate = Gate.remote()
    actor = dies_at_birth(max_restarts=1).remote(tmp_path / "births", gate, 2)
    refs = [actor.add.remote() for _ in range(2)]
    gate.open.remote()
    for ref in refs:
        dies(ref)


def test_restart_runs_the_constructor_with_the_same_arguments(tmp_path: Path) -> None:
    mortal = Mortal.options(max_restarts=1).remote(births=tmp_path / "births")
    with pytest.raises(ag.exceptions.ActorUnavailableError):
        ag.get(mortal.die.remote(), timeout=DEADLINE)
    assert eventually(mortal.add.remote) == 1
    assert runs(tmp_path / "births") == 2


def test_restarts_are_used_up() -> None:
    mortal = Mortal.options(max_restarts=1).remote()
    with pytest.raises(ag.exceptions.ActorUnavailableError):
        ag.get(mortal.die.remote(), timeout=DEADLINE)
    eventually(mortal.add.remote)
    dies(mortal.die.remote())
    dies(mortal.add.remote())


def test_max_restarts_minus_1_restarts_any_number_of_times(tmp_path: Path) -> None:
    mortal = Mortal.options(max_restarts=-1).remote(births=tmp_path / "births")
    for _ in range(4):
        eventually(mortal.add.remote)
        with pytest.raises(ag.exceptions.ActorUnavailableError):
            ag.get(mortal.die.remote(), timeout=DEADLINE)
    eventually(mortal.add.remote)
    assert runs(tmp_path / "births") == 5


def test_max_task_retries_repeats_the_call_on_the_new_incarnation(tmp_path: Path) -> None:
    mortal = Mortal.options(max_restarts=2, max_task_retries=2).remote()
    refs = [mortal.die_until.remote(tmp_path / "runs", 2), mortal.add.remote()]
    assert ag.get(refs, timeout=DEADLINE) == [2, 1]


def test_deadly_call_with_max_task_retries_uses_up_the_restarts(tmp_path: Path) -> None:
    mortal = Mortal.options(max_restarts=1, max_task_retries=1).remote()
    dies(mortal.die_until.remote(tmp_path / "runs", 99))
    assert runs(tmp_path / "runs") == 2
    dies(mortal.add.remote())


def test_call_is_not_repeated_by_default(tmp_path: Path) -> None:
    mortal = Mortal.options(max_restarts=-1).remote()
    with pytest.raises(ag.exceptions.ActorUnavailableError):
        ag.get(mortal.die_until.remote(tmp_path / "runs", 2), timeout=DEADLINE)
    eventually(mortal.add.remote)
    assert runs(tmp_path / "runs") == 1


def test_max_task_retries_of_the_call_wins_over_the_actors(tmp_path: Path) -> None:
    mortal = Mortal.options(max_restarts=-1).remote()
    call = mortal.die_until.options(max_task_retries=1)
    assert ag.get(call.remote(tmp_path / "runs", 2), timeout=DEADLINE) == 2


def test_exceptions_of_a_method_are_retried_on_request(tmp_path: Path) -> None:
    call = Mortal.remote().fail_until.options(max_task_retries=3, retry_exceptions=True)
    assert ag.get(call.remote(tmp_path / "runs", 3), timeout=DEADLINE) == 3
