"""Programs of the world without processes: what a body does, step by step, so that Hypothesis can make them up."""

from __future__ import annotations

from dataclasses import dataclass

from actorgrid.core.resources import demand

#: The setup that always fails.
BAD = b"bad"
ONE_CPU = demand({"CPU": 1})
#: Concurrency groups of some actors.
GROUPS = (("", 1), ("g", 2))
#: (timeout, run_timeout) of those that have a deadline; a step takes a millisecond.
LIMITS = ((0.02, 0.0), (0.0, 0.01), (0.03, 0.02))


@dataclass(frozen=True)
class Step:
    """One thing that a body does.

    ``task``: submit ``script`` with retries ``a``; ``b`` & 3 is 0: no arguments, 1: a local reference as an argument,
    2: inside an argument, 3: none, and a deadline; ``b`` & 4: with a setup, which fails if ``a`` is 3; ``n``
    results (of three, the first is there although it raises). ``put``: a value, of the weight ``a`` % 3.
    ``get``: wait for local reference ``a``. ``drop``: forget it. ``cancel``: cancel it (``b`` & 1: force, ``b`` & 2:
    recursive). ``actor``: create one (``a`` restarts, ``b`` 1: concurrent; ``a`` 3: with a setup). ``call``: call actor
    ``a``, whose method runs ``script``, with ``b`` & 1 retries (``b`` & 2: an argument, ``b`` & 4: a deadline).
    ``kill``: kill actor ``a`` (``b``: no restart). ``lose``: drop the handle of actor ``a``. ``raise``, ``retry``
    (raise something retryable), ``crash``: the end.

    ``stream``: run ``script`` as a generator with ``a`` retries, ``b`` & 3 says how far it may be ahead (``b`` & 4: as
    a method of an actor, as far as it likes). ``yield``: an item, which mentions a local reference. ``next``: read
    stream ``a``, ``drain``: to its end. ``leave``: read no more of it (``b``: but keep its end). ``halt``: cancel it.
    """

    what: str
    a: int = 0
    b: int = 0
    script: tuple[Step, ...] = ()
    n: int = 1


Script = tuple[Step, ...]
