"""``init(engine="sim")``: a world around a program that goes on outside of any ``sim.run``."""

from __future__ import annotations

import random
import secrets
import sys
from typing import TYPE_CHECKING

from actorgrid.sim.choices import Choices, Dull, Policy
from actorgrid.sim.patches import Patches
from actorgrid.sim.policies import RandomWalk
from actorgrid.sim.world import World

if TYPE_CHECKING:
    from actorgrid.engine.definitions import StartConfig
    from actorgrid.sim.host import SimDriver


def start_ambient(config: StartConfig, seed: int | None) -> SimDriver:
    """Start a grid in a world of its own. Without a seed everything takes the dull way."""
    policy: Policy = Dull() if seed is None else RandomWalk(random.Random(seed))  # noqa: S311  # not cryptography
    world = World(Choices(policy), max_events=sys.maxsize, tag=secrets.token_hex(8))
    world.enter()
    patches = Patches(world, seed or 0)
    patches.install()
    engine = world.start(config)

    def end() -> None:
        world.close()
        patches.remove()

    engine.on_shutdown = end
    return engine
