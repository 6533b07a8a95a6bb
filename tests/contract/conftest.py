"""The engines, and the grids that the tests run on.

Most tests share one grid per module (fixture ``grid``); a test that needs a grid with options of its own, or dies
with it, asks for ``fresh_grid`` and calls it. Between tests all CPUs must come back.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until

#: Engine -> what ``init`` needs to hear to use it.
ENGINES: dict[str, dict[str, Any]] = {"process": {}, "sim": {"engine": "sim"}}
#: What the modules of these tests import: loaded once, before workers fork.
PRELOAD = ["numpy", "pytest", "psutil"]
CPUS = 2
#: After each message every invariant is checked of so many tasks and objects, and not of more: it takes time.
FEW = 40
#: A test with so many cases has a long list of them.
MANY_CASES = 4

_failed = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether the test itself failed: then its traceback keeps references alive, and that is no leak.

    If it has waited in vain, its report shows what the grid was doing: what is rare is seen once.
    """
    report = yield
    if report.when == "call":
        item.stash[_failed] = report.failed
        if call.excinfo is not None and call.excinfo.errisinstance(TimeoutError):
            report.sections.append(("what the grid was doing", _activity()))
    return report


def _activity() -> str:
    if ag.__name__ != "actorgrid" or not ag.is_initialized():
        return "there is none"
    try:
        from actorgrid.util.state import list_tasks, list_workers

        return "\n".join(
            str(each) for each in [*list_tasks(timeout=5, detail=True), *list_workers(timeout=5, detail=True)]
        )
    except Exception as error:  # noqa: BLE001  # the test has failed already, for another reason
        return f"it does not say: {error!r}"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", "processes(reason): holds on real processes only, and why")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip on the simulator what can only hold on real processes; run the cases of long lists on one engine each."""
    _take_turns(items)
    for item in items:
        marker = item.get_closest_marker("processes")
        engine = item.callspec.params.get("grids") if hasattr(item, "callspec") else ""
        if marker is not None and engine == "sim":
            item.add_marker(pytest.mark.skip(reason=marker.args[0]))


def _take_turns(items: list[pytest.Item]) -> None:
    """Of a test with many cases the first runs on both engines, and the others on one each; the rest is slow."""
    cases: dict[str, dict[str, list[pytest.Item]]] = {}
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec") and "grids" in item.callspec.params:
            engine = str(item.callspec.params["grids"])
            name = item.nodeid.partition("[")[0]
            cases.setdefault(name, {}).setdefault(engine, []).append(item)
    for engines in cases.values():
        for turn, same in enumerate(engines.values()):
            if len(same) >= MANY_CASES and len(engines) > 1:
                for number, item in enumerate(same[1:]):
                    if number % len(engines) != turn:
                        item.add_marker(pytest.mark.slow)


class Grids:
    """The grid of a module, and the others that some of its tests want instead."""

    def __init__(self, engine: str) -> None:
        self.options = ENGINES[engine]
        self.shares = False

    def share(self) -> None:
        """Make the module's grid run."""
        if not (self.shares and ag.is_initialized()):
            self.end()
            ag.init(num_cpus=CPUS, num_gpus=0, preload=PRELOAD, **self.options)
            self.shares = True

    def start(self, **options: Any) -> Any:
        """Replace whatever runs by a grid with these options."""
        self.end()
        return ag.init(**{"preload": PRELOAD} | self.options | options)

    def settle(self) -> bool:
        """Wait until no task runs and no actor holds a CPU."""

        def idle() -> bool:
            gc.collect()  # tracebacks of caught errors are cycles that hold references
            return not ag.is_initialized() or ag.available_resources().get("CPU") == CPUS

        return wait_until(idle)

    def end(self) -> None:
        """Let nothing run."""
        ag.shutdown()
        self.shares = False


@pytest.fixture(scope="module", params=ENGINES)
def grids(request: pytest.FixtureRequest) -> Iterator[Grids]:
    """Return what starts and ends the grids of this module."""
    made = Grids(request.param)
    with strict_simulator() if request.param == "sim" else contextlib.nullcontext():
        yield made
        made.end()


@contextlib.contextmanager
def strict_simulator() -> Iterator[None]:
    """Have every invariant checked in simulated grids, and their pool of workers kept as large as that of real ones.

    (Else a simulated grid keeps no worker that has nothing to do: it is more to search.)
    """
    # Not above: these tests run on other systems, too, which have none of it.
    import msgspec

    from actorgrid.core.head.check import check
    from actorgrid.core.head.machine import Head, HeadConfig
    from actorgrid.sim import grid, session
    from actorgrid.sim.world import World

    def check_if_small(head: Head) -> None:
        if len(head.tasks.table) + len(head.objects.table) <= FEW:
            check(head)

    def keeping(*args: Any, **options: Any) -> HeadConfig:
        return msgspec.structs.replace(HeadConfig(*args, **options), keep_workers=CPUS)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "World", partial(World, checks=True))
        patch.setattr(grid, "check", check_if_small)
        patch.setattr(grid, "HeadConfig", keeping)
        yield


@pytest.fixture
def grid(grids: Grids, request: pytest.FixtureRequest) -> Iterator[None]:
    """Run the test on its module's grid: two logical CPUs, nothing else running."""
    grids.share()
    yield
    if request.node.stash.get(_failed, False):
        grids.end()
    elif not grids.settle():
        left = ag.available_resources()
        grids.end()
        pytest.fail(f"the test is over and its CPUs are not free: {left}")


@pytest.fixture
def fresh_grid(grids: Grids) -> Iterator[Callable[..., Any]]:
    """Return a function with the options of ``init`` that starts a grid for this test alone."""
    yield grids.start
    grids.end()


@pytest.fixture
def no_grid(grids: Grids) -> Iterator[None]:
    """Run the test while no grid runs; end those that it starts."""
    grids.end()
    yield
    grids.end()
