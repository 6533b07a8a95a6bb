"""An inverted index: pure functions, and the part of it that one shard holds.

The files of a batch become one *segment* per shard: a few flat buffers, which pickle, travel and unpickle at the speed
of a copy. (As dictionaries of lists, unpickling and merging took half as long as the indexing itself.) A shard keeps
its segments as they came and looks into each of them.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import accumulate, chain
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

_WORD: Final = re.compile(r"[a-z][a-z_]{2,30}")
#: Hash functions of a signature. Two texts that share a fraction p of their words agree in each with probability p
#: (MinHash: Broder, On the resemblance and containment of documents, 1997).
HASHES: Final = 12

#: A file of the corpus: its number and its path.
File = tuple[int, str]
Signature = tuple[int, ...]


class Segment(NamedTuple):
    """What some files hold of the words of one shard."""

    #: Separated by newlines; the arrays have one number per word, but for ``places``.
    words: bytes
    #: How often a word occurs in all files of the segment.
    totals: array[int]
    #: Where the places of a word end; they begin where those of the word before it end.
    ends: array[int]
    #: File, how often it holds the word, file, how often, …
    places: array[int]


class Batch(NamedTuple):
    """What the files of a batch hold: one segment per shard, a signature per file."""

    segments: list[Segment]
    signatures: dict[int, Signature]
    characters: int


def read(path: str) -> str:
    """Return the text of a file in lower case; the empty text if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").lower()
    except OSError:
        return ""


def shard_of(word: str, shards: int) -> int:
    """Return which shard holds a word: the same in every process."""
    return crc32(word.encode()) % shards


def signature(distinct: Iterable[str]) -> Signature:
    """Return a short summary of a set of words: similar sets have similar summaries."""
    encoded = [word.encode() for word in distinct]
    return tuple(min((crc32(word, seed) for word in encoded), default=0) for seed in range(1, HASHES + 1))


def index_files(files: Sequence[File], shards: int) -> Batch:
    """Index some files."""
    parts: list[dict[str, list[int]]] = [{} for _ in range(shards)]
    signatures: dict[int, Signature] = {}
    characters = 0
    for number, path in files:
        text = read(path)
        characters += len(text)
        counts = Counter(_WORD.findall(text))
        signatures[number] = signature(counts)
        for word, count in counts.items():
            parts[shard_of(word, shards)].setdefault(word, []).extend((number, count))
    return Batch([_segment(part) for part in parts], signatures, characters)


def _segment(postings: dict[str, list[int]]) -> Segment:
    return Segment(
        words="\n".join(postings).encode(),
        totals=array("I", (sum(places[1::2]) for places in postings.values())),
        ends=array("I", accumulate(map(len, postings.values()))),
        places=array("I", chain.from_iterable(postings.values())),
    )


def count_phrase(files: Sequence[File], phrase: str) -> dict[int, int]:
    """Return the files whose text holds a phrase, however its words are set apart, and how often."""
    pattern = re.compile(r"\s+".join(map(re.escape, phrase.split())))
    found = {number: len(pattern.findall(read(path))) for number, path in files}
    return {number: count for number, count in found.items() if count}


def similar(signatures: dict[int, Signature], least: int) -> list[tuple[int, int]]:
    """Return pairs of files that agree in at least ``least`` places of their signatures, most similar first."""
    buckets: dict[tuple[int, int], list[int]] = {}
    for number, marks in sorted(signatures.items()):
        for place, mark in enumerate(marks):
            if mark:  # 0 is the mark of a file without words
                buckets.setdefault((place, mark), []).append(number)
    agree: Counter[tuple[int, int]] = Counter()
    for members in buckets.values():
        if len(members) <= 20:  # a mark that many files share says little
            agree.update((one, other) for at, one in enumerate(members) for other in members[at + 1 :])
    return sorted((pair for pair, count in agree.items() if count >= least), key=lambda pair: (-agree[pair], pair))


class ShardIndex:
    """Some of the words of the corpus, and where they are."""

    def __init__(self) -> None:
        self._segments: dict[int, Segment] = {}
        #: Per batch: word -> its number in the segment.
        self._numbers: dict[int, dict[str, int]] = {}

    def add(self, batch: int, segment: Segment) -> int:
        """Take in the segment of a batch; return how many batches are in.

        A batch that comes twice counts once. A task or a call that is run again because its process died may have had
        its effect before it died, so whatever it changes must come out the same when it is done twice: here the batch's
        number decides where the segment goes, and nothing is ever added up while it is taken in.
        """
        if batch not in self._segments:
            words = segment.words.decode().split("\n") if segment.words else []
            self._segments[batch] = segment
            self._numbers[batch] = dict(zip(words, range(len(words)), strict=True))
        return len(self._segments)

    def lookup(self, word: str) -> dict[int, int]:
        """Return the files that a word is in, and how often."""
        found: dict[int, int] = {}
        for batch, numbers in self._numbers.items():
            number = numbers.get(word)
            if number is not None:
                _, _, ends, places = self._segments[batch]
                flat = places[ends[number - 1] if number else 0 : ends[number]]
                found.update(zip(flat[::2], flat[1::2], strict=True))
        return found

    def top(self, count: int) -> list[tuple[int, str]]:
        """Return the most frequent words of this shard, each after its total."""
        totals: Counter[str] = Counter()
        for batch, numbers in self._numbers.items():
            totals.update(dict(zip(numbers, self._segments[batch].totals, strict=True)))
        return sorted(((total, word) for word, total in totals.items()), reverse=True)[:count]

    def summary(self) -> tuple[int, int, str]:
        """Return (number of words, number of postings, a hash of all that is in here, in the order of the batches)."""
        everything = sha256()
        for batch in sorted(self._segments):
            everything.update(b"%d\n" % batch)
            for buffer in self._segments[batch]:
                everything.update(buffer)
        words = len(set().union(*self._numbers.values()))
        return words, sum(len(segment.places) // 2 for segment in self._segments.values()), everything.hexdigest()
