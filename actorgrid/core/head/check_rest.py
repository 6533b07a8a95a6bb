"""What must be so when the head has done everything that it can: nothing waits that could go on. See ``check``.

The head acts in its turns, on what was pushed, pumped or woken meanwhile. Whoever forgets to do so breaks no invariant
of a record; the work goes on with the next thing that happens to come, or never. So these are asked after a turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorgrid.core.head.check_books import require
from actorgrid.core.head.ready import PATIENCE
from actorgrid.core.states import ActorState, TaskState, WorkerState

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head
    from actorgrid.core.head.records import Actor


def check_rest(head: Head) -> None:
    """Raise AssertionError if the head, just after a turn, leaves undone what it could do."""
    if head.stage is None:  # else a recorded run says what starts
        _no_task_waits_in_vain(head)
        for actor in head.actors.alive.values():
            _no_call_waits_in_vain(head, actor)
    _no_room_is_left_to_somebody_who_waits(head)
    _everybody_is_woken(head)


def _no_task_waits_in_vain(head: Head) -> None:
    idle, workers = head.dispatch.idle, head.workers
    if any(shape.passed_over >= PATIENCE for shape in head.ready.active):
        return  # what its demand competes with stays free for it
    for shape in head.ready.active:
        served = shape.claims or idle.serves(shape.setup) or workers.may_spawn()
        could = served and shape.source.fits(shape.demand)
        require(head, not could, 0, f"{shape.demand} fits, and {shape.waiting} that need it wait")
        leaves = any(worker.state is WorkerState.LEAVING for worker in workers.table.values())
        displaced = shape.claims or leaves or not idle or not shape.source.fits(shape.demand)
        require(head, displaced, 0, f"idle workers keep {shape.waiting} with another setup waiting")


def _no_call_waits_in_vain(head: Head, actor: Actor) -> None:
    worker, queue = actor.worker, actor.queue
    if worker is None or actor.state is not ActorState.ALIVE or worker.killed_with is not None:
        return
    if actor.groups is not None or not queue or len(worker.assigned) >= actor.window:
        return  # what groups hold up, ``check`` says
    timed = queue[0].spec.spec.run_timeout and len(worker.assigned) >= actor.concurrency
    waits = queue[0].state is TaskState.READY and not timed and not worker.assigned
    require(head, not waits, actor.ident, f"{len(queue)} calls wait, and it does nothing")


def _no_room_is_left_to_somebody_who_waits(head: Head) -> None:
    for request in head.room.queue.values():
        require(head, request.size > head.memory.free_bytes, 0, f"{request.size} bytes are free, and somebody waits")
        break  # first come, first served


def _everybody_is_woken(head: Head) -> None:
    alarm = head.alarms.next() if head.alarms else None
    require(head, alarm is None or alarm > head.now, 0, f"an alarm was due at {alarm}")
    for worker in head.workers.table.values():
        seen_to = len(worker.assigned) < 2 or worker.nudged or worker in head.dispatch.pipelined
        ours = worker.state is WorkerState.DEAD or worker.killed_with is not None
        require(head, seen_to or ours, worker.number, "what it was given ahead is never asked for")
    require(head, not head.workers.wanting, 0, "the pool was not made whole")
