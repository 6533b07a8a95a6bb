"""How far a generator may be ahead of its reader, and who lifts that bound."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from tests.contract.streams import BOUND, Numbers, count, noted, values
from tests.contract.tools import DEADLINE, count_run, runs

pytestmark = pytest.mark.usefixtures("grid")


def test_a_generator_is_no_further_ahead_than_its_bound(tmp_path: Path) -> None:
    generator = noted.options(**{BOUND: 2}).remote(tmp_path / "items")
    for read in range(3):
        assert "2 unread" in told(generator)
        assert runs(tmp_path / "items") == 2 + read
        next(generator)


def count_for_ever(path: Path) -> Iterator[int]:
    while True:
        yield count_run(path)


def told(generator: Any) -> str:
    """Return what the grid says of a generator once it waits for its reader."""
    assert wait_until(lambda: "unread" in ag.explain(generator))
    return ag.explain(generator)


def test_without_a_bound_of_its_own_it_is_64_items(tmp_path: Path) -> None:
    generator = noted.remote(tmp_path / "items")
    assert "64 unread" in told(generator)
    assert runs(tmp_path / "items") == 64


def test_minus_one_lets_it_run_to_its_end(tmp_path: Path) -> None:
    generator = noted.options(**{BOUND: -1}).remote(tmp_path / "items", 200)
    assert wait_until(lambda: runs(tmp_path / "items.closed") == 1)
    assert len(list(generator)) == 200


def test_a_bound_of_one_makes_it_a_generator_like_pythons(tmp_path: Path) -> None:
    generator = noted.options(**{BOUND: 1}).remote(tmp_path / "items", 3)
    assert "1 unread" in told(generator)
    assert runs(tmp_path / "items") == 1
    assert values(generator) == [1, 2, 3]


def test_methods_have_bounds_too(tmp_path: Path) -> None:
    @ag.remote(num_cpus=0)
    class Noter:
        @ag.method(**{BOUND: 3})
        def note(self) -> Iterator[int]:
            while True:
                yield count_run(tmp_path / "items")

    noter = Noter.remote()
    generator = noter.note.remote()
    assert "3 unread" in told(generator)
    assert runs(tmp_path / "items") == 3


def test_actor_has_a_bound_for_its_methods_and_the_tighter_one_counts(tmp_path: Path) -> None:
    @ag.remote(num_cpus=0, _actor_generator_backpressure_num_objects=2)
    class Noter:
        @ag.method(**{BOUND: 1})
        def own(self) -> Iterator[int]:
            yield from count_for_ever(tmp_path / "own")

        @ag.method(**{BOUND: 5})
        def wider(self) -> Iterator[int]:
            yield from count_for_ever(tmp_path / "wider")

        def plain(self) -> Iterator[int]:
            yield from count_for_ever(tmp_path / "plain")

    for method, bound in [("own", 1), ("wider", 2), ("plain", 2)]:
        name = f"{method} of an actor with a bound"
        there = Noter.options(name=name).remote()
        generator = getattr(ag.get_actor(name), method).remote()
        assert f"{bound} unread" in told(generator)
        assert runs(tmp_path / method) == bound
        ag.kill(there)
    free = Noter.options(_actor_generator_backpressure_num_objects=-1).remote()
    assert "5 unread" in told(free.wider.remote())


def test_waiting_for_the_end_lifts_the_bound() -> None:
    generator = count.options(**{BOUND: 1}).remote(50)
    ready, _ = ag.wait([generator.completed()], timeout=DEADLINE)
    assert ready
    assert values(generator) == list(range(50))


def test_awaiting_the_end_lifts_the_bound() -> None:
    async def end(generator: Any) -> None:
        await asyncio.wait_for(generator.completed(), DEADLINE)

    generator = count.options(**{BOUND: 1}).remote(50)
    asyncio.run(end(generator))
    assert len(list(generator)) == 50


def test_a_task_that_needs_the_end_lifts_the_bound() -> None:
    @ag.remote(num_cpus=0)
    def after(nothing: None) -> str:
        return "after"

    generator = count.options(**{BOUND: 1}).remote(50)
    assert ag.get(after.remote(generator.completed()), timeout=DEADLINE) == "after"


def test_looking_at_the_end_does_not_lift_the_bound(tmp_path: Path) -> None:
    generator = noted.options(**{BOUND: 1}).remote(tmp_path / "items")
    assert ag.wait([generator.completed()], timeout=0) == ([], [generator.completed()])
    assert "1 unread" in told(generator)
    assert runs(tmp_path / "items") == 1


def test_a_generator_that_waits_for_its_reader_lends_its_cpu() -> None:
    generators = [count.options(num_cpus=2).remote(1000) for _ in range(2)]
    for generator in generators:  # each holds all there is, and both are read
        next(generator)
    assert [len(list(generator)) for generator in generators] == [999, 999]


def test_a_task_that_waits_for_the_actor_whose_stream_it_reads_is_not_stuck() -> None:
    @ag.remote(num_cpus=0)
    def waits(handle: Any) -> tuple[int, int]:
        generator = handle.sync.remote(1000)
        closed = ag.get(handle.times_closed.remote())  # it comes behind the stream, which waits to be read
        return closed, len(list(generator))

    handle = ag.remote(num_cpus=0)(Numbers).remote()
    assert ag.get(waits.remote(handle), timeout=DEADLINE) == (1, 1000)


def test_whoever_wants_to_know_the_end_elsewhere_lifts_the_bound() -> None:
    @ag.remote(num_cpus=0)
    def after_all(refs: list[Any]) -> str:
        return repr(ag.get(refs[0]))

    generator = count.options(**{BOUND: 1}).remote(50)
    assert ag.get(after_all.remote([generator.completed()]), timeout=DEADLINE) == "None"


def test_what_was_not_read_is_given_back(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=2, object_store_memory=64 << 20, object_spilling_directory="")

    @ag.remote
    def large() -> Iterator[np.ndarray[Any, Any]]:
        for _ in range(20):
            yield np.zeros(200_000)

    for _ in range(5):  # three would fill the store
        generator = large.remote()
        assert ag.get(generator.completed(), timeout=DEADLINE) is None
        next(generator)


def test_items_that_are_not_read_may_go_to_disk(fresh_grid: Callable[..., Any]) -> None:
    fresh_grid(num_cpus=2, object_store_memory=32 << 20)

    @ag.remote
    def large() -> Iterator[np.ndarray[Any, Any]]:
        for number in range(40):
            yield np.full(200_000, number)

    generator = large.remote()
    assert ag.get(generator.completed(), timeout=DEADLINE) is None
    assert [int(ag.get(ref, timeout=DEADLINE)[0]) for ref in generator] == list(range(40))


@pytest.mark.parametrize(("bound", "error"), [(0, ValueError), (-2, ValueError), ("many", TypeError), (1.5, TypeError)])
def test_a_bound_is_positive_or_minus_one(bound: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=BOUND):
        count.options(**{BOUND: bound})
