"""The text timeline, without a grid."""

from __future__ import annotations

import pytest

from actorgrid.cli.timeline import Span, draw


def test_rows_in_order_of_appearance_with_letters_where_work_was() -> None:
    lines = draw([Span("b", "s", 5.0, 10.0), Span("a", "r", 0.0, 5.0)], {}, width=14)
    assert lines == ["b |.....sssss|", "a |rrrrr.....|", "   0  10.00 s"]


def test_nothing_is_drawn_after_a_kill() -> None:
    row, _ = draw([Span("a", "r", 0.0, 5.0)], {"a": 4.0}, width=14)
    assert row == "a |rrrrrrrrX |"


def test_row_that_was_killed_before_it_did_anything() -> None:
    lines = draw([Span("a", "r", 0.0, 5.0)], {"b": 2.5}, width=14)
    assert lines[1] == "b |.....X    |"


def test_letter_of_a_slice_is_that_of_most_work() -> None:
    row, _ = draw([Span("a", "r", 0.0, 0.9), Span("a", "s", 0.9, 2.0)], {}, width=6)
    assert row == "a |rs|"


def test_work_too_short_to_be_seen_shows_where_nothing_else_is() -> None:
    row, _ = draw([Span("a", "m", 5.0, 5.0), Span("a", "r", 0.0, 4.0), Span("a", "r", 9.0, 10.0)], {}, width=14)
    assert row == "a |rrrr.m...r|"


def test_more_rows_than_fit_are_counted() -> None:
    lines = draw([Span(f"w{number}", "r", 0.0, 1.0) for number in range(5)], {}, width=20, most=3)
    assert [line.split()[0] for line in lines] == ["w0", "w1", "w2", "and", "0"]
    assert lines[3].endswith("and 2 more")


@pytest.mark.parametrize("length", [0.0, 1e-12, 1e9])
def test_any_length_of_time_fits_the_width(length: float) -> None:
    lines = draw([Span("worker 1", "r", 7.0, 7.0 + length)], {"worker 1": 7.0 + length})
    assert [len(line) for line in lines] == [80, 79]


def test_no_work_no_rows() -> None:
    assert draw([], {}) == []
