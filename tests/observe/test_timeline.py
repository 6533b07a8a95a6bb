"""Calls, as the head remembers them, become bars that do not overlap where they did not."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from actorgrid.observe.timeline import Ran, events


def ran(ended: float, micros: int, **fields: Any) -> Ran:
    made = Ran(1, "f", 0, 7, 70, 0, 0.0, ended, micros, "FINISHED", overlaps=False)
    return made._replace(**fields)


def bars(*calls: Ran) -> list[tuple[int, int, int]]:
    """Return (row, start, end) of every call, in the order of their starts."""
    made = [event for event in events(calls, 0.0, {call.task: "id" for call in calls}) if event["ph"] == "X"]
    return [(bar["tid"], bar["ts"], bar["ts"] + bar["dur"]) for bar in made]


def test_call_ends_when_the_head_heard_of_it_and_lasts_as_long_as_its_worker_said() -> None:
    (bar,) = [event for event in events([ran(2.0, 500_000, submitted=1.0)], 100.0, {1: "id"}) if event["ph"] == "X"]
    assert (bar["ts"], bar["dur"], bar["args"]["waited_us"]) == (101_500_000, 500_000, 500_000)
    assert (bar["cat"], bar["name"], bar["args"]["task_id"]) == ("task::f", "f", "id")


def test_calls_that_were_told_of_together_are_laid_one_before_the_other() -> None:
    assert bars(ran(1.0, 30), ran(1.0, 20), ran(1.0, 10)) == [
        (1, 999_940, 999_970),
        (1, 999_970, 999_990),
        (1, 999_990, 1_000_000),
    ]


def test_calls_that_may_overlap_keep_their_times_and_get_rows_of_their_own() -> None:
    calls = [ran(1.0, 300_000, overlaps=True), ran(1.1, 300_000, overlaps=True), ran(1.2, 150_000, overlaps=True)]
    assert bars(*calls) == [(1, 700_000, 1_000_000), (2, 800_000, 1_100_000), (1, 1_050_000, 1_200_000)]


def test_every_worker_has_rows_with_its_name() -> None:
    calls = [ran(1.0, 5), ran(1.0, 5, worker=8, pid=80)]
    names = [event["args"]["name"] for event in events(calls, 0.0, {1: "id"}) if event["name"] == "thread_name"]
    assert names == ["worker 70", "worker 80"]
    assert {tid for tid, _, _ in bars(*calls)} == {1, 2}


def test_colour_tells_what_it_is_and_what_became_of_it() -> None:
    calls = [ran(1.0, 1), ran(2.0, 1, kind=2), ran(3.0, 1, kind=2, state="FAILED"), ran(4.0, 1, state="RUNNING")]
    colours = [event["cname"] for event in events(calls, 0.0, {1: "id"}) if event["ph"] == "X"]
    assert colours == ["generic_work", "rail_response", "terrible", "thread_state_runnable"]


def test_nothing_has_run() -> None:
    assert [event["name"] for event in events([], 0.0, {})] == ["process_name"]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 3_000_000), st.booleans()), max_size=20))
def test_bars_of_one_row_never_overlap(told: list[tuple[int, int, bool]]) -> None:
    calls = [ran(float(ended), micros, overlaps=overlaps) for ended, micros, overlaps in sorted(told)]
    latest: dict[int, int] = {}
    for row, start, end in bars(*calls):
        assert latest.get(row, 0) <= start <= end
        latest[row] = end
