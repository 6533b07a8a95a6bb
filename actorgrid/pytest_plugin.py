"""The pytest plugin: fixtures for simulated grids, real grids and command lines, a leak checker, options.

pytest imports this module in every run of every environment that has actorgrid installed. So it imports nothing of
the package; fixtures import what they use when they are used.
"""

from __future__ import annotations

import inspect
import os
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from actorgrid.sim.world import World
    from actorgrid.testing.commands import Command
    from actorgrid.testing.processes import RealGrid, SessionGrid

#: A coroutine function that uses one of these is run by us; every other one belongs to somebody else.
GRIDS: Final = frozenset({"grid", "session_grid", "sim_grid"})

_passed: Final = pytest.StashKey[bool]()
_drawn: Final = pytest.StashKey[tuple[int, int]]()
#: The world of ``sim_grid``, and its seed.
_simulated: Final = pytest.StashKey["tuple[World, int]"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of simulated tests (``actorgrid.sim.test``), and the one of the leak checker."""
    group = parser.getgroup("actorgrid", "simulated tests")
    group.addoption("--actorgrid-seed", type=int, metavar="N", help="the seed of random schedules and numbers")
    group.addoption("--actorgrid-runs", type=int, metavar="N", help="how many schedules each test tries")
    group.addoption(
        "--actorgrid-replay", metavar="ag1:...", help="run each test, and each world() in one, with this schedule"
    )
    parser.addini("actorgrid_leaks", "check that no test leaves anything behind", type="bool", default=False)
    parser.addini("actorgrid_hash_seed", "start pytest again with this PYTHONHASHSEED, if none is set", default="")
    parser.addini("actorgrid_patience", "how long what is about to end may take (seconds)", default="5")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and hand on the options by environment, where ``sim.test`` looks for them."""
    seed, schedule = config.getini("actorgrid_hash_seed"), config.getoption("--actorgrid-replay")
    if seed or schedule:
        from actorgrid.testing.restart import hash_as

        hash_as(config, seed, schedule)
    for name in ("seed", "runs", "replay"):
        value = config.getoption(f"--actorgrid-{name}")
        if value is not None:
            os.environ[f"ACTORGRID_SIM_{name.upper()}"] = str(value)
    config.addinivalue_line("markers", "actorgrid(**options): options of actorgrid.init for the fixture `grid`")
    config.addinivalue_line("markers", "slow: the test takes more than a few seconds")
    if config.getini("actorgrid_leaks"):
        config.pluginmanager.register(_EveryTest(), "actorgrid_leaks")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember whether the test itself came to its end: a failed one leaves things behind for a reason.

    Also whether Hypothesis has tried every schedule of it: the summary says so. What fails in the world of ``sim_grid``
    tells the line that replays it.
    """
    if call.excinfo is not None and _simulated in item.stash:
        error = call.excinfo.value
        if not isinstance(error, pytest.skip.Exception | KeyboardInterrupt):
            from actorgrid.sim.property_based import tell

            tell(error, *item.stash[_simulated], item.nodeid)
    report = yield
    if call.when == "setup":
        item.stash[_drawn] = _schedules_drawn()
    elif call.when == "call":
        item.stash[_passed] = not report.failed
        told = getattr(item, "hypothesis_statistics", "")
        before, now = item.stash[_drawn], _schedules_drawn()
        partial = now[1] > before[1]
        if report.passed and "Stopped because nothing left to do" in told and now[0] > before[0]:
            report.user_properties.append(("actorgrid", "partial" if partial else "exhaustive"))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Of the worlds that a Hypothesis test opens, one for each test case, each leaves to the next what it can use."""
    runner: Any = sys.modules.get("actorgrid.sim.runner")
    if runner is None or not getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
        return (yield)
    with runner.one_after_the_other():
        return (yield)


def _schedules_drawn() -> tuple[int, int]:
    """Return how many schedules Hypothesis has drawn in this process, and of how many that are not all there are."""
    module: Any = sys.modules.get("actorgrid.sim.property_based")
    return (0, 0) if module is None else (module.Drawn.made, module.Drawn.partial)


#: What the summary says of a test for which Hypothesis had nothing left to draw.
_VERDICTS: Final = {
    "exhaustive": "exhaustive: {}: every input and every schedule there is was tried",
    "partial": "not exhaustive: {}: it can tell when tasks start, and only world(starts=True) has every schedule then",
}


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say of which tests every schedule was tried."""
    for report in terminalreporter.stats.get("passed", []):
        for name, verdict in getattr(report, "user_properties", ()):
            if name == "actorgrid" and verdict in _VERDICTS:
                terminalreporter.write_line(_VERDICTS[verdict].format(report.nodeid))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an ``async def`` test that uses one of our grids: with ``sim_grid`` on the simulated event loop."""
    function = pyfuncitem.obj
    if not inspect.iscoroutinefunction(function) or GRIDS.isdisjoint(pyfuncitem.fixturenames):
        return None
    import asyncio

    # As pytest does itself: what the test names, not all that it uses.
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}  # noqa: SLF001  # see above
    # In a simulation this is the simulated loop. Else it is a real one, and ours to close.
    asyncio.run(function(**arguments))
    return True


def _patience(request: pytest.FixtureRequest) -> float:
    return float(request.config.getini("actorgrid_patience"))


# -------------------------------------------------------------------------------------------------- grids


@pytest.fixture
def sim_grid(request: pytest.FixtureRequest) -> Iterator[World]:
    """Run the test inside of a simulation; an ``async def`` test, too, on virtual time.

    The value is the world. All its parts can be looked at: ``head``, ``workers``, ``drivers``, ``clients``, ``clock``.
    What fails has a note with the line that replays the schedule.
    """
    from actorgrid import sim

    seed = int(os.environ.get("ACTORGRID_SIM_SEED") or 0)
    with sim.world(seed=seed) as world:
        request.node.stash[_simulated] = world, seed
        yield world


@pytest.fixture
def grid(request: pytest.FixtureRequest) -> Iterator[RealGrid]:
    """Run the test on a grid of its own: real processes, two logical CPUs, gone when the test ends.

    The value has ``head``, ``launcher`` and ``workers``: handles with ``pid``, ``alive``, ``kill()`` and
    ``terminate()``. ``@pytest.mark.actorgrid(num_cpus=4)`` gives other options to ``init``. A grid that an earlier
    test started and left is ended first.
    """
    import actorgrid
    from actorgrid.testing.processes import CPUS, RealGrid

    options: dict[str, Any] = {"num_cpus": CPUS}
    for marker in reversed(list(request.node.iter_markers("actorgrid"))):  # the closest one last: it rules
        options |= marker.kwargs
    actorgrid.shutdown()
    actorgrid.init(engine="process", **options)
    try:
        yield RealGrid()
    finally:
        actorgrid.shutdown()


@pytest.fixture(scope="session")
def _actorgrid_session(request: pytest.FixtureRequest) -> Iterator[SessionGrid]:
    """Keep the grid of the session; ``session_grid`` starts it."""
    from actorgrid.testing.processes import SessionGrid

    keeper = SessionGrid(_patience(request))
    try:
        yield keeper
    finally:
        keeper.end()


@pytest.fixture
def session_grid(_actorgrid_session: SessionGrid) -> RealGrid:
    """Run the test on the one grid of this session: real processes, two logical CPUs. The value is that of ``grid``.

    It is alive and idle when the test begins: if a test before has killed it, or still uses resources, it is replaced.
    """
    return _actorgrid_session.use()


# ------------------------------------------------------------------------------------------- command lines


@pytest.fixture
def popen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Command]]:
    """Return a function that starts a command line with captured output: ``popen("actorgrid", "demo", env={...})``.

    At the end of the test it must be gone, with all that it has started; what is not is killed, and the test fails.
    """
    from actorgrid.testing.commands import Command

    started: list[Command] = []

    def start(*words: str | os.PathLike[str], **options: Any) -> Command:
        started.append(Command(tmp_path_factory.mktemp("popen"), *words, **options))
        return started[-1]

    yield start
    passed = request.node.stash.get(_passed, False)
    troubles = []
    for command in started:
        try:
            # A test that has failed has not come to the end of its commands: no need to wait for that.
            command.close(_patience(request) if passed else 0.0)
        except AssertionError as error:
            troubles.append(str(error))
    if troubles and passed:
        pytest.fail("\n".join(troubles), pytrace=False)


# --------------------------------------------------------------------------------------------------- leaks


def _no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    from actorgrid.testing.leaks import Snapshot

    if "session_grid" in request.fixturenames:
        request.getfixturevalue("session_grid")  # it stays, so it must be there before
    before = Snapshot.take()
    yield
    if request.node.stash.get(_passed, False):
        try:
            before.check(_patience(request))
        except AssertionError as error:
            pytest.fail(str(error), pytrace=False)


@pytest.fixture
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """See that the test leaves no process, thread, descriptor, shared memory or temporary file of ours behind.

    It compares what is there before and after, waits for what is about to end, and kills nothing. Name it before the
    fixtures whose traces it shall see. With ``actorgrid_leaks = true`` in pytest's configuration every test is checked.
    """
    yield from _no_leaks(request)


class _EveryTest:
    """A plugin that is only there if asked for: an idle autouse fixture would show up in everybody's tests."""

    @pytest.fixture(autouse=True)
    def _actorgrid_leaks(self, request: pytest.FixtureRequest) -> Iterator[None]:
        yield from _no_leaks(request)
