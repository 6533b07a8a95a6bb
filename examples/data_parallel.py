"""Data-parallel training: each worker has a part of the data, and after each step all add up their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

import actorgrid as ag
from actorgrid.util import collective

WORKERS = 2
STEPS = 40
RATE = 1.0


@ag.remote(num_cpus=0)
class Trainer:
    """Fits a line to its part of the points."""

    def __init__(self, x: Any, y: Any) -> None:
        self.x = np.stack([x, np.ones_like(x)], axis=1)
        self.y = y
        self.weights = np.zeros(2)

    def train(self, steps: int) -> list[float]:
        for _ in range(steps):
            error = self.x @ self.weights - self.y
            gradient = self.x.T @ error / len(self.y)
            collective.allreduce(gradient)
            self.weights -= RATE * gradient / collective.get_collective_group_size()
        return [float(weight) for weight in self.weights]


def main() -> None:
    """Fit y = 3 x + 1 to noisy points, on all workers at once."""
    draw = np.random.default_rng(7)
    x = draw.uniform(-1, 1, 10_000)
    y = 3 * x + 1 + draw.normal(0, 0.1, len(x))
    parts = zip(np.array_split(x, WORKERS), np.array_split(y, WORKERS), strict=True)
    trainers = [Trainer.remote(*part) for part in parts]  # type: ignore[attr-defined]  # what the decorator makes
    collective.create_collective_group(trainers, WORKERS, list(range(WORKERS)))

    results = ag.get([trainer.train.remote(STEPS) for trainer in trainers])
    print(f"slope {results[0][0]:.2f}, offset {results[0][1]:.2f}, the same on {len(results)} workers")
    assert all(result == results[0] for result in results)
    assert abs(results[0][0] - 3) < 0.05


if __name__ == "__main__":
    main()
