"""The zoo, part D continued: what dies with its owner, and who is killed for what others hold."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any

import actorgrid as ag


@ag.remote
class Owner:
    """Makes things and hands them out: as a key to what it keeps, or as a reference."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def make(self) -> str:
        self.kept["key"] = "thing"
        return "key"

    def look_up(self, key: str) -> str | None:
        return self.kept.get(key)

    def make_and_put(self) -> list[Any]:
        return [ag.put("thing")]


def owner_death() -> None:
    """A key dies with the memory of whoever gave it out. (So does a reference, on Ray: here objects do not.)"""
    owner = Owner.options(max_restarts=1, max_task_retries=1).remote()
    key = ag.get(owner.make.remote())
    assert ag.get(owner.look_up.remote(key)) == "thing", "what was handed out died with its owner"


def owner_death_fixed() -> None:
    owner = Owner.options(max_restarts=1, max_task_retries=1).remote()
    (reference,) = ag.get(owner.make_and_put.remote())
    assert ag.get(reference) == "thing"


@ag.remote
class Memory:
    """Plays the memory of a machine, and its watchman: who asks last when it is full is killed."""

    def __init__(self) -> None:
        self.taken = 0
        self.kills = 0

    def take(self, much: int) -> bool:
        if self.taken + much > 100:
            self.kills += 1
            return False
        self.taken += much
        return True

    def give(self, much: int) -> None:
        self.taken -= much

    def killed(self) -> int:
        return self.kills


def _take(memory: Any, much: int) -> None:
    if not ag.get(memory.take.remote(much)):
        os.kill(os.getpid(), signal.SIGKILL)


@ag.remote(max_retries=5)
def fill(memory: Any) -> None:
    _take(memory, 60)
    ag.get(memory.give.remote(60))


@ag.remote(max_retries=5)
def fill_and_ask(memory: Any, lets_go: bool) -> None:
    _take(memory, 60)
    if lets_go:
        ag.get(memory.give.remote(60))
    with contextlib.suppress(ag.exceptions.WorkerCrashedError):
        ag.get(fill.remote(memory))
    if not lets_go:
        ag.get(memory.give.remote(60))


def oom_retry(lets_go: bool = False) -> None:
    """The newest is killed when memory runs out, and tried again, in vain: who waits for it keeps the memory.

    Nothing in actorgrid watches memory yet: the program's own actor does, and the kill is a real one.
    """
    memory = Memory.remote()
    ag.get(fill_and_ask.remote(memory, lets_go))
    assert ag.get(memory.killed.remote()) < 3, "killed, and tried again, and again"


def oom_retry_fixed() -> None:
    oom_retry(lets_go=True)
