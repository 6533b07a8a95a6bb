"""What ``prove`` leaves out makes no difference where driver and tasks wait for one thing after the other."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

import pytest

import actorgrid as ag
from tests.sim.test_reduction_of_ends import AsyncSum, Sum, Threaded, compare, items, named, said, tries
from tests.thinning import one_in

pytestmark = pytest.mark.search

Act = tuple[str, int]


def pick(things: list[Any], index: int) -> Any:
    return things[index % len(things)]


#: Acts that send something off: (actors, number) -> its reference.
SENDS: Final[dict[str, Callable[[list[Any], int], Any]]] = {
    "send": lambda sums, index: pick(sums, index).add.remote(1),
    "task": lambda sums, index: tries.remote(pick(sums, index)),
    "make": lambda sums, index: Sum.options(name="it").remote().add.remote(5),
}
#: Acts with actors: (actors, number) -> what was seen.
SEES: Final[dict[str, Callable[[list[Any], int], Any]]] = {
    "kill": lambda sums, index: ag.kill(pick(sums, index)),
    "read": lambda sums, index: ag.get(pick(sums, index).get.remote()),
    "name": lambda sums, index: named(0),
}
#: Acts with what was sent off: (references, number) -> what was seen.
ENDS: Final[dict[str, Callable[[list[Any], int], Any]]] = {
    "get": lambda refs, index: said(pick(refs, index)),
    "two": lambda refs, index: [said(pick(refs, index)), said(pick(refs, index + 1))],
    "cancel": lambda refs, index: ag.cancel(pick(refs, index)),
    "look": lambda refs, index: len(ag.wait([pick(refs, index)], timeout=0)[0]),
    "done": lambda refs, index: pick(refs, index).future().done(),
}


def perform(acts: list[Act], sums: list[Any], refs: list[Any]) -> list[Any]:
    """Do one thing after the other; return what was seen."""
    seen: list[Any] = []
    stream: Any = None
    for act, index in acts:
        try:
            if act in SENDS:
                refs.append(SENDS[act](sums, index))
            elif act in SEES:
                seen.append(SEES[act](sums, index))
            elif act in {"stream", "drop"}:
                stream = items.remote(pick(sums, index)) if act == "stream" else None
            elif refs:
                seen.append(ENDS[act](refs, index))
        except ag.exceptions.ActorGridError as error:  # which one is what was seen
            seen.append(type(error).__name__)
    del stream
    return seen


@ag.remote(max_retries=0)
def child(acts: list[Act], sums: list[Any]) -> list[Any]:
    return perform(acts, sums, [])


def program(kind: Any, count: int, acts: list[Act], children: list[list[Act]]) -> Any:
    sums = [kind.remote() for _ in range(count)]
    refs = [child.remote(each, sums) for each in children]
    seen = perform(acts, sums, [*refs])
    return seen, [said(ref) for ref in refs], [said(each.get.remote()) for each in sums]


def drawn(seed: int) -> tuple[Any, int, list[Act], list[list[Act]]]:
    rng = random.Random(seed)
    kind = rng.choice([Sum, Sum, AsyncSum, Threaded])

    def some(acts: list[str], most: int) -> list[Act]:
        return [(rng.choice(acts), rng.randrange(3)) for _ in range(rng.randint(1, most))]

    children = [some(["send", "send", "get", "two", "read", "kill", "name", "make", "look"], 3)]
    children += [some(["send", "read", "two", "name"], 2) for _ in range(rng.randrange(2))]
    acts = [*some(["send", "task"], 1), *some([*SENDS, *SEES, *ENDS, "get", "two", "stream", "drop"], 4)]
    return kind, rng.randint(1, 2), acts, children


#: Known, and to be mended: this one makes an actor with a name, and then lets go of a stream that nobody has read. That
#: the stream's task may have begun while the head was asked is left out.
MISSED: Final = 46


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="see MISSED")
def test_reduction_misses_a_task_that_begins_while_the_head_is_asked_for_a_name() -> None:
    compare(program, *drawn(MISSED))


@pytest.mark.parametrize("seed", one_in(20, [seed for seed in range(100) if seed != MISSED]))
def test_reduction_sees_every_outcome_of_drawn_chains(seed: int) -> None:
    compare(program, *drawn(seed))
