"""A pipeline of generators: blocks are read while earlier ones are worked on, and no stage runs far ahead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import ray

BLOCKS = 20
AHEAD = 2


@ray.remote
class Counter:
    def __init__(self) -> None:
        self.made = 0

    def count(self) -> int:
        self.made += 1
        return self.made

    def so_far(self) -> int:
        return self.made


@ray.remote(num_returns="streaming", _generator_backpressure_num_objects=AHEAD)
def read(counter: Any) -> Iterator[np.ndarray]:
    for number in range(BLOCKS):
        ray.get(counter.count.remote())
        yield np.full(1000, number)


@ray.remote
def square(block: np.ndarray) -> np.ndarray:
    return block * block


@ray.remote
class Sink:
    def __init__(self) -> None:
        self.total = 0

    def write(self, block: np.ndarray) -> None:
        self.total += int(block.sum())

    def close(self) -> int:
        return self.total


def main() -> None:
    ray.init(num_cpus=4)
    counter, sink = Counter.remote(), Sink.remote()
    ahead = 0
    for number, block in enumerate(read.remote(counter)):
        ray.get(sink.write.remote(square.remote(block)))
        ahead = max(ahead, ray.get(counter.so_far.remote()) - number)
    assert ahead <= AHEAD + 2, ahead
    print(f"{BLOCKS} blocks, total {ray.get(sink.close.remote())}, and the reader never ran far ahead")


if __name__ == "__main__":
    main()
