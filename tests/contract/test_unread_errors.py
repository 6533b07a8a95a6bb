"""An error that nobody asks for is said when the last reference to it goes."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from tests.contract.tools import DEADLINE

SAID = "Unhandled error (suppress with ACTORGRID_IGNORE_UNHANDLED_ERRORS=1): "


@ag.remote
def fail(text: str = "lost") -> None:
    raise ValueError(text)


@ag.remote
def echo(value: Any) -> Any:
    return value


@ag.remote
def vanish() -> None:
    os._exit(3)


class Heard:
    """What the program's standard error has said so far."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capture = capfd
        self.text = ""

    def lines(self) -> str:
        self.text += self._capture.readouterr().err
        return self.text

    def waits_for(self, text: str) -> None:
        # Another call lets the simulated world go on.
        wait_until(lambda: ag.get(echo.remote(True)) and text in self.lines(), DEADLINE)
        assert text in self.text

    def until_shutdown(self) -> str:
        """Let everything be said that ever will be."""
        ag.get(echo.remote(0))
        ag.shutdown()
        return self.lines()


@pytest.fixture
def heard(fresh_grid: Callable[..., Any], capfd: pytest.CaptureFixture[str]) -> Heard:
    fresh_grid(num_cpus=2)
    return Heard(capfd)


def test_error_whose_reference_goes_before_it_exists_is_said(heard: Heard) -> None:
    fail.remote("nobody looks")
    heard.waits_for("ValueError: nobody looks")
    assert f"{SAID}fail() failed in process" in heard.text


def test_error_whose_reference_goes_after_it_exists_is_said(heard: Heard) -> None:
    ref = fail.remote("waited for")
    ag.wait([ref])
    assert SAID not in heard.lines()
    del ref
    heard.waits_for("ValueError: waited for")


def test_error_that_is_still_unread_at_the_end_is_not_said(heard: Heard) -> None:
    ref = fail.remote()
    ag.wait([ref])
    assert SAID not in heard.until_shutdown()
    del ref


def test_error_of_an_actor_method_is_said(heard: Heard) -> None:
    @ag.remote
    class Actor:
        def method(self) -> None:
            raise KeyError("in the actor")

    actor = Actor.remote()
    actor.method.remote()
    heard.waits_for("KeyError: 'in the actor'")


def test_death_of_a_worker_is_said(heard: Heard) -> None:
    vanish.options(max_retries=0).remote()
    heard.waits_for("while running vanish")


def test_call_that_fails_for_its_argument_is_said_once(heard: Heard) -> None:
    echo.options(name="after").remote(fail.remote("at the root"))
    heard.waits_for("ValueError: at the root")
    assert heard.until_shutdown().count(SAID) == 1
    assert "after() did not run: at least one of its input arguments" in heard.text


def test_call_with_several_results_is_said_once(heard: Heard) -> None:
    refs = fail.options(num_returns=3).remote("thrice")
    ag.wait(refs, num_returns=3)
    del refs
    heard.waits_for("ValueError: thrice")
    assert heard.until_shutdown().count(SAID) == 1


def test_error_that_get_raised_is_not_said(heard: Heard) -> None:
    refs = [fail.remote("first"), fail.remote("second")]
    ag.wait(refs, num_returns=2)
    with pytest.raises(ValueError, match="first"):
        ag.get(refs)
    del refs
    assert SAID not in heard.until_shutdown()


def test_error_that_a_coroutine_awaited_is_not_said(heard: Heard) -> None:
    async def wait_for_it() -> None:
        with pytest.raises(ValueError, match="awaited"):
            await fail.remote("awaited")

    asyncio.run(wait_for_it())
    assert SAID not in heard.until_shutdown()


def test_error_that_a_future_took_is_not_said(heard: Heard) -> None:
    with pytest.raises(ValueError, match="future"):
        fail.remote("future").future().result(DEADLINE)
    assert SAID not in heard.until_shutdown()


def test_cancelled_call_is_not_said(heard: Heard) -> None:
    @ag.remote
    def never(gate: Any) -> None:
        del gate

    @ag.remote
    class Gate:
        async def open(self) -> None:
            await asyncio.Event().wait()

    gate = Gate.remote()
    ref = never.remote(gate.open.remote())
    ag.cancel(ref)
    ag.wait([ref])
    del ref
    assert SAID not in heard.until_shutdown()


def test_calls_of_an_actor_that_was_killed_are_not_said(heard: Heard) -> None:
    @ag.remote
    class Actor:
        async def wait(self) -> None:
            await asyncio.Event().wait()

    actor = Actor.remote()
    ref = actor.wait.remote()
    ag.kill(actor)
    ag.wait([ref])
    del ref
    assert SAID not in heard.until_shutdown()


def test_nothing_is_said_if_the_environment_says_so(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTORGRID_IGNORE_UNHANDLED_ERRORS", "1")
    ref = fail.remote()
    ag.wait([ref])
    del ref
    assert SAID not in heard.until_shutdown()


def test_flood_of_errors_is_cut_off(heard: Heard) -> None:
    refs = [fail.remote(f"number {index}") for index in range(150)]
    ag.wait(refs, num_returns=len(refs))
    while refs:  # one after the other: the oldest of very many at once are forgotten
        refs.pop()
        ag.get(echo.remote(0))
    assert heard.until_shutdown().count(SAID) == 100
    assert "100 unhandled errors were shown by this process; it shows no more" in heard.text


def test_error_of_a_call_that_a_task_made_is_said_under_the_name_of_the_task(heard: Heard) -> None:
    @ag.remote
    def outer() -> None:
        ref = fail.remote("inside")
        ag.wait([ref])
        del ref
        ag.get(echo.remote(0))

    ag.get(outer.remote())
    heard.waits_for("ValueError: inside")
