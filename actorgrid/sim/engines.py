"""The engines of the two kinds of simulated process: the driver, which is the program itself, and a worker.

They may not know more than ``host``: how a process ends, whose code it runs, and what that is to see of the world.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actorgrid.core import messages as m
from actorgrid.engine.calls import PreparedCall
from actorgrid.engine.definitions import Setup
from actorgrid.engine.protocol import Returns
from actorgrid.engine.refs import ActorRef
from actorgrid.engine.waits import Sleeper
from actorgrid.engine.worker_side import CUDA, WorkerSide
from actorgrid.exceptions import HeadDiedError
from actorgrid.sim.fibers import Fiber
from actorgrid.sim.homes import Home
from actorgrid.sim.host import SimHost
from actorgrid.sim.turns import memory_of

if TYPE_CHECKING:
    from actorgrid.core.worker import Running
    from actorgrid.sim.grid import Grid
    from actorgrid.sim.worker import Worker


class SimDriver(SimHost):
    """The engine of the program itself."""

    def __init__(self, grid: Grid, number: int, pid: int) -> None:
        """See ``SimHost``."""
        super().__init__(grid, number, pid)
        self.setup = grid.setup
        self.serializers, self.trackers = grid.world.surroundings.serializers, grid.world.surroundings.trackers

    def submit(self, prepared: PreparedCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Returns:
        """See ``Engine``."""
        self.takes_turn("makes a call")
        return super().submit(prepared, args, kwargs)

    def call(self, actor: ActorRef, prepared: PreparedCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Returns:
        """See ``Engine``."""
        self.takes_turn("makes a call")
        self.calls(actor)
        return super().call(actor, prepared, args, kwargs)

    #: What else ends with the grid.
    on_shutdown: Callable[[], None] | None = None

    def hear_more(self, message: Any) -> None:
        """See ``SimHost``."""
        if isinstance(message, m.GridDied):
            self.end_waits(HeadDiedError(message.message))
        super().hear_more(message)

    def shutdown(self) -> None:
        """End the grid. Raises AssertionError for what was to hold always, unless something else is wrong already."""
        if self.alive:
            if sys.exc_info()[0] is None and not self.world.over:
                self.world.promises.check()
            self.grid.close()
            if self.on_shutdown is not None:
                self.on_shutdown()


class SimWorker(SimHost, WorkerSide):
    """The engine of a simulated worker."""

    def __init__(self, grid: Grid, worker: Worker, number: int, pid: int) -> None:
        """``worker`` runs the calls."""
        super().__init__(grid, number, pid)
        self.shared = False
        #: What it had to say when it last said something, and how much that was: it may have said that meanwhile.
        self._left: tuple[list[Any], int] = ([], 0)
        self.worker = worker
        self.machine = worker.machine
        self.clock = lambda: self.world.clock.now
        self.stalled = {}
        self.environment = dict(self.world.surroundings.environment)
        self.setup = self.plain
        self._take_over(self.setup)
        #: Its environment variables as each task is to find them.
        self._kept: dict[Any, Any] = {}
        self.settled()
        self.device_names, self.device_variables = grid.device_names, [CUDA] if grid.device_names else []
        self.see_devices(())

    def _take_over(self, setup: Setup) -> None:
        encode = os.environ.encodekey  # there since Python 3.2
        assert self.environment is not None
        self.environment.update({encode(name): encode(value) for name, value in setup.env_vars.items()})

    def settle_in(self, setup: Setup) -> None:
        """See ``WorkerSide``."""
        self._take_over(setup)
        if setup.working_dir or setup.py_modules:
            self.home = Home(setup)
            self.enter()

    def settled(self) -> None:
        """See ``WorkerSide``."""
        self._kept = dict(self.environment or ())

    def put_right(self) -> None:
        """Undo what a task has done to its process (``runtime.aftermath``), as far as processes have their own here."""
        assert self.environment is not None
        if self.environment != self._kept:
            self.environment.clear()
            self.environment.update(self._kept)

    def variable(self, name: str) -> str | None:
        """See ``WorkerSide``; whatever process runs now."""
        assert self.environment is not None
        value = self.environment.get(os.environ.encodekey(name))  # there since Python 3.2
        return None if value is None else os.environ.decodevalue(value)

    def set_variable(self, name: str, value: str) -> None:
        """See ``WorkerSide``; whatever process runs now."""
        assert self.environment is not None
        key = os.environ.encodekey(name)
        self.environment[key] = self._kept[key] = os.environ.encodevalue(value)

    def captured(self, prepared: PreparedCall) -> PreparedCall:
        """See ``CallingEngine``."""
        return WorkerSide.captured(self, prepared)

    def captured_spec(self, spec: m.Spec) -> m.Spec:
        """See ``CallingEngine``."""
        return WorkerSide.captured_spec(self, spec)

    def perform(self, running: Running) -> Any:
        """See ``WorkerSide``."""
        spec = running.spec
        self.set_up(spec)
        target = type(self.instance) if spec.kind is m.A_METHOD else self.code.load(spec.digest)
        self.world.calls(self, target, spec.name, spec.digest)
        return super().perform(running)

    def arguments(self, run: m.Run) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """See ``WorkerSide``."""
        args, kwargs = super().arguments(run)
        self.world.given(self, (*args, *kwargs.values()))
        return args, kwargs

    def send(self, *, force: bool) -> None:
        """See ``EngineBase``. Its process may die before this leaves."""
        outbox = self.client.outbox
        if outbox and not force and not self.world.harm.nothing:
            fiber = self.world.fibers.current
            running = self.worker.fibers.get(fiber) or self.running() if fiber is not None else None
            if running is not None:
                self.grid.survives("send", self.worker, running)
        self._left = outbox, len(outbox)
        super().send(force=force)

    def unsay(self) -> list[Any]:
        """What it was about to say is lost with it: return that."""
        outbox, count = self._left
        if outbox is not self.client.outbox:
            count = 0
        lost = self.client.outbox[count:]
        del self.client.outbox[count:]
        return lost

    @property
    def memory(self) -> Any:
        """See ``SimHost``."""
        return self.worker.path or ("process", self.client.number)

    def runs(self, fiber: Fiber) -> None:
        """See ``SimHost``."""
        worker = self.worker
        if not self.world.turns.rests(fiber):
            if worker.takes_turns():
                self.world.touch(memory_of(worker.path))
            else:
                self.world.touch(self.memory, writes=not worker.only_reads(fiber), is_open=self.is_shared())
        self.touch_limits()

    def share(self) -> None:
        """See ``SimHost``."""
        self.shared = True

    def running(self) -> Running | None:
        """See ``SimHost``."""
        return WorkerSide.running(self)

    def repeats(self) -> bool:
        """See ``SimHost``."""
        return WorkerSide.repeats(self)

    def is_shared(self) -> bool:
        """See ``SimHost``."""
        return self.shared or self.machine.limit > 1

    def has_threads(self) -> bool:
        """See ``SimHost``. In a threaded actor a call may come at any time, and run in another one."""
        return (self.machine.limit > 1 and self.worker.loop is None) or super().has_threads()

    def parent_and_nth(self) -> tuple[int, int]:
        """See ``SimHost``."""
        return WorkerSide.current_task(self)

    def _interrupted(self, message: m.Interrupt) -> None:
        if self.alive:
            self.worker.interrupt(message)

    def linger(self, label: str) -> None:
        """Whoever is about to end what runs here may do so before it goes on."""
        onlookers = self.world.onlookers
        if onlookers.anything_under_way():
            running, actor = self.running(), self.machine.actor
            if running is not None and onlookers.threaten(running.run.task, actor.actor if actor else 0):
                self._step_aside(label)

    def _may_be_slow(self, label: str) -> None:
        """Others may come before what is about to be said: other threads, and who is about to end what runs here."""
        if not self.takes_turn(label):
            self.linger(label)

    def submit(self, prepared: PreparedCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Returns:
        """See ``Engine``."""
        self._may_be_slow("makes a call")
        return super().submit(prepared, args, kwargs)

    def call(self, actor: ActorRef, prepared: PreparedCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Returns:
        """See ``Engine``."""
        self._may_be_slow("makes a call")
        self.calls(actor)
        return super().call(actor, prepared, args, kwargs)

    def item(self, running: Running, value: m.Value) -> bool:
        """See ``YieldingEngine``."""
        self._may_be_slow("yields an item")
        return super().item(running, value)

    def hear_more(self, message: Any) -> None:
        """See ``SimHost``."""
        if isinstance(message, m.Revoke):
            self.worker.revoke(message)
        elif isinstance(message, m.Interrupt):
            label = f"the cancellation of {self.grid.calls[message.task].label} arrives"
            self.world.onlookers.on_its_way(label, message.task, lambda: self._interrupted(message))
        elif isinstance(message, m.Credit):
            self.credited(message)
        elif isinstance(message, m.Knock):
            self.client.outbox.append(m.Present())
            self.send(force=True)
        super().hear_more(message)

    def blocking(self, blocked: m.Blocked, waiter: Sleeper) -> Callable[[], None] | None:
        """See ``EngineBase``."""
        super().blocking(blocked, waiter)
        running = self.running()
        if running is None:
            return None
        task = blocked.task = running.run.task
        back = self.machine.block()
        if back:
            blocked.unstarted = self.handed_back(back)
        self.client.outbox.append(blocked)

        def resume() -> None:
            self.client.outbox.append(m.Resumed(task))
            self.send(force=True)

        return resume

    def exit_actor(self) -> None:
        """See ``Engine``."""
        if self.machine.actor is None:
            super().exit_actor()
        self.worker.exit_actor()

    def shutdown(self) -> None:
        """A task does not end the grid that it runs in."""
