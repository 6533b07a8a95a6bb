"""A timeline in text: a row per process, a column per slice of time, a letter per kind of work."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of work: which process, what kind (one letter), from when to when (seconds)."""

    pid: int
    kind: str
    start: float
    end: float


def draw(spans: list[Span], marks: dict[int, float], width: int = 60) -> list[str]:
    """Return the rows, in the order in which processes first worked; ``marks`` puts an ``X`` at a time of a process."""
    if not spans:
        return []
    first = min(span.start for span in spans)
    last = max([span.end for span in spans] + list(marks.values()))
    scale = width / max(last - first, 1e-9)
    rows: dict[int, list[dict[str, float]]] = {}
    for span in sorted(spans, key=lambda span: span.start):
        cells = rows.setdefault(span.pid, [defaultdict(float) for _ in range(width)])
        begin, end = (span.start - first) * scale, (span.end - first) * scale
        for column in range(int(begin), min(int(end) + 1, width)):
            share = min(end, column + 1) - max(begin, column)
            if share > 0:
                cells[column][span.kind] += share
    for pid in marks:
        rows.setdefault(pid, [defaultdict(float) for _ in range(width)])
    lines: list[str] = []
    for pid, cells in rows.items():
        letters = [max(cell, key=lambda kind: cell[kind]) if cell else "." for cell in cells]
        if pid in marks:
            at = min(int((marks[pid] - first) * scale), width - 1)
            letters[at:] = ["X"] + [" "] * (width - at - 1)
        lines.append(f"{pid:>8} |{''.join(letters)}|")
    lines.append(f"{'':>8}  0{f'{last - first:.1f} s':>{width - 1}}")
    return lines
