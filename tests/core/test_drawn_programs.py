"""Programs drawn from seeds, thousands of them: the same promises as in ``test_programs``, by sheer number."""

from __future__ import annotations

from functools import partial

import pytest

from tests.core.body import Body
from tests.core.random_programs import Case, drawn, play, smallest
from tests.core.script import Step
from tests.core.test_programs import assert_all_is_well, assert_nothing_is_left
from tests.core.world import World
from tests.thinning import one_in

pytestmark = pytest.mark.search

#: So many cases are one test.
BLOCK = 40


def judge(world: World, main: Body) -> None:
    assert_all_is_well(world, main)
    assert_nothing_is_left(world, main)


def error_of(case: Case) -> Exception | None:
    """Return what goes wrong."""
    try:
        play(case, judge)
    except Exception as error:  # noqa: BLE001  # whatever the machine raises is wrong
        return error
    return None


def place(error: Exception | None) -> tuple[str, int] | None:
    """Return where an error was raised, which tells it from others."""
    trace = error.__traceback__ if error is not None else None
    if trace is None:
        return None
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_filename, trace.tb_lineno


@pytest.mark.parametrize("block", one_in(5, range(50)))
def test_drawn_programs_end_and_leave_nothing(block: int) -> None:
    for seed in range(BLOCK * block, BLOCK * (block + 1)):
        case = drawn(seed)
        error = error_of(case)
        if error is not None:
            fails_so = partial(_fails_at, place(error))
            small = smallest(case, fails_so)
            raise AssertionError(f"seed {seed} fails, and so does {small}") from error_of(small)


def _fails_at(where: tuple[str, int] | None, case: Case) -> bool:
    return place(error_of(case)) == where


def test_what_fails_becomes_as_small_as_it_can() -> None:
    def fails(case: Case) -> bool:
        said = [step.what for step in case.program]
        return "put" in said and case.options["deaths"] > 1 and sum(case.picks) > 0

    case = next(case for case in map(drawn, range(1000)) if fails(case))
    small = smallest(case, fails)
    assert small.program == (Step("put"),)
    assert (small.options["deaths"], small.options["jams"], small.options["famines"]) == (2, 0, 0)
    assert sum(pick > 0 for pick in small.picks) == 1
