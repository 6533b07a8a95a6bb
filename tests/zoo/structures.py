"""The zoo, part A: programs whose bug is in a data structure that several tasks use."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from typing import Any

import actorgrid as ag
from tests.zoo.shared_state import Cell, finish

# ------------------------------------------------------------------------------------------------------------- ABA


@ag.remote
class Stack:
    """A lock-free stack: its nodes and its top change by compare-and-set of the name alone."""

    def __init__(self) -> None:
        self.next: dict[str, str | None] = {"a": "b", "b": None}
        self.top: str | None = "a"
        self.stamp = 0

    @ag.method(readonly=True)
    def look(self) -> tuple[str | None, str | None, int]:
        return self.top, self.next.get(self.top or ""), self.stamp

    def swing(self, old: str | None, new: str | None) -> bool:
        if self.top != old:
            return False
        self.top = new
        self.stamp += 1
        return True

    def swing_stamped(self, old: str | None, new: str | None, stamp: int) -> bool:
        return self.stamp == stamp and self.swing(old, new)

    def push(self, node: str) -> None:
        self.next[node] = self.top
        self.top = node
        self.stamp += 1

    def free(self, node: str) -> None:
        assert self.top != node, "the top of the stack is freed"
        self.next.pop(node, None)

    @ag.method(readonly=True)
    def sound(self) -> bool:
        return self.top is None or self.top in self.next


@ag.remote
def pop_slowly(stack: Any, stamped: bool) -> None:
    top, below, stamp = ag.get(stack.look.remote())
    if stamped:
        ag.get(stack.swing_stamped.remote(top, below, stamp))
    else:
        ag.get(stack.swing.remote(top, below))


@ag.remote
def pop_two_push_one(stack: Any) -> None:
    popped = []
    for _ in range(2):
        top, below, stamp = ag.get(stack.look.remote())
        if ag.get(stack.swing_stamped.remote(top, below, stamp)):
            popped.append(top)
    if popped[:1] == ["a"] and "b" in popped:
        ag.get(stack.free.remote("b"))
        ag.get(stack.push.remote("a"))


def aba() -> None:
    stack = Stack.remote()
    finish([pop_slowly.remote(stack, False), pop_two_push_one.remote(stack)])
    assert ag.get(stack.sound.remote()), "the top of the stack is a node that was freed"


def aba_fixed() -> None:
    stack = Stack.remote()
    finish([pop_slowly.remote(stack, True), pop_two_push_one.remote(stack)])
    assert ag.get(stack.sound.remote())


# ---------------------------------------------------------------------------------------------------- circular buffer


@ag.remote
class RingBuffer:
    """Two slots that are used again and again."""

    def __init__(self) -> None:
        self.slots: list[int | None] = [None, None]
        self.written = self.taken = 0

    def advance(self) -> int:
        self.written += 1
        return self.written - 1

    def store(self, at: int, value: int) -> None:
        self.slots[at % 2] = value

    def put(self, value: int) -> None:
        self.store(self.advance(), value)

    def take(self) -> int | None:
        """Return the oldest value that is there, None if there is none."""
        if self.taken == self.written:
            return None
        value = self.slots[self.taken % 2]
        assert value is not None, "a slot is read that nobody has filled"
        self.slots[self.taken % 2] = None
        self.taken += 1
        return value


@ag.remote
def produce_in_two_steps(ring: Any, count: int) -> None:
    for value in range(count):
        ag.get(ring.store.remote(ag.get(ring.advance.remote()), value))


@ag.remote
def produce(ring: Any, count: int) -> None:
    for value in range(count):
        ag.get(ring.put.remote(value))


@ag.remote
def consume(ring: Any, tries: int) -> list[int]:
    taken = [ag.get(ring.take.remote()) for _ in range(tries)]
    return [value for value in taken if value is not None]


def circular_buffer() -> None:
    ring = RingBuffer.remote()
    finish([produce_in_two_steps.remote(ring, 2), consume.remote(ring, 2)])


def circular_buffer_fixed() -> None:
    ring = RingBuffer.remote()
    _, taken = finish([produce.remote(ring, 2), consume.remote(ring, 2)])
    assert taken == [0, 1][: len(taken)]


# ------------------------------------------------------------------------------------------------------- queue, stack


@ag.remote
class Shelf:
    """A list of things, and where its top is said to be."""

    def __init__(self, things: list[str]) -> None:
        self.things = things
        self.top = len(things)

    @ag.method(readonly=True)
    def size(self) -> int:
        return len(self.things)

    def take_first(self) -> str:
        assert self.things, "the queue is empty"
        return self.things.pop(0)

    def take_first_if_any(self) -> str | None:
        return self.things.pop(0) if self.things else None

    @ag.method(readonly=True)
    def where_top_is(self) -> int:
        return self.top

    def store(self, at: int, thing: str) -> None:
        self.things[at:] = [thing]

    def set_top(self, top: int) -> None:
        self.top = top

    def push(self, thing: str) -> None:
        self.store(self.top, thing)
        self.top += 1

    @ag.method(readonly=True)
    def all(self) -> list[str]:
        return self.things[: self.top]


@ag.remote
def look_then_take(shelf: Any) -> None:
    if ag.get(shelf.size.remote()):
        ag.get(shelf.take_first.remote())


@ag.remote
def take_if_any(shelf: Any) -> None:
    ag.get(shelf.take_first_if_any.remote())


def queue() -> None:
    shelf = Shelf.remote(["only"])
    finish([look_then_take.remote(shelf) for _ in range(2)])


def queue_fixed() -> None:
    shelf = Shelf.remote(["only"])
    finish([take_if_any.remote(shelf) for _ in range(2)])


@ag.remote
def push_in_steps(shelf: Any, thing: str) -> None:
    top = ag.get(shelf.where_top_is.remote())
    ag.get(shelf.store.remote(top, thing))
    ag.get(shelf.set_top.remote(top + 1))


@ag.remote
def push(shelf: Any, thing: str) -> None:
    ag.get(shelf.push.remote(thing))


def stack() -> None:
    shelf = Shelf.remote([])
    finish([push_in_steps.remote(shelf, thing) for thing in ("one", "two")])
    assert sorted(ag.get(shelf.all.remote())) == ["one", "two"], "what was pushed is not on the stack"


def stack_fixed() -> None:
    shelf = Shelf.remote([])
    finish([push.remote(shelf, thing) for thing in ("one", "two")])
    assert sorted(ag.get(shelf.all.remote())) == ["one", "two"]


# -------------------------------------------------------------------------------------------------------- file system


@ag.remote
class Block:
    """A block of a disk: free, or a file's."""

    def __init__(self) -> None:
        self.busy = False

    @ag.method(readonly=True)
    def is_busy(self) -> bool:
        return self.busy

    def use(self) -> None:
        self.busy = True

    def claim(self) -> bool:
        """Use it unless it is used. Returns whether that worked."""
        was, self.busy = self.busy, True
        return not was


@ag.remote
def create_file(inode: Any, blocks: list[Any], at: int) -> None:
    """Look for a free block, and use it."""
    while ag.get(blocks[at % len(blocks)].is_busy.remote()):
        at += 1
    ag.get(blocks[at % len(blocks)].use.remote())
    ag.get(inode.set.remote(at % len(blocks)))


@ag.remote
def create_file_at_once(inode: Any, blocks: list[Any], at: int) -> None:
    while not ag.get(blocks[at % len(blocks)].claim.remote()):
        at += 1
    ag.get(inode.set.remote(at % len(blocks)))


def _file_system(create: Any, files: int) -> None:
    """After Flanagan and Godefroid: file number i looks for a block from 2 * i on."""
    inodes, blocks = [Cell.remote() for _ in range(files)], [Block.remote() for _ in range(2 * files - 2)]
    finish([create.remote(inode, blocks, 2 * number) for number, inode in enumerate(inodes)])
    used = ag.get([inode.get.remote() for inode in inodes])
    assert len(set(used)) == files, "two files have the same block"


def file_system(files: int = 3) -> None:
    _file_system(create_file, files)


def file_system_fixed(files: int = 3) -> None:
    _file_system(create_file_at_once, files)
