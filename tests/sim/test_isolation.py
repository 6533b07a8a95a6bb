"""Globals of a module: simulated processes share them, real ones do not, and whoever relies on that is told."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import actorgrid as ag
from actorgrid import sim
from actorgrid.exceptions import SharedStateLeak
from actorgrid.sim import isolation
from tests.sim import leaky
from tests.zoo.shared_state import Cell

seen: list[int] = []
nested: dict[str, list[int]] = {"seen": []}
count = 0
cache: dict[int, int] = {}
settings = {"retries": 3}


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    global count  # noqa: PLW0603  # the subject
    yield
    seen.clear()
    nested["seen"].clear()
    cache.clear()
    isolation._harmless.clear()
    leaky.clear()
    count = 0


def note(n: int) -> int:
    seen.append(n)
    return len(seen)


def note_inside(n: int) -> int:
    nested["seen"].append(n)
    return len(nested["seen"])


def step(n: int) -> int:
    global count  # noqa: PLW0603  # the subject
    count += n
    return count


def remember(n: int) -> int:
    return cache.setdefault(n, n * n)


@ag.remote
def append(n: int) -> int:
    return note(n)


@ag.remote
def append_nested(n: int) -> int:
    return note_inside(n)


@ag.remote
def increase(n: int) -> int:
    return step(n)


@ag.remote
def append_to_its_own(n: int) -> int:
    seen.append(n)
    return len(seen)


@ag.remote
def square(n: int) -> int:
    return remember(n)


@ag.remote
def read_settings() -> int:
    return settings["retries"]


@ag.remote
class Counting:
    def hit(self) -> int:
        seen.append(1)
        return len(seen)


def two_at_once(task: Any, *args: Any) -> Any:
    return ag.get([task.remote(*args), task.remote(*args)])


@pytest.mark.parametrize(
    ("task", "args", "name"),
    [(append, (1,), "seen"), (append_nested, (1,), "nested"), (increase, (1,), "count"), (square, (3,), "cache")],
)
def test_global_that_two_tasks_change_is_a_leak(task: Any, args: tuple[Any, ...], name: str) -> None:
    error = sim.run(two_at_once, task, *args).error
    assert isinstance(error, SharedStateLeak)
    assert f"refers to the global tests.sim.test_isolation.{name}," in str(error) or f".{name}," in str(error)


def test_global_that_two_actors_change_is_a_leak() -> None:
    def program() -> None:
        one, other = Counting.remote(), Counting.remote()
        ag.get([one.hit.remote(), other.hit.remote()])

    assert isinstance(sim.run(program).error, SharedStateLeak)


def test_global_that_the_program_changes_after_its_tasks_have_started_is_a_leak() -> None:
    def program() -> None:
        ag.get(append.remote(1))
        seen.append(5)
        ag.get(Cell.remote().get.remote())
        ag.get(append.remote(1))

    assert isinstance(sim.run(program).error, SharedStateLeak)


def test_globals_of_the_task_itself_travel_with_it_as_on_real_processes() -> None:
    assert sim.run(two_at_once, append_to_its_own, 1).value == [1, 1]
    assert seen == []


def test_actor_may_keep_a_global_to_itself() -> None:
    def program() -> int:
        actor = Counting.remote()
        return int(ag.get([actor.hit.remote() for _ in range(3)])[-1])

    run = sim.run(program)
    assert run.error is None
    assert run.value == 3


def test_global_that_nobody_changes_may_be_read_by_all() -> None:
    assert sim.run(two_at_once, read_settings).error is None


def test_global_that_was_declared_harmless_may_be_shared() -> None:
    sim.share(remember.__module__, "cache")
    assert sim.run(two_at_once, square, 3).value == [9, 9]


def test_leak_cannot_be_swallowed_by_the_program() -> None:
    def program() -> None:
        for ref in [append.remote(1), append.remote(1)]:
            try:
                ag.get(ref)
            except ag.exceptions.ActorGridError:
                pass

    assert isinstance(sim.run(program).error, SharedStateLeak)


# ------------------------------------------------------------------------- every way to keep something in a module


@ag.remote
def hit_module_global() -> int:
    leaky.counter += 1
    return leaky.counter


@ag.remote
def hit_after_import() -> int:
    from tests.sim.leaky import note as known_by_another_name

    return known_by_another_name(1)


def import_and_note() -> int:
    import tests.sim.leaky

    return tests.sim.leaky.note(1)


STYLES: dict[str, tuple[Callable[[], int], str]] = {
    "function of a module": (lambda: leaky.note(1), "global tests.sim.leaky.seen"),
    "method of a class": (lambda: leaky.Total().append(1), "global tests.sim.leaky.seen"),
    "attribute of a class": (leaky.Total.count_one, "class attribute tests.sim.leaky.Total.count"),
    "instance": (lambda: leaky.total.hit(), "global tests.sim.leaky.total"),  # noqa: PLW0108  # not the method itself
    "instance with slots": (lambda: leaky.slotted.hit(), "global tests.sim.leaky.slotted"),  # noqa: PLW0108  # see above
    "partial": (lambda: leaky.note_one(), "global tests.sim.leaky.seen"),  # noqa: PLW0108  # see above
    "bound method": (lambda: leaky.hit_total(), "global tests.sim.leaky.hit_total"),  # noqa: PLW0108  # see above
    "closure": (lambda: leaky.step(), "variable tests.sim.leaky.make_step.<locals>.step.value"),  # noqa: PLW0108  # see above
    "default argument": (lambda: leaky.remember(1), "default argument tests.sim.leaky.remember"),
    "counter": (leaky.number, "global tests.sim.leaky.numbers"),
    "table of functions": (lambda: leaky.table["note"](1), "global tests.sim.leaky.seen"),
    "decorated function": (lambda: leaky.wrapped(1), "global tests.sim.leaky.seen"),
    "import in a function": (import_and_note, "global tests.sim.leaky.seen"),
    "attribute of a function": (lambda: leaky.attributed(), "attributes of the function tests.sim.leaky.attributed"),  # noqa: PLW0108  # see above
    "attribute, deeper": (lambda: leaky.hit_attribute(), "attributes of the function tests.sim.leaky.attributed"),  # noqa: PLW0108  # see above
    "new global, by name": (lambda: leaky.add_by_name(), "global tests.sim.leaky.added"),  # noqa: PLW0108  # see above
    "new global, setattr": (lambda: leaky.add_by_setattr(), "global tests.sim.leaky.added"),  # noqa: PLW0108  # see above
    "new global, statement": (lambda: leaky.add_by_statement(), "global tests.sim.leaky.added"),  # noqa: PLW0108  # see above
    "default argument of the task": (leaky.remember_itself, "default argument tests.sim.leaky.remember_itself"),
    "attribute of the task": (leaky.attributed, "attributes of the function tests.sim.leaky.attributed"),
    "new global of the task": (leaky.add_by_name, "global tests.sim.leaky.added"),
}


@ag.remote
def perform(code: Callable[[], int]) -> int:
    return code()


@pytest.mark.parametrize("style", STYLES)
def test_every_way_to_keep_something_in_a_module_is_a_leak(style: str) -> None:
    code, name = STYLES[style]
    error = sim.run(two_at_once, ag.remote(code)).error
    assert isinstance(error, SharedStateLeak)
    assert f"refers to the {name}," in str(error)


@pytest.mark.parametrize("task", [hit_module_global, hit_after_import])
def test_module_that_a_task_names_itself_is_followed(task: Any) -> None:
    assert isinstance(sim.run(two_at_once, task).error, SharedStateLeak)


@ag.remote
class Slow:
    def total(self, cell: Any) -> int:
        leaky.counter += 0
        ag.get(cell.get.remote())
        return leaky.counter


def test_change_that_a_call_sees_after_it_has_begun_is_a_leak() -> None:
    def program() -> None:
        first = Slow.remote().total.remote(Cell.remote())
        ag.get([first, hit_module_global.remote()])

    assert isinstance(sim.explore(program, runs=20).failures[0].run.error, SharedStateLeak)


def look_after_tasks() -> int:
    ag.get(append.remote(1))
    return len(seen)


def change_before_tasks() -> int:
    seen.append(1)
    return int(ag.get(append.remote(1)))


@pytest.mark.parametrize("program", [look_after_tasks, change_before_tasks])
def test_main_program_and_its_tasks_share_nothing_either(program: Callable[[], int]) -> None:
    assert isinstance(sim.run(program).error, SharedStateLeak)


def test_attribute_of_a_class_may_be_declared_harmless() -> None:
    sim.share("tests.sim.leaky", "Total.count")
    assert sim.run(two_at_once, ag.remote(leaky.Total.count_one)).value == [1, 2]


class Noting:
    """An object that is sent: what its class's methods refer to counts."""

    def __call__(self) -> int:
        return note(1)


@pytest.mark.parametrize("code", [leaky.number, Noting(), leaky.note_one], ids=["function", "object", "partial"])
def test_code_that_is_an_argument_counts_as_what_a_task_refers_to(code: Callable[[], int]) -> None:
    assert isinstance(sim.run(two_at_once, perform, code).error, SharedStateLeak)


def test_code_that_is_a_keyword_argument_counts_too() -> None:
    def program() -> None:
        ag.get([perform.remote(code=leaky.number), perform.remote(code=leaky.number)])

    assert isinstance(sim.run(program).error, SharedStateLeak)


def test_default_argument_of_a_method_of_a_remote_class_counts() -> None:
    def program() -> Any:
        actors = [leaky.Remembering.remote() for _ in range(2)]
        return ag.get([actor.note.remote(1) for actor in actors])

    error = sim.run(program).error
    assert isinstance(error, SharedStateLeak)
    assert "refers to the default argument tests.sim.leaky.Remembering.note," in str(error)


def test_actor_may_keep_something_in_its_methods_default_arguments() -> None:
    def program() -> Any:
        actor = leaky.Remembering.remote()
        return ag.get([actor.note.remote(1) for _ in range(2)])

    for _ in range(2):
        assert sim.run(program).value == [1, 2], "the next run begins as the first one did"


ADDING = [leaky.add_by_name, leaky.add_by_setattr, leaky.add_by_statement, leaky.attributed]


@pytest.mark.parametrize("add", [ag.remote(code) for code in ADDING], ids=[code.__name__ for code in ADDING])
def test_name_that_a_process_has_added_is_gone_after_the_run(add: Any) -> None:
    def program() -> Any:
        return ag.get(add.remote())

    assert [sim.run(program).value for _ in range(2)] == [1, 1]


def test_code_that_only_reads_a_name_that_another_process_has_added_counts() -> None:
    add, read = ag.remote(leaky.add_by_statement), ag.remote(leaky.read_what_is_added)

    def program() -> Any:
        return ag.get([add.remote(), read.remote()])  # two processes

    error = sim.run(program).error
    assert isinstance(error, SharedStateLeak)
    assert "refers to the global tests.sim.leaky.added," in str(error)


def test_new_name_that_code_does_not_refer_to_is_no_leak() -> None:
    add, hit = ag.remote(leaky.add_by_statement), ag.remote(leaky.hit_attribute)

    def program() -> Any:
        return ag.get([add.remote(), hit.remote()])

    assert sim.run(program).value == [1, 1]
