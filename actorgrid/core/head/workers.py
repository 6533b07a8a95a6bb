"""The pool: how workers come and go.

A worker's links exist before its process does, so a task can be assigned to it at once and is read when it is up.
A death is handled only after everything that the worker said has been: its shell drains the link and the shared
outbox first. Then exactly one task is to blame, the one whose user code was running; everything else that the worker
had is handed back free of charge.

This file may not know in which order tasks run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actorgrid.core.head import attempts, refusals, restarts
from actorgrid.core.head.attempts import STRIKES
from actorgrid.core.head.effects import CloseWorker, SignalWorker, SpawnWorker
from actorgrid.core.head.pressure import BY_SYSTEM
from actorgrid.core.head.records import NEEDED_NO_MORE, Peer, Task, Worker
from actorgrid.core.messages import (
    NO_THREAD,
    YIELD,
    Blocked,
    Exit,
    Exited,
    Exiting,
    Group,
    Interrupt,
    LinkLost,
    Notice,
    Parting,
    Resumed,
    Revoke,
    Spared,
    Spawned,
    SpawnFailed,
    Stopped,
    Unneeded,
)
from actorgrid.core.messages import FailureKind as Failed
from actorgrid.core.signals import SIGKILL, describe
from actorgrid.core.states import (
    TASK_ASSIGNED,
    TASK_BLOCKED,
    WORKER,
    WORKER_BUSY,
    WORKER_IDLE,
    WORKER_LEAVING,
    TaskInput,
    WorkerInput,
)

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head

#: Idle workers beyond the number of CPUs leave after this long (seconds).
KEEP_IDLE: Final = 1.0
#: Seconds after which a forced end that came too early for its task is tried again.
ONCE_MORE: Final = 0.05
#: A worker that has closed a link and lives on after so long (seconds) is killed: it can neither hear nor answer.
MUTE_LIMIT: Final = 1.0
MUTE: Final = "closed its link to the grid and was killed"
#: Workers started ahead of any need at once.
MOST_PRESTARTED: Final = 16


class Workers:
    """The worker processes."""

    __slots__ = ("head", "held_back", "keep", "leaving", "limit", "most", "spawned", "stillborn", "table", "wanting")

    def __init__(self, head: Head, keep: int, limit: int) -> None:
        self.head = head
        #: How many idle workers stay for good, and how many there may be in all.
        self.keep = keep
        self.limit = self.most = limit
        #: The alarm after which there may be ``most`` again; 0 while there may.
        self.held_back = 0
        self.table: dict[int, Worker] = {}
        self.spawned = 0
        #: A worker left the pool: ``replenish`` has something to do.
        self.wanting = False
        #: Workers in a row that died before they said a word.
        self.stillborn = 0
        #: Workers in state LEAVING.
        self.leaving = 0

    # -- birth

    def may_spawn(self) -> bool:
        """Return whether one more process is allowed."""
        return len(self.table) < self.limit

    def spawn(self) -> Worker:
        """Order a new worker. It can be assigned work at once."""
        self.spawned += 1
        peer = Peer(self.head.next_peer())
        worker = peer.worker = Worker(peer, self.head.now)
        self.head.peers[peer.number] = peer
        self.table[peer.number] = worker
        self.head.effects.append(SpawnWorker(peer.number))
        if self.head.library.environment is not None:
            self.head.order(worker, self.head.library.environment)
        return worker

    def prestart(self, count: int) -> None:
        """Have ``count`` workers ready before the first task comes."""
        for _ in range(count):
            worker = self.spawn()
            worker.idle_since = self.head.now
            self.head.dispatch.idle.add(worker)

    def replenish(self) -> None:
        """Bring the pool back to ``keep`` workers, unless they die as soon as they start."""
        self.wanting = False
        missing = min(-self._surplus(), self.limit - len(self.table), MOST_PRESTARTED)
        if missing > 0 and self.stillborn < STRIKES:
            self.prestart(missing)

    def spawned_as(self, message: Spawned) -> None:
        """The worker's process exists."""
        worker = self.table.get(message.worker)
        if worker is not None:
            worker.pid, worker.launched = message.pid, self.head.now
            self.head.tell(Group(message.pid, alive=True))

    def spawn_failed(self, message: SpawnFailed) -> None:
        """The system refused to fork."""
        worker = self.table.get(message.worker)
        if worker is not None:
            self.head.effects.append(CloseWorker(worker.number))
            self._gone(worker, Exited(worker.number, 0, 0), "", refused=message.message)

    def step(self, worker: Worker, given: WorkerInput) -> None:
        """Move a worker along its table."""
        state = WORKER.get((worker.state, given))
        if state is None:
            raise self.head.impossible(f"worker {worker.number} (pid {worker.pid})", worker.state, given)
        self.head.note(worker.number, worker.state, given)
        if worker.state is WORKER_LEAVING:
            self.leaving -= 1
        if state is WORKER_LEAVING:
            self.leaving += 1
            self.head.dispatch.idle.discard(worker)
        worker.state = state

    # -- what it says of itself

    def blocked(self, peer: Peer, message: Blocked) -> None:
        """A task of this worker waits for objects, and hands back what has not started."""
        worker = peer.worker
        if worker is None:
            return
        for ident in reversed(message.unstarted):
            task = worker.assigned.get(ident)
            if task is not None and task.actor is None:
                del worker.assigned[ident]
                self.head.dispatch.requeue(task, TaskInput.HAND_BACK)
        task = worker.assigned.get(message.task)
        if task is None or task.state not in (TASK_ASSIGNED, TASK_BLOCKED):
            return
        if task.actor is not None and not task.actor.fifo:
            self._waits(task, message)
            return  # other calls of the actor go on: its CPUs are in use
        self.head.dispatch.block(worker, task)
        if len(worker.assigned) > 1 and worker.actor is None:  # sent ahead while it said so: they come back too
            self.head.reply(peer, Revoke(tuple(ident for ident in worker.assigned if ident != message.task)))
        self._waits(task, message)
        self._check_room()

    def _waits(self, task: Task, message: Blocked) -> None:
        if message.call == YIELD and task.stream is not None:
            self.head.streams.fill(task)
        self.head.waits.blocked(task, message)

    def resumed(self, peer: Peer, message: Resumed) -> None:
        """The task goes on."""
        worker = peer.worker
        if worker is None:
            return
        task = worker.assigned.get(message.task)
        if task is None:
            return
        if task.blocked < 2:
            task.waits = None
        if not task.blocked:
            return
        task.blocked -= 1
        if not task.blocked:
            self.head.dispatch.unblock(worker, task)

    def exiting(self, peer: Peer, message: Exiting) -> None:
        """The worker ends on purpose."""
        worker = peer.worker
        if worker is None:
            return
        if worker.actor is not None:
            self.head.actors.exiting(worker.actor, message.reason)
        self.step(worker, WorkerInput.LEAVE)

    def _check_room(self) -> None:
        """The pool is full and every worker in it waits: nothing would ever move again."""
        if self.may_spawn() or not self.head.ready.active or self.held_back:
            return
        if any(self._may_go_on(worker) for worker in self.table.values()):
            return
        chain = ", ".join(dict.fromkeys(t.spec.spec.name for w in self.table.values() for t in w.assigned.values()))
        shape = next((shape for shape in self.head.ready.active if not shape.claims), None)
        task = self.head.ready.first(shape) if shape is not None else None
        if shape is None or task is None:
            return
        text = (
            f"{task.spec.spec.name} cannot start: all {self.limit} workers wait for other tasks ({chain}). "
            "Raise max_workers in init(), or nest less deeply"
        )
        if task.actor is not None:
            self.head.actors.die(task.actor, text)
        else:
            self.head.ready.pop(shape)
            self.head.tasks.fail(task, self.head.failure(Failed.TOO_MANY_WORKERS, text, task=task))

    @staticmethod
    def _may_go_on(worker: Worker) -> bool:
        """Return whether a worker does not wait for other tasks: it runs, or waits for a driver that reads a stream."""
        if worker.state in (WORKER_IDLE, WORKER_BUSY, WORKER_LEAVING):
            return True
        tasks = worker.assigned.values()
        return any(task.stream is not None and task.stream.full and task.parent is None for task in tasks)

    # -- death

    def kill(self, worker: Worker, how: str = "") -> None:
        """Kill the process now. ``how`` says in an error what happened to it, if it is more than its status says."""
        worker.ended_by = how
        self.head.effects.append(SignalWorker(worker.number, SIGKILL))

    def kill_call(self, task: Task, how: str = "") -> None:
        """Do the same because the call is cancelled: whatever its worker says, that is what came of it."""
        task.forced = True
        self.kill_running(task, how)

    def kill_running(self, task: Task, how: str = "") -> None:
        """Kill the process that runs ``task``, but not if it runs something else by the time the signal comes."""
        worker = task.worker
        assert worker is not None
        worker.doomed = (task.message.task, how)
        self.head.effects.append(SignalWorker(worker.number, SIGKILL, task.message.task))

    def spared(self, message: Spared) -> None:
        """It ran something else: the task is over, then its result is on its way; or it has not begun."""
        self.head.pressure.spared(message.worker)
        worker = self.table.get(message.worker)
        task = worker.assigned.get(message.task) if worker is not None else None
        if worker is not None and task is not None and task.forced:
            self.head.reply(worker.peer, Interrupt(message.task, task.attempt))
            self.head.alarms.set(self.head.now + ONCE_MORE, self._kill_once_more, message.task)

    def _kill_once_more(self, ident: int) -> None:
        task = self.head.tasks.table.get(ident)
        if task is not None and task.forced and task.worker is not None and task.worker.doomed is not None:
            self.kill_call(task, task.worker.doomed[1])

    def leave(self, worker: Worker, reason: str) -> None:
        """Ask the worker to leave once it has nothing to do."""
        self.head.order(worker, Exit(reason))
        self.step(worker, WorkerInput.LEAVE)
        self._wait_for_last_words(worker)

    def parting(self, peer: Peer, message: Parting) -> None:
        """Nothing runs in the worker any more, whatever it has not answered; its last words begin."""
        del message
        worker = peer.worker
        if worker is not None:
            worker.parting = True
            self.head.alarms.call_off(worker.farewell)
            self._wait_for_last_words(worker)

    def _wait_for_last_words(self, worker: Worker) -> None:
        limit = self.head.now + self.head.config.farewell
        worker.farewell = self.head.alarms.set(limit, self._said_enough, worker.number)

    def end_job(self, job: int) -> None:
        """A driver is gone: what is set up for its calls alone is of no more use."""
        for worker in [each for each in self.head.dispatch.idle if each.peer.job == job and each.setup]:
            self.leave(worker, "its driver is gone")

    def unneeded(self, peer: Peer, message: Unneeded) -> None:
        """Nobody will need what is set up like this: who is idle goes, who has something to do goes after that."""
        del peer
        for worker in [each for each in self.table.values() if each.setup and each.setup == message.setup]:
            worker.unneeded = True
            if worker in self.head.dispatch.idle:
                self.leave(worker, NEEDED_NO_MORE)

    def _said_enough(self, number: int) -> None:
        worker = self.table.get(number)
        if worker is not None and (worker.parting or not worker.assigned):
            self.kill(worker, f"was given {self.head.config.farewell:g} s for its last words and killed")

    def exited(self, message: Exited) -> None:
        """The process is gone, and everything it said has been handled."""
        worker = self.table.get(message.worker)
        if worker is not None and message.status == NO_THREAD and not worker.spoke and not message.current:
            self.spawn_failed(SpawnFailed(worker.number, "its second thread was refused"))
        elif worker is not None:
            if self.head.stage is not None:
                message.current = self.head.stage.swallowed.get(worker.number, message.current)
            self.head.effects.append(CloseWorker(worker.number))
            doomed, how = worker.doomed or (0, "")
            how = how if doomed and doomed == message.current else worker.ended_by
            if how == MUTE and message.status != -SIGKILL:
                how = ""  # it was ending all the while, on a machine that had much else to do
            self._gone(worker, message, how or (BY_SYSTEM if message.oom else describe(message.status)))
            if self.head.stage is not None:
                self.head.stage.exited(worker)

    def stopped(self, message: Stopped) -> None:
        """A signal has stopped the worker's process, or let it go on."""
        worker = self.table.get(message.worker)
        if worker is None or bool(worker.stopped) == message.stopped:
            return
        if not message.stopped:
            self.head.alarms.call_off(worker.stopped)
            worker.stopped = 0
            return
        limit = self.head.config.stopped_limit
        worker.stopped = self.head.alarms.set(self.head.now + limit, self._stopped_too_long, worker.number)
        doing = next((f" (it runs {task.spec.spec.name})" for task in worker.assigned.values()), "")
        text = f"a signal has stopped worker {worker.pid}{doing}; if it does not go on it is killed in {limit:g} s"
        self.head.tell(Notice(f"actorgrid: {text}"))

    def _stopped_too_long(self, number: int) -> None:
        worker = self.table.get(number)
        if worker is not None and worker.stopped:
            self.kill(worker, f"was stopped by a signal for {self.head.config.stopped_limit:g} s and killed")

    def link_lost(self, message: LinkLost) -> None:
        """The worker can no longer be talked to: its process is about to end, or user code has closed its end.

        A process that a signal has stopped is given its time to end when it goes on.
        """
        if message.worker in self.table:
            self.head.alarms.set(self.head.now + MUTE_LIMIT, self._mute_too_long, message.worker)

    def _mute_too_long(self, number: int) -> None:
        worker = self.table.get(number)
        if worker is not None and worker.stopped:
            self.link_lost(LinkLost(number))
        elif worker is not None:
            self.kill(worker, MUTE)

    def _gone(self, worker: Worker, message: Exited, how: str, refused: str = "") -> None:
        """A worker's process is no more, or (``refused``: why) has never been."""
        dispatch = self.head.dispatch
        self.head.past.worker(worker, self.head.now, how or refused)
        self.step(worker, WorkerInput.DIE)
        self.head.alarms.call_off(worker.stopped)
        self.head.alarms.call_off(worker.farewell)
        del self.table[worker.number]
        self.wanting = True
        if worker.pid:
            self.head.tell(Group(worker.pid, alive=False))
        self.stillborn = 0 if worker.spoke else self.stillborn + 1
        dispatch.idle.discard(worker)
        dispatch.pipelined.pop(worker, None)
        dispatch.vacate(worker)
        assigned, worker.assigned = worker.assigned, {}
        for spec in worker.specs:
            spec.taught.pop(worker, None)
        worker.specs.clear()
        actor, worker.actor = worker.actor, None
        if refused:
            refusals.refused(self.head, actor, assigned, refused)
        elif actor is not None:
            restarts.worker_died(self.head, actor, worker, assigned, message, how)
        else:
            for task in reversed(assigned.values()):
                attempts.lost(self.head, task, worker, message, how)
        peer = worker.peer
        peer.alive = False
        del self.head.peers[peer.number]
        self.head.objects.drop_client(peer)
        self.head.streams.drop_client(peer)
        self.head.memory.drop_client(peer)
        self.head.library.drop_client(peer)
        self.head.vigils.over(peer.number)
        self.head.knocks.over(peer.number)
        peer.worker = None

    # -- shrinking back

    def retire(self, now: float) -> None:
        """Let idle workers beyond ``keep`` go once they have been idle for long."""
        idle = self.head.dispatch.idle
        while self._surplus() > 0 and idle:
            worker = idle.oldest()
            if now - worker.idle_since < KEEP_IDLE:
                return
            self.leave(worker, "idle")

    def retire_at(self) -> float | None:
        """Return when the next worker may go, None if none will."""
        idle = self.head.dispatch.idle
        return idle.oldest().idle_since + KEEP_IDLE if idle and self._surplus() > 0 else None

    def _surplus(self) -> int:
        return len(self.table) - self.head.actors.placed_count - self.keep - self.leaving
