"""What a run's processes did to variables of modules is gone when they are; the next run begins with cold ones."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import array
import copy
import itertools
import time
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.sim.snapshots import MOST, fresh, snapshot
from tests.sim import leaky
from tests.sim.test_isolation import STYLES
from tests.zoo.shared_state import Cell

known: dict[str, int] = {}
client: Any = None


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    global client  # noqa: PLW0603  # the subject
    leaky.clear()
    yield
    leaky.clear()
    known.clear()
    client = None


@ag.remote
class Host:
    """A process with the module to itself."""

    def perform(self, code: Callable[[], Any]) -> Any:
        return code()


def host(code: Callable[[], Any], times: int = 2) -> list[Any]:
    actor = Host.remote()
    return [ag.get(actor.perform.remote(code)) for _ in range(times)]


# --------------------------------------------------------------------------------------------- from run to run


@pytest.mark.parametrize("style", STYLES)
def test_every_way_to_keep_something_in_a_module_begins_anew_with_each_run(style: str) -> None:
    code, _ = STYLES[style]
    task = ag.remote(code)
    values = [sim.run(lambda: ag.get(task.remote())).value for _ in range(3)]
    assert values[0] is not None
    assert values == values[:1] * 3


def is_first() -> bool:
    if "first" in known:
        return False
    known["first"] = 1
    return True


@ag.remote
class Careless:
    """Loses updates only as long as its process is cold."""

    def add(self, cell: Any, amount: int) -> None:
        if is_first():
            ag.get(cell.set.remote(ag.get(cell.get.remote()) + amount))
        else:
            ag.get(cell.add.remote(amount))


@ag.remote
def add(cell: Any, amount: int) -> None:
    ag.get(cell.add.remote(amount))


def loses_while_cold() -> None:
    cell = Cell.remote(0)
    ag.get([Careless.remote().add.remote(cell, 1), add.remote(cell, 5)])
    assert ag.get(cell.get.remote()) == 6


def test_proof_is_the_same_however_many_runs_there_were_before() -> None:
    first = sim.prove(loses_while_cold)
    assert first.failing
    assert first.complete
    sim.run(loses_while_cold)
    again = sim.prove(loses_while_cold)
    assert (again.classes, again.failing) == (first.classes, first.failing)


def test_search_finds_what_happens_in_cold_processes_after_other_runs() -> None:
    sim.run(loses_while_cold)
    assert sim.explore(loses_while_cold, runs=100).failures


def connect() -> int:
    global client  # noqa: PLW0603  # the subject
    if client is None:
        client = object()
        return 1
    return 0


def test_what_is_made_when_it_is_needed_first_is_made_in_each_run() -> None:
    assert [sim.run(host, connect).value for _ in range(2)] == [[1, 0], [1, 0]]
    assert client is None


def test_what_the_main_program_does_stays_as_its_process_does() -> None:
    def program() -> int:
        known["runs"] = known.get("runs", 0) + 1
        return known["runs"]

    assert [sim.run(program).value for _ in range(3)] == [1, 2, 3]


def test_what_was_declared_harmless_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actorgrid.sim.isolation._harmless", set())
    sim.share(__name__, "known")
    assert sim.run(host, is_first).value == [True, False]
    assert sim.run(host, is_first).value == [False, False]


@ag.remote
class Unwound:
    def wait(self) -> None:
        known["held"] = 1
        try:
            time.sleep(1e6)
        finally:
            known["let go"] = 1

    def known(self) -> dict[str, int]:
        return dict(known)


def test_what_a_process_does_while_its_stack_is_unwound_is_gone_too() -> None:
    def program() -> None:
        ag.get(Unwound.remote().wait.remote(), timeout=1)

    assert isinstance(sim.run(program).error, ag.exceptions.GetTimeoutError)
    assert known == {}


# --------------------------------------------------------------------------------------------- kinds of values


class Thing:
    def __init__(self) -> None:
        self.parts: dict[str, list[int]] = {"a": [1]}
        self.size = 1


class Slotted:
    __slots__ = ("__dict__", "items", "never")

    def __init__(self) -> None:
        self.items = [1, 2]
        self.more = 5


def change_thing(thing: Thing) -> None:
    thing.parts["a"].append(2)
    thing.parts["b"] = []
    thing.size = 7
    thing.extra = True


def change_slotted(slotted: Slotted) -> None:
    slotted.items = [slotted.items.pop()]
    slotted.more = 6
    slotted.less = 4


CHANGES: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "dict": ({"a": 1, "b": 2}, lambda value: (value.pop("a"), value.update(a=1, c=3))),
    "list in a dict": ({"a": [1, 2]}, lambda value: value["a"].reverse()),
    "list in a list in a list": ([[[1]]], lambda value: value[0][0].append(2)),
    "list in a tuple": (([1],), lambda value: value[0].append(2)),
    "list": ([3, 1, 2], lambda value: value.sort()),
    "set": ({1, 2}, lambda value: value.add(3)),
    "deque": (deque([1, 2, 3], maxlen=3), lambda value: value.append(4)),
    "bytearray": (bytearray(b"abc"), lambda value: value.extend(b"d")),
    "array": (array.array("i", [1, 2]), lambda value: value.__setitem__(0, 9)),
    "defaultdict": (defaultdict(list, {"a": [1]}), lambda value: (value["a"].append(2), value["b"])),
    "Counter": (Counter("abca"), lambda value: value.update("xyz")),
    "OrderedDict": (OrderedDict(a=1, b=2), lambda value: (value.move_to_end("a"), value.update(c=3))),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_contents_are_put_back(kind: str) -> None:
    value, change = copy.deepcopy(CHANGES[kind][0]), CHANGES[kind][1]
    before = copy.deepcopy(value)
    undo = snapshot(value)
    change(value)
    assert value != before
    undo()
    assert value == before
    if isinstance(value, dict):
        assert list(value) == list(before)


def test_array_of_numpy_is_put_back() -> None:
    numpy = pytest.importorskip("numpy")
    value = numpy.arange(4)
    undo = snapshot(value)
    value[1] = 9
    undo()
    assert value.tolist() == [0, 1, 2, 3]


def test_objects_get_their_attributes_back() -> None:
    thing, slotted = Thing(), Slotted()
    undo_thing, undo_slotted = snapshot(thing), snapshot(slotted)
    change_thing(thing)
    change_slotted(slotted)
    undo_thing()
    undo_slotted()
    assert vars(thing) == {"parts": {"a": [1]}, "size": 1}
    assert (slotted.items, vars(slotted)) == ([1, 2], {"more": 5})


def test_what_only_goes_forward_is_replaced() -> None:
    numbers = itertools.count(5)
    kept = fresh(numbers)
    next(numbers)
    assert next(kept) == 5
    value = [1]
    assert fresh(value) is value


@pytest.mark.parametrize(
    "numbers",
    [itertools.count(-3), itertools.count(2, 5), itertools.count(0.5, 0.25), itertools.count(1 << 80)],
    ids=str,
)
def test_counter_of_any_numbers_is_replaced_by_one_that_stands_where_it_does(numbers: Any) -> None:
    next(numbers)
    kept = fresh(numbers)
    assert kept is not numbers
    assert [next(kept), next(kept)] == [next(numbers), next(numbers)]


def test_counter_of_something_else_is_left_alone() -> None:
    numbers: Any = itertools.count(Fraction(1, 2))
    assert fresh(numbers) is numbers


def test_what_is_very_large_is_left_alone() -> None:
    value = list(range(MOST + 1))
    undo = snapshot(value)
    value.append(0)
    undo()
    assert len(value) == MOST + 2
