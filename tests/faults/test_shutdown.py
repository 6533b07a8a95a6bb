"""SG: shutdown in every state and from every place. Each in a driver of its own, of which nothing may be left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.proc.helpers import Driver

START = """
import gc, os, signal, sys, threading, time
import actorgrid as ag
from actorgrid.testing import wait_until

@ag.remote
def stubborn(path):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    open(path, "w").close()
    while True:
        try:
            time.sleep(600)
        except BaseException:
            pass

@ag.remote
def double(number):
    return 2 * number

ag.init(num_cpus=2)
assert ag.get(double.remote(2)) == 4
"""

AGAIN = """
ag.init(num_cpus=1)
print("again:", ag.get(double.remote(21)), flush=True)
"""

PROGRAMS = {
    "SG05-task-ignores-every-signal": """
ref = stubborn.remote("started")
assert wait_until(lambda: os.path.exists("started"), 20)
os.unlink("started")
ag.shutdown()
""",
    "SG04-workers-are-starting": """
refs = [ag.remote(num_cpus=0)(time.sleep).remote(600) for _ in range(20)]
ag.shutdown()
""",
    "SG07-twice": """
ag.shutdown()
ag.shutdown()
""",
    "SG07-from-eight-threads": """
pending = stubborn.remote("started")
threads = [threading.Thread(target=ag.shutdown) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join(20)
assert not any(thread.is_alive() for thread in threads)
if os.path.exists("started"): os.unlink("started")
""",
    "SG07-while-others-wait": """
errors = []
def wait():
    try:
        ag.get(stubborn.remote("started"), timeout=30)
    except BaseException as error:
        errors.append(type(error).__name__)
threads = [threading.Thread(target=wait) for _ in range(4)]
for thread in threads: thread.start()
assert wait_until(lambda: os.path.exists("started"), 20)
os.unlink("started")
ag.shutdown()
for thread in threads: thread.join(20)
assert errors == ["HeadDiedError"] * 4, errors
if os.path.exists("started"): os.unlink("started")
""",
    "SG07-in-a-finalizer": """
class Last:
    def __init__(self): self.me = self
    def __del__(self): ag.shutdown()
Last()
gc.collect()
assert not ag.is_initialized()
""",
    "SG07-while-threads-submit": """
stop, errors = threading.Event(), []
def submit():
    while not stop.is_set():
        try:
            ag.get(double.remote(1), timeout=20)
        except (RuntimeError, ag.exceptions.HeadDiedError) as error:
            return
        except BaseException as error:
            errors.append(error)
            return
os.environ["ACTORGRID_ENABLE_AUTO_CONNECT"] = "0"
threads = [threading.Thread(target=submit) for _ in range(4)]
for thread in threads: thread.start()
assert ag.get(double.remote(1)) == 2
ag.shutdown()
stop.set()
for thread in threads: thread.join(20)
assert not errors, errors
""",
}


@pytest.fixture
def driver_of(tmp_path: Path) -> Iterator[Callable[[str], Driver]]:
    """Return a function that runs a program as a driver."""
    drivers: list[Driver] = []

    def start(source: str) -> Driver:
        drivers.append(Driver(tmp_path, source))
        return drivers[-1]

    yield start
    for driver in drivers:
        driver.close()


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_shutdown_ends_everything_and_the_next_grid_works(program: str, driver_of: Callable[[str], Driver]) -> None:
    driver = driver_of(START + program + AGAIN)
    driver.succeeds()
    assert driver.out == "again: 42\n"
    assert driver.err == ""
    driver.leaves_nothing()
