"""Whatever takes a function to simulate: what it takes for it, and what it refuses before anything runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import actorgrid as ag
from actorgrid import sim
from tests.zoo.shared_state import lost_update, lost_update_fixed


@sim.test(runs=20)
def test_holds() -> None:
    lost_update_fixed()


@sim.test(runs=100)
def does_not_hold() -> None:
    lost_update()


def deposits(count: int, *, amount: int = 1) -> None:
    @ag.remote
    class Account:
        def __init__(self) -> None:
            self.balance = 0

        def get(self) -> int:
            return self.balance

        def set(self, value: int) -> None:
            self.balance = value

    @ag.remote
    def deposit(account: ag.ActorHandle[Account]) -> None:
        ag.get(account.set.remote(ag.get(account.get.remote()) + amount))

    account = Account.remote()  # type: ignore[attr-defined]  # mypy does not see what the decorator makes of it
    ag.get([deposit.remote(account) for _ in range(count)])
    assert ag.get(account.get.remote()) == count * amount


def line_of(report: str) -> str:
    found = re.search(r"replay it: +(actorgrid\.sim\.replay\(.*\))", report)
    assert found is not None
    return found[1]


# ------------------------------------------------------------------------------------------- a test and its body


def test_proof_of_a_test_is_one_of_its_body() -> None:
    proof = sim.prove(test_holds)
    assert (proof.complete, proof.classes) == (True, sim.prove(lost_update_fixed).classes)
    assert proof.classes > 1


def test_replay_of_a_test_follows_the_schedule_that_its_failure_names() -> None:
    with pytest.raises(sim.SimulationFailed) as failed:
        does_not_hold()
    found = re.search(r"ag1:[^']*", line_of(str(failed.value)))
    assert found is not None
    again = sim.replay(found[0], does_not_hold, strict=True)
    assert again.schedule.deviations
    assert isinstance(again.error, AssertionError)


def test_test_is_run_and_explored_and_compared_as_its_body() -> None:
    assert sim.run(test_holds).events == sim.run(lost_update_fixed).events > 0
    assert sim.explore(does_not_hold, runs=100).failures[0].run.identity[0] == "AssertionError"
    assert sim.differential(does_not_hold, real_runs=0, prove_below=100).simulated[("raised", "AssertionError")] > 0


def test_method_that_is_a_test_keeps_its_object() -> None:
    class TestBank:
        amount = 3

        @sim.test(runs=10)
        def test_all(self) -> int:
            assert self.amount == 3
            return self.amount

    assert sim.run(TestBank().test_all).value == 3


def test_test_that_tries_everything_fails_with_what_that_finds() -> None:
    with pytest.raises(sim.SimulationFailed, match="AssertionError"):
        sim.test(runs=1, prove_below=1000)(lost_update)()


def test_test_that_cannot_try_everything_fails_with_what_that_has_found_so_far() -> None:
    classes = sim.prove(lost_update).classes
    with pytest.raises(sim.SimulationFailed, match="AssertionError"):
        sim.test(runs=1, prove_below=classes - 1)(lost_update)()


def test_failure_of_a_test_says_how_pytest_replays_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "tests/test_bank.py::test_all[a b] (call)")
    with pytest.raises(sim.SimulationFailed) as failed:
        does_not_hold()
    assert re.search(
        r"or: +pytest --actorgrid-replay='?ag1:\S+ 'tests/test_bank.py::test_all\[a b\]'$", str(failed.value)
    )


# ------------------------------------------------------------------------------------------------- arguments


def test_line_that_replays_a_failure_has_its_arguments() -> None:
    (failure,) = sim.explore(deposits, 2, amount=3).failures
    line = line_of(failure.report)
    assert line.endswith("', deposits, 2, amount=3)")
    again = eval(line, {"actorgrid": ag, "deposits": deposits})  # ours
    assert again.digest == failure.run.digest
    assert "deposits(2, amount=3) fails: AssertionError" in failure.report


def test_line_that_replays_a_failure_leaves_out_what_cannot_be_written() -> None:
    def fails(_first: object, _second: str) -> None:
        raise ValueError("on purpose")

    (failure,) = sim.explore(fails, object(), "x" * 1000).failures
    assert line_of(failure.report).endswith("', fails, ..., ...)")


@pytest.mark.parametrize("search", [sim.run, sim.explore, sim.prove, sim.differential])
def test_argument_that_nobody_takes_is_refused_before_anything_runs(search: object) -> None:
    with pytest.raises(TypeError, match=r"lost_update\(\): got an unexpected keyword argument 'foo'"):
        search(lost_update, foo=1)  # type: ignore[operator]  # each of them is a function


def test_option_that_is_misspelt_is_hinted_at() -> None:
    with pytest.raises(TypeError, match="Did you mean 'runs'"):
        sim.explore(lost_update, run=10)
    with pytest.raises(TypeError, match="Did you mean 'faults'"):
        sim.prove(lost_update, fault=sim.Faults())


def test_missing_argument_is_refused_before_anything_runs() -> None:
    with pytest.raises(TypeError, match=r"deposits\(\): missing a required argument: 'count'"):
        sim.replay(sim.Schedule(), deposits)


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match=r"explore\(\) needs a function to simulate, not 3"):
        sim.explore(3)  # type: ignore[arg-type]  # that is the mistake


# ----------------------------------------------------------------------------------- schedules and policies by name


def test_saved_story_is_replayed_by_its_path_as_text(tmp_path: Path) -> None:
    (failure,) = sim.explore(lost_update).failures
    failure.save(tmp_path / "story.html")
    for source in (str(tmp_path / "story.html"), tmp_path / "story.html"):
        assert sim.replay(source, lost_update).digest == failure.run.digest


def test_text_that_is_neither_a_schedule_nor_a_file_is_refused() -> None:
    for text in ("nowhere.html", "x" * 10_000):
        with pytest.raises(ValueError, match="and there is no such file"):
            sim.replay(text, lost_update)


def test_policy_may_be_named_for_a_single_run() -> None:
    seeds = range(20)
    digests = {sim.run(lost_update, policy="random", seed=seed).digest for seed in seeds}
    assert len(digests) > 1
    assert digests == {sim.run(lost_update, policy="random", seed=seed).digest for seed in seeds}
    with pytest.raises(AssertionError), sim.world(policy="random", seed=_failing_seed()):
        lost_update()


def _failing_seed() -> int:
    return next(seed for seed in range(100) if sim.run(lost_update, policy="random", seed=seed).failed)


def test_policy_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no policy 'rand'"):
        sim.run(lost_update, policy="rand")
