"""The spill file on a real disk: full, damaged, or left alone by whoever is killed. Nothing of it stays behind."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from actorgrid.testing.waiting import wait_until
from tests.proc.helpers import PROMPT, Driver

Drive = Callable[..., Driver]

#: A grid whose store holds eight of its twenty objects.
SPILLED = """
import glob, os, resource, signal, sys, time
import numpy as np
import psutil
import actorgrid as ag

SIZE = 2 << 20

def array(number):  # never zeros: what a file lacks is read as zeros
    return np.full(SIZE, number + 1, np.uint8)

def check(ref, number):
    found = ag.get(ref)
    assert len(found) == SIZE and (found == number + 1).all(), number

def spiller():
    everyone = psutil.Process().children(recursive=True)
    return next(process for process in everyone if process.cmdline()[0].startswith("actorgrid: spiller"))

def spill_file():
    # Its path goes on after the file is unlinked; that it is open tells which descriptor it is.
    pid = spiller().pid
    directory = os.environ["TMPDIR"]
    return next(fd for fd in glob.glob(f"/proc/{pid}/fd/*") if target(fd).startswith(directory))

def target(fd):
    try:
        return os.readlink(fd)
    except FileNotFoundError:  # it was open for a moment only
        return ""

ag.init(num_cpus=2, object_store_memory=8 * (SIZE + 4096))
refs = [ag.put(array(number)) for number in range(20)]
"""
READ_ALL = """
for number, ref in enumerate(refs):
    check(ref, number)
print("right:", flush=True)
"""


def test_file_has_no_name_and_no_other_user_may_open_it(drive: Drive) -> None:
    driver = drive(
        SPILLED
        + """
print("names:", os.listdir(os.environ["TMPDIR"]), flush=True)
there = os.stat(spill_file())
print("mode:", oct(there.st_mode & 0o777), "links:", there.st_nlink, "uid:", there.st_uid == os.getuid(), flush=True)
"""
        + READ_ALL
    )
    assert driver.said("names") == "[]"
    assert driver.said("mode") == "0o600 links: 0 uid: True"
    driver.wait_for("right")
    driver.succeeds()
    driver.leaves_nothing()
    assert driver.err == ""


def test_grid_that_needs_no_room_has_no_such_process(drive: Drive) -> None:
    driver = drive(
        "import actorgrid as ag\nag.init()\nref = ag.put(bytes(1 << 20))\nprint('ready:', flush=True)\ninput()"
    )
    driver.wait_for("ready")
    assert not driver.titled("actorgrid: spiller")


def test_disk_of_dropped_objects_is_free_again(drive: Drive) -> None:
    driver = drive(
        SPILLED
        + """
from actorgrid.testing.waiting import wait_until
name = spill_file()
print("before:", os.stat(name).st_blocks * 512 >= 12 * SIZE, flush=True)
refs.clear()
print("after:", wait_until(lambda: os.stat(name).st_blocks * 512 < SIZE), flush=True)
"""
    )
    assert driver.said("before") == "True"
    assert driver.said("after") == "True"
    driver.succeeds()


def test_disk_that_is_full_fails_the_put_alone_and_loses_nothing(drive: Drive) -> None:
    driver = drive(
        SPILLED
        + """
process = spiller()
process.rlimit(resource.RLIMIT_FSIZE, (os.stat(spill_file()).st_size, resource.RLIM_INFINITY))
try:
    for number in range(20, 40):
        refs.append(ag.put(array(number)))
except ag.exceptions.OutOfDiskError as error:
    print("error:", str(error), flush=True)
process.rlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
refs.append(ag.put(array(len(refs))))
"""
        + READ_ALL
    )
    error = driver.said("error")
    assert "File too large" in error
    assert str(driver.temporary) in error
    assert "needed are 2101248 bytes" in error
    assert "free on that disk: " in error
    driver.wait_for("right")
    driver.succeeds()
    driver.leaves_nothing()


@pytest.mark.parametrize(
    ("harm", "cause"),
    [
        ("f.seek(4096 + 1000)\n    f.write(b'harm')", "the checksum"),
        ("f.truncate(100_000)", "is damaged: "),
    ],
    ids=["changed", "truncated"],
)
def test_damaged_file_loses_the_object_and_never_gives_wrong_data(drive: Drive, harm: str, cause: str) -> None:
    driver = drive(
        SPILLED
        + f"""
with open(spill_file(), "r+b") as f:
    {harm}
lost = []
for number, ref in enumerate(refs):
    try:
        check(ref, number)
    except ag.exceptions.ObjectLostError as error:
        lost.append(str(error))
        try:
            print("once more:", len(ag.get(ref)), flush=True)
        except ag.exceptions.ObjectLostError:
            print("once more: lost", flush=True)
print("lost:", len(lost), lost[0], flush=True)

@ag.remote
def use(found):
    return int(found[0])

try:
    ag.get(use.remote(refs[0]))
except ag.exceptions.ObjectLostError as error:
    print("task:", type(error).__name__, flush=True)
"""
    )
    lost = driver.said("lost")
    assert driver.said("once more") == "lost"
    assert cause in lost
    assert str(driver.temporary) in lost
    assert "ObjectLostError" in driver.said("task")
    driver.succeeds()
    driver.leaves_nothing()


def test_nothing_is_lost_with_the_process_that_copies(drive: Drive) -> None:
    driver = drive(
        SPILLED
        + """
pids = set()
for round in range(3):
    pids.add(spiller().pid)
    os.kill(spiller().pid, signal.SIGKILL)
    for number, ref in enumerate(refs):
        check(ref, number)
print("processes:", len(pids), flush=True)
"""
        + READ_ALL
    )
    assert driver.said("processes") == "3"
    driver.wait_for("right")
    driver.succeeds()
    driver.leaves_nothing()
    assert driver.err == ""


def test_process_that_copies_is_killed_again_and_again_while_it_does(drive: Drive) -> None:
    driver = drive(
        SPILLED
        + """
import threading
going, killed = True, set()
def storm():
    while going:
        time.sleep(0.1)  # it gets something done between two deaths
        try:
            pid = spiller().pid
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        except (StopIteration, psutil.Error, ProcessLookupError, IndexError):
            pass
thread = threading.Thread(target=storm)
thread.start()
while len(killed) < 10:
    for number, ref in enumerate(refs):
        check(ref, number)
going = False
thread.join()
"""
        + READ_ALL
    )
    driver.wait_for("right", 60)
    driver.succeeds()
    driver.leaves_nothing()


@pytest.mark.parametrize("title", ["head", "launcher", "spiller", "driver", "all"])
def test_whoever_is_killed_nothing_stays_on_disk(drive: Drive, title: str) -> None:
    driver = drive(SPILLED + "print('ready:', flush=True)\nwhile True:\n    for ref in refs:\n        ag.get(ref)\n")
    driver.wait_for("ready")
    victims = driver.others() if title == "all" else driver.titled(f"actorgrid: {title}")
    assert bool(victims) == (title != "driver")
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess):  # some go by themselves once others are gone
            victim.kill()
    if title in ("driver", "all"):
        driver.send(signal.SIGKILL)
    if title == "spiller":
        assert driver.process.poll() is None
        driver.send(signal.SIGTERM)
    driver.leaves_nothing()
    assert wait_until(lambda: not open_in(driver.temporary), PROMPT)


def open_in(folder: Path) -> list[str]:
    """Return the files below ``folder``, with or without a name, that any process has open."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = str(link.readlink())
        except OSError:
            continue
        if target.startswith(str(folder)):
            found.append(target)
    return found


def test_ctrl_c_ends_a_put_that_waits_for_room_and_what_it_was_to_get_is_not_lost(drive: Drive) -> None:
    driver = drive(
        SPILLED
        + """
held = [ag.get(ref) for ref in refs[-8:]]
print("waits:", flush=True)
try:
    ag.put(array(20))
except KeyboardInterrupt:
    print("interrupted:", flush=True)
held.clear()
for number in range(20, 40):
    refs.append(ag.put(array(number)))
"""
        + READ_ALL
    )
    driver.wait_for("waits")
    time.sleep(0.2)  # nothing shows that it waits now; if it does not yet, the test sees less and fails no less
    driver.interrupt()
    driver.wait_for("interrupted")
    driver.wait_for("right")
    driver.succeeds()
