"""Conway's game of life: each actor has a strip of the world and hands its edge rows to its neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import ray

SIZE = 32
STRIPS = 4
GENERATIONS = 40


def next_generation(world: np.ndarray) -> np.ndarray:
    """Return the world after one step; its edges meet."""
    around = sum(
        np.roll(np.roll(world, down, axis=0), right, axis=1)
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
        if (down, right) != (0, 0)
    )
    return ((around == 3) | ((world == 1) & (around == 2))).astype(np.int8)


@ray.remote
class Strip:
    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        return self.rows[0], self.rows[-1]

    def step(self, above: Any, below: Any) -> None:
        """Take the edges of both neighbours, as they were, and go one step on."""
        world = np.vstack([above[1], self.rows, below[0]])
        self.rows = next_generation(world)[1:-1]

    def get(self) -> np.ndarray:
        return self.rows


def main() -> None:
    ray.init(num_cpus=STRIPS)
    world = np.random.default_rng(3).integers(0, 2, size=(SIZE, SIZE), dtype=np.int8)
    strips = [Strip.remote(rows) for rows in np.split(world, STRIPS)]
    for _ in range(GENERATIONS):
        edges = [strip.edges.remote() for strip in strips]
        ray.get([strip.step.remote(edges[at - 1], edges[(at + 1) % STRIPS]) for at, strip in enumerate(strips)])
        world = next_generation(world)
    found = np.vstack(ray.get([strip.get.remote() for strip in strips]))
    assert (found == world).all()
    print(f"{int(found.sum())} cells live after {GENERATIONS} generations, in strips as in one piece")


if __name__ == "__main__":
    main()
