"""``init(engine="sim")``: a program of its own, in one thread, in the order that a seed stands for."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import os
import random
import time
from typing import Any

import pytest

import actorgrid as ag


def who_comes_first() -> list[int]:
    cell = Order.remote()
    ag.get([come.remote(cell, number) for number in range(6)])
    return list(ag.get(cell.get.remote()))


@ag.remote
class Order:
    def __init__(self) -> None:
        self.seen: list[int] = []

    def add(self, number: int) -> None:
        self.seen.append(number)

    def get(self) -> list[int]:
        return self.seen


@ag.remote
def come(order: Any, number: int) -> None:
    ag.get(order.add.remote(number))


@ag.remote
def pid() -> int:
    return os.getpid()


def test_seed_of_init_stands_for_an_order() -> None:
    def once(seed: int | None) -> tuple[list[int], float]:
        with ag.init(engine="sim", seed=seed):
            return who_comes_first(), random.random()

    assert once(None) == once(None)
    assert once(None)[0] == [0, 1, 2, 3, 4, 5]  # the dull one
    assert once(1) == once(1)
    assert len({tuple(once(seed)[0]) for seed in range(5)}) > 1
    assert len({once(seed)[1] for seed in range(5)}) == 5


def test_engine_may_be_named_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTORGRID_ENGINE", "sim")
    began = time.monotonic()
    with ag.init():
        assert who_comes_first() == [0, 1, 2, 3, 4, 5]
        time.sleep(3600)
        assert ag.get(pid.remote()) != os.getpid()
    assert time.monotonic() - began < 3600
    with ag.init(engine="sim", seed=3):  # and is overruled by the argument
        pass


def test_engine_that_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTORGRID_ENGINE", "simulator")
    with pytest.raises(ValueError, match="there is no engine 'simulator'"):
        ag.init()
