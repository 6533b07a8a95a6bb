"""Descriptors, folders and limits of the driver: what a program does to itself costs it no hang and no secret error."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.proc.helpers import Driver

Drive = Callable[..., Driver]

CLOSES = """
import os, sys, threading, time
import actorgrid as ag

@ag.remote
def one():
    return 1

@ag.remote
def never():
    time.sleep(600)

def say(name, call):
    try:
        call()
        print(f"{name}: no error", flush=True)
    except BaseException as error:
        print(f"{name}: {type(error).__name__}: {error}", flush=True)

ag.init(num_cpus=1)
ag.get(one.remote())
ref = never.remote() if sys.argv[1] == "waits" else None
os.closerange(3, 65536)
if ref is not None:
    say("first", lambda: ag.get(ref))
else:
    say("first", lambda: ag.get(one.remote()))
say("later", lambda: ag.put(1))
say("down", ag.shutdown)
mine = [open(os.devnull) for _ in range(20)]
ag.init(num_cpus=1)
print("again:", ag.get(one.remote()), all(os.fstat(file.fileno()) for file in mine), flush=True)
"""


@pytest.mark.parametrize("how", ["submits", "waits"])
def test_driver_that_closes_all_descriptors_is_told_so_and_may_start_anew(drive: Drive, how: str) -> None:
    driver = drive(CLOSES, args=[how])
    assert driver.said("first").startswith("HeadDiedError: this program has closed the descriptors of its grid")
    assert driver.said("later").startswith("HeadDiedError: this program has closed the descriptors of its grid")
    assert driver.said("down") == "no error"
    assert driver.said("again") == "1 True"
    driver.succeeds()
    driver.leaves_nothing()


SPILLS = """
import actorgrid as ag, numpy as np
ag.init(num_cpus=1, object_store_memory=80 << 20)
refs = [ag.put(np.full(1 << 20, number)) for number in range(20)]
print("sum:", int(sum(ag.get(ref)[0] for ref in refs)), flush=True)
"""


@pytest.mark.parametrize("name", ["missing", "with blanks\nand Ä", "/".join(["long" * 40] * 2), "a file", "/proc"])
def test_folder_for_temporary_files_may_be_anything(drive: Drive, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "temporary" / name
    if name == "a file":
        folder.parent.mkdir()
        folder.touch()
    elif name != "missing" and not folder.exists():
        folder.mkdir(parents=True)
    driver = drive(SPILLS, env={"TMPDIR": str(folder)})
    assert driver.said("sum") == "190"
    driver.succeeds()
    driver.leaves_nothing()


LARGE = """
import actorgrid as ag, numpy as np, sys

@ag.remote
def total(array):
    return int(array.sum())

ag.init(num_cpus=1)
try:
    print("sum:", ag.get(total.remote(np.ones(1 << 20))), flush=True)
except ag.exceptions.ObjectStoreFullError as error:
    print("full:", error, flush=True)
print("small:", ag.get(total.remote(np.ones(10))), flush=True)
"""


def test_limit_of_the_size_of_files_bounds_the_store_with_a_typed_error(drive: Drive) -> None:
    source = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n" + LARGE
    driver = drive(source)
    assert "File too large" in driver.said("full")
    assert driver.said("small") == "10"
    driver.succeeds()
    driver.leaves_nothing()


def may_mount() -> bool:
    """Return whether this user may give a program a /dev/shm of its own."""
    command = "mount -t tmpfs -o size=1m none /dev/shm"
    try:
        return subprocess.run(["unshare", "-m", "sh", "-c", command], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


MOUNTS = {
    "tiny": "mount -t tmpfs -o size=1m none /dev/shm",
    "read-only": "mount -t tmpfs -o ro none /dev/shm",
    "full": "mount -t tmpfs -o size=1m none /dev/shm; head -c 1m /dev/zero >/dev/shm/full",
    "missing": "mount -t tmpfs -o size=1m none /dev; mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/urandom c 1 9",
}


@pytest.mark.skipif(not may_mount(), reason="only root may mount another /dev/shm (unshare -m)")
@pytest.mark.parametrize("how", list(MOUNTS))
def test_shared_memory_does_not_need_the_folder_of_the_system(drive: Drive, how: str) -> None:
    source = f"""
import os, sys
if not os.environ.get("INSIDE"):
    os.environ["INSIDE"] = "1"
    os.execvp("unshare", ["unshare", "-m", "sh", "-c", {MOUNTS[how]!r} + '; exec "$0" "$1"', sys.executable, __file__])
{LARGE}"""
    driver = drive(source)
    assert driver.said("sum") == str(1 << 20)
    driver.succeeds()
    driver.leaves_nothing()
