"""Estimate pi: tasks throw darts and tell an actor how far they are; the driver watches until all is done."""

from __future__ import annotations

import random

import ray

TASKS = 6
DARTS = 40_000
STEP = 10_000


@ray.remote
class Progress:
    def __init__(self) -> None:
        self.thrown = dict.fromkeys(range(TASKS), 0)

    def report(self, task: int, thrown: int) -> None:
        self.thrown[task] = thrown

    def fraction(self) -> float:
        return sum(self.thrown.values()) / (TASKS * DARTS)


@ray.remote
def throw(task: int, progress: ray.actor.ActorHandle) -> int:
    rng = random.Random(task)
    inside = 0
    for dart in range(1, DARTS + 1):
        inside += rng.random() ** 2 + rng.random() ** 2 <= 1
        if dart % STEP == 0:
            ray.get(progress.report.remote(task, dart))
    return inside


def main() -> None:
    ray.init(num_cpus=4)
    progress = Progress.remote()
    pending = [throw.remote(task, progress) for task in range(TASKS)]
    results = list(pending)
    seen = [0.0]
    while pending:
        _, pending = ray.wait(pending, num_returns=1)
        seen.append(ray.get(progress.fraction.remote()))
    assert seen == sorted(seen), "progress never goes back"
    print(f"progress in the end: {seen[-1]:.0%}")
    print("pi is about", 4 * sum(ray.get(results)) / (TASKS * DARTS))


if __name__ == "__main__":
    main()
