"""However a driver ends, everything ends with it: processes, memory, files."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable

import psutil
import pytest

from actorgrid.testing.waiting import wait_until
from tests.proc.helpers import Driver, memory_of_everybody

Drive = Callable[..., Driver]

#: A grid with a running task, a task that waits for CPUs, actors, a large object, and a program started by a task.
BUSY = """
import os, signal, subprocess, sys, time
import actorgrid as ag

@ag.remote(num_cpus=0)
class Counter:
    def __init__(self):
        self.value = 0
    def add(self):
        self.value += 1
        return self.value
    def sleep(self):
        time.sleep(600)

@ag.remote
def sleep(number):
    open(f"started{number}", "w").close()
    time.sleep(600)

@ag.remote(max_retries=0)  # else its program may be started once more, when nobody is left to end that
def spawn(number):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    open(f"started{number}", "w").close()
    time.sleep(600)

ag.init(num_cpus=2)
counter = Counter.remote()
large = ag.put(bytes(5_000_000))
refs = [sleep.remote(0), spawn.remote(1), sleep.remote(2), sleep.remote(3)]
sleeper = Counter.remote()
call = sleeper.sleep.remote()
ag.get(counter.add.remote())
while not (os.path.exists("started0") and os.path.exists("started1")):
    time.sleep(0.001)
print("ready:", flush=True)
"""


def start(drive: Drive, ending: str) -> Driver:
    driver = drive(BUSY + ending)
    driver.wait_for("ready")
    return driver


def test_driver_returns_with_tasks_running(drive: Drive) -> None:
    driver = start(drive, "")
    driver.leaves_nothing()
    assert driver.wait() == 0
    assert driver.err == ""


def test_driver_shuts_down_with_tasks_running(drive: Drive) -> None:
    driver = start(drive, "ag.shutdown()\nprint('down:', flush=True)")
    driver.wait_for("down")
    driver.leaves_nothing()
    assert driver.wait() == 0
    assert driver.err == ""


def test_everything_is_gone_when_shutdown_returns(drive: Drive) -> None:
    driver = start(drive, "ag.shutdown()\nprint('down:', flush=True)\ntime.sleep(600)")
    driver.wait_for("down")
    assert not driver.others(), driver.describe()


def test_driver_raises_an_exception(drive: Drive) -> None:
    driver = start(drive, "raise ValueError('the end')")
    driver.leaves_nothing()
    assert driver.wait() == 1
    assert driver.err.count("ValueError: the end") == 1
    assert driver.err.count("Traceback") == 1


def test_driver_calls_sys_exit(drive: Drive) -> None:
    driver = start(drive, "sys.exit(7)")
    driver.leaves_nothing()
    assert driver.wait() == 7
    assert driver.err == ""


def test_driver_calls_os_exit(drive: Drive) -> None:
    driver = start(drive, "os._exit(5)")
    driver.leaves_nothing()
    assert driver.wait() == 5


def test_driver_crashes(drive: Drive) -> None:
    driver = start(drive, "os.kill(os.getpid(), signal.SIGSEGV)")
    driver.leaves_nothing()
    assert driver.wait() == -signal.SIGSEGV


def test_driver_is_interrupted_in_the_middle_of_get(drive: Drive) -> None:
    driver = start(drive, "ag.get(refs)")
    driver.interrupt()
    driver.leaves_nothing()
    assert driver.wait() in {-signal.SIGINT, 130}
    assert driver.err.rstrip().endswith("KeyboardInterrupt")
    assert driver.err.count("Traceback") == 1


def test_driver_is_interrupted_while_a_task_is_tried_for_ever_that_kills_its_worker(drive: Drive) -> None:
    driver = start(
        drive,
        """
die = ag.remote(num_cpus=0, max_retries=-1)(lambda: os.kill(os.getpid(), signal.SIGKILL)).remote()
while " times (" not in ag.explain(die):
    pass
print("again: and again", flush=True)
ag.get(die)
""",
    )
    driver.wait_for("again")
    driver.interrupt()
    driver.leaves_nothing()
    assert driver.wait() in {-signal.SIGINT, 130}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL, signal.SIGABRT])
@pytest.mark.parametrize("where", ["time.sleep(600)", "ag.get(refs)"], ids=["asleep", "in_get"])
def test_driver_is_ended_by_a_signal(drive: Drive, number: signal.Signals, where: str) -> None:
    driver = start(drive, where)
    driver.send(number)
    driver.leaves_nothing()
    assert driver.wait() != 0


#: Loops that are in our own code nearly all of the time, large values and finalizers of references included.
LOOPS = {
    "puts": "ag.put(large)",
    "finalizers": "[ag.put(1) for _ in range(100)]",
    "calls": "ag.get([echo.remote(1) for _ in range(10)])",
}
LOOP = """
import actorgrid as ag

@ag.remote
def echo(value):
    return value

ag.init(num_cpus=1)
large = bytes(300_000)
ag.get(echo.remote(1))
print("ready:", flush=True)
while True:
    {loop}
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_one_signal_ends_a_driver_that_is_in_our_code_all_the_time(
    drive: Drive, loop: str, number: signal.Signals
) -> None:
    driver = drive(LOOP.format(loop=loop))
    driver.wait_for("ready")
    driver.send(number)
    driver.leaves_nothing()
    assert "ignored" not in driver.err
    if number is signal.SIGINT:
        assert driver.err.rstrip().endswith("KeyboardInterrupt")
        assert driver.err.count("Traceback") == 1
    else:
        assert driver.wait() == signal.SIGTERM
        assert driver.err == ""


PRESSED = """
import os, random, signal, threading, time
import actorgrid as ag

@ag.remote
def echo(value):
    return value

def press(seconds):
    time.sleep(seconds)
    os.kill(os.getpid(), signal.SIGINT)

ag.init(num_cpus=1)
large, moments = bytes(300_000), random.Random(5)
for _ in range(30):
    try:
        threading.Thread(target=press, args=(moments.random() * 0.02,)).start()
        while True:
            assert ag.get(ag.put(large)) == large
            assert ag.get(echo.remote(large)) == large
    except KeyboardInterrupt:
        pass
    assert ag.get([echo.remote(1), ag.put(large)]) == [1, large]
print("usable:", flush=True)
"""


def test_grid_is_usable_after_each_of_many_interrupts_of_large_puts(drive: Drive) -> None:
    driver = drive(PRESSED)
    driver.wait_for("usable")
    driver.succeeds()
    driver.leaves_nothing()
    assert driver.err == ""


@pytest.mark.parametrize("first", ["driver", "head", "workers"])
def test_whole_group_that_is_killed_leaves_no_process_and_no_byte(drive: Drive, first: str) -> None:
    driver = start(drive, "time.sleep(600)")
    memory = driver.memory()
    assert sum(memory.values()) > 5_000_000
    order = [driver.process.pid, *(process.pid for process in driver.others())]
    if first == "workers":
        order.reverse()
    elif first == "head":
        order.insert(0, driver.one("actorgrid: head").pid)
    for pid in order:
        with contextlib.suppress(ProcessLookupError):  # some go by themselves once others are gone
            os.kill(pid, signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL
    driver.leaves_nothing()
    assert {key: size for key, size in memory_of_everybody().items() if key in memory} == {}


def test_program_started_by_a_task_goes_with_the_driver(drive: Drive) -> None:
    driver = start(drive, "ag.get(refs)")
    assert any("time.sleep(600)" in " ".join(process.cmdline()) for process in driver.others())
    driver.send(signal.SIGKILL)
    driver.leaves_nothing()


def test_driver_is_killed_while_its_grid_starts(drive: Drive) -> None:
    driver = drive("import actorgrid as ag, signal\nprint('ready:', flush=True)\nag.init(num_cpus=2)\nsignal.pause()")
    driver.wait_for("ready")
    assert wait_until(driver.others)
    driver.send(signal.SIGKILL)
    driver.leaves_nothing()


def test_task_that_ignores_signals_goes_with_the_driver(drive: Drive) -> None:
    driver = drive(
        """
        import signal, time
        import actorgrid as ag

        @ag.remote(num_cpus=0)
        class Flag:
            def raise_it(self):
                print("raised")

        @ag.remote
        def deaf(flag):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            ag.get(flag.raise_it.remote())
            while True:
                time.sleep(600)

        ag.init(num_cpus=1)
        ref = deaf.remote(Flag.remote())
        while not ag.wait([ref], timeout=0.01)[0]:
            print("ready:", flush=True)
        """
    )
    assert wait_until(lambda: "raised" in driver.err)
    driver.send(signal.SIGTERM)
    driver.leaves_nothing()


KILL_HEAD = """
import psutil
head = next(each for each in psutil.Process().children() if "actorgrid: head" in " ".join(each.cmdline()))
while not os.path.exists("go"):
    time.sleep(0.01)
"""
ENDS = {
    "driver killed": KILL_HEAD + "os.kill(os.getpid(), signal.SIGKILL)",
    "head killed": KILL_HEAD
    + """
head.kill()
try:
    ag.get(refs)
except ag.exceptions.HeadDiedError:
    print("head died:", flush=True)
""",
    "shutdown": KILL_HEAD + "ag.shutdown()\nprint('down:', flush=True)\n" + "time.sleep(600)",
}


@pytest.mark.parametrize("ending", ENDS)
@pytest.mark.parametrize("stopped", [("launcher",), ("head",), ("head", "launcher")], ids=" and ".join)
def test_stopped_processes_of_a_grid_go_with_it_all_the_same(
    drive: Drive, stopped: tuple[str, ...], ending: str
) -> None:
    driver = start(drive, ENDS[ending])
    for title in stopped:
        driver.one(f"actorgrid: {title}").suspend()
    (driver.folder / "go").touch()
    if ending == "shutdown":
        driver.wait_for("down")
        assert not driver.others(), driver.describe()
        driver.send(signal.SIGKILL)
    elif ending == "head killed":
        driver.wait_for("head died")
    driver.leaves_nothing()


def test_interrupted_get_leaves_the_grid_usable(drive: Drive) -> None:
    driver = start(
        drive,
        """
try:
    ag.get(refs)
except KeyboardInterrupt:
    print("interrupted:", flush=True)
print("value:", ag.get(ag.put(41)) + ag.get(Counter.remote().add.remote()), flush=True)
ag.shutdown()
""",
    )
    driver.interrupt()
    driver.wait_for("interrupted")
    assert driver.said("value") == "42"
    driver.leaves_nothing()
    assert driver.wait() == 0


def test_grid_has_no_listening_socket_and_no_file(drive: Drive) -> None:
    driver = start(drive, "ag.get(refs)")
    for process in [psutil.Process(driver.process.pid), *driver.others()]:
        listening = [link for link in process.net_connections("inet") if link.status == psutil.CONN_LISTEN]
        assert listening == []
    assert list(driver.temporary.iterdir()) == []
    driver.send(signal.SIGKILL)
    driver.leaves_nothing()


def test_stopped_driver_keeps_its_grid(drive: Drive) -> None:
    driver = start(drive, "while True: print('value:', ag.get(ag.put(1)), flush=True)")
    driver.wait_for("value")
    before = {process.pid for process in driver.titled("actorgrid:")}
    driver.send(signal.SIGSTOP)
    assert wait_until(lambda: psutil.Process(driver.process.pid).status() == psutil.STATUS_STOPPED)
    said = len(driver.out)
    driver.send(signal.SIGCONT)
    assert wait_until(lambda: len(driver.out) > said)
    assert before <= {process.pid for process in driver.titled("actorgrid:")}
    driver.send(signal.SIGKILL)
    driver.leaves_nothing()


@pytest.mark.parametrize("victim", ["driver", "head", "launcher", "shutdown"])
def test_programs_that_are_being_started_at_that_moment_go_too(drive: Drive, victim: str) -> None:
    driver = drive(
        """
        import os, subprocess, time
        import actorgrid as ag

        @ag.remote(max_retries=0)
        def spawn():
            for i in range(100):
                subprocess.Popen(["sleep", "600"])
                open("started", "w").close()
            time.sleep(600)

        ag.init(num_cpus=2)
        refs = [spawn.remote() for _ in range(2)]
        while not os.path.exists("started"):
            time.sleep(0.001)
        print("ready:", flush=True)
        while not os.path.exists("go"):
            time.sleep(0.001)
        ag.shutdown()
        """
    )
    driver.wait_for("ready")
    if victim == "driver":
        driver.send(signal.SIGKILL)
    elif victim != "shutdown":
        driver.one(f"actorgrid: {victim}").kill()
    (driver.folder / "go").touch()
    driver.leaves_nothing()


LAST_ACT = """
import os, signal
import actorgrid as ag

@ag.remote(max_retries=0)
def die():
    os.kill(os.getpid(), signal.SIGKILL)

ag.init(num_cpus=2)
try:
    ag.get(die.remote())
except ag.exceptions.WorkerCrashedError:
    print("died:", flush=True)
"""

#: Runs a program as init would (orphans become its children, and it does not wait for them); prints those orphans.
AS_INIT = """
import ctypes, subprocess, sys
from pathlib import Path

ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
for _ in range(5):
    subprocess.run([sys.executable, "-c", sys.argv[1]], check=True, stdout=subprocess.DEVNULL)
print("orphans:", Path("/proc/thread-self/children").read_text(), flush=True)
"""


def test_workers_of_a_grid_that_ends_while_one_is_being_replaced_are_waited_for(drive: Drive) -> None:
    # Zombies are init's to collect, and the init of many a container does not: the launcher must wait for all it forks.
    driver = drive(AS_INIT, args=[LAST_ACT])
    assert driver.said("orphans") == ""
    driver.leaves_nothing()


LATE = """
import atexit, sys, threading
import actorgrid as ag

@ag.remote
def one():
    return 1

def use(who):
    try:
        print(f"{who}:", ag.get(one.remote(), timeout=20), flush=True)
    except ag.exceptions.HeadDiedError as error:
        print(f"{who}: HeadDiedError", flush=True)

class Late:
    def __del__(self):
        use("finalizer")

def loop(started):
    while True:
        ag.get(one.remote())
        started.set()

ag.init(num_cpus=1)
atexit.register(use, "exit")
started = threading.Event()
threading.Thread(target=loop, args=(started,), daemon=True).start()
started.wait()
kept = Late()
sys.modules["kept"] = kept
"""


TOO_LATE = """
import atexit, sys
import actorgrid as ag

@ag.remote
def one():
    return 1

def use(who):
    try:
        print(f"{who}:", ag.get(one.remote(), timeout=20), flush=True)
    except RuntimeError as error:
        print(f"{who}:", "shutting down" in str(error), flush=True)

class Late:
    def __del__(self):
        use("finalizer")

atexit.register(use, "exit")
ag.init(num_cpus=1)
ag.get(one.remote())
EARLY
sys.modules["kept"] = Late()
"""


@pytest.mark.parametrize("early", ["", "ag.shutdown()"])
def test_program_that_is_shutting_down_starts_no_grid_any_more(drive: Drive, early: str) -> None:
    driver = drive(TOO_LATE.replace("EARLY", early))
    assert driver.said("exit") == "True"
    assert driver.said("finalizer") == "True"
    driver.succeeds()
    driver.leaves_nothing()


FIRST_USE = """
import sys
import actorgrid as ag

class Late:
    def __del__(self):
        print("finalizer:", ag.is_initialized(), flush=True)

ag.init(num_cpus=1)
sys.modules["kept"] = Late()
"""


def test_names_that_a_program_first_uses_when_it_is_shutting_down_are_there(drive: Drive) -> None:
    driver = drive(FIRST_USE)
    assert driver.said("finalizer") == "False"
    driver.succeeds()


@pytest.mark.skipif(os.geteuid() != 0, reason="nobody else can become somebody else")
@pytest.mark.parametrize("end", ["", "ag.shutdown()"])
def test_program_that_has_given_up_its_rights_ends_its_grid_as_any_other(drive: Drive, end: str) -> None:
    driver = drive(f"""
import os
import actorgrid as ag
ag.init(num_cpus=1)
ag.get(ag.remote(os.getpid).remote())
os.setuid(65534)
{end}
""")
    driver.succeeds()
    assert driver.err == ""
    driver.leaves_nothing()


def test_handlers_at_exit_may_use_the_grid_and_threads_that_go_on_hold_nothing_up(drive: Drive) -> None:
    driver = drive(LATE)
    assert driver.said("exit") == "1"
    driver.succeeds()
    driver.leaves_nothing()
