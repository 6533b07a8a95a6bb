"""Playing a recorded run again: actors start calls in a given order, processes die at given moments.

A call is named by its path in the tree of calls (the n-th call of the m-th call ... of the program), which is the same
in every run. Only the order within each actor matters: calls of different actors commute. Before a death, no actor
goes beyond what it had done in the recording; then the process is killed and all goes on.

Without a script there is no stage, and nothing here costs anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorgrid.core.head import groups
from actorgrid.core.head.effects import Die
from actorgrid.core.messages import HEAD, CreateActor, Kill, Kind, Query, Script, Submit
from actorgrid.core.states import ActorState, TaskState

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head
    from actorgrid.core.head.records import Actor, Peer, Task, Worker


class Stage:
    """How far a recorded run has been played."""

    __slots__ = (
        "dying",
        "finished",
        "head",
        "kills",
        "mute",
        "paths",
        "said",
        "script",
        "started",
        "swallowed",
        "turns",
    )

    def __init__(self, head: Head, script: Script) -> None:
        self.head = head
        self.script = script
        self.paths: dict[int, str] = {}
        #: How many calls each actor, by path, has started and finished.
        self.started: dict[str, int] = {}
        self.finished: dict[str, int] = {}
        #: How many calls each call, by path, has made.
        self.said: dict[str, int] = {}
        #: How many of the recorded deaths have happened.
        self.kills = 0
        #: The worker that is being killed: until it is gone nothing else begins.
        self.dying = 0
        #: Worker -> the call whose end its death swallowed.
        self.swallowed: dict[int, int] = {}
        #: Workers that died at a send.
        self.mute: set[int] = set()
        #: How often anybody has said something that is more than a question: who watches sees whether all is quiet.
        self.turns = 0

    def admit(self, task: Task) -> None:
        """Give a submission its path."""
        message = task.message
        parent = self.paths.get(message.parent)
        self.paths[message.task] = f"{parent}.{message.nth}" if parent is not None else str(message.nth)
        self.said[parent or ""] = self.said.get(parent or "", 0) + 1

    def again(self, task: Task, original: int, incarnation: int) -> None:
        """A call runs again to bring its actor back: give it a path of its own."""
        self.paths[task.message.task] = path_of_repetition(self.paths[original], incarnation)

    def pump(self, actor: Actor, worker: Worker) -> None:
        """Send the calls whose turn it is."""
        where = self.paths[actor.ident]
        order = self.script.orders.get(where, ())
        while len(worker.assigned) < actor.window:
            at = self.started.get(where, 0)
            task = self._next(actor, order[at] if at < len(order) else "")
            if task is None or at >= self._limit(where):
                return
            actor.queue.remove(task)
            self.started[where] = at + 1
            if actor.fifo:
                actor.flying += len(task.message.args)
            group = groups.group_of(actor, task)
            if group is not None:
                group.sent += 1
            self.head.dispatch.assign(worker, task)

    def _next(self, actor: Actor, path: str) -> Task | None:
        """Return the call with this path, or after the recording's end the first, if it is there."""
        for task in actor.queue:
            if task.state is TaskState.READY and (not path or self.paths[task.message.task] == path):
                return task
        return None

    def _limit(self, where: str) -> float:
        """Return how many calls an actor may start before the next death."""
        if self.dying:
            return 0
        if self.kills >= len(self.script.kills):
            return float("inf")
        return self.script.kills[self.kills].started.get(where, 0)

    # -- deaths

    def dies(self, worker: Worker, task: Task) -> bool:
        """A call is over. Returns whether its process was to die before it could say so."""
        if self.swallowed.get(worker.number) == task.message.task:
            return True  # a process that was killed may have said it twice
        path = self.paths[task.message.task]
        if task.spec.kind is Kind.METHOD and task.actor is not None:
            where = self.paths[task.actor.ident]
            self.finished[where] = self.finished.get(where, 0) + 1
        if self.kills < len(self.script.kills):
            kill = self.script.kills[self.kills]
            if kill.point == "before_reply" and kill.call == path and self._reached(kill.started, self.started):
                self.swallowed[worker.number] = task.message.task
                self._kill(worker)
                return True
        return False

    def turn(self) -> None:
        """Kill whoever is to die now."""
        if self.kills >= len(self.script.kills):
            return
        kill = self.script.kills[self.kills]
        if self.dying or kill.call or not self._reached(kill.finished, self.finished):
            return
        if not self._reached(kill.said, self.said):
            return
        if kill.victim == HEAD:
            self._end(kill)
            return
        for worker in self.head.workers.table.values():
            if self._is_victim(worker, kill):
                self._kill(worker)
                return

    def _end(self, kill: Kill) -> None:
        """The head itself is to die, once the calls that were running then have started."""
        if self._reached(kill.started, self.started):
            self.kills += 1
            self.head.effects.append(Die())

    def _is_victim(self, worker: Worker, kill: Kill) -> bool:
        """Return whether this is the process, and it has come as far as it was when it died."""
        if worker.actor is not None:
            state = ActorState.RESTARTING if kill.point == "restart" else ActorState.ALIVE
            return worker.actor.state is state and self.paths[worker.actor.ident] == kill.victim
        return any(
            task.state is TaskState.BLOCKED and self.paths[task.message.task] == kill.victim
            for task in worker.assigned.values()
        )

    def heard(self, peer: Peer, batch: list[Any]) -> list[Any]:
        """Return what of a frame was said: a process that dies at a send says nothing from there on."""
        if not all(isinstance(message, Query) for message in batch):
            self.turns += 1
        if peer.worker is None:
            return batch
        if peer.worker.number in self.mute:
            return []
        for index, message in enumerate(batch):
            if isinstance(message, Submit | CreateActor) and self._is_lost(message):
                self.mute.add(peer.worker.number)
                self._kill(peer.worker)
                return batch[:index]
        return batch

    def _is_lost(self, message: Submit | CreateActor) -> bool:
        if self.dying or self.kills >= len(self.script.kills):
            return False
        kill = self.script.kills[self.kills]
        parent = self.paths.get(message.parent)
        return kill.point == "send" and parent is not None and kill.call == f"{parent}.{message.nth}"

    @staticmethod
    def _reached(wanted: dict[str, int], have: dict[str, int]) -> bool:
        return all(have.get(where, 0) >= count for where, count in wanted.items())

    def _kill(self, worker: Worker) -> None:
        self.kills += 1
        self.dying = worker.number
        self.head.workers.kill(worker)

    def exited(self, worker: Worker) -> None:
        """A process is gone. If it was the one that was to die, the others go on."""
        if worker.number != self.dying:
            return
        self.dying = 0
        for other in self.head.workers.table.values():
            if other.actor is not None:
                self.head.actors.pump(other.actor)

    def missing(self) -> list[str]:
        """Return what of the recording has not come to pass, in words."""
        said = [
            f"actor {where} was to start call {order[self.started.get(where, 0)]} next"
            for where, order in self.script.orders.items()
            if self.started.get(where, 0) < len(order)
        ]
        return said + [f"{_whose(kill.victim)} was to die" for kill in self.script.kills[self.kills :]]


def path_of_repetition(path: str, incarnation: int) -> str:
    """Return the path of a call that is repeated for the sake of an actor's ``incarnation``."""
    return f"{path}*{incarnation}"


def _whose(victim: str) -> str:
    return "the head" if victim == HEAD else f"process of {victim}"
