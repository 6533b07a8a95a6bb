"""What kills workers in ``chaos.py`` and its parts."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Container
from typing import Self

from actorgrid.runtime import lifetime


class Killer:
    """Kills a random worker every so often, until it is told to stop."""

    def __init__(self, every: float, seed: int, launcher: int, spared: Container[int] = ()) -> None:
        """``launcher``: the parent of the workers; ``spared``: those that are never killed."""
        self.kills = 0
        self._every, self._random = every, random.Random(seed)
        self._launcher, self._spared = launcher, spared
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every):
            workers = [pid for pid in lifetime.children_of(self._launcher) if pid not in self._spared]
            if workers:
                try:
                    os.kill(self._random.choice(workers), signal.SIGKILL)
                    self.kills += 1
                except ProcessLookupError:
                    pass  # it has just ended
