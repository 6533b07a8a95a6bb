"""Add up many arrays in a tree: references are handed from task to task, and only the root comes home."""

from __future__ import annotations

import numpy as np
import ray

LEAVES = 16
SIZE = 50_000


@ray.remote
def leaf(number: int) -> np.ndarray:
    return np.full(SIZE, number, dtype=np.int64)


@ray.remote
def add(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return one + other


def main() -> None:
    ray.init(num_cpus=4)
    level = [leaf.remote(number) for number in range(LEAVES)]
    depth = 0
    while len(level) > 1:
        level = [add.remote(one, other) for one, other in zip(level[::2], level[1::2], strict=True)]
        depth += 1
    total = ray.get(level[0])
    assert (total == LEAVES * (LEAVES - 1) // 2).all()
    print(f"{LEAVES} arrays, {depth} levels, every element is {total[0]}")


if __name__ == "__main__":
    main()
