"""An actor that forgets nothing: its process is killed again and again, and the count is right.

Its state is saved after every tenth call; when it dies, the calls since then run again before any other.
"""

from __future__ import annotations

import os
import signal

import actorgrid as ag


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def __actorgrid_save__(self) -> int:
        return self.count

    def __actorgrid_restore__(self, state: int) -> None:
        self.count = state

    def add(self) -> int:
        self.count += 1
        return self.count

    @ag.method(readonly=True)
    def pid(self) -> int:
        return os.getpid()


def main() -> None:
    """Count to a thousand, over ten deaths."""
    counter = ag.remote(max_restarts=-1, max_task_retries=-1, checkpoint=10)(Counter).remote()
    seen: list[int] = []
    processes: set[int] = set()
    for _ in range(10):
        refs = [counter.add.remote() for _ in range(100)]
        process = ag.get(counter.pid.remote())
        os.kill(process, signal.SIGKILL)
        seen += ag.get(refs)
        processes.add(process)
    assert seen == list(range(1, 1001))
    print(f"{len(seen)} calls in {len(processes)} processes that were killed: each number from 1 to {seen[-1]}, once")


if __name__ == "__main__":
    main()
