"""What simulated code itself calls: properties, faults of its own, a look into actors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from actorgrid.core.head.records import Actor
from actorgrid.engine import current
from actorgrid.exceptions import SimulationError
from actorgrid.sim.footprint import ALL
from actorgrid.sim.host import SimHost
from actorgrid.sim.world import World


def _world() -> World:
    engine: object = current.installed()
    if isinstance(engine, SimHost):
        return engine.world
    owner: object = getattr(current.host(), "__self__", None)  # no grid yet: what will start one is the world's method
    if isinstance(owner, World):
        return owner
    raise SimulationError("this is for simulated programs: run it with actorgrid.sim.run, explore, prove or test")


def settle() -> None:
    """Wait until everything has come to rest, whatever breaks on the way; once it has, nothing breaks any more.

    That holds for ``Faults`` and for ``buggify``, which is not endless on the way either. What was submitted just
    before has yet to run, and does not run in a world that is safer than the one that it was written for.

    Raises AssertionError for an ``eventually`` that does not hold then.
    """
    _world().settle()


def peek(actor: Any) -> Any:
    """Return the object behind a handle, to look at and not to change. Raises SimulationError if there is none."""
    world = _world()
    world.touch(ALL)
    assert world.grid is not None
    record = world.grid.head.objects.table.get(actor._ref.ident)  # noqa: SLF001  # handles are ours
    worker = world.grid.workers.get(record.worker.number) if isinstance(record, Actor) and record.worker else None
    if worker is None or worker.engine.instance is None:
        raise SimulationError("there is nothing behind this handle now: the actor is dead, or not yet constructed")
    return worker.engine.instance


def always(name: str, holds: Callable[[], Any]) -> None:
    """From now on ``holds()`` must be true after every event. It may ``peek``, and not wait."""
    _world().promises.always.append((name, holds))


def eventually(name: str, holds: Callable[[], Any], within: float | None = None) -> None:
    """``holds()`` must be true once everything has come to rest: after ``settle()``, or at the end of the program.

    ``within``: already so many virtual seconds after ``settle()`` began, or after the last thing broke if that was
    later, if rest takes longer than that. ``holds`` may ``peek``, and not wait.
    """
    _world().promises.eventually.append((name, holds, within))


def sometimes(name: str, holds: Any = True) -> None:
    """Note that ``holds`` is true at times. ``Exploration.never`` lists the names for which it never was in any run."""
    reached = _world().promises.reached
    reached[name] = reached.get(name, False) or bool(holds)


def buggify(label: str) -> bool:
    """Return whether something odd that is allowed to happen happens here: the search decides.

    Once ``settle()`` has begun it happens to each task, to each actor and to the program once more at the most, so that
    who tries again comes to an end, as with ``Faults``, which are counted.
    """
    return _world().harm.is_odd(label)
