"""A parameter sweep: try every combination, keep the best.

Each trial is a task; results are taken as they come, so a bad combination does not hold up the others.
"""

from __future__ import annotations

import itertools
import random

import actorgrid as ag


@ag.remote
def trial(rate: float, momentum: float) -> tuple[float, float, float]:
    """Minimise a bumpy function by gradient descent; return (loss, rate, momentum)."""
    draw = random.Random(1)
    x, speed = draw.uniform(-4, 4), 0.0
    for _ in range(2000):
        slope = 2 * x + draw.gauss(0, 0.1)
        speed = momentum * speed - rate * slope
        x += speed
        if abs(x) > 1e6:
            return float("inf"), rate, momentum
    return x * x, rate, momentum


def main() -> None:
    """Sweep and print the best."""
    grid = list(itertools.product([0.001, 0.01, 0.1, 0.9, 1.5], [0.0, 0.5, 0.9]))
    waiting = [trial.remote(rate, momentum) for rate, momentum in grid]
    results: list[tuple[float, float, float]] = []
    while waiting:
        done, waiting = ag.wait(waiting)
        results += ag.get(done)
    loss, rate, momentum = min(results)
    print(f"best of {len(results)}: loss {loss:.2e} with rate {rate} and momentum {momentum}")
    assert len(results) == len(grid)
    assert loss < 0.01


if __name__ == "__main__":
    main()
