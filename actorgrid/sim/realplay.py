"""A run that was found in simulation, played again on real processes.

Between two steps of its own, all that a process can notice of the others is the order in which actors started their
calls. So it is enough that each actor keeps the recorded order; no clock, no global coordination. The head's ``Stage``
holds calls back until it is their turn, and kills whom the recording killed.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from actorgrid.core.messages import Script
from actorgrid.engine import current
from actorgrid.sim.runner import Run, call, identity_of

if TYPE_CHECKING:
    from actorgrid.engine.definitions import StartConfig
    from actorgrid.engine.protocol import Engine

#: Every task of a recording must be able to run at the same time as all others.
CPUS: Final = 64
_UNENFORCED: Final = {
    "time": "a timer fired although others could have gone on",
    "notice": "a wait() saw its results later",
    "ready": "a wait() saw another result first",
    "poll": "a poll came first",
    "start": "a task started before others that had been submitted earlier",
    "aside": "a process was slow",
    "late": "a kill or a cancellation came late",
    "jump": "the wall clock jumped",
    "link": "a message of the runtime overtook another; each actor's calls keep their order all the same",
    "buggify": "buggify() said yes",
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

    @property
    def identity(self) -> tuple[str, str]:
        """See ``Run.identity``."""
        return identity_of(self.error)

    @property
    def confirmed(self) -> bool:
        """Whether the same came of it as in simulation."""
        return not self.missing and self.identity == self.simulated.identity

    def __str__(self) -> str:
        what = "the program fails" if self.error is not None else "the program passes"
        if self.error is not None:
            what += ": {} at {}".format(*self.identity)
        verdict = "as in the simulator" if self.confirmed else "not as in the simulator"
        lines = [f"on real processes {what}, {verdict}"]
        lines += [f"not come to pass: {each}" for each in self.missing]
        lines += [f"not enforced: {each}" for each in self.unenforced]
        return "\n".join(lines)


class _Patience:
    """Ends a grid that does not get on, and remembers what it waited for."""

    def __init__(self, engine: Any, seconds: float, told: list[str]) -> None:
        self._engine = engine
        self._told = told
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def _end(self) -> None:
        self._told += self._engine.query("missing").body["missing"] or ["the program did not end"]
        self._engine.shutdown()

    def cancel(self) -> None:
        """All went well."""
        self._timer.cancel()


def play_for_real(
    simulated: Run, program: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], timeout: float
) -> RealRun:
    """Play ``simulated`` on real processes."""
    deaths = [kill for kill in simulated.deaths if kill.call or kill.point != "send"]
    script = Script(simulated.orders, deaths)
    result = RealRun(simulated, unenforced=_unenforced(simulated))
    watches: list[_Patience] = []

    def start(config: StartConfig) -> Engine:
        engine = current.start_processes(dataclasses.replace(config, num_cpus=config.num_cpus or CPUS, script=script))
        watches.append(_Patience(engine, timeout, result.missing))
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
        engine = current.installed()
        for watch in watches:
            watch.cancel()
        if engine is not None:
            engine.shutdown()
        current.set_host(outer_host)
        current.install(outer)
    return result


def _unenforced(simulated: Run) -> list[str]:
    said = []
    for choice in simulated.record:
        kind = choice.kind if choice.kind != "event" else choice.label.partition(" ")[0]
        if choice.value and choice.kind in _UNENFORCED:
            said.append(f"decision {choice.at}: {_UNENFORCED[choice.kind]} ({choice.label or kind})")
    deviating = {choice.label for choice in simulated.record if choice.value}
    said += [
        f"the process of {kill.victim} dies before a value that it puts has left: only submissions can be stopped there"
        for kill in simulated.deaths
        if kill.point == "send" and not kill.call
    ]
    said += [
        f"at {step.when:.6f} s: {_UNENFORCED[step.kind]} ({step.what})"
        for step in simulated.story
        if step.kind in {"time", "jump", "link", "start", "aside", "late"} and step.what in deviating
    ]
    return list(dict.fromkeys(said))
