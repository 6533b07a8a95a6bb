"""``actorgrid sim run|explore|prove|replay FILE.py::function``."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from actorgrid import sim
from actorgrid.sim import hashing
from actorgrid.sim.report import describe
from actorgrid.sim.subject import name_of


def run_command(asked: argparse.Namespace) -> int:
    """Do what was asked for; return the exit status: 0 nothing failed, 1 something did, 2 bad arguments."""
    try:
        program = load(asked.program)
        if asked.how == "replay":
            return _replay(asked, program)
        faults = faults_of(asked)
        if asked.how == "run":
            return _report(asked, program, sim.run(program, seed=asked.seed, faults=faults, level=asked.level))
        if asked.how == "prove":
            return _prove(asked, program, faults)
        return _explore(asked, program, faults)
    except (OSError, TypeError, ValueError) as error:
        print(f"actorgrid sim: {error}", file=sys.stderr)
        return 2


def hash_as_found(asked: argparse.Namespace) -> None:
    """Start this command again where strings hash as they did for its schedule; without one: as in every other run.

    Nothing if they do already, or if PYTHONHASHSEED says how they are to hash.
    """
    wanted = os.environ.get(hashing.VARIABLE, "0")
    if asked.how == "replay" and asked.schedule:
        with contextlib.suppress(ValueError):  # it is told later
            wanted = str(hashing.seed_of(sim.Schedule.loads(asked.schedule).settings) or wanted)
    if wanted.isdigit() and hashing.hash_seed() != int(wanted) and not sys.flags.ignore_environment:
        sys.stdout.flush()
        os.execve(sys.executable, sys.orig_argv, {**os.environ, hashing.VARIABLE: wanted})  # noqa: S606  # ourselves


@contextmanager
def as_main(module: ModuleType) -> Iterator[None]:
    """Treat a module as ``python FILE.py`` would: no worker imports it, so what its top level runs is run once."""
    import cloudpickle  # only if a program is loaded

    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def load(name: str) -> Callable[..., Any]:
    """Return the function that ``FILE.py::function`` names. Raises ValueError, OSError."""
    file, _, function = name.partition("::")
    path = Path(file)
    if not function:
        raise ValueError(f"{name!r}: write FILE.py::function")
    if not path.is_file():
        raise ValueError(f"there is no file {file!r}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"{file!r} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.parent.resolve()))
    with as_main(module):
        spec.loader.exec_module(module)
    found = getattr(module, function, None)
    if callable(found):
        return found  # type: ignore[no-any-return]  # it is callable
    raise ValueError(f"{file!r} has no function {function!r}")


def faults_of(asked: argparse.Namespace) -> sim.Faults:
    """Return the faults that the options allow. Raises ValueError."""
    points = sim.Faults().kill_points if asked.kill_points is None else frozenset(asked.kill_points.split(","))
    return sim.Faults(
        kill=asked.kill, actors=not asked.tasks_only, kill_points=points, clock_jumps=asked.clock_jumps,
        spawn_errors=asked.spawn_errors, store_full=asked.store_full, spill_errors=asked.spill_errors,
        low_memory=asked.low_memory, head=asked.head, driver=asked.driver,
    )  # fmt: skip


def _prove(asked: argparse.Namespace, program: Callable[..., Any], faults: sim.Faults) -> int:
    show = _Line()
    proof = sim.prove(
        program, reduction=asked.reduction, faults=faults, seed=asked.seed, level=asked.level, progress=show.tell
    )
    show.end()
    if proof.failures:
        told = sim.replay(proof.failures[0].schedule, program)  # a proof tells no stories
        print(_story(asked, program, told), end="\n\n")
    print(proof)
    return 1 if proof.failures else 0


def _explore(asked: argparse.Namespace, program: Callable[..., Any], faults: sim.Faults) -> int:
    show = _Line()
    result = sim.explore(
        program, runs=asked.runs, seconds=asked.seconds, policy=asked.policy, seed=asked.seed, faults=faults,
        level=asked.level, progress=show.tell,
    )  # fmt: skip
    show.end()
    for failure in result.failures:
        print(failure, _again(asked, failure.run), sep="\n", end="\n\n")
    if asked.html and result.failures:
        result.failures[0].save(asked.html)
        print(f"the story with lanes and arrows: {asked.html}")
    print(result)
    return 1 if result.failures else 0


def _replay(asked: argparse.Namespace, program: Callable[..., Any]) -> int:
    if not asked.schedule:
        raise ValueError("replay needs the ag1:... line of a report, or a file that has it")
    source = asked.schedule
    if not asked.real:
        return _report(asked, program, sim.replay(source, program))
    with as_main(sys.modules[program.__module__]):
        real = sim.replay(source, program, real=True)
    for line in real.unenforced:
        print(f"not enforced: {line}")
    for line in real.missing:
        print(f"did not happen: {line}")
    print("on real processes: " + ("the same failure" if real.confirmed and real.error else repr(real.error)))
    return 1 if real.error is not None else 0


def _report(asked: argparse.Namespace, program: Callable[..., Any], run: sim.Run) -> int:
    if run.error is None:
        print(f"{asked.program}: {run.events} events in {run.seconds:.6f} virtual seconds, no failure")
        return 0
    print(_story(asked, program, run))
    return 1


def _story(asked: argparse.Namespace, program: Callable[..., Any], run: sim.Run) -> str:
    return f"{describe(run, call=name_of(program))}\n{_again(asked, run)}"


def _again(asked: argparse.Namespace, run: sim.Run) -> str:
    """Return the command that replays a run."""
    return f"or:         actorgrid sim replay {shlex.quote(asked.program)} {shlex.quote(run.schedule.dumps())}"


class _Line:
    """One line on a terminal that tells how far a search or a proof is."""

    def __init__(self) -> None:
        self._next = 0.0
        self._shown = False

    @property
    def tell(self) -> Callable[[sim.Progress], None] | None:
        """What to call with how far it is; None if nobody is watching."""
        return self._tell if sys.stderr.isatty() else None

    def _tell(self, state: sim.Progress) -> None:
        if state.seconds >= self._next:
            self._next = state.seconds + 0.2  # a person reads five a second at the most
            self._shown = True
            sys.stderr.write(f"\r{state} ")
            sys.stderr.flush()

    def end(self) -> None:
        """Clear the line."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
