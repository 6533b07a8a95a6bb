"""A run that was found in simulation, played again on real processes.

Between two steps of its own, all that a process can notice of the others is the order in which actors started their
calls. So it is enough that each actor keeps the recorded order; no clock, no global coordination. The head's ``Stage``
holds calls back until it is their turn, and kills whom the recording killed.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from actorgrid.core.messages import Script
from actorgrid.engine import current
from actorgrid.exceptions import ActorGridError, DeadlockError
from actorgrid.sim.runner import Run, call, identity_of

if TYPE_CHECKING:
    from actorgrid.engine.definitions import StartConfig
    from actorgrid.engine.protocol import Engine
    from actorgrid.sim.choices import Choice

#: Every task of a recording must be able to run at the same time as all others.
CPUS: Final = 64
#: Nothing has been said for so many seconds: then a program of which a deadlock was foretold hangs.
QUIET: Final = 3.0
#: How often to look (seconds).
GLANCE: Final = 0.25
#: What takes place on real processes as recorded.
_ENFORCED: Final = frozenset({"call", "kill"})
_ELSE: Final = "only the simulator can decide that"
_UNENFORCED: Final = {
    "time": "a timer fires although others could go on: real clocks go their own way",
    "notice": "a wait() that is over is seen to be over only after this: real processes see it when they see it",
    "ready": "which results a wait() sees is up to the real processes",
    "poll": "a poll sees what is there when it happens to look",
    "jump": "the wall clock of this machine is left alone",
    "start": "a task starts when a process is free for it",
    "turn": "an event loop goes on as soon as it can: whether a call is there by then is up to the machine",
    "aside": "a process is as slow as the machine makes it",
    "late": "a kill or a cancellation arrives when it arrives",
    "lock": "which process gets the lock on a file is up to the system",
    "link": "a message of the runtime overtook another; each actor's calls keep their order all the same",
    "buggify": "buggify() says yes in simulations only",
    "spawn": "the system starts a process whenever it can",
    "store": "the store has the room that it has",
    "spill": "the disk has the room that it has",
    "memory": "memory runs short when it does",
    "kill the driver": "the driver is the process that plays this",
}


@dataclass
class RealRun:
    """What came of playing a recording on real processes."""

    #: The simulated run that was played.
    simulated: Run
    value: Any = None
    error: BaseException | None = None
    #: Decisions of the recording that real processes cannot be made to repeat.
    unenforced: list[str] = field(default_factory=list)
    #: What had not come to pass when it was given up; empty if everything did.
    missing: list[str] = field(default_factory=list)
    #: A deadlock was foretold, and nothing happened any more: it was ended.
    hung: bool = False
    #: It had not ended in the time that it was given: it was ended then, and what it raised is a TimeoutError.
    timed_out: bool = False

    @property
    def identity(self) -> tuple[str, str]:
        """See ``Run.identity``."""
        return identity_of(self.error)

    @property
    def confirmed(self) -> bool:
        """Whether the same came of it as in simulation. A deadlock is one wherever it is noticed first."""
        here, there = self.identity, self.simulated.identity
        return not self.missing and (here == there or here[0] == there[0] == DeadlockError.__name__)

    def __str__(self) -> str:
        what = "the program fails" if self.error is not None else "the program passes"
        if self.error is not None:
            what = "the program hangs" if self.hung else what + ": {} at {}".format(*self.identity)
        what = "the program did not end, and was ended" if self.timed_out else what
        verdict = "as in the simulator" if self.confirmed else "not as in the simulator"
        lines = [f"on real processes {what}, {verdict}"]
        if self.error is not None and not self.confirmed:
            lines.append(f"what it raised: {str(self.error).strip()}")
        lines += [f"not come to pass: {each}" for each in self.missing]
        lines += [f"not enforced: {each}" for each in self.unenforced]
        return "\n".join(lines)


class _Watch:
    """Looks after a grid: ends it if it does not get on, or hangs as it was to hang."""

    def __init__(self, engine: Any, seconds: float, result: RealRun) -> None:
        self._engine = engine
        self._until = time.monotonic() + seconds
        self._result = result
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="actorgrid replay", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        turns, since = -1, time.monotonic()
        while not self._over.wait(GLANCE):
            try:
                state = self._engine.query("missing").body
            except ActorGridError:  # the grid has ended by itself
                return
            now = time.monotonic()
            if state["turns"] != turns:
                turns, since = state["turns"], now
            foretold = isinstance(self._result.simulated.error, DeadlockError) and not state["missing"]
            self._result.hung = foretold and now - since >= QUIET
            if self._result.hung or now > self._until:
                if not self._result.hung:
                    self._result.timed_out = True
                    self._result.missing += state["missing"] or ["the program did not end"]
                self._engine.shutdown()
                return

    def end(self) -> None:
        """The program has ended."""
        self._over.set()
        self._thread.join()


def play_for_real(
    simulated: Run, program: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], timeout: float
) -> RealRun:
    """Play ``simulated`` on real processes. Raises RuntimeError in a process of a grid."""
    current.check_may_start()
    deaths = [kill for kill in simulated.deaths if kill.call or kill.point != "send"]
    script = Script(simulated.orders, deaths)
    result = RealRun(simulated, unenforced=_unenforced(simulated))
    watches: list[_Watch] = []

    def start(config: StartConfig) -> Engine:
        engine = current.start_processes(
            msgspec.structs.replace(config, num_cpus=config.num_cpus or CPUS, script=script)
        )
        watches.append(_Watch(engine, timeout, result))
        return engine

    outer, outer_host = current.installed(), current.host()
    current.set_host(start)
    current.install(None)
    try:
        result.value = call(program, args, kwargs)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001  # it is what the recording ends with
        result.error = error
    finally:
        engine: Any = current.installed()
        for watch in watches:
            watch.end()
        if engine is not None:
            if not (result.confirmed or result.missing):
                with contextlib.suppress(ActorGridError):  # it may have died
                    result.missing += engine.query("missing").body["missing"]
            engine.shutdown()
        current.set_host(outer_host)
        current.install(outer)
    where = result.error.__traceback__ if result.error is not None else None
    if result.timed_out and result.error is not None:  # what it raised is that its grid was ended
        text = f"the program did not end in {timeout:g} s: what was recorded did not come to pass on real processes"
        result.error = TimeoutError(text).with_traceback(where)
    if result.hung:  # and here
        text = f"the program hangs: all calls of the recording have started, and nothing was said for {QUIET:g} s"
        result.error = DeadlockError(text).with_traceback(where)
    return result


def _unenforced(simulated: Run) -> list[str]:
    """Return the steps that real processes cannot be made to repeat, and why."""
    said = []
    for number, step in enumerate(simulated.story):
        why = _why_not(simulated.record[simulated.decided[number]]) if simulated.deviates(number) else ""
        if why or step.kind == "poll":
            said.append(f"at {step.when:.6f} s, {step.what}: {why or _UNENFORCED['poll']}")
    if any(choice.kind == "ready" and not choice.value for choice in simulated.record):
        said.append(f"a wait() that finds more than it asks for, or polls: {_UNENFORCED['ready']}")
    if simulated.drew:
        said.append(f"random numbers, first drawn at {simulated.drew}: real processes draw others")
    said += [
        f"the process of {kill.victim} dies before a value that it puts has left: only submissions can be stopped there"
        for kill in simulated.deaths
        if kill.point == "send" and not kill.call
    ]
    return list(dict.fromkeys(said))


def _why_not(choice: Choice) -> str:
    """Return why a deviation is not enforced; "" if it is."""
    if choice.label in _UNENFORCED:
        return _UNENFORCED[choice.label]
    if choice.kind not in _ENFORCED:
        return _UNENFORCED.get(choice.kind, _ELSE)
    return "" if choice.over in {"", "call", "kill", "time", "poll"} else _UNENFORCED.get(choice.over, _ELSE)
