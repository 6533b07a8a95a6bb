"""Does everything that happens on real processes also happen in simulation? If not, one of the two is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from actorgrid.engine import current
from actorgrid.sim.runner import Program, Run, call, identity_of, quiet_collector
from actorgrid.sim.search import policies, search_named

Outcome = tuple[str, str]


@dataclass
class Diff:
    """What came of a program, here and there, and how often."""

    simulated: Counter[Outcome] = field(default_factory=Counter)
    real: Counter[Outcome] = field(default_factory=Counter)

    @property
    def unexplained(self) -> list[Outcome]:
        """What happened on real processes and in no simulated run."""
        return [outcome for outcome in self.real if outcome not in self.simulated]

    @property
    def unseen(self) -> list[Outcome]:
        """What happened in simulation only: rare on real processes, or allowed by the contract and never done here."""
        return [outcome for outcome in self.simulated if outcome not in self.real]


def differential(fn: Callable[..., Any], *args: Any, real_runs: int = 20, runs: int = 500, **kwargs: Any) -> Diff:
    """Run ``fn`` in ``runs`` simulated schedules and ``real_runs`` times on real processes; compare what comes of it.

    An outcome is what ``fn`` returns (by ``repr``) or the type of what it raises.
    """
    diff = Diff()
    program = Program(fn, args, kwargs)
    with quiet_collector():
        for policy, learn in policies(search_named("portfolio", 0), runs):
            run = program.run(policy)
            learn(run)
            diff.simulated[_outcome_of(run)] += 1
    for _ in range(real_runs):
        diff.real[_really(fn, args, kwargs)] += 1
    return diff


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
