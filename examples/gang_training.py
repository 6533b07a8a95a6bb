"""A parameter server and its trainers start together or not at all, each trainer with a GPU of its own."""

from __future__ import annotations

import os
import random

import actorgrid as ag
from actorgrid.util import placement_group, remove_placement_group
from actorgrid.util.placement_group import PlacementGroup
from actorgrid.util.scheduling_strategies import PlacementGroupSchedulingStrategy

TRAINERS = 2


class Server:
    """Keeps the slope of a line that the trainers look for."""

    def __init__(self) -> None:
        self.slope = 0.0

    def learn(self, gradient: float) -> float:
        self.slope -= 0.1 * gradient
        return self.slope


class Trainer:
    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed).random

    def device(self) -> str:
        return f"GPU {os.environ['CUDA_VISIBLE_DEVICES']}"

    def gradient(self, slope: float) -> float:
        points = [(x, 3 * x) for x in (self.draw() for _ in range(100))]
        return sum(2 * x * (slope * x - y) for x, y in points) / len(points)


def train(group: PlacementGroup, steps: int) -> float:
    def bundle(index: int) -> PlacementGroupSchedulingStrategy:
        return PlacementGroupSchedulingStrategy(group, index)

    server = ag.remote(Server).options(num_cpus=1, scheduling_strategy=bundle(0)).remote()
    make = ag.remote(Trainer)
    trainers = [
        make.options(num_cpus=1, num_gpus=1, scheduling_strategy=bundle(1 + n)).remote(n) for n in range(TRAINERS)
    ]
    print(", ".join(ag.get([trainer.device.remote() for trainer in trainers])))
    slope = 0.0
    for _ in range(steps):
        for gradient in ag.get([trainer.gradient.remote(slope) for trainer in trainers]):
            slope = ag.get(server.learn.remote(gradient))
    return slope


def main() -> None:
    with ag.init(num_cpus=TRAINERS + 1, num_gpus=TRAINERS):  # counted, not used: it runs on any machine
        group = placement_group([{"CPU": 1}] + [{"CPU": 1, "GPU": 1}] * TRAINERS, name="training")
        print("all there:", group.wait(timeout_seconds=30))
        print(f"slope {train(group, steps=40):.2f}")
        remove_placement_group(group)


if __name__ == "__main__":
    main()
