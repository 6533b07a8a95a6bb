"""Sleep sets: what need not be done any more, and what wakes it."""

from __future__ import annotations

from actorgrid.sim.asleep import Asleep, Explored, Taken
from actorgrid.sim.footprint import OPEN, WRITTEN, Footprint, StepDone

ANY = -1


def writes(*tokens: str) -> Footprint:
    """Return the footprint of a step that writes these."""
    return dict.fromkeys(tokens, OPEN | WRITTEN)


def taken(key: str, number: int, *tokens: str, needs: int = 0) -> Taken:
    """Return a step that writes these."""
    return Taken(key, number, writes(*tokens), needs)


#: Sleeps, and writes "e". Code that waits for it and for "t" writes "j" then.
E = Asleep(Explored(writes("e"), {"t": writes("j"), "x": {}, "y": {}}))


def sleeps_behind(*steps: Taken) -> bool:
    """Return whether it sleeps on when these are taken, one after the other."""
    asleep: Asleep | None = E
    for step in steps:
        if asleep is None:
            return False
        asleep = asleep.behind(step)
    return asleep is not None


def test_step_sleeps_on_behind_what_commutes_with_it() -> None:
    assert sleeps_behind(taken("x", 0, "x"), taken("y", 1, "y"))


def test_step_wakes_behind_what_does_not_commute_with_it() -> None:
    assert not sleeps_behind(taken("x", 0, "e"))


def test_step_wakes_behind_what_never_happened_after_it() -> None:
    assert not sleeps_behind(taken("new", 0, "x"))


def test_what_commutes_with_one_step_that_code_waits_for_may_come_before_it_in_either_order() -> None:
    assert sleeps_behind(taken("t", 0, "t"), taken("x", 1, "j"))


def test_what_follows_from_one_step_and_races_with_code_that_waits_for_two_wakes_the_other() -> None:
    assert not sleeps_behind(taken("t", 0, "t"), taken("x", 1, "t", "j"))
    assert not sleeps_behind(taken("t", 0, "t"), taken("x", 1, "j", needs=1 << 0))
    assert not sleeps_behind(taken("t", 0, "t"), taken("x", 1, "j", needs=ANY))


def test_what_follows_from_one_step_through_another_wakes_it_too() -> None:
    assert not sleeps_behind(taken("t", 0, "t"), taken("y", 1, "t", "y"), taken("x", 2, "y", "j"))
    assert not sleeps_behind(taken("t", 0, "t"), taken("y", 1, "y", needs=1 << 0), taken("x", 2, "j", needs=1 << 1))
    assert sleeps_behind(taken("t", 0, "t"), taken("y", 1, "y"), taken("x", 2, "y", "j"))


def test_what_follows_from_one_step_and_leaves_that_code_alone_wakes_nothing() -> None:
    assert sleeps_behind(taken("t", 0, "t"), taken("x", 1, "t", "x"))


def test_order_that_is_none_of_anybodys_choice_wakes_nothing() -> None:
    """What either could not have come to first is the fiber of a process, which does one thing after the other."""
    asleep = Asleep(Explored(writes("e"), {"t": {"j": WRITTEN}, "x": {}})).behind(taken("t", 0, "t"))
    assert asleep is not None
    assert asleep.behind(Taken("x", 1, {**writes("t"), "j": WRITTEN}, 0)) is not None


def test_what_a_step_touches_behind_something_is_what_it_touches_after_it_went_on_with_that() -> None:
    done = StepDone(writes("a", "b", "c"), ["one", "two"], [], {1: writes("b"), 2: writes("c")})
    assert done.touched_behind(0) == writes("b", "c")
    assert done.touched_behind(1) == writes("c")
