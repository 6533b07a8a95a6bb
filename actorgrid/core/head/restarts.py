"""Actors whose process is gone: each begins anew, or is buried.

A restart is charged, unless the constructor had not begun. Deaths that follow one another too fast are a loop, which
ends whatever the actor was told. The calls that it had are answered or sent again, in their order.

This file may not know how a process ends, nor what else an actor dies of.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from actorgrid.core.head import groups
from actorgrid.core.head.backoff import LONGEST_OF_ACTORS
from actorgrid.core.head.records import Actor, Task, Worker
from actorgrid.core.messages import Exited, Kind
from actorgrid.core.messages import FailureKind as Failed
from actorgrid.core.states import ActorInput, ActorState, TaskInput

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head

#: An actor is placed on so many workers that die before its constructor begins, then that is a death of its own.
STRIKES: Final = 3


def worker_died(head: Head, actor: Actor, worker: Worker, assigned: dict[int, Task], message: Exited, how: str) -> None:
    """The actor's process is gone: restart it or bury it."""
    head.actors.placed_count -= 1
    actor.worker = None
    actor.flying = 0
    groups.gather(actor)
    if _never_began(head, actor, worker, assigned, message):
        return
    name = actor.spec.spec.name
    running = [t.spec.spec.name for t in assigned.values() if not actor.fifo or t.message.task == message.current]
    doing = f" while running {', '.join(running[:3])}" if running else ""
    loop = _crash_loop(head, actor)
    if actor.why or not actor.restarts or loop:
        text = actor.why or f"the process of {name} (pid {worker.pid}) {how}{doing}{loop}"
        actor.queue.extendleft(reversed([t for t in assigned.values() if t.spec.kind is Kind.METHOD]))
        head.actors.die(actor, text, pid=worker.pid, status=message.status)
        return
    charge(actor)
    if actor.state is not ActorState.ALIVE:
        worker.killed_with = set()  # before the constructor has returned no call is its own
    head.actors.step(actor, ActorInput.RESTART)
    _unavailable(head, actor, worker, assigned, message, f"the process of {name} (pid {worker.pid}) {how}{doing}")
    if actor.journal is not None:
        actor.queue.extendleft(reversed(head.journals.again(actor)))
    creation = actor.creation
    assert creation is not None
    head.dispatch.retry(creation, len(actor.deaths), LONGEST_OF_ACTORS)


def charge(actor: Actor) -> None:
    """It is to begin anew."""
    actor.restarts -= actor.restarts > 0
    actor.incarnation += 1


def _never_began(head: Head, actor: Actor, worker: Worker, assigned: dict[int, Task], message: Exited) -> bool:
    """Return whether the constructor had not begun: then the actor is placed anew, and nothing is charged."""
    creation = actor.creation
    if actor.state is ActorState.ALIVE or creation is None or actor.why or worker.killed_with is not None:
        return False
    if message.current == creation.message.task or creation.message.task not in assigned:
        return False
    creation.strikes += 1
    if creation.strikes >= STRIKES:
        return False
    head.dispatch.requeue(creation, TaskInput.HAND_BACK)
    return True


def _crash_loop(head: Head, actor: Actor) -> str:
    """Note a death. Returns how an error ends if it was one too many, "" if it was not.

    The rule of Erlang's supervisors ("Supervisor Behaviour", OTP Design Principles): more than ``intensity``
    restarts in ``period`` seconds are a loop. Whoever has served a call in between starts anew.
    """
    config, deaths = head.config, actor.deaths
    deaths.append(head.now)
    if len(deaths) <= config.intensity:
        return ""
    if deaths.pop(0) < head.now - config.period:
        return ""
    return (
        f"; it is not restarted again: {config.intensity + 1} deaths within {config.period:g} s, no call served "
        f"between them, are more than restart_intensity={config.intensity} allows"
    )


def _unavailable(
    head: Head, actor: Actor, worker: Worker, assigned: dict[int, Task], message: Exited, text: str
) -> None:
    """Answer or re-send the calls of an actor that restarts, in their order."""
    kept: deque[Task] = deque()
    waiting, actor.queue = actor.queue, deque()
    for task in [*assigned.values(), *waiting]:
        if task.spec.kind is not Kind.METHOD or task.actor is None:
            continue
        sent = task.message.task in assigned
        started = sent and (not actor.fifo or task.message.task == message.current)
        if task.replayed is not None:
            head.journals.drop(task, began=started)
        elif worker.killed_with is not None and not sent and task.message.task not in worker.killed_with:
            kept.append(task)  # it is for the next incarnation
        elif head.tasks.is_given_up(task):
            pass
        elif task.retries:
            if started and task.retries > 0:
                task.retries -= 1
            if sent:
                head.dispatch.take_back(task, TaskInput.RETRY)
            kept.append(task)
        else:
            certainty = "may have been executed" if started else "was not executed"
            error = head.failure(
                Failed.ACTOR_UNAVAILABLE, f"{text}; it restarts. This call of {task.spec.spec.name} {certainty}",
                task=task, pid=worker.pid, status=message.status, actor=actor.ident,
            )  # fmt: skip
            head.tasks.fail(task, error)
    kept += actor.queue  # calls behind those that have failed just now, for the error of another one
    actor.queue = kept
