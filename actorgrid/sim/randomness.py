"""Random numbers that follow the seed, for each simulated process apart."""

from __future__ import annotations

import hashlib
import random
import string
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from actorgrid.sim import replaced
from actorgrid.sim.places import user_site

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
        self._names: dict[int, random.Random] = {}
        self._of_numpy: dict[int, Any] = {}
        self._numpy_state: Any = None

    def _pid(self) -> int:
        fiber = self._world.fibers.current
        return fiber.home.pid if fiber is not None and fiber.home is not None else 0

    def _derived(self, purpose: str = "") -> int:
        """Return the seed of the process whose code runs."""
        text = f"{self._seed}:{self._pid()}{purpose}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")

    def _noticed(self) -> None:
        """Remember where the program first drew a number, if its story is to be told."""
        if self._world.story is not None and not self._world.drew:
            self._world.drew = user_site()

    def generator(self) -> random.Random:
        """Return the generator of the process whose code runs."""
        self._noticed()
        pid = self._pid()
        found = self._generators.get(pid)
        if found is None:
            found = self._generators[pid] = random.Random(self._derived())  # noqa: S311  # meant to be reproducible
        return found

    @contextmanager
    def unused(self) -> Iterator[None]:
        """What is drawn in the block has not been drawn afterwards."""
        generator = self.generator()
        state = generator.getstate()
        try:
            yield
        finally:
            generator.setstate(state)

    def function(self, name: str) -> Callable[..., Any]:
        """Return what stands for ``random.<name>``."""

        def draw(*args: Any, **kwargs: Any) -> Any:
            return getattr(self.generator(), name)(*args, **kwargs)

        return draw

    def urandom(self, size: int) -> bytes:
        """Stand for ``os.urandom``."""
        return self.generator().randbytes(size)

    def reseed(self, generator: random.Random, a: Any = None, version: int = 2) -> None:
        """Stand for ``random.Random.seed``: without a seed it would ask the operating system."""
        real_seed(generator, self.generator().getrandbits(64) if a is None else a, version)

    def names(self) -> Iterator[str]:
        """Stand for ``tempfile._get_candidate_names``. Names of files do not use up the program's random numbers."""
        generator = self._names.setdefault(self._pid(), random.Random(self._derived("names")))  # noqa: S311  # see above
        while True:
            yield "".join(generator.choices(string.ascii_lowercase + string.digits, k=8))

    def numpy(self, name: str) -> Callable[..., Any]:
        """Return what stands for ``numpy.random.<name>``, a function that draws from its hidden generator."""

        def draw(*args: Any, **kwargs: Any) -> Any:
            self._noticed()
            pid = self._pid()
            if pid not in self._of_numpy:
                made = sys.modules["numpy.random"].RandomState
                self._of_numpy[pid] = made(self._derived("numpy") & 0xFFFFFFFF)
            return getattr(self._of_numpy[pid], name)(*args, **kwargs)

        return draw

    def seed_numpy(self) -> None:
        """Have the hidden generator itself, if it is there, follow the seed: somebody may have kept functions of it."""
        numpy_random = sys.modules.get("numpy.random")
        if self._numpy_state is None and hasattr(numpy_random, "RandomState"):
            self._numpy_state = replaced.real(numpy_random, "get_state")()
            replaced.real(numpy_random, "seed")(self._seed & 0xFFFFFFFF)

    def restore_numpy(self) -> None:
        """Put numpy's generator back."""
        if self._numpy_state is not None:
            replaced.real(sys.modules["numpy.random"], "set_state")(self._numpy_state)


real_seed: Final = random.Random.seed
