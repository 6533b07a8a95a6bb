"""The text timeline, without a grid."""

from __future__ import annotations

from actorgrid.cli.timeline import Span, draw


def test_rows_in_order_of_first_work_with_letters_where_it_was() -> None:
    lines = draw([Span(2, "s", 5.0, 10.0), Span(1, "r", 0.0, 5.0)], {}, width=10)
    assert lines == ["       1 |rrrrr.....|", "       2 |.....sssss|", "          0   10.0 s"]


def test_nothing_is_drawn_after_a_kill() -> None:
    (row, _) = draw([Span(1, "r", 0.0, 4.0)], {1: 5.0}, width=10)
    assert row == "       1 |rrrrrrrr.X|"


def test_letter_of_a_slice_is_that_of_most_work() -> None:
    (row, _) = draw([Span(1, "r", 0.0, 0.9), Span(1, "s", 0.9, 2.0)], {}, width=2)
    assert row == "       1 |rs|"


def test_no_work_no_rows() -> None:
    assert draw([], {}) == []
