"""Search for the best step size: trials report as they go, and those that lag behind are stopped early."""

from __future__ import annotations

import ray

STEPS = 40
RATES = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.9]


@ray.remote(num_cpus=0)
class Judge:
    """Keeps the best loss at each rung; a trial that is far worse than that there is told to stop."""

    def __init__(self) -> None:
        self.best: dict[int, float] = {}
        self.stopped: list[float] = []

    def go_on(self, rate: float, step: int, loss: float) -> bool:
        best = self.best[step] = min(loss, self.best.get(step, loss))
        if loss > 4 * best:
            self.stopped.append(rate)
            return False
        return True

    def losers(self) -> list[float]:
        return sorted(self.stopped)


@ray.remote
def trial(rate: float, judge: ray.actor.ActorHandle) -> tuple[float, float, int]:
    """Walk down a parabola with a step size; return where that led."""
    position = 10.0
    for step in range(1, STEPS + 1):
        position -= rate * 2 * position
        if step % 10 == 0 and not ray.get(judge.go_on.remote(rate, step, position**2)):
            break
    return position**2, rate, step


def main() -> None:
    ray.init(num_cpus=2)
    judge = Judge.remote()
    ahead = ray.get(trial.remote(0.3, judge))  # something to be measured by
    loss, rate, step = min([ahead, *ray.get([trial.remote(rate, judge) for rate in RATES if rate != 0.3])])
    losers = ray.get(judge.losers.remote())
    assert step == STEPS
    assert loss < 1e-6
    print(f"best: {rate}; stopped early: {losers}")


if __name__ == "__main__":
    main()
