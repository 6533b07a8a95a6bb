"""Does everything that happens on real processes also happen in simulation? If not, one of the two is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from actorgrid.engine import current
from actorgrid.sim.exhaustive import Blocked, prove_program
from actorgrid.sim.faults import Faults, Level
from actorgrid.sim.runner import Program, Run, call, identity_of, quiet_collector
from actorgrid.sim.search import search_named
from actorgrid.sim.subject import program_of

Outcome = tuple[str, str]


@dataclass
class Diff:
    """What came of a program, here and there, and how often."""

    simulated: Counter[Outcome] = field(default_factory=Counter)
    real: Counter[Outcome] = field(default_factory=Counter)
    #: Every schedule there is was simulated, up to those that differ in nothing that matters.
    exhaustive: bool = False

    @property
    def unexplained(self) -> list[Outcome]:
        """What happened on real processes and in no simulated run."""
        return [outcome for outcome in self.real if outcome not in self.simulated]

    @property
    def unseen(self) -> list[Outcome]:
        """What happened in simulation only: rare on real processes, or allowed by the contract and never done here."""
        return [outcome for outcome in self.simulated if outcome not in self.real]


def differential(
    fn: Callable[..., Any], *args: Any, real_runs: int = 20, runs: int = 500, prove_below: int = 0,
    level: Level = "calls", faults: Faults | None = None, **kwargs: Any,
) -> Diff:  # fmt: skip
    """Run ``fn`` in ``runs`` simulated schedules and ``real_runs`` times on real processes; compare what comes of it.

    An outcome is what ``fn`` returns (by ``repr``) or the type of what it raises. ``prove_below``: simulate everything
    instead, if that is less than so many schedules. ``level`` and ``faults`` are those of the simulated runs.
    """
    diff = Diff()
    fn = program_of(fn, args, kwargs, differential)
    program = Program(fn, args, kwargs, faults or Faults(), level=level)

    def note(run: Run) -> None:
        if not isinstance(run.error, Blocked):
            diff.simulated[_outcome_of(run)] += 1

    with quiet_collector():
        if prove_below:
            proof = prove_program(program, seed=0, reduction="dpor", most=prove_below, keep=0, told=note)
            diff.exhaustive = proof.complete
        if not diff.exhaustive:
            _search(program, runs, note)
    for _ in range(real_runs):
        diff.real[_really(fn, args, kwargs)] += 1
    return diff


def _search(program: Program, runs: int, note: Callable[[Run], None]) -> None:
    search = search_named("portfolio", 0)
    for _ in range(runs):
        following = search.next()
        if following is None:
            return
        policy, learn = following
        run = program.run(policy)
        learn(run)
        note(run)
        more = program.holding(run)
        if more is not None:
            program, search = more, search_named("portfolio", 0)


def _outcome_of(run: Run) -> Outcome:
    return ("raised", run.identity[0]) if run.error is not None else ("returned", repr(run.value))


def _really(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Outcome:
    outer, outer_host = current.installed(), current.host()
    current.set_host(current.start_processes)
    current.install(None)
    try:
        return "returned", repr(call(fn, args, kwargs))
    except Exception as error:  # noqa: BLE001  # an outcome like any other
        return "raised", identity_of(error)[0]
    finally:
        engine = current.installed()
        if engine is not None:
            engine.shutdown()
        current.set_host(outer_host)
        current.install(outer)
