"""What ``prove`` leaves out makes no difference to programs that cancel, kill, look for names, wait, read streams, etc.

What arrives late reaches whoever does something else by then: a wrong claim that nothing fails comes of these first.
"""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.sim.exhaustive import prove_program
from actorgrid.sim.faults import Faults
from actorgrid.sim.policies import RandomWalk
from actorgrid.sim.runner import Program, Run, quiet_collector
from actorgrid.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from tests.thinning import one_in

pytestmark = pytest.mark.search

MOST = 200
WALKS = 50


class _Sum:
    """A value that is added to; an object that is cancelled on its way is not added."""

    def __init__(self) -> None:
        self.value = 0

    def add(self, n: int) -> int:
        self.value += n
        return self.value

    def add_by(self, other: Any, n: int) -> int:
        """Add what another one has after this."""
        self.value += ag.get(other.add.remote(n))
        return self.value

    def get(self) -> int:
        return self.value


@ag.remote
class Sum(_Sum):
    """One that is gone when it is killed."""


@ag.remote
class AsyncSum:
    """The same, and others may come in between."""

    def __init__(self) -> None:
        self.value = 0

    async def add(self, n: int) -> int:
        self.value += n
        return self.value

    async def add_by(self, other: Any, n: int) -> int:
        value = self.value
        self.value = value + await other.add.remote(n)
        return self.value

    async def get(self) -> int:
        return self.value


def said(ref: Any) -> Any:
    """Return what came of it: a value, or what kind of error."""
    try:
        return ag.get(ref)
    except Exception as error:  # noqa: BLE001  # which one is the outcome
        return type(error).__name__


@ag.remote(max_restarts=1)
class Returning(_Sum):
    """The same, and comes back with nothing when it is killed."""


@ag.remote(max_restarts=1, max_task_retries=1)
class Trying(_Sum):
    """The same, and is asked once more what it has not answered."""


@ag.remote(max_concurrency=2)
class Threaded(_Sum):
    """The same, with two threads."""


@ag.remote
def child(acts: list[tuple[str, int]], sums: list[Any]) -> list[Any]:
    return perform(acts, sums, [])


@ag.remote(max_retries=0, num_returns="streaming")
def items(there: Any) -> Any:
    """Yield what is there, and once more."""
    yield ag.get(there.add.remote(1))
    yield ag.get(there.add.remote(1))


@ag.remote(max_retries=0)
def sleeps(there: Any) -> int:
    time.sleep(1)
    return int(ag.get(there.add.remote(1)))


@ag.remote(max_retries=1, retry_exceptions=True)
def tries(there: Any) -> int:
    """Do not take what is odd at the first try."""
    value = int(ag.get(there.add.remote(1)))
    if value % 2:
        raise ValueError(value)
    return value


@ag.remote(max_retries=0)
def passes_on(value: Any, there: Any) -> Any:
    """Run when something else is there."""
    return ag.get(there.add.remote(1)), value


class Grouped:
    """A placement group, and a task in it."""

    def __init__(self, there: Any) -> None:
        self.group = ag.util.placement_group([{"CPU": 1}])
        where = PlacementGroupSchedulingStrategy(self.group)
        self.ref = sleeps.options(scheduling_strategy=where).remote(there)

    def remove(self) -> None:
        """End what runs in it."""
        ag.util.remove_placement_group(self.group)


def perform(acts: list[tuple[str, int]], sums: list[Any], refs: list[Any]) -> list[Any]:
    """Do one thing after the other; return what was seen."""
    seen: list[Any] = []
    held: dict[str, list[Any]] = {"stream": [], "group": []}
    for act, index in acts:
        if act in MAKES:
            kind, make = MAKES[act]
            held[kind].append(make(sums[index % len(sums)]))
            refs += [each.ref for each in held["group"] if each.ref not in refs]
        elif act in USES:
            kind, use = USES[act]
            seen += [(act, use(each)) for each in held[kind][-1:]]
        elif act in SENDS:
            refs.append(SENDS[act](sums, index))
        elif act in SEES:
            seen.append(SEES[act](sums[index % len(sums)], index))
        elif act in {"wait", "wait2"} and refs:
            ready, _ = ag.wait(refs, num_returns=min(len(refs), 1 + (act == "wait2")))
            seen.append([refs.index(each) for each in ready])
        elif act == "after" and refs:
            refs.append(passes_on.remote(refs[index % len(refs)], sums[index % len(sums)]))
        elif refs:
            seen.append(ENDS[act](refs[index % len(refs)]))
    return seen


def named(index: int) -> str:
    """Make an actor of a name, or look for it."""
    try:
        if index:
            return str(ag.get(Sum.options(name="it").remote().add.remote(1)))
        return str(ag.get(ag.get_actor("it").add.remote(1)))
    except Exception as error:  # noqa: BLE001  # see above
        return type(error).__name__


def by_another(sums: list[Any], index: int) -> Any:
    there, other = sums[index % len(sums)], sums[-1 - index % len(sums)]
    return there.get.remote() if len(sums) == 1 else there.add_by.remote(other, 100)


#: Acts that send something off: (actors, number) -> its reference.
SENDS: dict[str, Callable[..., Any]] = {
    "throw": lambda sums, index: sums[index % len(sums)].add.remote(10),
    "by": by_another,
    "task": lambda sums, index: child.remote([("add", index)], sums),
    "tasks": lambda sums, index: child.remote([("task", index), ("said", 0)], sums),
    "sleeps": lambda sums, index: sleeps.remote(sums[index % len(sums)]),
    "tries": lambda sums, index: tries.remote(sums[index % len(sums)]),
    "stops": lambda sums, index: child.remote([("stop", index)], sums),
}


def take(stream: Any) -> Any:
    """Return the next item, or how the stream ends."""
    try:
        return ag.get(next(stream))
    except StopIteration:
        return "end"
    except Exception as error:  # noqa: BLE001  # see above
        return type(error).__name__


def whatever(act: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same act that returns what kind of error it raises."""

    def tried(*args: Any) -> Any:
        try:
            return act(*args)
        except Exception as error:  # noqa: BLE001  # see above
            return type(error).__name__

    return tried


#: Acts that make something else to be used, and of what kind it is.
MAKES: dict[str, tuple[str, Callable[..., Any]]] = {
    "stream": ("stream", items.remote),
    "group": ("group", Grouped),
}
#: Acts with the last thing of a kind: -> what was seen.
USES: dict[str, tuple[str, Callable[..., Any]]] = {
    "take": ("stream", take),
    "ready": ("stream", lambda stream: stream.next_ready()),
    "close": ("stream", lambda stream: stream.close()),
    "completed": ("stream", lambda stream: said(stream.completed())),
    "remove": ("group", lambda group: group.remove()),
}
#: Acts with an actor, or a number: -> what was seen.
SEES: dict[str, Callable[..., Any]] = {
    "add": lambda there, index: ag.get(there.add.remote(1)),
    "kill": lambda there, index: ag.kill(there),
    "name": lambda there, index: named(index),
    "stop": lambda there, index: ag.kill(there, no_restart=False),
}
#: Acts with what was sent off.
ENDS: dict[str, Callable[..., Any]] = {
    "cancel": ag.cancel,
    "alone": lambda ref: ag.cancel(ref, recursive=False),
    "look": lambda ref: len(ag.wait([ref], timeout=0)[0]),
    "said": said,
    "force": whatever(lambda ref: ag.cancel(ref, force=True)),
    "patience": whatever(lambda ref: ag.get(ref, timeout=1)),
    "within": lambda ref: len(ag.wait([ref], timeout=1)[0]),
    "future": lambda ref: ref.future().done(),
}
DEADLY = ("cancel", "cancel", "alone", "kill")
ACTS = ("throw", "by", "task", "tasks", *DEADLY, "add", "name", "look", "wait", "said")
#: What else programs do.
MORE = (
    "force", "force", "patience", "within", "future", "stop", "stops", "sleeps", "tries", "after", "wait2", *MAKES,
    "take", "take", "ready", "close", "completed", "remove",
)  # fmt: skip


def program(kind: Any, count: int, acts: list[tuple[str, int]]) -> Any:
    sums = [kind.remote() for _ in range(count)]
    refs: list[Any] = []
    seen = perform(acts, sums, refs)
    return seen, [said(ref) for ref in refs], [said(each.get.remote()) for each in sums]


def outcome(run: Run) -> str:
    return repr(run.value) if run.error is None else repr(run.identity)


def outcomes(what: Program, reduction: str, most: int = MOST) -> tuple[set[str], bool]:
    """Return what the program can end with, as far as that was tried, and whether that is everything."""
    found: set[str] = set()

    def told(run: Run) -> None:
        if type(run.error).__name__ != "Blocked":
            found.add(outcome(run))

    with quiet_collector():
        proof = prove_program(what, seed=0, reduction=reduction, most=most, keep=0, told=told)
    return found, proof.complete


def sampled(what: Program, seed: int) -> set[str]:
    """Return what the program ended with on some random schedules, with everything held back that a proof holds."""
    found: set[str] = set()
    with quiet_collector():
        for number in range(WALKS):
            run = what.run(RandomWalk(random.Random(seed * WALKS + number)))
            found.add(outcome(run))
            what = what.holding(run) or what
    return found


def compare(function: Callable[..., Any], *args: Any, faults: Faults | None = None) -> set[str]:
    """Nothing is lost by leaving out, as far as everything can be tried. Returns what the program can end with."""
    what = Program(function, args, faults=faults or Faults())
    dpor, complete = outcomes(what, "dpor", most=4 * MOST)
    compared = complete
    if complete:
        assert sampled(what, 0) <= dpor
    for reduction in ("sleep", "none"):
        everything, every = outcomes(what, reduction)
        assert not complete or everything <= dpor, reduction
        assert not every or dpor <= everything, reduction
        compared = compared or every
    if not compared:
        pytest.skip("the program has more schedules than are tried here, so there is nothing to compare")
    return dpor if complete else set()


def drawn(seed: int) -> tuple[Any, int, list[tuple[str, int]]]:
    rng = random.Random(seed)
    kind = rng.choice([Sum, Sum, AsyncSum])
    acts = [(rng.choice(ACTS[:4]), rng.randrange(2))]
    acts += [(rng.choice(ACTS), rng.randrange(2)) for _ in range(rng.randint(0, 2))]
    acts.insert(rng.randint(1, len(acts)), (rng.choice(DEADLY), rng.randrange(2)))
    return kind, rng.randint(1, 2), acts


def drawn_of_more(seed: int) -> tuple[Any, int, list[tuple[str, int]]]:
    rng = random.Random(seed)
    kind = rng.choice([Sum, AsyncSum, Returning, Returning, Threaded])
    acts = [(rng.choice([*SENDS, *MAKES]), rng.randrange(2))]
    acts += [(rng.choice(MORE if rng.random() < 0.7 else ACTS), rng.randrange(2)) for _ in range(rng.randint(1, 3))]
    count = rng.randint(1, 2)
    if kind is Returning and rng.random() < 0.5:
        kind = Trying
    return kind, count, acts


# ------------------------------------------------------------------------------------------------------ what was missed


@ag.remote(max_retries=3)
def adds(there: Any) -> None:
    ag.get(there.add.remote(1))


def cancelled_from_above() -> tuple[str, int]:
    """The cancellation reaches the call before the task, and strikes the one only when the other has ended."""
    there = Sum.remote()
    ref = adds.remote(there)
    ag.cancel(ref)
    return str(said(ref)), ag.get(there.get.remote())


def test_proof_sees_call_that_starts_before_its_cancellation_arrives() -> None:
    found, complete = outcomes(Program(cancelled_from_above), "dpor")
    assert complete
    assert repr(("TaskError(TaskCancelledError)", 1)) in found
    compare(cancelled_from_above)


def late_for_one_of_two() -> tuple[Any, ...]:
    """A task is cancelled by itself: what it has called goes on, or was never called."""
    one, other = Sum.remote(), Sum.remote()
    ref = one.add_by.remote(other, 1)
    ag.cancel(ref, recursive=False)
    return said(ref), ag.get(one.get.remote()), ag.get(other.get.remote())


def named_against_cancelled() -> tuple[Any, ...]:
    """A call that is cancelled, and who makes an actor of the same name."""
    ref = makes_named.remote()
    ag.cancel(ref)
    return named(1), said(ref)


@ag.remote
def makes_named() -> str:
    return named(1)


def killed_or_cancelled() -> tuple[Any, ...]:
    """One actor, a call that is cancelled, and a kill."""
    there = Sum.remote()
    refs = [there.add.remote(1), there.add.remote(2)]
    ag.cancel(refs[1])
    ag.kill(there)
    return tuple(said(ref) for ref in refs)


def cancelled_and_waited_for() -> tuple[Any, ...]:
    """Which of two ends first, when one may be cancelled."""
    there = Sum.remote()
    refs = [adds.remote(there), there.add.remote(10)]
    ag.cancel(refs[0])
    first, _ = ag.wait(refs)
    return refs.index(first[0]), [said(ref) for ref in refs]


def tried_again_or_cancelled() -> tuple[Any, ...]:
    """A task that is to run once more is cancelled before that, or while it does, or not at all."""
    there = Sum.remote()
    ref = tries.remote(there)
    ag.cancel(ref, recursive=False)
    return said(ref), ag.get(there.get.remote())


@ag.remote
class Source(_Sum):
    """The same, and can be read."""

    def items(self) -> Any:
        self.value += 1
        yield self.value


def let_go_of_after_two_others() -> Any:
    """Nobody reads the stream any more, which ends it if it has not begun, when two other calls have ended."""
    there = Source.remote()
    stream = there.items.options(num_returns="streaming").remote()
    seen = [ag.get(ref) for ref in [Sum.remote().add.remote(1), tries.remote(there)]]
    del stream
    return seen, ag.get(there.get.remote())


PROGRAMS: list[Callable[..., Any]] = [
    late_for_one_of_two, named_against_cancelled, killed_or_cancelled, cancelled_and_waited_for
]  # fmt: skip


@pytest.mark.parametrize("function", one_in(2, PROGRAMS))
def test_reduction_sees_every_outcome_of(function: Callable[..., Any]) -> None:
    assert len(compare(function)) > 1


def test_proof_tells_calls_apart_that_a_task_makes_when_it_runs_again() -> None:
    """What its first child has submitted is still there: two calls with one place in the tree of calls."""
    found = compare(program, AsyncSum, 1, [("throw", 0), ("tasks", 0)], faults=Faults(kill=1))
    assert repr(([], [11, [[1]]], [12])) in found


def test_proof_sees_task_that_runs_once_more_before_its_cancellation_arrives() -> None:
    found = compare(tried_again_or_cancelled)
    assert repr((2, 2)) in found
    assert repr(("TaskCancelledError", 2)) in found


def test_proof_sees_what_may_come_before_a_call_that_keeps_its_actor_busy() -> None:
    """It cannot come while that call waits for another actor, which is where they meet first, looking back."""
    found = compare(program, Returning, 2, [("stream", 0), ("by", 0), ("said", 0)])
    assert repr(([102], [102], [102, 100])) in found


def test_calls_before_a_kill_that_restarts_end_alike_whenever_it_arrives() -> None:
    found = compare(program, Returning, 1, [("throw", 0), ("stop", 0)])
    assert repr(([None], [10], [10])) in found


def test_proof_sees_call_that_is_made_again_end_before_the_kill() -> None:
    """It starts behind the second constructor, which nobody could bring forward, but could have started before."""
    found = compare(program, Trying, 1, [("throw", 0), ("stop", 0)])
    assert repr(([None], [10], [10])) in found
    assert repr(([None], [10], [0])) in found


def test_proof_sees_what_comes_before_a_deed_that_waits_for_one_thing_after_the_other() -> None:
    """Which step does it depends on which of the two ends last."""
    assert repr(([1, 2], 3)) in compare(let_go_of_after_two_others)


#: Programs of which a class was missed come first.
@pytest.mark.parametrize("seed", one_in(40, [8, 9, *range(400, 478)]))
def test_reduction_sees_every_outcome_of_drawn_programs(seed: int) -> None:
    compare(program, *drawn(seed))


@pytest.mark.parametrize("seed", one_in(40, [212, 431, 804, *range(80)]))
def test_reduction_sees_every_outcome_of_drawn_programs_that_do_more(seed: int) -> None:
    compare(program, *drawn_of_more(seed))


@pytest.mark.parametrize("seed", one_in(20, range(1000, 1040)))
def test_reduction_sees_every_outcome_of_drawn_programs_in_which_something_breaks(seed: int) -> None:
    compare(program, *drawn_of_more(seed), faults=Faults(kill=1))


@ag.remote(max_retries=0)
def leaves_a_name() -> None:
    """Make an actor that is gone when the call that it was sent is over, unless somebody has found it by then."""
    Sum.options(name="it").remote().add.remote(5)


def found(times: int) -> list[str]:
    """Look for it so many times while that goes on."""
    ref = leaves_a_name.remote()
    return [named(0) for _ in range(times)] + [str(said(ref))]


def found_once(times: int) -> list[str] | str:
    """Look for it, and call it so many times, each after a call of another one."""
    leaves_a_name.remote()
    other = Sum.remote()
    try:
        there = ag.get_actor("it")
    except ValueError:
        return "too late"
    return [str(said(there.add.remote(ag.get(other.get.remote()) + 1))) for _ in range(times)]


def test_proof_sees_an_actor_go_between_two_calls_of_one_who_has_looked_for_its_name() -> None:
    """Who has found it does not keep it, but each call does."""
    assert repr(["1", "ActorDiedError"]) in compare(found_once, 2)


def test_proof_sees_an_actor_go_between_two_looks_for_its_name() -> None:
    """No step but the last of those that let go of it says so; who finds it makes another one the last."""
    assert repr(["1", "ValueError", "None"]) in compare(found, 2)
