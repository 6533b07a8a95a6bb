"""An inverted index: pure functions, and the part of it that one shard holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from zlib import crc32

_WORD: Final = re.compile(r"[a-z][a-z_]{2,30}")
#: Hash functions of a signature. Two texts that share a fraction p of their words agree in each with probability p
#: (MinHash: Broder, On the resemblance and containment of documents, 1997).
HASHES: Final = 12

#: Word -> file number, how often, file number, how often, …: flat, because it travels between processes.
Postings = dict[str, list[int]]
Signature = tuple[int, ...]


def words(text: str) -> list[str]:
    """Return the words of a text, in order, in lower case."""
    return _WORD.findall(text.lower())


def shard_of(word: str, shards: int) -> int:
    """Return which shard holds a word: the same in every process."""
    return crc32(word.encode()) % shards


def signature(distinct: Iterable[str]) -> Signature:
    """Return a short summary of a set of words: similar sets have similar summaries."""
    encoded = [word.encode() for word in distinct]
    return tuple(min((crc32(word, seed) for word in encoded), default=0) for seed in range(1, HASHES + 1))


def index_files(files: list[tuple[int, str]], shards: int) -> tuple[list[Postings], dict[int, Signature], int]:
    """Index some numbered files.

    Returns the postings, one dictionary per shard; the signature of each file; the number of characters read.
    """
    parts: list[Postings] = [{} for _ in range(shards)]
    signatures: dict[int, Signature] = {}
    size = 0
    for number, path in files:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
        size += len(text)
        counts = Counter(words(text))
        signatures[number] = signature(counts)
        for word, count in counts.items():
            parts[shard_of(word, shards)].setdefault(word, []).extend((number, count))
    return parts, signatures, size


def similar(signatures: dict[int, Signature], least: int) -> list[tuple[int, int]]:
    """Return pairs of files that agree in at least ``least`` places of their signatures, most similar first."""
    buckets: dict[tuple[int, int], list[int]] = {}
    for number, marks in sorted(signatures.items()):
        for place, mark in enumerate(marks):
            buckets.setdefault((place, mark), []).append(number)
    agree: Counter[tuple[int, int]] = Counter()
    for members in buckets.values():
        if len(members) <= 20:  # a mark that many files share says little
            agree.update((one, other) for at, one in enumerate(members) for other in members[at + 1 :])
    return sorted((pair for pair, count in agree.items() if count >= least), key=lambda pair: (-agree[pair], pair))


class ShardIndex:
    """The postings of some of the words."""

    def __init__(self) -> None:
        self.postings: Postings = {}
        self._batches: set[int] = set()

    def add(self, batch: int, part: Postings) -> int:
        """Merge a batch; return how many batches are in.

        A batch that comes twice counts once: a call that is run again after a death may have had its effect before,
        so everything that it changes must be idempotent.
        """
        if batch not in self._batches:
            self._batches.add(batch)
            for word, places in part.items():
                self.postings.setdefault(word, []).extend(places)
        return len(self._batches)

    def lookup(self, word: str) -> dict[int, int]:
        """Return the files that a word is in, and how often."""
        flat = self.postings.get(word, [])
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def top(self, count: int) -> list[tuple[int, str]]:
        """Return the most frequent words of this shard with their totals."""
        return sorted(((sum(flat[1::2]), word) for word, flat in self.postings.items()), reverse=True)[:count]

    def fingerprint(self) -> tuple[int, int]:
        """Return (number of words, a sum that depends on every posting)."""
        total = 0
        for word, flat in self.postings.items():
            weight = crc32(word.encode())
            total += weight * sum((number + 1) * count for number, count in zip(flat[::2], flat[1::2], strict=True))
        return len(self.postings), total
