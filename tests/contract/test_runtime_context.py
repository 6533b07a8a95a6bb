"""What code can learn about where it runs."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

from typing import Any

import pytest

import actorgrid as ag
from tests.contract.tools import DEADLINE

pytestmark = pytest.mark.usefixtures("grid")


@ag.remote
def about() -> dict[str, Any]:
    context = ag.get_runtime_context()
    return {
        "job": context.get_job_id(),
        "node": context.get_node_id(),
        "worker": context.get_worker_id(),
        "task": context.get_task_id(),
        "name": context.get_task_name(),
        "function": context.get_task_function_name(),
        "actor": context.get_actor_id(),
        "resources": context.get_assigned_resources(),
        "namespace": context.namespace,
    }


@ag.remote
class Made:
    def __init__(self) -> None:
        context = ag.get_runtime_context()
        self.names = context.get_task_name(), context.get_task_function_name()

    def names_then(self) -> Any:
        return self.names


@ag.remote
class Who:
    def actor_id(self) -> Any:
        return ag.get_runtime_context().get_actor_id()

    def name(self) -> Any:
        return ag.get_runtime_context().get_actor_name()

    def task_name(self) -> Any:
        return ag.get_runtime_context().get_task_name()

    def function(self) -> Any:
        return ag.get_runtime_context().get_task_function_name()

    def resources(self) -> Any:
        return ag.get_runtime_context().get_assigned_resources()

    def me(self) -> Any:
        return ag.get_runtime_context().current_actor

    def reconstructed(self) -> bool:
        return bool(ag.get_runtime_context().was_current_actor_reconstructed)

    def die(self) -> None:
        import os

        os._exit(1)


def is_hex(text: Any, digits: int) -> bool:
    return isinstance(text, str) and len(text) == digits and len(bytes.fromhex(text)) * 2 == digits


def test_driver_has_job_node_and_worker_and_no_task_or_actor() -> None:
    context = ag.get_runtime_context()
    assert is_hex(context.get_job_id(), 8)
    assert is_hex(context.get_node_id(), 56)
    assert is_hex(context.get_worker_id(), 56)
    assert context.get_task_id() is None
    assert context.get_actor_id() is None


def test_job_is_the_first_and_only_one() -> None:
    assert ag.get_runtime_context().get_job_id() == "01000000"


def test_task_has_ids_of_rays_lengths() -> None:
    told = ag.get(about.remote())
    assert is_hex(told["job"], 8)
    assert is_hex(told["node"], 56)
    assert is_hex(told["worker"], 56)
    assert is_hex(told["task"], 48)
    assert told["actor"] is None


def test_task_is_in_the_job_node_and_namespace_of_its_driver() -> None:
    context, told = ag.get_runtime_context(), ag.get(about.remote())
    assert told["job"] == context.get_job_id()
    assert told["node"] == context.get_node_id()
    assert told["namespace"] == context.namespace
    assert told["worker"] != context.get_worker_id()


def test_tasks_have_different_ids() -> None:
    assert len({told["task"] for told in ag.get([about.remote() for _ in range(5)])}) == 5


def test_task_name_is_the_functions_by_default() -> None:
    assert ag.get(about.remote())["name"] == "about"


def test_task_knows_its_resources() -> None:
    assert ag.get(about.options(num_cpus=0.5).remote())["resources"] == {"CPU": 0.5}


def test_actor_has_an_id_of_its_own() -> None:
    a, b = Who.remote(), Who.remote()
    ids = ag.get([a.actor_id.remote(), a.actor_id.remote(), b.actor_id.remote()], timeout=DEADLINE)
    assert all(is_hex(text, 32) for text in ids)
    assert ids[0] == ids[1] != ids[2]
    assert ids[0] in repr(a)


def test_actor_call_is_named_after_class_and_method() -> None:
    assert ag.get(Who.remote().task_name.remote(), timeout=DEADLINE) == "Who.task_name"


def test_function_is_named_with_its_module_whatever_the_call_is_called() -> None:
    told = ag.get(about.options(name="mine").remote(), timeout=DEADLINE)
    assert (told["name"], told["function"]) == ("mine", f"{__name__}.about")
    call = Who.remote().function.options(name="mine").remote()
    assert ag.get(call, timeout=DEADLINE) == f"{__name__}.Who.function"


def test_constructor_is_a_function_too() -> None:
    class Curious:
        def __init__(self) -> None:
            self.maker = ag.get_runtime_context().get_task_function_name()

        def told(self) -> Any:
            return self.maker

    told = ag.get(ag.remote(Curious).remote().told.remote(), timeout=DEADLINE)
    assert told == f"{__name__}.Curious.__init__"


def test_function_of_the_program_itself_is_in_the_module_of_its_file() -> None:
    program: dict[str, Any] = {"__name__": "__main__"}
    source = "import actorgrid\ndef main(): return actorgrid.get_runtime_context().get_task_function_name()"
    exec(compile(source, "/somewhere/program.py", "exec"), program)
    assert ag.get(ag.remote(program["main"]).remote(), timeout=DEADLINE) == "program.main"


def test_actor_knows_its_resources() -> None:
    assert ag.get(Who.options(num_cpus=1.5).remote().resources.remote(), timeout=DEADLINE) == {"CPU": 1.5}


def test_current_actor_is_a_handle_to_itself() -> None:
    who = Who.remote()
    me = ag.get(who.me.remote(), timeout=DEADLINE)
    assert me == who
    assert ag.get(me.actor_id.remote(), timeout=DEADLINE) == ag.get(who.actor_id.remote())


def test_current_actor_outside_an_actor_is_a_runtime_error() -> None:
    with pytest.raises(RuntimeError):
        ag.get_runtime_context().current_actor  # noqa: B018


def test_restarted_actor_knows_that_it_is() -> None:
    who = Who.options(max_restarts=1, max_task_retries=1).remote()
    assert ag.get(who.reconstructed.remote(), timeout=DEADLINE) is False
    who.die.options(max_task_retries=0).remote()
    assert ag.get(who.reconstructed.remote(), timeout=DEADLINE) is True


def test_init_in_a_task_is_one_too_many() -> None:
    @ag.remote
    def start() -> None:
        ag.init()

    with pytest.raises(RuntimeError, match="twice by accident"):
        ag.get(start.remote(), timeout=DEADLINE)


def test_shutdown_in_a_task_ends_nothing() -> None:
    @ag.remote
    def end() -> Any:
        ag.shutdown()
        return ag.get(about.remote())["node"]

    assert ag.get(end.remote(), timeout=DEADLINE) == ag.get_runtime_context().get_node_id()


def test_init_in_a_task_joins_the_same_grid_if_that_is_no_error() -> None:
    @ag.remote
    def join() -> tuple[bool, Any]:
        already = ag.is_initialized()
        ag.init(ignore_reinit_error=True)
        return already, ag.get(about.remote())["node"]

    assert ag.get(join.remote(), timeout=DEADLINE) == (True, ag.get_runtime_context().get_node_id())


@pytest.mark.parametrize("options", [{}, {"name": "somebody"}])
def test_task_of_a_constructor_is_called_as_its_class(options: dict[str, str]) -> None:
    name, function = ag.get(Made.options(**options).remote().names_then.remote(), timeout=DEADLINE)
    assert function.endswith(".Made.__init__")
    assert name == "Made"
