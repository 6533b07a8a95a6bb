"""The launcher, alone in this process: what it does once the head has gone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from actorgrid.core import messages as m
from actorgrid.core.messages import FromLauncher
from actorgrid.runtime import launcher, lifetime
from actorgrid.runtime.config import BootConfig
from actorgrid.runtime.launcher import Launcher
from actorgrid.runtime.links import Link, pair


@pytest.fixture
def signals() -> Iterator[None]:
    """Put back what the launcher changes in this process."""
    before = signal.getsignal(signal.SIGCHLD)
    yield
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, before)


class Scene:
    """A launcher whose head has ordered workers; nothing is really forked or killed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.head, end = pair()
        self.launcher = Launcher(end, cast("BootConfig", SimpleNamespace(door="")))
        self.forks = 0
        self.buried = False
        monkeypatch.setattr(os, "fork", self.fork)
        monkeypatch.setattr(os, "setpgid", lambda *_: None)
        monkeypatch.setattr(lifetime, "threads_here", lambda: 1)
        monkeypatch.setattr(lifetime, "signal_group", lambda *_: None)
        monkeypatch.setattr(self.launcher.undertaker, "bury", self.bury)

    def order(self, workers: int) -> None:
        link: Link[Any] = Link(self.head, FromLauncher)
        for number in range(1, workers + 1):
            fds = [os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC) for _ in range(3)]
            link.send([m.Spawn(number)], fds)
            for fd in fds:
                os.close(fd)

    def fork(self) -> int:
        self.forks += 1
        if self.forks == 1:
            self.head.close()
        return 1_000_000 + self.forks

    def bury(self, pids: Iterable[int]) -> None:
        self.buried = set(pids) == set(self.launcher.by_pid)

    def end(self) -> None:
        self.head.close()
        while self.launcher.link.fds:
            os.close(self.launcher.link.fds.popleft())
        self.launcher.link.close()
        os.close(self.launcher.wakeup_read)
        os.close(self.launcher.wakeup_write)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch, signals: None) -> Iterator[Scene]:
    del signals
    made = Scene(monkeypatch)
    yield made
    made.end()


def test_orders_of_a_head_that_has_gone_are_not_carried_out(scene: Scene) -> None:
    scene.order(5)
    scene.head.close()
    assert scene.launcher.run() is None
    assert scene.buried
    assert scene.forks == 0


def test_head_that_goes_while_many_workers_are_forked_is_noticed_before_the_next(scene: Scene) -> None:
    scene.order(5)
    assert scene.launcher.run() is None
    assert scene.buried
    assert scene.forks == 1


def test_head_that_goes_while_modules_are_imported_ahead_is_noticed_after_the_next_of_them(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = []

    def pieces() -> Iterator[int]:
        for piece in range(100):
            imported.append(piece)
            if piece == 2:
                scene.head.close()
            yield 0

    monkeypatch.setattr(launcher, "warm_up", pieces)
    assert scene.launcher.run() is None
    assert scene.buried
    assert imported == [0, 1, 2]
