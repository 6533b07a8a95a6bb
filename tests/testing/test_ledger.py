"""The ledger of random programs tells calls that wait for each other from calls that are only said to."""

from __future__ import annotations

import actorgrid as ag
from actorgrid import sim
from actorgrid.exceptions import DeadlockError
from actorgrid.testing.ledger import MAIN, Ledger
from actorgrid.testing.programs import Act, play


def ledger() -> Ledger:
    """Two calls that run, named 1 and 2."""
    made = Ledger()
    for number in (1, 2):
        made.of_reference[f"result {number}"] = made.made(MAIN, 0, "")
        made.begins(number)
    return made


def test_calls_that_wait_for_each_other_are_a_circle() -> None:
    made = ledger()
    with made.waits(MAIN, ["result 1"]), made.waits(1, ["result 2"]), made.waits(2, ["result 1"]):
        made.ended(MAIN, "result 1", DeadlockError("1 and 2 wait for each other"))
        assert made.stuck()
    assert not made.stuck()
    assert not made.wrong()


def test_call_that_waits_for_one_that_runs_is_wrongly_said_to_be_in_a_circle() -> None:
    made = ledger()
    with made.waits(MAIN, ["result 1"]), made.waits(1, ["result 2"]):
        made.ended(MAIN, "result 1", DeadlockError("1 and 2 wait for each other"))
        assert not made.stuck()
    assert len(made.wrong()) == 1


def test_call_waits_for_what_its_actor_runs_until_that_is_over() -> None:
    made = Ledger(in_turn={"an actor"})
    for number in (1, 2):
        made.of_reference[f"result {number}"] = made.made(MAIN, 0, "", "an actor")
    run = made.begins(1)
    with made.waits(run, ["result 2"]):
        assert made.stuck()
        made.over(run)
        assert not made.stuck()


def test_call_waits_for_what_it_takes() -> None:
    made = ledger()
    made.of_reference["result 3"] = made.made(MAIN, 0, "result 2")
    with made.waits(1, ["result 3"]), made.waits(2, ["result 1"]):
        assert made.stuck()


def test_program_that_waits_for_itself_keeps_every_promise() -> None:
    asks = (Act("find"), Act("call"), Act("get"))
    with sim.world(checks=True):
        ag.init(num_cpus=2)
        outcome = play((Act("named"), Act("task", body=asks), Act("call", flag=True, body=(Act("get"),))), ask=True)
        assert "DeadlockError" in outcome.errors
        assert outcome.ledger.stuck()
        assert not outcome.ledger.wrong()
