"""What the demo prints of what ran where and when."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from actorgrid.cli.timeline import KILLED, Span, draw

WIDTH: Final = 80
#: Rows of the table and of the timeline: both stay on one screen on any machine.
ROWS: Final = 9
NAME: Final = 14
#: The letter of what only shards do.
MERGE: Final = "m"


class Work(NamedTuple):
    """What a process did: one letter for the kind, from when to when (on the clock that all processes share)."""

    pid: int
    kind: str
    start: float
    end: float
    #: Seconds for which it had a CPU.
    cpu: float = 0.0
    files: int = 0
    characters: int = 0


class Attempt(NamedTuple):
    """A process begins a batch."""

    batch: int
    pid: int
    start: float


@dataclass
class Story:
    """What happened, for the tables at the end. ``began`` is when the indexing began."""

    began: float = field(default_factory=time.monotonic)
    seconds: float = 0.0
    work: list[Work] = field(default_factory=list)
    killed: dict[int, float] = field(default_factory=dict)
    lost: list[Attempt] = field(default_factory=list)
    #: A task was lost, and ran again.
    recovered: bool = False

    def tell_what_was_lost(self, attempts: list[Attempt]) -> None:
        """Print whom we killed at what, and who did it again."""
        finished = {(work.pid, work.start) for work in self.work}
        for pid, when in self.killed.items():
            self.lost = [each for each in attempts if each.pid == pid and (pid, each.start) not in finished]
            doing = " and ".join(f"batch {each.batch}" for each in self.lost) or "NOTHING"
            self._tell(when, f"SIGKILL to worker {pid}, in the middle of {doing}")
            lost = {each.batch for each in self.lost}
            for again in attempts:
                if again.batch in lost and again not in self.lost:
                    self.recovered = True
                    self._tell(again.start, f"batch {again.batch} begins again in worker {again.pid}")

    def _tell(self, when: float, what: str) -> None:
        say(f"  {when - self.began:6.2f} s  {what}")

    def share_of_cpu(self) -> float:
        """Return for what part of the time that tasks read and indexed they had a CPU: less if others need it, too."""
        read = [work for work in self.work if work.files]
        return sum(work.cpu for work in read) / max(sum(work.end - work.start for work in read), 1e-9)

    def show(self) -> None:
        """Print what ran where, and the timeline."""
        # Workers first, then shards, each in the order in which they began.
        work = sorted(self.work, key=lambda work: (work.kind == MERGE, work.start))
        say(f"\n{'WHERE':{NAME}} tasks   files      MB     busy")
        pids = list(dict.fromkeys(each.pid for each in work))
        for pid in pids[:ROWS]:
            say(self._row(pid, [each for each in work if each.pid == pid]))
        if len(pids) > ROWS:
            say(f"{'':{NAME}} and {len(pids) - ROWS} more")
        spans = [Span(self._name(each.pid), each.kind, each.start, each.end) for each in work]
        # A task that was killed left no report: the journal knows when it began.
        spans += [Span(self._name(each.pid), "r", each.start, self.killed[each.pid]) for each in self.lost]
        say(f"\nWHEN: r read and index, m merge, p look for the phrase, s sum, {KILLED} killed")
        for line in draw(spans, {self._name(pid): when for pid, when in self.killed.items()}, WIDTH, ROWS):
            say(line)

    def _name(self, pid: int) -> str:
        shard = any(each.pid == pid and each.kind == MERGE for each in self.work)
        return f"{'shard' if shard else 'worker'} {pid}"

    def _row(self, pid: int, work: list[Work]) -> str:
        files, size = sum(each.files for each in work), sum(each.characters for each in work) / 1e6
        read = f"{files:7,} {size:7.1f}" if files else f"{'-':>7} {'-':>7}"
        fate = f"  killed after {self.killed[pid] - self.began:.2f} s" if pid in self.killed else ""
        busy = sum(each.end - each.start for each in work)
        return f"{self._name(pid):{NAME}} {len(work):5} {read} {busy:6.2f} s{fate}"


def plural(count: int, one: str, many: str = "") -> str:
    """Return a number with its noun: ``1 file``, ``2,000 files``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def fit(line: str) -> str:
    """Return a line that is cut off at the width of the screen."""
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."


def fit_path(start: str, path: str) -> str:
    """Return ``start + path`` in one line: of a long path its end says more than its beginning."""
    room = WIDTH - len(start)
    return start + (path if len(path) <= room else f"...{path[3 - room :]}")


def say(line: str) -> None:
    """Print a line now: a person is watching."""
    print(line, flush=True)
