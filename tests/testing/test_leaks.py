"""The leak checker sees what is left, waits for what is about to end, and kills nothing."""

from __future__ import annotations

import mmap
import os
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing import shared_memory
from pathlib import Path

import psutil
import pytest

import actorgrid as ag
from actorgrid.testing import RealGrid, no_leaks, wait_until
from actorgrid.testing.leaks import SHARED_MEMORY, Snapshot

#: How long a leak that will not go away is waited for here.
SHORT = 0.02
SLEEP = "import time; time.sleep(600)"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Return what removes leaks after they have been found."""
    with ExitStack() as stack:
        yield stack


def process(stack: ExitStack) -> str:
    popen = stack.enter_context(subprocess.Popen([sys.executable, "-c", SLEEP]))
    stack.callback(popen.kill)
    return rf"process {popen.pid} \(.*, child of {os.getpid()}, .*\): .*{SLEEP[-9:-5]}"


def orphan(stack: ExitStack) -> str:
    words = [sys.executable, "-c", SLEEP]
    source = f"import subprocess as s; print(s.Popen({words}, stdout=s.DEVNULL, stderr=s.DEVNULL).pid)"
    pid = int(subprocess.run([sys.executable, "-c", source], capture_output=True, check=True, timeout=60).stdout)
    stack.callback(psutil.Process(pid).kill)
    return rf"process {pid} \("


def zombie(stack: ExitStack) -> str:
    popen = stack.enter_context(subprocess.Popen([sys.executable, "-c", ""]))
    assert wait_until(lambda: psutil.Process(popen.pid).status() == psutil.STATUS_ZOMBIE)
    return rf"process {popen.pid} \(zombie"


def thread(stack: ExitStack) -> str:
    over = threading.Event()
    made = threading.Thread(target=over.wait, args=(60,), name="the one that stays")
    made.start()
    stack.callback(made.join)
    stack.callback(over.set)
    return "thread 'the one that stays'"


def descriptor(stack: ExitStack) -> str:
    stack.callback(os.close, os.open(__file__, os.O_RDONLY))
    return rf"1 descriptors more; opened since: \d+ -> {__file__}"


def mapping(stack: ExitStack) -> str:
    fd = os.memfd_create("forgotten")
    os.truncate(fd, 4096)
    stack.enter_context(mmap.mmap(fd, 4096))
    os.close(fd)
    return r"4096 bytes of shared memory mapped: /memfd:forgotten \(deleted\)"


def segment(stack: ExitStack) -> str:
    made = shared_memory.SharedMemory(create=True, size=1)
    stack.callback(made.unlink)
    made.close()
    return f"file /dev/shm/{made.name}"


def temporary(stack: ExitStack) -> str:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="actorgrid-"))
    return f"file {folder}"


Leak = Callable[[ExitStack], str]
PERMANENT: list[Leak] = [process, orphan, thread, descriptor, mapping, segment, temporary]


@pytest.mark.parametrize("leak", [*PERMANENT, zombie])
def test_what_is_left_is_named_and_not_touched(leak: Leak, stack: ExitStack) -> None:
    pattern = ""
    with pytest.raises(AssertionError) as caught, no_leaks(SHORT):
        pattern = leak(stack)
    caught.match(f"left behind, {SHORT} s later:\n(.*\n)*  {pattern}")
    with pytest.raises(AssertionError), no_leaks(SHORT):
        leak(stack)


@pytest.mark.parametrize("leak", PERMANENT)
def test_what_was_there_before_or_is_gone_is_no_leak(leak: Leak, stack: ExitStack) -> None:
    leak(stack)
    with no_leaks(), ExitStack() as inner:
        leak(inner)


def test_what_is_about_to_end_is_waited_for() -> None:
    read, write = os.pipe()
    before = Snapshot.take()
    popen = subprocess.Popen([sys.executable, "-c", "input()"], stdin=read)
    reaper = threading.Thread(target=popen.wait)
    reaper.start()
    assert len(before.leaked()) == 2
    os.write(write, b"end\n")
    before.check()
    os.close(read)
    os.close(write)


STRANGER = """
import pathlib, sys, tempfile, time
def wait(name):
    end = time.monotonic() + 60
    while not pathlib.Path(name).exists() and time.monotonic() < end:
        time.sleep(0.001)
wait("go")
with tempfile.TemporaryDirectory(prefix="actorgrid-") as folder, open(folder + "/file", "w"):
    pathlib.Path("there").touch()
    wait("end")
pathlib.Path("gone").touch()
"""


def test_file_that_another_program_uses_is_its_own(tmp_path: Path) -> None:
    # No child of ours, and without our marks: a program that this test has nothing to do with.
    words = f"'{sys.executable}' -c {shlex.quote(STRANGER)} </dev/null >/dev/null 2>&1 &"
    subprocess.run(["sh", "-c", words], cwd=tmp_path, env={"PATH": os.environ["PATH"]}, check=True, timeout=60)
    with no_leaks(SHORT):
        (tmp_path / "go").touch()
        assert wait_until((tmp_path / "there").exists, 60)
    (tmp_path / "end").touch()
    assert wait_until((tmp_path / "gone").exists, 60)


@pytest.mark.parametrize("name", ["joblib_memmapping_folder_{}_ab", "sem.loky-{}-ab"])
def test_file_that_has_the_number_of_another_program_in_its_name_is_its_own(name: str, stack: ExitStack) -> None:
    def make(pid: int) -> Path:
        path = SHARED_MEMORY / name.format(pid)
        path.touch()
        stack.callback(path.unlink)
        return path

    with no_leaks(SHORT):
        make(os.getppid())
    with pytest.raises(AssertionError, match=f"left behind, {SHORT} s later:\n  file /dev/shm/.*"), no_leaks(SHORT):
        make(os.getpid())


def test_block_that_raises_is_not_checked(stack: ExitStack) -> None:
    with pytest.raises(ZeroDivisionError), no_leaks(SHORT):
        process(stack) + str(1 / 0)


def test_grid_leaves_nothing() -> None:
    with no_leaks():
        ag.init(num_cpus=2)
        assert len(ag.get(ag.put(b"x" * 300_000))) == 300_000
        ag.shutdown()


def test_grid_is_a_leak() -> None:
    def start() -> None:
        ag.init(num_cpus=1)
        assert RealGrid().launcher.alive

    try:
        with pytest.raises(AssertionError, match="actorgrid: launcher"), no_leaks(SHORT):
            start()
        assert RealGrid().alive
    finally:
        ag.shutdown()


def test_what_a_grid_that_goes_on_keeps_is_no_leak(grid: RealGrid) -> None:
    np = pytest.importorskip("numpy")

    @ag.remote(num_cpus=0)
    def make() -> object:
        return np.ones(100_000)

    with no_leaks(SHORT):  # new workers and new memory
        assert sum(ag.get(make.remote())) == 100_000
        ag.put(np.ones(100_000))
