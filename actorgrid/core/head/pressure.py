"""Memory pressure: whom to end before the system does.

While anything runs, the shell is asked every so often how much memory is in use. Beyond a threshold one worker is
killed: of the tasks that may be tried again the newest, which has lost the least (Ray's policy); then actors that
restart; then tasks and actors that end for good. One at a time: the next is not chosen before the memory of the last
one is back. A task that was killed so has a budget of its own; one that was alone is not tried again, for it would
fail again.

This file may not know how memory is measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actorgrid.core.head import attempts
from actorgrid.core.head.effects import LookAtMemory
from actorgrid.core.head.records import Task, Worker
from actorgrid.core.messages import Exited, Kind, Value
from actorgrid.core.messages import FailureKind as Failed
from actorgrid.core.signals import SIGKILL

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head

#: How often a task is tried again after it was killed for its memory, or others' (Ray: ``task_oom_retries``).
RETRIES: Final = 3
#: So many processes an error lists, the largest first.
LISTED: Final = 5
#: How a process ended that the system has killed for its memory.
BY_SYSTEM: Final = "was killed by the system's out-of-memory killer"
_GB: Final = 1e9


class Pressure:
    """Watches memory while something runs."""

    __slots__ = ("_alarm", "_victim", "head", "wanted")

    def __init__(self, head: Head) -> None:
        self.head = head
        #: Something was given to a worker since the last look.
        self.wanted = False
        self._alarm = 0
        #: The worker that was killed last.
        self._victim = 0

    def watch(self) -> None:
        """Something runs: look soon, unless that is so already."""
        self.wanted = False
        interval = self.head.config.memory_interval
        if interval and not self._alarm:
            self._alarm = self.head.alarms.set(self.head.now + interval, self._look, 0)

    def _look(self, _: int) -> None:
        self._alarm = 0
        if any(worker.assigned for worker in self.head.workers.table.values()):
            self.head.effects.append(LookAtMemory())
            self.wanted = True

    def spared(self, number: int) -> None:
        """The worker that was to be killed runs something else by now, and lives on."""
        if self._victim == number:
            self._victim = 0

    def seen(self, used: int, limit: int, resident: dict[int, int]) -> None:
        """``used`` of ``limit`` bytes are in use; ``resident`` tells what each worker has, if that is too much."""
        table = self.head.workers.table
        if used < self.head.config.memory_threshold * limit or self._victim in table:
            return
        running = [worker for worker in table.values() if worker.assigned and worker.pid and worker.number in resident]
        if not running:
            return
        worker = min(running, key=_first_to_go)
        self._victim = worker.number
        task = next(iter(worker.assigned.values()))
        how = f"was killed because memory ran short: {self._told(used, limit, resident, worker)}"
        if worker.actor is not None:
            self.head.workers.kill(worker, how)
            return
        task.starved = True
        task.hopeless = len(running) == 1
        self.head.workers.kill_running(task, how)

    def _told(self, used: int, limit: int, resident: dict[int, int], victim: Worker) -> str:
        threshold = self.head.config.memory_threshold
        names = {
            worker.number: worker.actor.spec.spec.name
            if worker.actor is not None
            else next((task.spec.spec.name for task in worker.assigned.values()), "idle")
            for worker in self.head.workers.table.values()
        }
        largest = sorted(resident.items(), key=lambda pair: -pair[1])[:LISTED]
        top = ", ".join(f"{names[number]} {size / _GB:.2f}" for number, size in largest if number in names)
        return (
            f"{used / _GB:.2f} of {limit / _GB:.2f} GB were in use (threshold {threshold:.0%}), "
            f"{resident[victim.number] / _GB:.2f} of them by it; the largest workers: {top} GB"
        )

    def ended(self, task: Task, worker: Worker, message: Exited, how: str) -> bool:
        """A task's worker died under it. Returns whether that is dealt with: it died for want of memory."""
        starved, task.starved = task.starved, False
        if message.oom and message.status == -SIGKILL and not starved:
            starved, task.hopeless = True, False
        if not starved:
            return False
        task.oom += 1
        attempts.note(self.head, task, worker, "was killed because memory ran short")
        if task.hopeless or not task.retries or task.oom > RETRIES:
            self.head.tasks.fail(task, self._failure(task, worker, message, how))
        else:
            self.head.dispatch.retry(task, task.oom)
        return True

    def _failure(self, task: Task, worker: Worker, message: Exited, how: str) -> Value:
        text = f"the worker (pid {worker.pid}) that ran {task.spec.spec.name} {how}"
        if task.oom > 1:
            text += f"; this was attempt {task.oom} that ended so"
        elif task.hopeless:
            text += "; nothing else was running, so it is not tried again"
        text += ". Use less memory per task, fewer CPUs, or the option memory= to keep such tasks apart"
        return self.head.failure(Failed.OUT_OF_MEMORY, text, task=task, pid=worker.pid, status=message.status)


def _first_to_go(worker: Worker) -> tuple[int, float]:
    """Return a key by which the worker to be killed first is the least."""
    task = next(iter(worker.assigned.values()))
    if worker.actor is not None:
        rank = 1 if worker.actor.restarts else 3
    else:
        rank = 0 if task.retries and task.spec.kind is Kind.TASK else 2
    return rank, -task.since
