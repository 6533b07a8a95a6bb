"""Handles of a grid's processes: found, watched, killed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import actorgrid as ag
from actorgrid.testing import ProcessHandle, RealGrid, wait_until
from actorgrid.testing.processes import SessionGrid


@ag.remote
def where() -> int:
    return os.getpid()


@ag.remote(max_retries=1)
def second_time_lucky(first: Path) -> str:
    """Waits to be killed, unless that has happened already."""
    if first.exists():
        return "done"
    first.touch()
    wait_until(lambda: False, 60)
    return "never killed"


def test_parts_of_a_grid_are_found(grid: RealGrid) -> None:
    pid = ag.get(where.remote())
    assert psutil.Process(grid.head.pid).ppid() == os.getpid()
    assert psutil.Process(grid.launcher.pid).ppid() == grid.head.pid
    assert pid in [worker.pid for worker in grid.workers]
    worker = grid.worker("where")
    assert worker.pid == pid
    assert worker.runs == "where"
    assert all(part.alive for part in (grid.head, grid.launcher, worker))
    assert grid.alive
    assert repr(worker) == f"<process {pid}: actorgrid: worker where>"
    assert repr(grid).startswith(f"<grid: head {grid.head.pid}, launcher {grid.launcher.pid}, workers [<process ")


@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_task_of_a_killed_worker_is_retried(grid: RealGrid, tmp_path: Path, how: str) -> None:
    first = tmp_path / "first"
    ref = second_time_lucky.remote(first)
    worker = grid.worker("second_time_lucky")
    assert wait_until(first.exists)
    getattr(worker, how)()
    worker.wait()
    assert not worker.alive
    assert ag.get(ref, timeout=30) == "done"
    assert worker not in grid.workers
    worker.kill()  # once more: nothing happens
    assert repr(worker) == f"<process {worker.pid}, dead: actorgrid: worker second_time_lucky>"


@pytest.mark.actorgrid(num_cpus=3)
def test_marker_gives_options(grid: RealGrid) -> None:
    assert ag.cluster_resources()["CPU"] == 3


async def test_async_test_on_real_processes(grid: RealGrid) -> None:
    pid, _ = await asyncio.gather(where.remote(), asyncio.sleep(0))
    assert grid.worker("where").pid == pid


def test_what_dies_with_the_grid_is_seen_dead(grid: RealGrid) -> None:
    head, launcher = grid.head, grid.launcher
    head.kill()
    head.wait()
    launcher.wait()
    assert not grid.alive
    assert repr(grid) == "<no living grid>"
    ag.shutdown()
    with pytest.raises(RuntimeError, match="no grid of real processes runs"):
        _ = grid.workers


def test_zombie_is_not_alive() -> None:
    with subprocess.Popen([sys.executable, "-c", "pass"]) as popen:
        child = ProcessHandle(popen.pid)
        child.wait()
        assert psutil.Process(popen.pid).status() == psutil.STATUS_ZOMBIE
        assert not child.alive


def test_waits_have_a_deadline(grid: RealGrid) -> None:
    with pytest.raises(TimeoutError, match=rf"<process {grid.head.pid}: .*> has not ended within 0.01 s"):
        grid.head.wait(0.01)
    with pytest.raises(TimeoutError, match=r"no worker runs 'nothing'; there are \["):
        grid.worker("nothing", 0.01)


def test_grid_of_a_session_is_replaced_when_it_is_dead_or_busy(tmp_path: Path) -> None:
    keeper = SessionGrid(patience=0.1)
    try:
        first = keeper.use().head
        assert keeper.use().head == first
        first.kill()
        second = keeper.use().head
        assert second != first
        assert ag.get(where.remote())
        ref = second_time_lucky.remote(tmp_path / "first")  # its task will not end by itself
        assert wait_until((tmp_path / "first").exists)
        assert keeper.use().head != second
        del ref
    finally:
        keeper.end()
    assert not ag.is_initialized()
