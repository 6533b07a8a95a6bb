"""A timeline in text: a row per process, a column per slice of time, a letter per kind of work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

KILLED: Final = "X"


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of work: in which row, what kind (one letter), from when to when (seconds)."""

    row: str
    kind: str
    start: float
    end: float


def draw(spans: Sequence[Span], killed: Mapping[str, float], width: int = 80, most: int = 12) -> list[str]:
    """Return a timeline of at most ``width`` columns: a line per row, in the order in which they first appear.

    A slice shows the kind that fills most of it, a dot if there was no work at all. ``killed`` says when a row ends: an
    X marks the place, and nothing is drawn after it. Of more than ``most`` rows the last ones are only counted.
    """
    if not spans:
        return []
    names = list(dict.fromkeys([span.row for span in spans] + list(killed)))
    margin = max(map(len, names[:most]))
    columns = max(width - margin - 3, 1)
    first = min(span.start for span in spans)
    length = max(max([span.end for span in spans] + list(killed.values())) - first, 1e-9)
    lines = []
    for name in names[:most]:
        own = [span for span in spans if span.row == name]
        letters = _letters([(s.kind, (s.start - first) / length, (s.end - first) / length) for s in own], columns)
        if name in killed:
            at = min(int((killed[name] - first) / length * columns), columns - 1)
            letters = letters[:at] + KILLED + " " * (columns - at - 1)
        lines.append(f"{name:<{margin}} |{letters}|")
    if len(names) > most:
        lines.append(f"{'':>{margin}}  and {len(names) - most} more")
    return [*lines, f"{'':>{margin}}  0{f'{length:.2f} s':>{columns - 1}}"]


def _letters(spans: Sequence[tuple[str, float, float]], columns: int) -> str:
    """Return one letter per column; the spans run from 0 to 1."""
    cells: list[dict[str, float]] = [{} for _ in range(columns)]
    for kind, start, end in spans:
        begin, stop = start * columns, end * columns
        leftmost = min(int(begin), columns - 1)
        for column in range(leftmost, max(min(ceil(stop), columns), leftmost + 1)):
            # A span too short to be seen still counts a little where nothing else is.
            share = max(min(stop, column + 1) - max(begin, column), 1e-9)
            cells[column][kind] = cells[column].get(kind, 0.0) + share
    return "".join(max(cell, key=lambda kind: cell[kind]) if cell else "." for cell in cells)
