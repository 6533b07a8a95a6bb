"""Actors that die in every way, and what their callers see."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.testing.waiting import wait_until
from tests.contract.tools import DEADLINE, count_run, kill_this_process, runs


@ag.remote
class Mortal:
    def __init__(self, births: Path | None = None) -> None:
        self.value = 0
        if births is not None:
            count_run(births)

    def add(self) -> int:
        self.value += 1
        return self.value

    def echo(self, value: Any) -> Any:
        return value

    def pid(self) -> int:
        return os.getpid()

    def die(self) -> None:
        kill_this_process()

    def exit(self, status: int) -> None:
        os._exit(status)

    def die_until(self, path: Path, attempt: int) -> int:
        if count_run(path) < attempt:
            kill_this_process()
        return runs(path)

    def fail_until(self, path: Path, attempt: int) -> int:
        if count_run(path) < attempt:
            raise KeyError("again")
        return runs(path)

    def leave(self) -> None:
        ag.actor.exit_actor()


@ag.remote(num_cpus=0)
def behind(gate: Any, value: Any) -> Any:
    ag.get(gate.pass_through.remote())
    return value


def dies(ref: Any) -> Any:
    """Return the ActorDiedError that ``get`` raises."""
    with pytest.raises(ag.exceptions.ActorDiedError) as caught:
        ag.get(ref, timeout=DEADLINE)
    return caught.value


def eventually(call: Any) -> Any:
    """Return the result of a call to an actor that may be restarting."""
    result: list[Any] = []

    def answered() -> bool:
        try:
            result.append(ag.get(call(), timeout=DEADLINE))
        except ag.exceptions.ActorUnavailableError:
            return False
        return True

    assert wait_until(answered, DEADLINE)
    return result[0]


def is_dead(mortal: Any) -> bool:
    try:
        ag.get(mortal.add.remote(), timeout=DEADLINE)
    except ag.exceptions.ActorDiedError:
        return True
    except ag.exceptions.ActorUnavailableError:
        pass
    return False
