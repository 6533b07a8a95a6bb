"""The oracle: what must hold around every fault, whatever it is.

While the fault happens, fifty innocent tasks and one innocent actor are at work on the same grid. None of them may be
retried, so each one that the fault touches is seen. Afterwards the values of all of them are right, the actor has kept
its process and its state, the next call works, all CPUs are free, nothing is left behind (processes, zombies, threads,
descriptors, mapped memory, files), and nobody has written to standard error but the lines that are documented.
"""

from __future__ import annotations

import gc
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import actorgrid as ag
from actorgrid.testing.leaks import Snapshot
from actorgrid.testing.waiting import wait_until
from tests.faults.catalogue import CPUS, LIMIT

#: Innocent tasks: half of them are there before the fault, half come after it.
INNOCENT = 50
#: What is promised within a second or two is given this long on a noisy machine.
PATIENCE = 10.0


@ag.remote(max_retries=0)
def square(number: int) -> int:
    return number * number


END = "the end of case {}"


@ag.remote(max_retries=0)
def say(number: int) -> int:
    """The next call: it works, and what it prints comes after all that was printed before."""
    print(END.format(number))  # noqa: T201  # a task may
    return number


@ag.remote
class Bystander:
    """The innocent actor: it counts, and says where."""

    def __init__(self) -> None:
        self.count = 0

    def increment(self) -> tuple[int, int]:
        self.count += 1
        return self.count, os.getpid()


class Oracle:
    """Looks at one grid, fault after fault."""

    def __init__(self, **options: Any) -> None:
        """Start the grid with ``options``. What its processes write to standard error goes to a file of ours."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed by ``end``
        self._read = 0
        with self._as_standard_error():
            ag.init(num_cpus=CPUS, **options)
        self._bystander: Any = Bystander.options(num_cpus=0).remote()  # type: ignore[attr-defined]  # the decorator
        self._count, self._pid = 0, 0
        self._greet()

    @contextmanager
    def _as_standard_error(self) -> Iterator[None]:
        sys.stderr.flush()
        usual = os.dup(2)
        try:
            os.dup2(self._log.fileno(), 2)
            yield
        finally:
            os.dup2(usual, 2)
            os.close(usual)

    def _greet(self) -> None:
        """Call the innocent actor: it is where it was, and nobody else has called it."""
        count, pid = ag.get(self._bystander.increment.remote(), timeout=LIMIT)
        self._count += 1
        assert count == self._count, f"the innocent actor has counted {count} calls of {self._count}"
        assert pid == self._pid or not self._pid, "the innocent actor was started again"
        self._pid = pid

    @contextmanager
    def watch(self, said: Callable[[], str], documented: str = "") -> Iterator[None]:
        """Let a fault happen in the block. Raises AssertionError if it touches anything that is none of its affair.

        ``said()`` returns what this process has printed to standard error since it was asked last.
        """
        said()
        before = Snapshot.take()
        early = [square.remote(number) for number in range(INNOCENT // 2)]
        yield
        late = [square.remote(number) for number in range(INNOCENT // 2, INNOCENT)]
        self._greet()
        values = ag.get(early + late, timeout=LIMIT)
        assert values == [number * number for number in range(INNOCENT)]
        del early, late
        assert ag.get(say.remote(self._count), timeout=LIMIT) == self._count
        assert wait_until(self._idle, PATIENCE), f"CPUs are not free: {ag.available_resources()}"
        before.check(PATIENCE)
        self._quiet(self._all_said(said), documented)

    def _all_said(self, said: Callable[[], str]) -> str:
        """Return what was printed until the last call of ``say``: all that a dead worker has said is before that."""
        heard: list[str] = []

        def over() -> bool:
            heard.append(said())
            return any(line.endswith(END.format(self._count)) for line in "".join(heard).splitlines())

        assert wait_until(over, LIMIT), f"what tasks print is not shown; shown was {''.join(heard)[-1000:]}"
        return "\n".join(line for line in "".join(heard).splitlines() if not line.endswith(END.format(self._count)))

    @staticmethod
    def _idle() -> bool:
        gc.collect()  # tracebacks of caught errors are cycles that hold references
        return ag.available_resources().get("CPU") == CPUS

    def _quiet(self, driver: str, documented: str) -> None:
        self._log.seek(self._read)
        processes = self._log.read()
        self._read += len(processes)
        lines = driver.splitlines() + processes.decode(errors="replace").splitlines()
        undocumented = [line for line in lines if not (documented and re.fullmatch(documented, line))]
        assert not undocumented, f"said on standard error: {undocumented[:20]}"

    def end(self) -> None:
        """End the grid."""
        ag.shutdown()
        self._log.close()


def alive(pid: int) -> bool:
    """Return whether this process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
