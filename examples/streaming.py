"""A pipeline of generators with back-pressure: read, enrich, write.

Each stage takes items as they come and is no more than ``AHEAD`` of them ahead of the next one: however long the log
is, only a few batches are in memory. The reader stops early, and with it every stage before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import actorgrid as ag

Numbers = np.ndarray[Any, Any]

AHEAD = 4
BATCH = 50_000


@ag.remote(_generator_backpressure_num_objects=AHEAD)
def read(batches: int) -> Iterator[Numbers]:
    """Read a log, a batch at a time."""
    random = np.random.default_rng(0)
    for _ in range(batches):
        yield random.exponential(size=BATCH)


class Enricher:
    """Knows what it has seen so far."""

    def __init__(self) -> None:
        self.largest = 0.0

    @ag.method(_generator_backpressure_num_objects=AHEAD)
    def enrich(self, batches: int) -> Iterator[Numbers]:
        """Divide each batch by the largest value until then."""
        for ref in read.remote(batches):
            batch = ag.get(ref)
            self.largest = max(self.largest, batch.max())
            yield batch / self.largest


def main() -> None:
    """Read until the mean is settled, of a log that would take all day."""
    enricher = ag.remote(num_cpus=0)(Enricher).remote()
    means: list[float] = []
    for ref in enricher.enrich.remote(10_000):
        means.append(float(ag.get(ref).mean()))
        if len(means) > 20 and abs(means[-1] - means[-2]) < 0.01 * means[-1]:
            break
    print(f"settled after {len(means)} of 10000 batches")
    assert len(means) < 1000


if __name__ == "__main__":
    main()
