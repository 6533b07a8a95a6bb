"""Control groups limit what a grid takes of the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from actorgrid.runtime import cgroups, machine

GIB = 1 << 30


class Groups:
    """A made-up /sys/fs/cgroup and /proc/self/cgroup."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "cgroup"
        self.own = folder / "own"
        self.root.mkdir()

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def limit(self, group: str, limit: str, usage: int) -> None:
        self.write(f"{group}/memory.max", f"{limit}\n")
        self.write(f"{group}/memory.current", f"{usage}\n")

    def memory_left(self) -> int | None:
        return cgroups.memory_left(self.root, self.own)

    def cpu_quota(self) -> float | None:
        return cgroups.cpu_quota(self.root, self.own)


@pytest.fixture
def groups(tmp_path: Path) -> Groups:
    return Groups(tmp_path)


def test_machine_without_groups_is_not_limited(groups: Groups) -> None:
    assert groups.memory_left() is None
    assert groups.cpu_quota() is None


def test_group_without_a_limit_does_not_limit(groups: Groups) -> None:
    groups.own.write_text("0::/\n")
    groups.limit(".", "max", GIB)
    groups.write("cpu.max", "max 100000\n")
    assert groups.memory_left() is None
    assert groups.cpu_quota() is None


def test_container_whose_group_is_the_root_has_what_its_limit_leaves(groups: Groups) -> None:
    groups.own.write_text("0::/\n")
    groups.limit(".", str(4 * GIB), GIB)
    groups.write("cpu.max", "150000 100000\n")
    assert groups.memory_left() == 3 * GIB
    assert groups.cpu_quota() == 1.5


def test_tightest_of_the_own_group_and_those_around_it_counts(groups: Groups) -> None:
    groups.own.write_text("0::/user.slice/run-1.scope\n")
    groups.limit("user.slice", str(2 * GIB), GIB)
    groups.limit("user.slice/run-1.scope", str(4 * GIB), GIB)
    groups.limit("other.slice", "1000", 0)
    groups.write("user.slice/cpu.max", "800000 100000\n")
    groups.write("user.slice/run-1.scope/cpu.max", "200000 100000\n")
    assert groups.memory_left() == GIB
    assert groups.cpu_quota() == 2.0


def test_group_that_is_over_its_limit_leaves_nothing(groups: Groups) -> None:
    groups.own.write_text("0::/\n")
    groups.limit(".", str(GIB), 2 * GIB)
    assert groups.memory_left() == 0


def test_first_version_keeps_each_controller_in_a_folder_of_its_own(groups: Groups) -> None:
    groups.own.write_text("9:cpu,cpuacct:/job\n8:memory:/job\n1:name=systemd:/\n")
    groups.write("memory/job/memory.limit_in_bytes", f"{GIB}\n")
    groups.write("memory/job/memory.usage_in_bytes", "0\n")
    groups.write("cpu/job/cpu.cfs_quota_us", "50000\n")
    groups.write("cpu/job/cpu.cfs_period_us", "100000\n")
    assert groups.memory_left() == GIB
    assert groups.cpu_quota() == 0.5


def test_first_version_without_a_quota_says_minus_one(groups: Groups) -> None:
    groups.write("cpu/cpu.cfs_quota_us", "-1\n")
    groups.write("cpu/cpu.cfs_period_us", "100000\n")
    assert groups.cpu_quota() is None


def test_group_outside_of_what_can_be_seen_is_left_alone(groups: Groups) -> None:
    groups.own.write_text("0::/../../other\n")
    groups.limit(".", str(GIB), 0)
    assert groups.memory_left() == GIB


@pytest.mark.parametrize(("quota", "cpus"), [(0.2, 1), (1.5, 2), (1e6, None), (None, None)])
def test_grid_counts_the_cpus_that_its_group_may_use(
    monkeypatch: pytest.MonkeyPatch, quota: float | None, cpus: int | None
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(cgroups, "cpu_quota", lambda: quota)
    assert machine.cpu_count() == (cpus or 8)


def test_store_is_no_larger_than_what_the_group_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "total_memory", lambda: 100 * GIB)
    monkeypatch.setattr(cgroups, "memory_left", lambda: 5 * GIB)
    assert machine.store_budget() == 5 * GIB


def test_store_is_thirty_percent_of_memory_without_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "total_memory", lambda: 100 * GIB)
    monkeypatch.setattr(cgroups, "memory_left", lambda: None)
    assert machine.store_budget() == 30 * GIB


def test_store_has_a_least_size_however_little_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "memory_left", lambda: 0)
    assert machine.store_budget() == machine.LEAST_STORE


def test_processes_of_each_group_that_limits_them_are_counted(groups: Groups) -> None:
    groups.own.write_text("0::/a/b\n7:pids:/c\n")
    for group, limit in (("a", "100"), ("a/b", "max"), ("pids/c", "6")):
        groups.write(f"{group}/pids.max", limit)
        groups.write(f"{group}/pids.current", "5")
    assert cgroups.processes(groups.root, groups.own) == [(5, 100), (5, 6)]
