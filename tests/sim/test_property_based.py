"""Hypothesis drives the simulator: inputs and schedule are drawn, and shrink, together."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hypothesis.control
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import DeadlineExceeded
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

import actorgrid as ag
from actorgrid import sim
from actorgrid.sim.property_based import ONE_BY_ONE, Drawn, current_test_case
from tests.zoo.shared_state import Cell, account, add, finish, read_then_write, token_ring_fixed

QUICK = settings(
    deadline=None, database=None, derandomize=True, max_examples=200, suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)  # fmt: skip


def test_inputs_and_schedule_shrink_together() -> None:
    seen: list[list[int]] = []

    @QUICK
    @given(st.lists(st.integers(1, 9), min_size=1, max_size=5))
    def deposits_add_up(amounts: list[int]) -> None:
        seen.append(amounts)
        with sim.world():
            cell = Cell.remote()
            finish([read_then_write.remote(cell, 1) for _ in amounts])
            assert ag.get(cell.get.remote()) == len(amounts)

    with pytest.raises(AssertionError) as caught:
        deposits_add_up()
    assert seen[-1] == [1, 1]
    assert any("1 deviations" in note for note in caught.value.__notes__)


def test_correct_program_passes_for_every_input() -> None:
    @QUICK
    @given(st.integers(1, 4), st.integers(1, 2))
    def deposits_add_up(n: int, k: int) -> None:
        with sim.world(checks=True):
            cell = Cell.remote()
            finish([add.remote(cell, k) for _ in range(n)])
            assert ag.get(cell.get.remote()) == n * k

    deposits_add_up()


def test_schedule_in_the_note_replays_the_failure() -> None:
    @QUICK
    @given(st.none())
    def withdraws(_: None) -> None:
        with sim.world():
            account()

    with pytest.raises(AssertionError) as caught:
        withdraws()
    note = next(note for note in caught.value.__notes__ if note.startswith("schedule "))
    replayed = sim.replay(note.split()[1].rstrip(","), account)
    assert isinstance(replayed.error, AssertionError)


def test_without_the_engine_of_hypothesis_its_public_way_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    real = hypothesis.control.current_build_context
    draws: list[int] = []

    def context() -> Any:
        def draw(strategy: Any) -> Any:
            draws.append(1)
            return data.draw(strategy)

        data = real().data
        return SimpleNamespace(data=SimpleNamespace(draw=draw))

    @QUICK
    @given(st.none())
    def withdraws(_: None) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(hypothesis.control, "current_build_context", context)
            with sim.world():
                account()

    with pytest.raises(AssertionError) as caught:
        withdraws()
    assert draws
    assert any("1 deviations" in note for note in caught.value.__notes__)


def test_hypothesis_stops_once_every_schedule_was_tried() -> None:
    runs = 0

    @settings(QUICK, max_examples=10_000)
    @given(st.none())
    def goes_around(_: None) -> None:
        nonlocal runs
        runs += 1
        with sim.world():
            token_ring_fixed()

    goes_around()
    assert runs < 20


def test_data_strategy_may_be_handed_in() -> None:
    @QUICK
    @given(st.data())
    def withdraws(data: Any) -> None:
        with sim.world(data=data):
            account()

    with pytest.raises(AssertionError):
        withdraws()


def test_state_machine_runs_a_whole_world() -> None:
    class Counting(RuleBasedStateMachine):
        @initialize()
        def start(self) -> None:
            self.context = sim.world()
            self.context.__enter__()
            self.cell = Cell.remote()
            self.pending: list[Any] = []
            self.expected = 0

        @rule(n=st.integers(1, 5))
        def increase(self, n: int) -> None:
            self.pending.append(read_then_write.remote(self.cell, 1))
            self.expected += 1

        @rule()
        def check(self) -> None:
            finish(self.pending)
            self.pending.clear()
            assert ag.get(self.cell.get.remote()) == self.expected

        def teardown(self) -> None:
            if hasattr(self, "context"):
                self.context.__exit__(None, None, None)

    with pytest.raises(AssertionError) as caught:
        run_state_machine_as_test(Counting, settings=QUICK)
    # The teardown closes the world as if all was well, and still the failure tells the schedule and its steps.
    (note,) = (note for note in caught.value.__notes__ if note.startswith("schedule ag1:"))
    assert "1 deviations; the last steps:\n" in note
    assert "Cell.set" in note


def test_world_that_closes_in_the_middle_of_an_error_is_none_that_has_failed_before() -> None:
    older = ValueError("an older one")
    try:
        raise older
    except ValueError:
        with sim.world():
            ag.get(Cell.remote().get.remote())
    assert not hasattr(older, "__notes__")


def failing_schedule(program: Callable[[], object]) -> sim.Schedule:
    return sim.explore(program, runs=200).failures[0].schedule


def test_world_replays_a_schedule(tmp_path: Path) -> None:
    schedule = failing_schedule(account)
    (tmp_path / "report").write_text(f"replay it: {schedule.dumps()!r}", encoding="utf-8")
    for source in (schedule, schedule.dumps(), tmp_path / "report"):
        with pytest.raises(AssertionError) as caught, sim.world(schedule=source):
            account()
        assert schedule.dumps() in caught.value.__notes__[0]
    with pytest.raises(ValueError, match="a schedule starts with"), sim.world(schedule="no such thing"):
        pass


def test_world_in_a_hypothesis_test_replays_a_schedule_and_draws_inputs_only() -> None:
    schedule = failing_schedule(account)
    drawn = Drawn.made

    @QUICK
    @given(st.integers(1, 9))
    def withdraws(_: int) -> None:
        with sim.world(schedule=schedule):
            account()

    with pytest.raises(AssertionError):
        withdraws()
    assert Drawn.made == drawn


def test_failure_is_not_explained_by_lines_of_the_simulator() -> None:
    @settings(QUICK, phases=[*QUICK.phases, Phase.explain])
    @given(st.lists(st.integers(1, 9), min_size=1, max_size=3))
    def deposits_add_up(amounts: list[int]) -> None:
        with sim.world():
            cell = Cell.remote()
            finish([read_then_write.remote(cell, 1) for _ in amounts])
            assert ag.get(cell.get.remote()) == len(amounts)

    with pytest.raises(AssertionError) as caught:
        deposits_add_up()
    told = [line for note in caught.value.__notes__ for line in note.splitlines()]
    assert not any("these lines were always" in line.lower() for line in told), told


def test_choices_made_inside_of_tasks_are_drawn_as_well() -> None:
    @ag.remote
    def waits() -> str:
        ready, _ = ag.wait([echo.remote("a"), echo.remote("b")], num_returns=1)
        return str(ag.get(ready[0]))

    @ag.remote
    def echo(value: str) -> str:
        return value

    @QUICK
    @given(st.none())
    def first_is_first(_: None) -> None:
        with sim.world():
            assert ag.get(waits.remote()) == "a"

    with pytest.raises(AssertionError):
        first_is_first()


def spend(clock: Callable[[], float]) -> None:
    """Compute for longer than a test case may take."""
    until = clock() + 0.8
    while clock() < until:
        pass


def test_time_that_simulating_takes_does_not_count_for_the_deadline_of_a_test() -> None:
    clock = time.perf_counter  # the real one: a closure is not looked into

    @settings(max_examples=2, deadline=500, database=None)
    @given(st.integers(1, 3))
    def test(amount: int) -> None:
        with sim.world():
            spend(clock)
            assert amount

    test()


def test_time_of_code_outside_of_worlds_counts_for_the_deadline() -> None:
    @settings(max_examples=2, deadline=500, database=None)
    @given(st.integers(1, 3))
    def test(amount: int) -> None:
        with sim.world():
            assert amount
        spend(time.perf_counter)

    with pytest.raises(DeadlineExceeded):
        test()


def test_long_run_fits_into_a_test_case_and_deviates_late_too() -> None:
    late: set[int] = set()

    @settings(max_examples=100, deadline=None, database=None, phases=[Phase.generate])
    @given(st.none())
    def test(_: None) -> None:
        policy = current_test_case()
        assert policy is not None
        values = [policy.draw("event", 3) for _ in range(20_000)]
        late.update(at for at, value in enumerate(values) if value and at >= ONE_BY_ONE)

    test()
    assert len(late) > 10


def test_simplest_long_run_is_the_dull_one() -> None:
    class Dullest:
        def flag(self, rate: float) -> bool:
            del rate
            return False

        def number(self, bound: int) -> int:
            del bound
            return 0

    policy = Drawn(Dullest())
    assert not any(policy.draw("event", 3) for _ in range(1000))


def test_deviation_after_the_decisions_that_are_drawn_one_by_one_comes_where_it_was_drawn() -> None:
    class Gaps:
        numbers = iter([0, 3, 1, 1, 1, 0])  # the rate; a gap and a value; a gap and a value; no more

        def flag(self, rate: float) -> bool:
            del rate
            return False

        def number(self, bound: int) -> int:
            del bound
            return next(self.numbers)

    policy = Drawn(Gaps())
    values = [policy.draw("event", 4) for _ in range(ONE_BY_ONE + 100)]
    assert {at: value for at, value in enumerate(values) if value} == {ONE_BY_ONE + 2: 2, ONE_BY_ONE + 3: 2}
