"""``init(engine="sim")``: a world around a program that goes on outside of any ``sim.run``."""

from __future__ import annotations

import random
import secrets
import sys
import traceback
from asyncio import _get_running_loop
from typing import TYPE_CHECKING

from actorgrid.exceptions import SimulationError
from actorgrid.sim.choices import Choices, Dull, Policy
from actorgrid.sim.patches import Patches
from actorgrid.sim.policies import RandomWalk
from actorgrid.sim.world import World

if TYPE_CHECKING:
    from types import TracebackType

    from actorgrid.engine.definitions import StartConfig
    from actorgrid.sim.engines import SimDriver


def start_ambient(config: StartConfig, seed: int | None) -> SimDriver:
    """Start a grid in a world of its own. Without a seed everything takes the dull way.

    Raises SimulationError inside of a running event loop: that one waits in real time, and would wait for ever.
    """
    if _get_running_loop() is not None:
        raise SimulationError(
            "a simulation cannot start inside of a running event loop, which waits in real time: "
            "call actorgrid.init(engine='sim') before asyncio.run()"
        )
    policy: Policy = Dull() if seed is None else RandomWalk(random.Random(seed))  # noqa: S311  # not cryptography
    world = World(Choices(policy), max_events=sys.maxsize, tag=secrets.token_hex(8))
    world.loud = True
    patches = Patches(world, seed or 0)
    world.enter()
    patches.install()
    engine = world.start(config)
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = show

    def end() -> None:
        world.close()
        patches.remove()
        if sys.excepthook is show:
            sys.excepthook = sys.__excepthook__

    engine.on_shutdown = end
    return engine


def show(kind: type[BaseException], error: BaseException, place: TracebackType | None) -> None:
    """Print an error that ends the program, with its source.

    Before Python 3.13 the interpreter's own hook opens files in a way of its own, which those of a world do not serve.
    """
    traceback.print_exception(kind, error, place)
