"""A simulated worker: the worker machine, and fibers that run its calls.

What ``runtime/worker.py`` does around the machine with threads and signals is done here in the same order with fibers.
Which call an actor starts next is the world's choice (``offers``); tasks and constructors start at once, unless there
is somebody who can tell (``onlookers``).
"""

from __future__ import annotations

import contextlib
import sys
import traceback
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from actorgrid.core import messages as m
from actorgrid.core.messages import A_METHOD, A_TASK, AN_ACTOR, OK
from actorgrid.core.worker import Running, WorkerMachine
from actorgrid.engine import checkpoints, execution
from actorgrid.engine.code import CodeShelf
from actorgrid.engine.refs import ObjectRef
from actorgrid.engine.worker_side import running_now
from actorgrid.exceptions import is_a
from actorgrid.sim.engines import SimWorker
from actorgrid.sim.fibers import Fiber, WorldOver
from actorgrid.sim.onlookers import Holds
from actorgrid.sim.readonly import Watch, slots_of
from actorgrid.sim.turns import memory_of

if TYPE_CHECKING:
    from actorgrid.sim.async_actor import AsyncActor
    from actorgrid.sim.grid import Grid

#: Run time that is reported (microseconds): never so short that the head would send tasks ahead, which would only take
#: orders away from those that are explored.
MICROS = 1000


class Worker:
    """One simulated worker process."""

    def __init__(self, grid: Grid, number: int, pid: int) -> None:
        self.grid = grid
        self.world = grid.world
        self.number = number
        self.machine = WorkerMachine()
        self.engine = SimWorker(grid, self, number, pid)
        self.engine.code = CodeShelf(self.engine)
        self.fibers: dict[Fiber, Running] = {}
        #: Identifiers of the threads of a threaded actor.
        self._pool: list[int] = []
        self.exiting = False
        self.departing = False
        self.loop: AsyncActor | None = None
        #: The class of the actor, and where its instances keep attributes.
        self._of: type | None = None
        self._slots: list[str] = []

    @property
    def title(self) -> str:
        """What the process is, in words."""
        spec = self.engine.actor_spec
        return f"{spec.name if spec is not None else 'worker'} {self.engine.pid}"

    @property
    def victim(self) -> int:
        """What a kill of this process ends: an actor, a task, or (0) nothing."""
        actor = self.machine.actor
        return actor.actor if actor is not None else next(iter(self.machine.running), 0)

    @property
    def path(self) -> str:
        """Where the actor that it is, or the task that it runs, stands in the tree of calls; "" if neither."""
        ident = self.victim
        return self.grid.calls[ident].path if ident else ""

    def only_reads(self, fiber: Fiber) -> bool:
        """Return whether what this fiber runs is ``readonly``."""
        running = self.fibers.get(fiber)
        if running is not None:
            return running.spec.readonly
        if self.loop is None or fiber is not self.loop.fiber:
            return False
        return bool(self.machine.running) and all(each.spec.readonly for each in self.machine.running.values())

    def takes_turns(self) -> bool:
        """Return whether it is an actor whose event loop takes its turns when they are chosen."""
        return self.loop is not None and self.loop.fiber is not None and self.world.onlookers.holds.turns

    # -- what the head sends

    def take(self, batch: list[Any]) -> None:
        """Note what came over the task link, and start what starts by itself."""
        for message in batch:
            if isinstance(message, m.Run):
                if message.again:
                    self.grid.repeats(message, self.machine.actor)
                if self.world.footprint is not None:
                    self._may_start(message)
                if message.deps or message.refs or message.made:
                    self.engine.given(message)
                cancelled = self.machine.given(message)
                if cancelled is not None:
                    self._drop(cancelled)
            else:
                self._learn(message)
        self.go_on()

    def _may_start(self, run: m.Run) -> None:
        """Note that this call may start, maybe once more, and which objects it had to wait for."""
        world, call = self.world, self.grid.calls[run.task]
        is_method = self.machine.specs[run.spec].kind is A_METHOD
        if is_method or self._is_held(run):
            self.grid.born(call)
            if run.deps or run.refs or run.made:
                world.choices.policy.fed(call.key("call" if is_method else "start"), run.oids)
        else:
            world.seen += run.oids  # it starts at once

    def _learn(self, message: Any) -> None:
        if isinstance(message, m.Learn):
            self.machine.specs[message.spec.spec] = message.spec
        elif isinstance(message, m.Code):
            self.engine.code.add(message)
        elif isinstance(message, m.Restarted):
            self.machine.become_actor(message)
            if message.incarnation:
                self.world.onlookers.restarts()
        elif isinstance(message, m.Devices):
            self.engine.see_devices(message.devices)
        elif isinstance(message, m.Unlearn):
            self._unlearn(message)
        elif isinstance(message, m.Exit):
            self.machine.leaving = message.reason

    def _unlearn(self, message: m.Unlearn) -> None:
        """Forget what nobody will use: not what a call needs that is held back, of an actor that is to die."""
        machine = self.machine
        waiting = {run.spec for run in machine.queue}
        kept = {machine.specs[spec].digest for spec in waiting}
        for spec in message.specs:
            if spec not in waiting:
                machine.specs.pop(spec, None)
        self.engine.code.remove(tuple(digest for digest in message.digests if digest not in kept))

    def go_on(self) -> None:
        """Start what needs no choice; leave if that is all."""
        machine = self.machine
        if self.exiting or self.departing or not self.engine.alive:
            return
        queue = machine.queue
        if queue and not machine.running and not self.world.onlookers.held(machine.specs[queue[0].spec].kind):
            running = machine.start()
            if running is not None:
                self.start(running)
        if machine.leaving and not machine.running and not queue:
            self.departing = True
            self.world.fibers.spawn(self.engine, f"{self.title} leaves", self.world.root_chain, self._depart)

    def offers(self) -> list[m.Run]:
        """Return the calls of which any may be started next."""
        machine = self.machine
        if self.exiting or self.departing or not machine.queue:
            return []
        if self.engine.actor_spec is None:
            first = machine.queue[0]
            may_start = not machine.running and self._is_held(first)
            return [first] if may_start else []
        return machine.candidates()

    def _is_held(self, run: m.Run) -> bool:
        """Return whether this is a task or constructor that starts when it is chosen."""
        kind = self.machine.specs[run.spec].kind
        return kind is not A_METHOD and self.world.onlookers.held(kind)

    # -- running

    def begin(self, run: m.Run) -> None:
        """Start this call: the world chose it."""
        running = self.machine.start(run)
        assert running is not None
        self.grid.calls[run.task].starts()
        if self.machine.limit == 1:
            self.world.seen.append(("free", self.number))
        self.start(running)

    def start(self, running: Running) -> None:
        """Run a call in a fiber of its own, or on the actor's event loop."""
        if self.loop is not None and running.spec.kind is A_METHOD:
            self.loop.call(running)
            return
        call = self.grid.call_of(running.run.task)
        self.world.files.starts(running, call)
        fiber = self.world.fibers.spawn(self.engine, call.title, call.chain, lambda: self._perform(fiber, running))
        self.fibers[fiber] = running
        if self.machine.limit > 1:
            fiber.ident = self._thread()

    def _thread(self) -> int:
        """Return the identifier of a thread of the pool that runs nothing now."""
        used = {fiber.ident for fiber in self.fibers}
        ident = next((ident for ident in self._pool if ident not in used), 0)
        if not ident:
            ident = self.world.new_ident()
            self._pool.append(ident)
        return ident

    def _perform(self, fiber: Fiber, running: Running) -> None:
        engine = self.engine
        actor = self.machine.actor
        again = running.spec.kind is AN_ACTOR and actor is not None and actor.incarnation > 0
        if again:
            self.grid.survives("restart", self, running)
        running_now.set(running)
        if self.machine.limit == 1:
            engine.latest = running
        began = self.world.clock.now
        result: Any = None
        error: BaseException | None = None
        watch = self.watch(running)
        try:
            result = self._run(running) if watch is None else watch.look_at(fiber, partial(self._run, running))
            engine.linger("ends")
        except WorldOver:
            raise
        except BaseException as raised:  # noqa: BLE001  # whatever user code raises is its result
            error = raised
        error = (watch and watch.verdict()) or error
        self.fibers.pop(fiber, None)
        self.world.makes(("free", self.number))
        self.over(running, result, error, began)
        error = None  # its traceback holds this frame: a cycle would keep alive whatever the call's frames refer to

    def _run(self, running: Running) -> Any:
        if running.spec.kind is AN_ACTOR and running.spec.is_async:
            from actorgrid.sim.async_actor import AsyncActor  # asyncio: only where it is used

            self.loop = AsyncActor(self)
            return self.loop.construct(running)
        return self.engine.perform(running)

    def watch(self, running: Running) -> Watch | None:
        """Return what looks at a ``readonly`` method."""
        if not running.spec.readonly:
            return None
        instance = self.engine.instance
        if self._of is not type(instance):
            self._of, self._slots = type(instance), slots_of(type(instance))
        return Watch(running.spec.name, instance, self._slots)

    def over(self, running: Running, result: Any, error: BaseException | None, began: float) -> None:
        """A call's user code is over: say what came of it."""
        if error is not None and is_a(error, SystemExit):
            self.exits(error, running)
            return
        retry = False
        try:
            if error is None:
                values = execution.results(self.engine, running, result)
            else:
                values, retry = self._failed(running, error)
        except WorldOver:
            raise
        except BaseException as broken:  # noqa: BLE001  # the result does not pickle, say
            # Not kept under another name: its traceback holds this frame, and so whatever the result refers to.
            values, retry = self._failed(running, broken)
        if self.machine.is_method(running):
            self.world.course.ended(self.path)
        micros = max(MICROS, int((self.world.clock.now - began) * 1e6))
        saves = self.engine.checkpoints
        saved = saves.after(running) if saves is not None else None
        if not self.grid.survives("before_reply", self, running):
            return
        self._finish(running, values, micros, retry=retry, saved=saved)

    def _failed(self, running: Running, error: BaseException) -> tuple[tuple[m.Value, ...], bool]:
        if running.cancelled and (is_a(error, KeyboardInterrupt) or self.machine.is_method(running)):
            return execution.cancelled(running), False
        return execution.failure(running, error), not running.cancelled and execution.may_retry(running, error)

    def _finish(
        self, running: Running, values: tuple[m.Value, ...], micros: int, *, retry: bool, saved: ObjectRef[Any] | None
    ) -> None:
        engine, run, machine = self.engine, running.run, self.machine
        if running.cancelled and machine.is_method(running):
            engine.take_back(values)
            values = execution.cancelled(running)
        leaving = machine.finished(running)
        if running.spec.kind is A_TASK:
            engine.put_right()
        outbox = engine.client.outbox
        if leaving:
            outbox.append(m.Revoked(engine.handed_back(machine.leave("max_calls"))))
        done = m.Done(run.task, run.attempt, values, micros, retry, leaving)
        if engine.checkpoints is not None:
            checkpoints.note(done, running, saved)
        outbox.append(done)
        if run.deps or run.refs or run.made:
            engine.let_go(run)
        if engine.latest is running:
            engine.latest = None
        running.given = None
        engine.send(force=True)
        if running.spec.kind is AN_ACTOR:
            if values and values[0].status is not OK:
                self.world.onlookers.stillborn = True
            else:
                self._constructed(running.spec)
        self.leave_if_idle()
        self.go_on()

    def _constructed(self, spec: m.Spec) -> None:
        self.machine.constructed(spec)
        if self.loop is not None:
            self.loop.run()

    def _drop(self, running: Running) -> None:
        """A call that never started was cancelled."""
        self.engine.let_go(running.run)
        done = m.Done(running.run.task, running.run.attempt, execution.cancelled(running), unstarted=True)
        self.engine.client.outbox.append(done)
        self.engine.send(force=True)

    # -- control

    def revoke(self, message: m.Revoke) -> None:
        """Hand back what has not started."""
        back = self.engine.handed_back(self.machine.revoke(message.tasks))
        if back:
            self.engine.client.outbox.append(m.Revoked(back))
            self.engine.send(force=True)

    def interrupt(self, message: m.Interrupt) -> None:
        """Cancel an attempt. A synchronous method is only told, as on real processes."""
        if self.loop is not None:  # one that has not begun may have been in the loop's queue by then: it does its deed
            self.world.onlookers.need(Holds.TURNS)
        if self.takes_turns():  # a turn that ends a call looks whether it was cancelled
            self.world.touch(memory_of(self.path))
            self.world.touch(self.path)
        running = self.machine.cancel(message.task, message.attempt, overdue=message.deadline)
        if running is None:
            return
        if message.task not in self.machine.running:
            self._drop(running)
            return
        self.engine.let_flow(running)
        if message.gently:
            return
        if self.loop is not None:
            self.loop.cancel(running)
        elif running.spec.kind is A_TASK or (running.overdue and self.machine.limit == 1):
            for fiber, other in self.fibers.items():
                if other is running:
                    self.world.fibers.wake(fiber, KeyboardInterrupt())

    # -- the end

    def exit_actor(self) -> NoReturn:
        """End this actor: no restart, whatever it was told."""
        self.engine.client.outbox.append(m.Exiting("the actor ended itself with exit_actor()"))
        self.engine.send(force=True)
        self.exiting = True
        if self.loop is not None:
            self.loop.leave()
        raise SystemExit(0)

    def exits(self, error: SystemExit, running: Running | None = None) -> None:
        """A call (or something in the background of an asynchronous actor) ended with this."""
        traceback.clear_frames(error.__traceback__)  # they know the actor, which is to be finalized
        if not self.exiting:
            code = error.code
            if code is not None and not isinstance(code, int):
                sys.stderr.write(f"{code}\n")
                code = 1
            self._depart(code or 0)
            return
        if running is not None:
            self.machine.running.pop(running.run.task, None)
        self.leave_if_idle()

    def leave_if_idle(self) -> None:
        """After ``exit_actor()``: go, unless others still run in this actor."""
        if self.exiting and not self.machine.running and self.engine.alive:
            self._depart()

    def _depart(self, status: int = 0) -> None:
        """Have the actor say its last words and be finalized, and end.

        What is in a cycle is not: a collector would come for the garbage of other processes, too, and of other runs.
        """
        engine = self.engine
        words = getattr(engine.instance, "__ray_shutdown__", None)
        if words is not None:
            engine.client.outbox.append(m.Parting())
            engine.send(force=True)
            with contextlib.suppress(Exception):
                words()
        words = engine.instance = None
        self.grid.died(self, status)
