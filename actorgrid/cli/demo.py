"""``actorgrid demo``: a small search engine over real files, and a worker killed in the middle of it.

Tasks read and tokenise batches of files, actors hold the shards of the index. Every process notes what it did and when,
and the same work is done once more by one process alone: what is printed was measured in this very run.
"""

from __future__ import annotations

import asyncio
import io
import os
import pickle
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import actorgrid as ag
from actorgrid.cli.corpus import Corpus, EmptyCorpusError, collect
from actorgrid.cli.index import (
    HASHES,
    File,
    Segment,
    ShardIndex,
    Signature,
    count_phrase,
    index_files,
    shard_of,
    similar,
)
from actorgrid.cli.report import MERGE, Attempt, Story, Work, fit, fit_path, plural, say

SHARDS: Final = 3
BATCHES: Final = 40
QUERIES: Final = ("import socket", "async await timeout", "pickle buffer")
PHRASE: Final = "file descriptor"
#: Bytes of the buffer that tasks share.
SHARED: Final = 32 << 20
#: Width of the column of questions.
QUESTION: Final = 20


# ------------------------------------------------------------------------------------ what runs in other processes


class Read(NamedTuple):
    """What a task says of the batch that it read."""

    batch: int
    work: Work
    signatures: dict[int, Signature]


class Sum(NamedTuple):
    """What a task says of the slice that it summed: ``grown`` is how much memory of its own that took, in bytes."""

    total: int
    grown: int
    work: Work


class Journal:
    """An actor that tasks tell what they begin: a task that is killed cannot tell afterwards."""

    def __init__(self) -> None:
        self._attempts: list[Attempt] = []
        self._heard = asyncio.Condition()
        self._struck = asyncio.Event()

    async def begins(self, attempt: Attempt) -> None:
        """Note that a process begins a batch."""
        async with self._heard:
            self._attempts.append(attempt)
            self._heard.notify_all()

    async def attempts(self) -> list[Attempt]:
        """Return what was begun, in the order in which it was heard."""
        return self._attempts

    async def victim(self, batch: int) -> int:
        """Return which process began a batch, once one has."""
        async with self._heard:
            await self._heard.wait_for(lambda: any(each.batch == batch for each in self._attempts))
        return next(each.pid for each in self._attempts if each.batch == batch)

    async def strike(self) -> None:
        """Note that the victim was killed."""
        self._struck.set()

    async def struck(self) -> None:
        """Return once the victim was killed."""
        await self._struck.wait()


class Shard(ShardIndex):
    """An actor that holds one shard and notes when it works."""

    def __init__(self) -> None:
        super().__init__()
        self._work: list[Work] = []

    def add(self, batch: int, segment: Segment) -> int:
        """Take in the segment of a batch; return how many are in."""
        start = time.monotonic()
        count = super().add(batch, segment)
        self._work.append(Work(os.getpid(), MERGE, start, time.monotonic()))
        return count

    def work(self) -> list[Work]:
        """Return what it did."""
        return self._work


def read_batch(batch: int, files: list[File], journal: Any, struck: list[ag.ObjectRef[None]]) -> tuple[Any, ...]:
    """Read and index some files. Returns one segment per shard, and a ``Read``.

    The batch whose worker is to be killed gets a reference in ``struck`` and does not end before that exists: so the
    signal finds it at work however fast it is, and the second attempt passes.
    """
    start, cpu = time.monotonic(), time.thread_time()
    journal.begins.remote(Attempt(batch, os.getpid(), start))
    done = index_files(files, SHARDS)
    while struck and not ag.wait(struck, timeout=0)[0]:
        time.sleep(0.002)
    work = Work(os.getpid(), "r", start, time.monotonic(), time.thread_time() - cpu, len(files), done.characters)
    return (*done.segments, Read(batch, work, done.signatures))


def scan(files: list[File], phrase: str) -> tuple[dict[int, int], Work]:
    """Look for a phrase in some files."""
    start = time.monotonic()
    found = count_phrase(files, phrase)
    return found, Work(os.getpid(), "p", start, time.monotonic())


def sum_slice(shared: list[ag.ObjectRef[Any]], start: int, end: int) -> Sum:
    """Add up the 64-bit numbers in a slice of a shared buffer. It comes in a list, so that ``get`` is measured, too."""
    began, before = time.monotonic(), own_memory()
    numbers = memoryview(ag.get(shared[0])).cast("B").cast("Q")
    total = sum(numbers[start:end])
    return Sum(total, own_memory() - before, Work(os.getpid(), "s", began, time.monotonic()))


def own_memory() -> int:
    """Return the bytes of memory that this process shares with nobody."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        return next((int(line.split()[1]) << 10 for line in status if line.startswith("RssAnon:")), 0)


read_remotely: Any = ag.remote(num_returns=SHARDS + 1, max_retries=5)(read_batch)
scan_remotely: Any = ag.remote(scan)
sum_remotely: Any = ag.remote(sum_slice)
# Actors that hold data and rarely work need no CPU of their own.
ShardActor: Any = ag.remote(num_cpus=0)(Shard)
JournalActor: Any = ag.remote(num_cpus=0)(Journal)


# ----------------------------------------------------------------------------------------------------- the story


@dataclass
class Engine:
    """The search engine: its parts that run elsewhere, and what is known of it here."""

    corpus: Corpus
    batches: list[list[File]]
    shards: list[Any]
    journal: Any
    signatures: dict[int, Signature]

    def waits_for(self) -> list[Any]:
        """Return references that exist once every actor runs."""
        return [self.journal.attempts.remote(), *[shard.work.remote() for shard in self.shards]]


def run(folder: Path | None, workers: int | None) -> int:
    """Tell the story. Returns the exit status: 0 only if every check held."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files may hold anything
    try:
        corpus = collect(folder)
    except EmptyCorpusError as error:
        print(f"actorgrid demo: {error}", file=sys.stderr)
        return 2
    from actorgrid.runtime.machine import cpu_count

    count = workers or min(max(cpu_count(), 2), 8)
    first = "the first " if corpus.cut else ""
    say(fit_path(f"{first}{plural(len(corpus.paths), 'file')}, {corpus.size / 1e6:.1f} MB, in ", str(corpus.folder)))
    data = corpus.sample(SHARED)  # before any clock runs: both ways of indexing find the files in the page cache
    story = Story()
    with ag.init(num_cpus=count):
        shards, journal = [ShardActor.remote() for _ in range(SHARDS)], JournalActor.remote()
        engine = Engine(corpus, corpus.batches(BATCHES), shards, journal, {})
        ag.get(engine.waits_for())
        taken = (time.monotonic() - story.began) * 1e3
        say(f"{plural(count, 'worker')} and {1 + SHARDS} actors, up after {taken:.0f} ms")
        hashes = build(engine, story)
        ask(engine, story, folder is None)
        right = share(data, count, story)
        story.work += [work for done in ag.get([shard.work.remote() for shard in shards]) for work in done]
    right = check(engine.batches, hashes, story) and right
    story.show()
    return 0 if right and story.recovered else 1


def build(engine: Engine, story: Story) -> list[str]:
    """Index every batch, and kill the worker of one of them. Returns the hashes of the shards."""
    say(f"\nINDEX: tasks read {plural(len(engine.batches), 'batch', 'batches')}, {SHARDS} actors hold a shard each")
    story.began = time.monotonic()
    doomed = len(engine.batches) // 3
    victim: ag.ObjectRef[Any] = engine.journal.victim.remote(doomed)
    waiting: list[ag.ObjectRef[Any]] = [victim]
    merged: list[ag.ObjectRef[int]] = []
    for number, batch in enumerate(engine.batches):
        struck = [engine.journal.struck.remote()] if number == doomed else []
        *segments, report = read_remotely.remote(number, batch, engine.journal, struck)
        merged += [shard.add.remote(number, part) for shard, part in zip(engine.shards, segments, strict=True)]
        waiting.append(report)
    while waiting:
        (ready,), waiting = ag.wait(waiting)
        if ready == victim:
            kill(ag.get(victim), engine, story)
        else:
            read: Read = ag.get(ready)
            story.work.append(read.work)
            engine.signatures |= read.signatures
    ag.get(merged)
    story.seconds = time.monotonic() - story.began
    story.tell_what_was_lost(ag.get(engine.journal.attempts.remote()))
    words, postings, hashes = zip(*ag.get([shard.summary.remote() for shard in engine.shards]), strict=True)
    say(f"  {story.seconds:6.2f} s  complete: {sum(words):,} words in {sum(postings):,} places")
    return list(hashes)


def kill(victim: int, engine: Engine, story: Story) -> None:
    """Kill a worker at work, and say so to the journal."""
    story.killed[victim] = time.monotonic()  # before the signal: on a busy machine the retry may begin before we go on
    os.kill(victim, signal.SIGKILL)
    engine.journal.strike.remote()


def ask(engine: Engine, story: Story, standard: bool) -> None:
    """Put questions to the index; those of a folder of the user's are made of its most frequent words."""
    tops = ag.get([shard.top.remote(8) for shard in engine.shards])
    top = sorted((pair for part in tops for pair in part), reverse=True)
    common = [word for _, word in top if len(word) > 3] or [word for _, word in top] or ["nothing"]
    queries = QUERIES if standard else tuple(" ".join(common[at : at + 2]) for at in range(0, min(len(common), 5), 2))
    say("\nASK: which files hold all of these words, or this phrase?")
    for query in queries:
        show_answer(engine.corpus, query, search(engine, query))
    phrase = PHRASE if standard else " ".join(common[:2])
    show_answer(engine.corpus, f'"{phrase}"', find_phrase(engine, phrase, story))
    say(fit(f"  {'most frequent words':{QUESTION}}  " + ", ".join(f"{word} {total:,}" for total, word in top[:4])))
    pairs = similar(engine.signatures, HASHES - 2)
    line = f"  {'nearly the same':{QUESTION}}  {plural(len(pairs), 'pair')}"
    for one, other in pairs[:1]:
        line += f", such as {file_name(engine.corpus, one, 2)} and {file_name(engine.corpus, other, 2)}"
    say(fit(line))


def search(engine: Engine, query: str) -> dict[int, int]:
    """Return the files that hold every word of a query, and how often they hold one."""
    words = query.split()
    found = ag.get([engine.shards[shard_of(word, SHARDS)].lookup.remote(word) for word in words])
    return {file: sum(each[file] for each in found) for file in found[0] if all(file in each for each in found)}


def find_phrase(engine: Engine, phrase: str, story: Story) -> dict[int, int]:
    """Return the files that hold a phrase: the index says which may, tasks look."""
    candidates = [(file, engine.corpus.paths[file]) for file in sorted(search(engine, phrase))]
    done = ag.get([scan_remotely.remote(candidates[at : at + 50], phrase) for at in range(0, len(candidates), 50)])
    story.work += [work for _, work in done]
    return {file: count for found, _ in done for file, count in found.items()}


def show_answer(corpus: Corpus, question: str, found: dict[int, int]) -> None:
    """Print a line: how many files, and where it is most often."""
    best = sorted(found, key=lambda file: (-found[file], file))[:2]
    names = ", ".join(file_name(corpus, file) for file in best)
    say(fit(f"  {question:{QUESTION}}  {plural(len(found), 'file')}" + (f", most often in {names}" if names else "")))


def file_name(corpus: Corpus, file: int, parts: int = 1) -> str:
    """Return the last parts of the path of a file."""
    return "/".join(Path(corpus.paths[file]).parts[-parts:])


def share(data: bytearray, tasks: int, story: Story) -> bool:
    """Sum a buffer that all tasks see and none copies. Returns whether the sum is right and nothing was copied."""
    began = time.monotonic()
    shared: Any = ag.put(pickle.PickleBuffer(data))
    numbers = len(data) // 8
    step = -(-numbers // tasks)
    parts: list[Sum] = ag.get([sum_remotely.remote([shared], at, at + step) for at in range(0, numbers, step)])
    seconds = time.monotonic() - began
    story.work += [part.work for part in parts]
    grown = max(part.grown for part in parts)
    right = sum(part.total for part in parts) == sum(memoryview(data).cast("Q"))
    in_place = grown < len(data) // 4
    say(f"\nSHARE: {len(parts)} tasks sum {numbers:,} numbers in one buffer of {len(data) >> 20} MiB")
    say(
        f"  {seconds:6.2f} s  the sum is {'right' if right else 'WRONG'}; the tasks "
        f"{'copied nothing' if in_place else 'COPIED IT'} (own memory: +{grown / (1 << 20):.1f} MiB)"
    )
    return right and in_place


def check(batches: list[list[File]], hashes: list[str], story: Story) -> bool:
    """Do the same work in this process alone and compare. Returns whether the indexes are the same."""
    say("\nCHECK: one process alone does the same work")
    began = time.monotonic()
    alone = [ShardIndex() for _ in range(SHARDS)]
    for number, batch in enumerate(batches):
        for shard, part in zip(alone, index_files(batch, SHARDS).segments, strict=True):
            shard.add(number, part)
    seconds = time.monotonic() - began
    expected = [shard.summary()[2] for shard in alone]
    verdict = "the same index, byte for byte" if expected == hashes else "ANOTHER INDEX"
    say(f"  {seconds:6.2f} s  {verdict} (SHA-256 {', '.join(each[:8] for each in expected)})")
    say(
        f"  speed-up {seconds / story.seconds:.2f} ({seconds:.2f} s / {story.seconds:.2f} s); "
        f"the workers had a CPU for {story.share_of_cpu():.0%} of their time"
    )
    return expected == hashes
