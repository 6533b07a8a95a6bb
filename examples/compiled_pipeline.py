"""A control loop, compiled: sensor values go through a filter and two judges, thousands of times, past the head.

Three executions are under way at a time, so that the actors work at once.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import actorgrid as ag
from actorgrid.dag import InputNode, MultiOutputNode

READINGS = 2000
UNDER_WAY = 3


class Smoother:
    """Takes the noise out."""

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self.level = 0.0

    def smooth(self, reading: float) -> float:
        self.level += self.weight * (reading - self.level)
        return self.level


class Judge:
    """Says whether a level is too high."""

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def alarms(self, level: float) -> bool:
        return level > self.limit


def main() -> None:
    """Feed the readings of a machine that runs hot for a while."""
    smoother = ag.remote(num_cpus=0)(Smoother).remote(0.1)
    strict, lenient = ag.remote(num_cpus=0)(Judge).remote(50.0), ag.remote(num_cpus=0)(Judge).remote(90.0)
    with InputNode() as reading:
        level = smoother.smooth.bind(reading)
        graph = MultiOutputNode([strict.alarms.bind(level), lenient.alarms.bind(level)]).experimental_compile()

    alarms = [0, 0]
    under_way: deque[Any] = deque()
    for number in range(READINGS):
        under_way.append(graph.execute(100.0 if 500 <= number < 1000 else 20.0))
        if len(under_way) == UNDER_WAY:
            alarms = [count + alarm for count, alarm in zip(alarms, ag.get(under_way.popleft()), strict=True)]
    while under_way:
        alarms = [count + alarm for count, alarm in zip(alarms, ag.get(under_way.popleft()), strict=True)]
    graph.teardown()

    print(f"{alarms[0]} readings too high for the strict one, {alarms[1]} for the lenient one")
    assert 480 < alarms[1] + 20 < alarms[0] < 520
    assert ag.get(strict.alarms.remote(60.0))  # after teardown its actors are actors like any other


if __name__ == "__main__":
    main()
