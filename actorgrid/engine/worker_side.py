"""The engine's other half in a process that runs calls: what a call brings along, what it leaves, where it runs.

Shared by real workers and simulated ones: it knows the worker machine and this process's references, and neither how
messages travel nor how user code is run.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Callable, Sequence
from inspect import iscoroutinefunction
from typing import Any, Final

import msgspec

from actorgrid.core import messages as m
from actorgrid.core.messages import A_METHOD, A_TASK, AN_ACTOR
from actorgrid.core.resources import CPU, UNIT, amounts, of
from actorgrid.core.texts import visible
from actorgrid.core.worker import Running, WorkerMachine
from actorgrid.engine import checkpoints, placing, setups, yielding
from actorgrid.engine.calls import PreparedCall
from actorgrid.engine.checkpoints import Checkpoints
from actorgrid.engine.code import CodeShelf, full_name
from actorgrid.engine.definitions import Context, Setup
from actorgrid.engine.execution import arguments
from actorgrid.engine.interrupts import protected
from actorgrid.engine.local import in_event_loop
from actorgrid.engine.protocol import Handle
from actorgrid.engine.serialize import Pickled, loads
from actorgrid.engine.yielding import YieldingEngine
from actorgrid.exceptions import ActorGridError, ReplayError

#: The call that the current thread or coroutine belongs to.
running_now: Final[contextvars.ContextVar[Running | None]] = contextvars.ContextVar("actorgrid_running", default=None)


#: What libraries look at that bring their own threads along (OpenMP, OpenBLAS, MKL).
THREADS: Final = "OMP_NUM_THREADS"
#: Says which GPUs CUDA shows to a process, by numbers or by their own names.
CUDA: Final = "CUDA_VISIBLE_DEVICES"
#: A function that is called in more placement groups than this is registered anew now and then.
MOST_GROUPS: Final = 64
#: Seconds that a call that runs again waits for what had been there at once when it ran first.
PATIENCE: Final = 60.0
#: Set to 0, nothing is said about calls of async actors that wait without ``await``; and those that it is said about.
WARN_BLOCKING: Final = "ACTORGRID_WARN_BLOCKING_GET_INSIDE_ASYNC"
_WAITS: Final = ("get()", "wait()")
#: So much of what the ``__repr__`` of an actor returns is shown: it stands before each line of its output.
LONGEST_NAME: Final = 200


class WorkerSide(YieldingEngine):
    """What the engine of a worker adds, whatever hosts it. The host sets ``machine`` and ``actor_spec``."""

    machine: WorkerMachine
    #: The spec of the actor that this process is.
    actor_spec: m.Spec | None = None
    #: What its class has it shown as; "": as its class.
    shown = ""
    #: The call that runs in the main thread.
    latest: Running | None = None
    #: The functions and classes it was taught, and the actor that it is.
    code: CodeShelf
    instance: Any = None
    #: Seconds, from any point on, as the host counts them.
    clock: Callable[[], float]
    #: What saves its state, if it has checkpoints.
    checkpoints: Checkpoints | None = None
    #: It is set up for whatever it runs, for good; and it is being set up, by user code that may not make calls.
    is_set_up = False
    sets_up = False
    #: It has been said that this actor waits where it holds up its event loop.
    _warned = False
    #: The spec that this process was made to fit last, and how many threads it has said libraries may use.
    fitted: m.Spec | None = None
    _threads: str | None = None
    #: What GPUs are called, by number, in which variables; and those that the calls here have.
    device_names: Sequence[str] = ()
    device_variables: Sequence[str] = ()
    devices: tuple[str, ...] = ()

    def running(self) -> Running | None:
        """Return the call that the calling code belongs to."""
        return running_now.get() or self.latest

    def current_task(self) -> tuple[int, int]:
        """See ``EngineBase``."""
        running = self.running()
        if running is None:
            return 0, 0
        if self.sets_up:
            raise RuntimeError(f"a {setups.HOOK!r} cannot make calls: each process runs it, in the midst of some task")
        running.children += 1
        return running.run.task, running.children - 1

    # -- what a call has submitted before

    def made_before(self, nth: int, name: str, count: int, actor: int, *, found: bool = False) -> m.Made | None:
        """See ``CallingEngine``. Raises ReplayError if the call did something else as its number ``nth`` then."""
        running = self.running()
        if running is None or not (running.made or running.run.again):
            return None
        made = running.made.get(nth)
        if made is not None and (made.name, made.count, made.actor) == (name, count, actor):
            return made
        if made is None and (found or running.spec.kind is AN_ACTOR):  # a constructor's tasks are not noted
            return None
        if running.run.again:
            then = f"it had called {made.name}" if made is not None else "it had called nothing more"
            running.strayed = f"called {name} where {then}"
            raise ReplayError(
                f"{running.spec.name}, run again to bring its actor back to where it was, {running.strayed}"
            )
        running.made = {}  # only a call that ended has to be the same: from here on it is another
        return None

    def saw_chance(self) -> None:
        """See ``EngineBase``."""
        running = self.running()
        if running is None or self.checkpoints is None:
            return
        running.chance = True
        if running.run.again and not running.strayed:
            running.strayed = "saw something unfinished, or asked the grid something, where it had not"

    def check_may_wait(self, what: str) -> None:
        """See ``EngineBase``. An event loop that waits is said once, unless a variable says otherwise (Ray's rule)."""
        super().check_may_wait(what)
        actor = self.actor_spec
        if actor is None or not actor.is_async or self._warned or what not in _WAITS or not in_event_loop():
            return
        self._warned = True
        if (self.variable(WARN_BLOCKING) or "1").lower() not in {"0", "false"}:
            self.print_error(
                f"actorgrid: {what} in an async actor holds up its event loop, and all other calls with it: use "
                f"`await ref`, or `await asyncio.gather(*refs)` ({WARN_BLOCKING}=0: do not say so)\n"
            )

    def repeats(self) -> bool:
        """Return whether the calling code runs again and must do what it did before."""
        running = self.running()
        return running is not None and running.run.again != 0

    def measure(self, metric: m.Metric, tags: tuple[tuple[str, str], ...], value: float) -> None:
        """See ``Engine``. What brings an actor back to where it was has been measured before."""
        if not self.repeats():
            super().measure(metric, tags, value)

    def within(self, timeout: float | None) -> float | None:
        """See ``EngineBase``. What was there in time the first time may have to be fetched anew by this process."""
        if timeout is None or timeout >= PATIENCE or not self.repeats():
            return timeout
        return PATIENCE

    def place(self, pickled: Pickled) -> m.Value:
        """See ``EngineBase``."""
        try:
            return super().place(pickled)
        except ActorGridError:  # the store is full, today
            self.saw_chance()
            raise

    # -- the calls that run here

    #: What a call is given. A host may look at it.
    arguments = arguments

    def perform(self, running: Running) -> Any:
        """Run a call's user code and return what it returns: for a generator, the values of the call.

        A constructor's instance is kept in ``instance``; one that is a coroutine is to be awaited. Raises SetupFailed.
        """
        self.set_up(running.spec)
        kind = running.spec.kind
        if kind is not A_METHOD and running.spec is not self.fitted:
            self.fit(running.spec)  # arguments may import libraries that look around
        args, kwargs = running.given = self.arguments(running.run)
        if kind is not AN_ACTOR:
            task = kind is A_TASK
            function = self.code.load(running.spec.digest) if task else self.method(running.spec.method)
            result = function(*args, **kwargs)
            return yielding.performed(self, running, result) if running.spec.yields else result
        cls: Any = self.code.load(running.spec.digest)
        if running.spec.is_async and iscoroutinefunction(cls.__init__):
            return self._build(running, cls, args, kwargs)
        return self._built(running, cls(*args, **kwargs))

    async def construct(self, running: Running) -> BaseException | None:
        """Run a constructor on an event loop. Returns what it raised: on its way it would gather asyncio's frames."""
        try:
            if (built := self.perform(running)) is not None:
                await built
        except BaseException as error:  # noqa: BLE001  # whatever user code raises
            return error
        return None

    async def _build(self, running: Running, cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        instance = cls.__new__(cls, *args, **kwargs)
        await cls.__init__(instance, *args, **kwargs)
        self._built(running, instance)

    def _built(self, running: Running, instance: Any) -> None:
        self.instance, self.actor_spec, spec = instance, running.spec, running.spec
        if spec.checkpoint_calls or spec.checkpoint_seconds:
            checkpoints.restore(self, running.run)
            self.checkpoints = checkpoints.Checkpoints(self, spec)
        self._present(running.run)

    def _present(self, run: m.Run) -> None:
        """Say what this actor is shown as, if its class has a ``__repr__`` of its own; one that fails says nothing."""
        own: Any = type(self.instance).__repr__
        if own is object.__repr__:
            return
        with contextlib.suppress(Exception):
            self.shown = visible(" ".join(repr(self.instance).split())[:LONGEST_NAME])[:LONGEST_NAME]
            self._send_shown(m.ActorReady(run.actor, run.attempt, self.shown))

    @protected
    def _send_shown(self, message: m.ActorReady) -> None:
        with self.lock:
            self.client.outbox.append(message)

    def set_up(self, spec: m.Spec) -> None:
        """Become what the first call needs; the head sends none that needs anything else.

        Raises SetupFailed; whatever it raises, this process is of no more use.
        """
        if self.is_set_up:
            return
        self.is_set_up = True
        if not spec.setup:
            return
        self.machine.spoiled = self.sets_up = True
        self.setup = msgspec.structs.replace(setups.decode(spec.setup), owner="")  # what it calls runs elsewhere
        self.namespace = self.setup.namespace or self.namespace
        try:
            self.settle_in(self.setup)
            setups.call_hook(self.setup)
        except (Exception, SystemExit) as error:
            raise setups.SetupFailed from error
        finally:
            self.sets_up = False
        self.machine.spoiled = False
        self.settled()

    def keep_changes(self) -> None:
        """See ``Engine``."""
        self.settled()

    def settled(self) -> None:
        """It is set up: that is what later tasks are to find."""

    def settle_in(self, setup: Setup) -> None:
        """Take over the variables, the folder and the modules of ``setup``. Raises OSError."""
        raise AssertionError("a host must define this", setup)

    def method(self, name: str) -> Any:
        """Return a method of the actor."""
        if name == "__ray_ready__":
            return lambda: True
        if name == "__ray_call__":
            return lambda function, *args, **kwargs: function(self.instance, *args, **kwargs)
        if name == "__ray_terminate__":
            return self.exit_actor
        return getattr(self.instance, name)

    # -- what a call has

    def fit(self, spec: m.Spec) -> None:
        """Make this process what calls of ``spec`` expect to run in."""
        self.fitted = spec
        held = spec.lifetime_demand if spec.kind is AN_ACTOR else spec.demand
        self._limit_threads(str(max(of(CPU, held) // UNIT, 1)))
        if spec.placement is not None and spec.placement.capture:
            self.direct = False  # from now on somebody must look who submits

    def _limit_threads(self, threads: str) -> None:
        """Let libraries use as many threads as a call has CPUs, unless somebody else has said how many."""
        if self.variable(THREADS) == self._threads:
            if threads != self._threads:
                self.set_variable(THREADS, threads)
            self._threads = threads

    def variable(self, name: str) -> str | None:
        """Return an environment variable of this process."""
        return os.environ.get(name)

    def set_variable(self, name: str, value: str) -> None:
        """Set an environment variable of this process."""
        os.environ[name] = value

    def see_devices(self, numbers: tuple[int, ...]) -> None:
        """What runs here from now on has these devices."""
        self.devices = tuple(self.device_names[number] for number in numbers)
        for name in self.device_variables:
            self.set_variable(name, ",".join(self.devices))

    # -- placement groups

    @property
    def _placement(self) -> m.Placement | None:
        """The placement group that the calling code runs in."""
        running = self.running()
        spec = self.actor_spec or (running.spec if running is not None else None)
        return spec.placement if spec is not None and spec.placement is not None and spec.placement.group else None

    def captured(self, prepared: PreparedCall) -> PreparedCall:
        """See ``CallingEngine``."""
        caller = self._placement
        if caller is None or not caller.capture or not placing.may_be_captured(prepared.spec):
            return prepared
        taken = prepared.captured.get(caller.group)
        if taken is None:
            taken = self._register(placing.captured(prepared.spec, caller), None)
            if len(prepared.captured) >= MOST_GROUPS:
                prepared.captured.clear()
            prepared.captured[caller.group] = taken
        return taken

    def captured_spec(self, spec: m.Spec) -> m.Spec:
        """See ``CallingEngine``."""
        caller = self._placement
        if caller is None or not caller.capture or not placing.may_be_captured(spec):
            return spec
        return placing.captured(spec, caller)

    # -- values of the calls that run here

    @protected
    def given(self, run: m.Run) -> None:
        """Count what a call brings along: it is held until ``let_go``. Called with the lock held."""
        client = self.client
        client.hold(run.refs)
        for made in run.made:
            for oid in range(made.ident, made.ident + made.count):
                client.hold((oid,))
        for value, oid in zip(run.deps, run.oids, strict=True):
            client.hold(value.refs)
            if value.extent is not None:
                entry = client.granted(oid)
                entry.refs += 1
                entry.heavy = True
                entry.away = oid in run.away

    def let_go(self, run: m.Run) -> None:
        """The call is over. Called with the lock held."""
        client = self.client
        client.let_go(run.refs)
        for made in run.made:
            client.let_go(tuple(range(made.ident, made.ident + made.count)))
        for value, oid in zip(run.deps, run.oids, strict=True):
            client.let_go(value.refs)
            if value.extent is not None:
                client.let_go((oid,))

    def handed_back(self, runs: tuple[m.Run, ...]) -> tuple[int, ...]:
        """Let go of what tasks brought along that go back unstarted; return their ids. Called with the lock held."""
        for run in runs:
            self.let_go(run)
        return tuple(run.task for run in runs)

    def pinned(self, oid: int, extent: m.Extent) -> memoryview:
        """Return an argument in shared memory; what is built on it pins the object."""
        return self.pinned_view(self.client.entries[oid], extent)

    def store_result(self, value: Any, name: str) -> m.Value:
        """Return the message form of a result."""
        return self.store(value, f"the result of {name}")

    @protected
    def settle(self) -> bool:
        """See ``Engine``."""
        running = self.running()
        with self.lock:
            return running is None or self.machine.settle(running)

    # -- where am I

    def context(self) -> Context:
        """Return where the calling code runs."""
        running = self.running()
        actor = self.machine.actor
        base = Context(
            job=self.setup.job or 1, worker=self.client.number, namespace=self.namespace, session=self.session,
            actor=actor.actor if actor else 0, actor_name=actor.name if actor else "",
            incarnation=actor.incarnation if actor else 0, setup=self.setup,
        )  # fmt: skip
        if running is None:
            return base
        spec, placement = self.actor_spec or running.spec, self._placement
        demand = spec.lifetime_demand if spec.kind is AN_ACTOR else spec.demand
        return Context(
            job=base.job, worker=base.worker, namespace=base.namespace, session=base.session, actor=base.actor,
            actor_name=base.actor_name, incarnation=base.incarnation, task=running.run.task,
            task_name=running.spec.name, assigned_resources=amounts(demand), cancelled=running.cancelled,
            setup=self.setup, placement=placement, devices=self.devices, function=self._function(running.spec),
        )  # fmt: skip

    def _function(self, spec: m.Spec) -> str:
        """Return the name of what a call runs, with its module; the names of calls are the caller's choice."""
        if spec.kind is A_METHOD:
            return full_name(type(self.instance), spec.method)
        code = self.code.load(spec.digest)
        return full_name(code) if spec.kind is A_TASK else full_name(code, "__init__")

    def current_actor(self) -> Handle:
        """See ``Engine``."""
        actor = self.machine.actor
        if actor is None:
            return super().current_actor()
        return self._weak(actor.actor), *loads(actor.handle)
