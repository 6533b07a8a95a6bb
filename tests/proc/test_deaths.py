"""kill -9 of head, launcher or workers: survivors see a typed error, and nothing is left."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable

import pytest

from actorgrid.testing.waiting import wait_until
from tests.proc.helpers import DEADLINE, PROMPT, Driver, memory_of_everybody

Drive = Callable[..., Driver]

WAITING = """
import asyncio, os, subprocess, sys, threading, time
import actorgrid as ag

@ag.remote(num_cpus=0)
class Actor:
    def work(self):
        return os.getpid()
    def sleep(self):
        time.sleep(600)

@ag.remote
def sleep(started):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    open(started, "w").close()
    time.sleep(600)

def say(text):
    os.write(1, f"{text}\\n".encode())  # in one piece, whatever other threads say

ag.init(num_cpus=1)
actor = Actor.remote()
ag.get(actor.work.remote())
ref = sleep.remote("started")
call = actor.sleep.remote()
while not os.path.exists("started"):
    time.sleep(0.001)

async def await_it():
    await ref

waits = {
    "get": lambda: ag.get(ref),
    "wait": lambda: ag.get(ag.wait([ref])[0]),
    "method": lambda: ag.get(call),
    "future": lambda: ref.future().result(),
    "await": lambda: asyncio.run(await_it()),
}

def wait(name):
    try:
        waits[name]()
    except BaseException as error:
        say(f"{name}: {type(error).__name__}")

threads = [threading.Thread(target=wait, args=(name,)) for name in waits]
for thread in threads:
    thread.start()
print("ready:", flush=True)
for thread in threads:
    thread.join()
"""

LATER = """
for name, use in {"put": lambda: ag.put(1), "submit": lambda: ag.get(sleep.remote("started")),
                  "call": lambda: ag.get(actor.work.remote()), "resources": ag.cluster_resources}.items():
    try:
        use()
        print(f"{name}: no error", flush=True)
    except BaseException as error:
        print(f"{name}: {type(error).__name__}", flush=True)
"""

AGAIN = """
ag.shutdown()
ag.init(num_cpus=1)
print("again:", ag.get(ag.remote(lambda: 42).remote()), flush=True)
"""


@pytest.mark.parametrize("victims", [["head"], ["launcher"], ["head", "launcher"], ["launcher", "head"]], ids="+".join)
def test_death_of_the_grid_ends_every_wait_with_head_died_error(drive: Drive, victims: list[str]) -> None:
    driver = drive(WAITING + AGAIN)
    driver.wait_for("ready")
    pids = [driver.one(f"actorgrid: {victim}").pid for victim in victims]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # the head goes by itself once the launcher is gone
            os.kill(pid, signal.SIGKILL)
    for name in ("get", "wait", "method", "future", "await"):
        assert driver.said(name) == "HeadDiedError"
    assert driver.said("again") == "42"
    driver.leaves_nothing()
    assert driver.wait() == 0


STATES = """
import os, sys, threading, time
import actorgrid as ag

@ag.remote(num_cpus=0)
class Actor:
    def __init__(self, large):
        self.large = large
    def work(self):
        open(f"busy{os.getpid()}", "w").close()
        time.sleep(600)

ag.init(num_cpus=1, resources={"place": 1})
large = ag.put(bytes(2_000_000))
if sys.argv[1] == "idle":
    holder = Actor.options(resources={"place": 1}).remote(large)
    ag.get(holder.__ray_ready__.remote())
    never = ag.remote(resources={"place": 1})(lambda: 1).remote()
else:
    actors = [Actor.remote(large) for _ in range(16)]
    never = [actor.work.remote() for actor in actors][0]
print("ready:", flush=True)
try:
    ag.get(never)
except BaseException as error:
    print("error:", type(error).__name__, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("state", ["idle", "busy", "starting"])
@pytest.mark.parametrize("victim", ["head", "launcher"])
def test_grid_dies_wholly_whether_it_is_idle_or_busy_or_starts_workers(drive: Drive, state: str, victim: str) -> None:
    driver = drive(STATES, args=[state])
    driver.wait_for("ready")
    if state == "busy":
        assert wait_until(lambda: len(list(driver.folder.glob("busy*"))) == 16, DEADLINE), driver.describe()
    pid = driver.one(f"actorgrid: {victim}").pid
    memory = driver.memory()
    assert sum(memory.values()) >= 2_000_000
    os.kill(pid, signal.SIGKILL)
    assert driver.said("error") == "HeadDiedError"
    assert wait_until(lambda: not driver.others(), PROMPT), driver.describe()
    driver.send(signal.SIGKILL)
    driver.leaves_nothing()
    assert {key: size for key, size in memory_of_everybody().items() if key in memory} == {}


@pytest.mark.parametrize("victim", ["head", "launcher"])
def test_init_alone_starts_a_new_grid_after_the_death_of_one(drive: Drive, victim: str) -> None:
    driver = drive(WAITING + AGAIN.replace("ag.shutdown()", ""))
    driver.wait_for("ready")
    os.kill(driver.one(f"actorgrid: {victim}").pid, signal.SIGKILL)
    assert driver.said("again") == "42"
    driver.leaves_nothing()
    assert driver.wait() == 0


@pytest.mark.parametrize("victim", ["head", "launcher"])
def test_calls_after_the_death_of_the_grid_raise_head_died_error(drive: Drive, victim: str) -> None:
    driver = drive(WAITING + LATER)
    driver.wait_for("ready")
    os.kill(driver.one(f"actorgrid: {victim}").pid, signal.SIGKILL)
    assert [driver.said(name) for name in ("put", "submit", "call", "resources")] == ["HeadDiedError"] * 4
    driver.leaves_nothing()
    assert driver.wait() == 0


MAPPED = """
import os
import numpy
import actorgrid as ag
from actorgrid.testing.waiting import wait_until

def mapped():
    return sum("memfd:actorgrid" in line for line in open("/proc/self/maps"))

ag.init(num_cpus=1)
refs = [ag.put(numpy.ones(4_000_000)) for _ in range(4)]
print("ready:", mapped() > 0, flush=True)
if {dropped}:
    del refs
try:
    ag.get(ag.remote(lambda: __import__("time").sleep(600)).remote())
except ag.exceptions.HeadDiedError:
    print("gone:", wait_until(lambda: not mapped(), 10) if {dropped} else ag.get(refs[3]).sum(), flush=True)
"""


@pytest.mark.parametrize(("dropped", "said"), [(True, "True"), (False, "4000000.0")])
def test_memory_goes_with_the_head_but_for_what_the_driver_can_still_read(
    drive: Drive, dropped: bool, said: str
) -> None:
    driver = drive(MAPPED.format(dropped=dropped))
    assert driver.said("ready") == "True"
    os.kill(driver.one("actorgrid: head").pid, signal.SIGKILL)
    assert driver.said("gone") == said
    driver.leaves_nothing()


@pytest.mark.parametrize("victims", [["head"], ["launcher"], ["head", "launcher"]], ids="+".join)
def test_workers_and_their_programs_go_with_the_grid(drive: Drive, victims: list[str]) -> None:
    driver = drive(WAITING + "print('waited:', flush=True)\ntime.sleep(600)")
    driver.wait_for("ready")
    for pid in [driver.one(f"actorgrid: {victim}").pid for victim in victims]:
        with contextlib.suppress(ProcessLookupError):  # the launcher may have gone by itself once the head is gone
            os.kill(pid, signal.SIGKILL)
    driver.wait_for("waited")
    assert wait_until(lambda: not driver.others(), PROMPT), driver.describe()
    driver.send(signal.SIGKILL)
    driver.leaves_nothing()


def test_driver_head_and_launcher_killed_together_leave_no_worker(drive: Drive) -> None:
    driver = drive(WAITING)
    driver.wait_for("ready")
    for pid in [driver.process.pid, driver.one("actorgrid: head").pid, driver.one("actorgrid: launcher").pid]:
        with contextlib.suppress(ProcessLookupError):  # on a busy machine some have gone by themselves by then
            os.kill(pid, signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL
    assert wait_until(lambda: not driver.titled("actorgrid:"), PROMPT), driver.describe()


WORKERS = """
import os, time
import actorgrid as ag

@ag.remote(num_cpus=0)
class Actor:
    def pid(self):
        return os.getpid()

@ag.remote(max_retries={retries})
def victim(path):
    with open(path, "a") as file:
        print(os.getpid(), file=file)
    while not os.path.exists(path + ".go"):
        time.sleep(0.01)
    return "survived"

ag.init(num_cpus=2)
"""


def test_killed_worker_of_a_task_without_retries_is_a_worker_crashed_error(drive: Drive) -> None:
    driver = drive(
        WORKERS.format(retries=0)
        + """
ref = victim.remote("pids")
try:
    ag.get(ref)
except ag.exceptions.WorkerCrashedError as error:
    print("error:", str(error).replace("\\n", " "), flush=True)
"""
    )
    pids = driver.folder / "pids"
    assert wait_until(lambda: pids.exists() and pids.read_text().endswith("\n"))
    pid = int(pids.read_text())
    os.kill(pid, signal.SIGKILL)
    text = driver.said("error")
    assert str(pid) in text
    assert "SIGKILL" in text
    assert "victim" in text
    driver.leaves_nothing()
    assert driver.wait() == 0


def test_killed_worker_of_a_task_with_retries_is_replaced(drive: Drive) -> None:
    driver = drive(WORKERS.format(retries=1) + "print('value:', ag.get(victim.remote('pids')), flush=True)")
    pids = driver.folder / "pids"
    assert wait_until(lambda: pids.exists() and pids.read_text().endswith("\n"))
    os.kill(int(pids.read_text()), signal.SIGKILL)
    (driver.folder / "pids.go").touch()
    assert driver.said("value") == "survived"
    assert len(set(pids.read_text().split())) == 2
    driver.leaves_nothing()


def test_killed_actor_is_an_actor_died_error(drive: Drive) -> None:
    driver = drive(
        WORKERS.format(retries=0)
        + """
actor = Actor.remote()
print("pid:", ag.get(actor.pid.remote()), flush=True)
while True:
    try:
        ag.get(actor.pid.remote())
    except ag.exceptions.ActorDiedError as error:
        print("error:", str(error).replace("\\n", " "), flush=True)
        break
"""
    )
    pid = driver.said("pid")
    os.kill(int(pid), signal.SIGKILL)
    text = driver.said("error")
    assert pid in text
    assert "SIGKILL" in text
    driver.leaves_nothing()


def test_killed_idle_workers_are_replaced(drive: Drive) -> None:
    driver = drive(
        """
        import os, signal
        import actorgrid as ag

        ag.init(num_cpus=2)
        pid = ag.remote(lambda: os.getpid())
        seen = set()
        for _ in range(5):
            one = ag.get(pid.remote())
            assert one not in seen
            seen.add(one)
            os.kill(one, signal.SIGKILL)
            while os.path.exists(f"/proc/{one}"):
                pass
        print("value:", ag.get(ag.remote(lambda: 42).remote()), flush=True)
        """
    )
    assert driver.said("value") == "42"
    driver.leaves_nothing()
    assert driver.wait() == 0


def test_program_started_by_a_task_goes_with_its_worker(drive: Drive) -> None:
    driver = drive(
        """
        import os, signal, subprocess, sys, time
        import actorgrid as ag

        @ag.remote(max_retries=0)
        def orphan(path):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            with open(path, "w") as file:
                print(child.pid, file=file)
            os.kill(os.getpid(), signal.SIGKILL)

        ag.init(num_cpus=1)
        try:
            ag.get(orphan.remote("child"))
        except ag.exceptions.WorkerCrashedError:
            print("died:", open("child").read(), flush=True)
        time.sleep(600)
        """
    )
    child = int(driver.said("died"))
    assert wait_until(lambda: child not in {process.pid for process in driver.others()}, PROMPT)
    driver.send(signal.SIGTERM)
    driver.leaves_nothing()


def test_many_deaths_leave_no_zombie(drive: Drive) -> None:
    driver = drive(
        """
        import os
        import psutil
        import actorgrid as ag

        ag.init(num_cpus=2)
        die = ag.remote(max_retries=0)(lambda: os._exit(1))
        refs = [die.remote() for _ in range(30)]
        ag.wait(refs, num_returns=len(refs))
        ag.get(ag.remote(lambda: 1).remote())
        me = psutil.Process()
        while any(child.status() == psutil.STATUS_ZOMBIE for child in me.children(recursive=True)):
            pass
        print("clean:", flush=True)
        """
    )
    driver.wait_for("clean")
    driver.leaves_nothing()
    assert driver.wait() == 0
