"""How asynchronous actors begin, on the event loop on which their methods will run, and how they end themselves."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import contextlib
import io
import sys
from typing import Any

import pytest

import actorgrid as ag
from tests.contract.tools import DEADLINE, Gate

pytestmark = pytest.mark.usefixtures("grid")


@ag.remote
def echo(value: Any) -> Any:
    return value


class Diary:
    """Has a task in the background that writes."""

    def __init__(self) -> None:
        self.pages: asyncio.Queue[str] = asyncio.Queue()
        self.task = asyncio.create_task(self.write())

    async def write(self) -> None:
        await asyncio.sleep(0)
        await self.pages.put("a page")

    async def read(self) -> str:
        return await self.pages.get()


def test_task_that_the_constructor_of_an_async_actor_starts_runs_on() -> None:
    assert ag.get(ag.remote(Diary).remote().read.remote(), timeout=DEADLINE) == "a page"


def test_event_loop_of_the_constructor_is_that_of_the_methods() -> None:
    @ag.remote
    class Home:
        def __init__(self) -> None:
            self.loop = asyncio.get_event_loop()

        async def is_home(self) -> bool:
            return asyncio.get_running_loop() is self.loop

    assert ag.get(Home.remote().is_home.remote(), timeout=DEADLINE)


def test_constructor_may_be_a_coroutine() -> None:
    @ag.remote
    class Library(Diary):
        async def __init__(self, shelf: list[Any], name: str) -> None:  # type: ignore[misc]  # that is the point
            super().__init__()
            self.first = await shelf[0], await self.pages.get(), name

        def look(self) -> Any:
            return self.first

    library = Library.remote([echo.remote("a book")], name="of all")
    assert ag.get(library.look.remote(), timeout=DEADLINE) == ("a book", "a page", "of all")


def test_constructor_that_is_a_coroutine_makes_an_actor_asynchronous() -> None:
    @ag.remote
    class Slow:
        async def __init__(self, gate: Any) -> None:  # type: ignore[misc]  # that is the point
            await gate.pass_through.remote()

        def thread(self) -> bool:
            return asyncio.get_running_loop() is not None

    gate = Gate.remote()
    slow = Slow.remote(gate)
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    gate.open.remote()
    assert ag.get(slow.thread.remote(), timeout=DEADLINE)


class Ruin(Diary):
    def __init__(self) -> None:
        raise LookupError("no bricks")


@pytest.mark.parametrize("is_async", [False, True])
def test_constructor_of_an_async_actor_that_fails_tells_where(is_async: bool) -> None:
    class AsyncRuin:
        async def __init__(self) -> None:  # type: ignore[misc]  # that is the point
            await asyncio.sleep(0)
            raise LookupError("no bricks")

    with pytest.raises(ag.exceptions.ActorDiedError, match="LookupError: no bricks") as caught:
        ag.get(ag.remote(AsyncRuin if is_async else Ruin).remote().__ray_ready__.remote(), timeout=DEADLINE)
    assert "asyncio" not in str(caught.value).replace("await asyncio.sleep", "")


def test_constructor_of_an_async_actor_may_wait_and_nobody_is_held_up() -> None:
    @ag.remote
    class Patient:
        def __init__(self) -> None:
            with contextlib.redirect_stderr(io.StringIO()) as heard:
                self.value: int = ag.get(echo.remote(3))
            self.said = heard.getvalue()  # a call that does so is told that it holds up the event loop

        async def look(self) -> tuple[int, str]:
            return self.value, self.said

    assert ag.get(Patient.remote().look.remote(), timeout=DEADLINE) == (3, "")


# ------------------------------------------------------------------------------------- the end of asynchronous actors


@ag.remote
class Guest:
    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []

    async def stay(self, gate: Any) -> str:
        await gate.pass_through.remote()
        return "stayed"

    async def leave(self) -> None:
        ag.actor.exit_actor()

    async def leave_later(self) -> None:
        self.tasks.append(asyncio.create_task(self.leave()))

    async def leave_in_a_thread(self) -> None:
        await asyncio.to_thread(ag.actor.exit_actor)


@pytest.mark.parametrize("how", ["leave", "leave_later", "leave_in_a_thread"])
def test_exit_actor_in_an_async_actor_lets_the_calls_that_run_finish(how: str) -> None:
    gate, guest = Gate.remote(), Guest.options(max_restarts=1).remote()
    staying = guest.stay.remote(gate)
    ag.get(gate.arrivals.remote(1), timeout=DEADLINE)
    left = getattr(guest, how).remote()
    ag.get(gate.open.remote())
    assert ag.get(staying, timeout=DEADLINE) == "stayed"
    ag.wait([left], timeout=DEADLINE)
    with pytest.raises(ag.exceptions.ActorDiedError):
        ag.get(guest.leave.remote(), timeout=DEADLINE)


def test_sys_exit_in_the_background_is_the_death_of_an_async_actor() -> None:
    @ag.remote
    class Frail:
        def __init__(self) -> None:
            self.task = asyncio.create_task(self.collapse())
            self.called, self.never = asyncio.Event(), asyncio.Event()

        async def collapse(self) -> None:
            await self.called.wait()
            sys.exit(3)

        async def stay(self) -> None:
            self.called.set()
            await self.never.wait()

    with pytest.raises(ag.exceptions.ActorDiedError, match="code 3"):
        ag.get(Frail.remote().stay.remote(), timeout=DEADLINE)
