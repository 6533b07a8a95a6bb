"""Programs whose number of schedules that matter is known: from the literature, from Concuerror's tests, by hand.

Concuerror's (https://github.com/parapluu/Concuerror, tests/suites/dpor_tests) are processes that look up and insert
keys of an ETS table; here a key is an actor, and lookups are ``readonly``: two of them commute, an insert does not.
"""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from tests.zoo import actors, shared_state, structures
from tests.zoo.shared_state import Cell, finish

pytestmark = pytest.mark.search


@ag.remote
def read(cell: Any) -> Any:
    return ag.get(cell.get.remote())


@ag.remote
def write(cell: Any, value: Any) -> None:
    ag.get(cell.set.remote(value))


@ag.remote
def write_next(cells: list[Any], index: int) -> None:
    ag.get(cells[index].set.remote(ag.get(cells[index - 1].get.remote()) + 1))


@ag.remote
def find_last_zero(cells: list[Any]) -> int:
    index = len(cells) - 1
    while ag.get(cells[index].get.remote()):
        index -= 1
    return index


def readers(n: int) -> None:
    """One writer, ``n`` readers: each reads before or after it."""
    cell = Cell.remote()
    finish([write.remote(cell, 1), *(read.remote(cell) for _ in range(n))])


def last_zero(n: int) -> None:
    """After Flanagan and Godefroid: each cell gets the value of the one before plus one; one looks for the last 0."""
    cells = [Cell.remote() for _ in range(n + 1)]
    finish([find_last_zero.remote(cells), *(write_next.remote(cells, index) for index in range(1, n + 1))])


def independent(n: int) -> None:
    """Tasks that have nothing to do with each other."""
    cells = [Cell.remote() for _ in range(n)]
    finish([write.remote(cell, 1) for cell in cells])


def writers(n: int) -> None:
    """``n`` writers of one cell: every order is another one, n! of them."""
    cell = Cell.remote()
    finish([write.remote(cell, value) for value in range(n)])


def pairs(n: int) -> None:
    """``n`` pairs of writers, a cell for each pair: two orders for each, whatever the others do."""
    cells = [Cell.remote() for _ in range(n)]
    finish([write.remote(cell, value) for cell in cells for value in range(2)])


@ag.remote
def write_often(cell: Any, times: int) -> None:
    ag.get([cell.set.remote(value) for value in range(times)])


def callers(*times: int) -> None:
    """Callers of one actor, each with so many calls in order: the multinomial coefficient."""
    cell = Cell.remote()
    finish([write_often.remote(cell, count) for count in times])


@ag.remote
class WorkServer:
    """Hands out pieces of work, and takes results."""

    def __init__(self, pieces: int) -> None:
        self.pieces = pieces

    def take(self) -> bool:
        self.pieces -= 1
        return self.pieces >= 0

    def result(self) -> None: ...


@ag.remote
def work(server: Any) -> None:
    while ag.get(server.take.remote()):
        ag.get(server.result.remote())


def workers() -> None:
    """Two workers, two pieces of work.

    One worker gets both: it calls T R T R T, and the T of the other one, in vain, is in one of three places after the
    second T; twice, that is 6. Each gets one: T R T and T R T in any of 20 orders, but not one after the other: 18.
    """
    server = WorkServer.remote(2)
    finish([work.remote(server) for _ in range(2)])


def messages(*words: str) -> None:
    """A sender of each word, and a mailbox for each kind of it."""
    boxes = {word: Cell.remote() for word in words}
    finish([write.remote(boxes[word], word) for word in words])


@ag.remote
class PlainCell:
    """A variable that does not say that looking at it changes nothing."""

    def __init__(self, value: Any = 0) -> None:
        self.value = value

    def get(self) -> Any:
        return self.value

    def set(self, value: Any) -> None:
        self.value = value


def stale_cache_of_plain_cells() -> None:
    """Two readers and a writer: 534 orders, in 106 classes if no call commutes with another of the same actor."""
    cache, store = PlainCell.remote(None), PlainCell.remote("old")
    readers = [actors.read_through.remote(cache, store) for _ in range(2)]
    ag.wait([*readers, actors.write_and_invalidate.remote(cache, store)], num_returns=3)


@ag.remote
def find_block(blocks: list[Any], at: int) -> None:
    while not ag.get(blocks[at % len(blocks)].claim.remote()):
        at += 1


def file_system(files: int, blocks: int) -> None:
    """After Flanagan and Godefroid: file i looks for one of the blocks from 2 * i on.

    Of 5 files with 6 blocks 1 and 4 meet, and 2 and 5, in either order: 2 ** 2. 16 with 26 are Concuerror's: 2 ** 3.
    """
    table = [structures.Block.remote() for _ in range(blocks)]
    finish([find_block.remote(table, 2 * i) for i in range(1, files + 1)])


# ---------------------------------------------------------------------------------------- processes that share a table


@ag.remote
def process(table: dict[str, Any], script: str) -> None:
    """Do one thing after the other: ``x=1`` inserts, ``x?`` looks up, ``x?1`` goes on if that was found.

    If it was not, then what stands after ``|`` is done, if there is that.
    """
    then, _, otherwise = script.partition("|")
    for step in then.split():
        key, sign, value = step[0], step[1], step[2:]
        if sign == "=":
            ag.get(table[key].set.remote(int(value)))
        elif ag.get(table[key].get.remote()) != int(value or -1) and value:
            for alternative in otherwise.split():
                ag.get(table[alternative[0]].set.remote(int(alternative[2:])))
            return


def ets(*scripts: str) -> None:
    """Run processes that share a table of zeros."""
    keys = sorted({step[0] for script in scripts for step in script.replace("|", " ").split()})
    table = {key: Cell.remote() for key in keys}
    finish([process.remote(table, script) for script in scripts])


COUNTS: list[tuple[Callable[..., None], tuple[Any, ...], str, int]] = [
    (shared_state.account, (), "none", 6),
    (shared_state.lost_update, (2, 1), "none", 6),
    (shared_state.reorder, (3,), "none", 90),
    (shared_state.reorder, (3,), "sleep", 36),
    (shared_state.token_ring, (), "none", 24),
    (shared_state.bluetooth, (), "none", 12),
    (actors.stale_cache, (1,), "none", 10),
    (readers, (1,), "sleep", 2),
    (readers, (3,), "sleep", 8),
    (readers, (5,), "sleep", 32),
    (readers, (3,), "none", 24),
    (last_zero, (2,), "sleep", 5),  # (n + 3) * 2 ** (n - 2)
    (last_zero, (3,), "sleep", 12),
    (last_zero, (4,), "sleep", 28),
    (independent, (4,), "sleep", 1),
    (independent, (4,), "none", 24),
    (writers, (4,), "sleep", math.factorial(4)),
    (pairs, (3,), "sleep", 2**3),
    (callers, (3, 3), "sleep", math.comb(6, 3)),
    (callers, (4, 2), "sleep", math.comb(6, 2)),
    (callers, (2, 2, 1), "sleep", 30),
    (workers, (), "sleep", 24),
    # Concuerror's proxy: a message and one that was relayed. Wherever the relays are, the two come in either order.
    (actors.causal, (5,), "sleep", 2),
    # Its conditional_readers: each reads x before or after the write; both find y as it was and write it in one of two
    # orders (4 * 2), or only the first one does, whichever that is (2 * 2). It counts 8: there the two inserts of what
    # is the same row commute, so that 4 * 1 + 2 * 2 are left. A method that sets is one that writes, here.
    (ets, ("x=1", "y?0 x? y=1", "y?0 x? y=1"), "sleep", 12),
    # Its same_messages: two senders of the same word to one mailbox. Its receive_order and indifferent_senders: whoever
    # receives says in which order, so there is a mailbox for each kind of message. (Its workers, 200, and workers_2,
    # 1296, look whether there are results before they wait for requests: no mailbox of calls does that.)
    (messages, ("one", "one"), "sleep", 2),
    (messages, ("a", "b"), "sleep", 1),
    (messages, ("msg1", "msg2", "msg3"), "sleep", 1),
    (file_system, (5, 6), "sleep", 4),
    (file_system, (16, 26), "dpor", 8),  # sleep sets alone begin too many
]

#: The same, for the slow suite.
LONG: list[tuple[Callable[..., None], tuple[Any, ...], str, int]] = [
    (readers, (6,), "dpor", 64),
    (last_zero, (5,), "dpor", 64),
    (actors.stale_cache, (2,), "none", 534),
    (stale_cache_of_plain_cells, (), "dpor", 106),
]

#: Name, processes, and the number of interleavings that Concuerror's tests state.
CONCUERROR: list[tuple[str, tuple[str, ...], int]] = [
    # Three writes and three reads in two processes: binomial(4, 2), binomial(6, 3).
    ("hairbrush_teeth_1", ("x=1 x=2", "x? x?"), 6),
    ("hairbrush_teeth_2", ("x=1 x=2 x=3", "x? x? x?"), 20),
    # Two readers that do not see each other: the square of that.
    ("hairbrush_teeth_3", ("x=1 x=2", "x? x?", "x? x?"), 36),
    ("hairbrush_teeth_4", ("x=1 x=2 x=3", "x? x? x?", "x? x? x?"), 400),
    # Two orders at x and two at y, but not the one pair that would be a circle.
    ("ets_cross", ("x=1 y=1", "y=2 x=2"), 3),
    # Two orders at each of two keys.
    ("manywrite", ("x=1", "x=2", "y=1", "y=2"), 4),
    # The third process sees y or not; only if not is there more that the fourth can see (Abdulla et al., POPL 2014).
    ("POPL_optimal_example", ("x=1", "y=1", "y?0 z=1", "z?1 y?0 x=2"), 5),
    # The others come to their second step in one order only.
    ("combination_lock_1", ("z=1", "x=1 a=1 y?1 w=1 b=0", "x?1 y=1 c=0 v?1 z?", "w?1 v=1 d=0"), 6),
    # What comes after a test is there only if it went well.
    ("depend_1", ("z=1", "x=1", "y=1", "x?1 y?1 z?", "y?1 z?"), 12),
    ("depend_4_2", ("z=1", "x=1", "y=1", "x?1 y?1 z?", "y?", "x=2"), 20),
    ("depend_4_3", ("x=1", "y=1", "x?1 y?", "y?", "x=2"), 16),
    # Two readers and two writes in one process: three places each; z before or after: 3 * 3 * 2.
    ("depend_6", ("y? z?", "y?", "z=1", "y=1 y=2"), 18),
    ("depend_6_2", ("y? z?", "y?", "y=1", "z=1 y=2"), 27),
    # Three processes in a ring, each of which writes what the next one tests.
    ("etsi", ("x?0 y=1|z=0", "y?0 z=1|x=0", "z?0 x=1|y=0"), 7),
    ("etsi_2", ("x=1", "y=1 x?", "x?1 y?"), 5),
    ("sleeping_races_1", ("y=1", "x=1", "x?1 y?"), 3),
    ("sleeping_races_2", ("y=1", "x=1", "y=2 x?1 y?"), 5),
]


@pytest.mark.parametrize(
    ("program", "args", "reduction", "classes"),
    [*COUNTS, *(pytest.param(*row, marks=pytest.mark.slow) for row in LONG)],
)
def test_exhaustive_search_counts_what_is_known(
    program: Callable[..., None], args: tuple[Any, ...], reduction: str, classes: int
) -> None:
    proof = sim.prove(program, *args, reduction=reduction)
    assert proof.complete
    assert proof.classes == classes


@pytest.mark.parametrize(
    ("program", "args", "classes"), [(row[0], row[1], row[3]) for row in COUNTS if row[2] == "sleep"]
)
def test_source_sets_count_the_same_and_begin_hardly_any_schedule_in_vain(
    program: Callable[..., None], args: tuple[Any, ...], classes: int
) -> None:
    proof = sim.prove(program, *args)
    assert (proof.complete, proof.classes) == (True, classes)
    assert proof.blocked <= classes / 4


@pytest.mark.parametrize(
    ("scripts", "classes"),
    [
        pytest.param(scripts, classes, id=name, marks=[pytest.mark.slow] if classes > 100 or len(scripts) > 5 else [])
        for name, scripts, classes in CONCUERROR
    ],
)
def test_exhaustive_search_counts_as_many_as_concuerror(scripts: tuple[str, ...], classes: int) -> None:
    proof = sim.prove(ets, *scripts)
    assert proof.complete
    assert (proof.classes, proof.failing) == (classes, 0)
