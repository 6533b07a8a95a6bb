"""Random numbers that follow the seed, for each simulated process apart."""

from __future__ import annotations

import hashlib
import random
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from actorgrid.sim.world import World

#: The functions of module ``random`` that draw from its hidden generator.
FUNCTIONS: Final = (
    "betavariate", "binomialvariate", "choice", "choices", "expovariate", "gammavariate", "gauss", "getrandbits",
    "getstate", "lognormvariate", "normalvariate", "paretovariate", "randbytes", "randint", "random", "randrange",
    "sample", "seed", "setstate", "shuffle", "triangular", "uniform", "vonmisesvariate", "weibullvariate",
)  # fmt: skip


class Randomness:
    """The generators of one world."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._seed = seed
        self._generators: dict[int, random.Random] = {}
        self._numpy_state: Any = None

    def generator(self) -> random.Random:
        """Return the generator of the process whose code runs."""
        fiber = self._world.fibers.current
        pid = fiber.home.pid if fiber is not None and fiber.home is not None else 0
        found = self._generators.get(pid)
        if found is None:
            digest = hashlib.blake2b(f"{self._seed}:{pid}".encode(), digest_size=8).digest()
            found = self._generators[pid] = random.Random(int.from_bytes(digest, "little"))  # noqa: S311  # meant to be reproducible
        return found

    def urandom(self, size: int) -> bytes:
        """Stand for ``os.urandom``."""
        return self.generator().randbytes(size)

    def reseed(self, generator: random.Random, a: Any = None, version: int = 2) -> None:
        """Stand for ``random.Random.seed``: without a seed it would ask the operating system."""
        real_seed(generator, self.generator().getrandbits(64) if a is None else a, version)

    def seed_numpy(self) -> None:
        """Have numpy's hidden generator follow the seed: one for all processes."""
        numpy_random = sys.modules.get("numpy.random")
        if numpy_random is not None:
            self._numpy_state = numpy_random.get_state()
            numpy_random.seed(self._seed & 0xFFFFFFFF)

    def restore_numpy(self) -> None:
        """Put numpy's generator back."""
        if self._numpy_state is not None:
            sys.modules["numpy.random"].set_state(self._numpy_state)


real_seed: Final = random.Random.seed
