"""Count words: every map task returns one part for each reducer, and reducers get the parts by reference."""

from __future__ import annotations

import zlib
from collections import Counter

import ray

MAPPERS = 6
REDUCERS = 3
TEXT = (
    "the head holds the task graph and the workers run the tasks "
    "a worker that dies takes nothing with it but its own task "
    "the store holds what is large and the pipes carry what is small"
)


@ray.remote(num_returns=REDUCERS)
def count(words: list[str]) -> list[Counter[str]]:
    parts: list[Counter[str]] = [Counter() for _ in range(REDUCERS)]
    for word in words:
        parts[zlib.crc32(word.encode()) % REDUCERS][word] += 1
    return parts


@ray.remote
def merge(*parts: Counter[str]) -> Counter[str]:
    return sum(parts, Counter())


def main() -> None:
    ray.init(num_cpus=4)
    words = TEXT.split() * 50
    mapped = [count.remote(words[number::MAPPERS]) for number in range(MAPPERS)]
    reduced = [merge.remote(*parts) for parts in zip(*mapped, strict=True)]
    total = sum(ray.get(reduced), Counter())
    assert total == Counter(words)
    print(sorted(total.items(), key=lambda item: (-item[1], item[0]))[:5])


if __name__ == "__main__":
    main()
