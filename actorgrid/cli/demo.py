"""``actorgrid demo``: a small search engine over real files, and a worker killed in the middle of it."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import actorgrid as ag
from actorgrid.cli import corpus
from actorgrid.cli.index import HASHES, ShardIndex, Signature, index_files, shard_of, similar
from actorgrid.cli.timeline import Span, draw

SHARDS: Final = 3
QUERIES: Final = (("import", "socket"), ("async", "await", "timeout"), ("pickle", "buffer"), ("deadlock",))

#: (batch, pid, start, end, characters, signatures of the files): what a task says of itself.
Report = tuple[int, int, float, float, int, dict[int, Signature]]


def read_batch(batch: int, files: list[tuple[int, str]]) -> tuple[Any, ...]:
    """Read and index some files. Returns one part per shard, and a report."""
    start = time.monotonic()
    parts, signatures, size = index_files(files, SHARDS)
    report: Report = (batch, os.getpid(), start, time.monotonic(), size, signatures)
    return (*parts, report)


def sum_slice(buffer: memoryview, start: int, end: int) -> tuple[int, int, float, float]:
    """Add up 64-bit numbers in a slice of a shared buffer, which is not copied."""
    began = time.monotonic()
    total = sum(memoryview(buffer).cast("Q")[start:end])
    return total, os.getpid(), began, time.monotonic()


class Shard(ShardIndex):
    """An actor that holds one shard."""

    def pid(self) -> int:
        """Return its process."""
        return os.getpid()


read_remotely = ag.remote(num_returns=SHARDS + 1, max_retries=5)(read_batch)
sum_remotely = ag.remote(sum_slice)
ShardActor: Any = ag.remote(num_cpus=0)(Shard)


@dataclass
class Story:
    """What happened."""

    reports: list[Report] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    killed: dict[int, float] = field(default_factory=dict)
    seconds: float = 0.0


def run(folder: Path | None, workers: int | None) -> int:
    """Tell the story. Returns the exit status."""
    try:
        paths = corpus.files(folder)
    except corpus.EmptyCorpusError as error:
        print(f"actorgrid demo: {error}", file=sys.stderr)
        return 2
    from actorgrid.runtime.machine import cpu_count

    count = workers or max(cpu_count(), 2)
    batches = corpus.batches(paths, 40)
    print(f"{len(paths):,} files, {sum(map(os.path.getsize, paths)) / 1e6:.1f} MB, in {len(batches)} batches")
    began = time.monotonic()
    with ag.init(num_cpus=count, log_to_driver=True):
        print(f"grid of {count} workers up after {(time.monotonic() - began) * 1e3:.0f} ms\n")
        story = Story()
        shards = [ShardActor.remote() for _ in range(SHARDS)]
        homes = ag.get([shard.pid.remote() for shard in shards])
        build(batches, shards, story)
        answers = [*ask(shards, paths), *resemblance(story.reports, paths)]
        fingerprints = ag.get([shard.fingerprint.remote() for shard in shards])
        total = reduce_shared(paths, count, story)
    return conclude(story, batches, fingerprints, answers, total, homes)


def build(batches: list[list[tuple[int, str]]], shards: list[Any], story: Story) -> None:
    """Index every batch; kill a worker once a third is done."""
    began = time.monotonic()
    waiting: dict[ag.ObjectRef[Any], int] = {}
    merged: list[ag.ObjectRef[Any]] = []
    for number, batch in enumerate(batches):
        refs: Any = read_remotely.remote(number, batch)
        *parts, report = refs
        merged += [shard.add.remote(number, part) for shard, part in zip(shards, parts, strict=True)]
        waiting[report] = number
    while waiting:
        (ready,), _ = ag.wait(list(waiting))
        del waiting[ready]
        story.reports.append(ag.get(ready))
        if len(story.reports) == len(batches) // 3 and not story.killed:
            victim = story.reports[-1][1]
            os.kill(victim, signal.SIGKILL)
            story.killed[victim] = time.monotonic()
    ag.get(merged)
    story.seconds = time.monotonic() - began
    story.spans += [Span(pid, "r", start, end) for _, pid, start, end, _, _ in story.reports]


def ask(shards: list[Any], paths: list[str]) -> list[str]:
    """Ask the index; return what it says, as lines."""
    lines: list[str] = []
    for query in QUERIES:
        found = ag.get([shards[shard_of(word, SHARDS)].lookup.remote(word) for word in query])
        common = set(found[0]).intersection(*found[1:])
        best = sorted(common, key=lambda number: (-sum(places[number] for places in found), number))[:2]
        names = ", ".join(Path(paths[number]).name for number in best) or "nothing"
        lines.append(f"  {' '.join(query):24} {len(common):5} files, first {names}")
    top = sorted((pair for part in ag.get([s.top.remote(6) for s in shards]) for pair in part), reverse=True)[:6]
    lines.append("  most frequent words:     " + ", ".join(f"{word} {total:,}" for total, word in top))
    return lines


def resemblance(reports: list[Report], paths: list[str]) -> list[str]:
    """Return the most similar pairs of files, as lines."""
    signatures = {number: marks for report in reports for number, marks in report[5].items()}
    pairs = similar(signatures, HASHES - 3)
    names = [" ~ ".join("/".join(Path(paths[number]).parts[-2:]) for number in pair) for pair in pairs[:1]]
    shown = ", ".join(names)
    return [f"  near-duplicates:         {len(pairs)} pairs" + (f", {shown}" if shown else "")]


def reduce_shared(paths: list[str], workers: int, story: Story) -> tuple[int, int, int]:
    """Sum the corpus as 64-bit numbers through one shared buffer; return (sum, check, bytes)."""
    data = bytearray()
    for path in paths:
        data += Path(path).read_bytes()
        if len(data) > 32 << 20:
            break
    data += bytes(-len(data) % 8)
    shared: Any = ag.put(pickle.PickleBuffer(data))
    numbers = len(data) // 8
    step = -(-numbers // (2 * workers))
    parts = ag.get([sum_remotely.remote(shared, at, min(at + step, numbers)) for at in range(0, numbers, step)])
    story.spans += [Span(pid, "s", start, end) for _, pid, start, end in parts]
    return sum(part[0] for part in parts), sum(memoryview(data).cast("Q")), len(data)


def conclude(
    story: Story,
    batches: list[list[tuple[int, str]]],
    fingerprints: list[tuple[int, int]],
    answers: list[str],
    total: tuple[int, int, int],
    homes: list[int],
) -> int:
    """Index once more in this process, compare, print. Returns the exit status."""
    began = time.monotonic()
    alone = [ShardIndex() for _ in range(SHARDS)]
    for number, batch in enumerate(batches):
        for shard, part in zip(alone, index_files(batch, SHARDS)[0], strict=True):
            shard.add(number, part)
    serial = time.monotonic() - began
    complete = [shard.fingerprint() for shard in alone] == fingerprints
    print("answers")
    print("\n".join(answers))
    print(f"\nwhat ran where ({len(homes)} actors hold the shards: pids {', '.join(map(str, homes))})")
    for pid, (tasks, files, size, busy) in by_worker(story.reports).items():
        fate = f"  killed by us after {story.killed[pid] - began_at(story):.2f} s" if pid in story.killed else ""
        print(f"  pid {pid:<8} {tasks:3} tasks, {files:5} files, {size / 1e6:5.1f} MB, busy {busy:.2f} s{fate}")
    print("\ntimeline (r: read and index, s: sum a slice of the shared buffer, X: killed)")
    print("\n".join(draw(story.spans, story.killed)))
    summed, check, size = total
    print(f"\nshared buffer of {size / 1e6:.0f} MB summed without a copy: {'right' if summed == check else 'WRONG'}")
    print(f"index complete and equal to that of one process: {'yes' if complete else 'NO'}")
    print(f"one process {serial:.2f} s, the grid {story.seconds:.2f} s: {serial / story.seconds:.2f} times as fast")
    return 0 if complete and summed == check else 1


def by_worker(reports: list[Report]) -> dict[int, tuple[int, int, int, float]]:
    """Return, per process: tasks, files, characters, busy seconds."""
    tasks: Counter[int] = Counter()
    files: Counter[int] = Counter()
    sizes: Counter[int] = Counter()
    busy: dict[int, float] = {}
    for _, pid, start, end, size, signatures in reports:
        tasks[pid] += 1
        files[pid] += len(signatures)
        sizes[pid] += size
        busy[pid] = busy.get(pid, 0.0) + end - start
    return {pid: (tasks[pid], files[pid], sizes[pid], busy[pid]) for pid in busy}


def began_at(story: Story) -> float:
    """Return when the first task started."""
    return min(report[2] for report in story.reports)
