"""What workers print reaches the driver's standard error: complete, in order, with a prefix."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable

from actorgrid.testing.waiting import wait_until
from tests.proc.helpers import Driver

Drive = Callable[..., Driver]

START = """
import os, subprocess, sys, time
import actorgrid as ag

@ag.remote
def speak(text):
    print(text)
    return os.getpid()

@ag.remote
class Speaker:
    def speak(self, text):
        print(text)
        return os.getpid()

ag.init(num_cpus=2)
"""


def run(drive: Drive, program: str, start: str = START) -> Driver:
    driver = drive(start + program)
    driver.succeeds()
    driver.leaves_nothing()
    return driver


def test_print_of_a_task_has_name_and_pid_before_it(drive: Drive) -> None:
    driver = run(drive, "print('pid:', ag.get(speak.remote('hello')))")
    assert f"(speak pid={driver.said('pid')}) hello\n" in driver.err
    assert "hello" not in driver.out


def test_print_of_an_actor_has_its_class_and_pid_before_it(drive: Drive) -> None:
    driver = run(drive, "print('pid:', ag.get(Speaker.remote().speak.remote('hello')))")
    assert f"(Speaker pid={driver.said('pid')}) hello\n" in driver.err


def test_print_of_an_actor_with_a_repr_of_its_own_has_that_before_it(drive: Drive) -> None:
    driver = run(
        drive,
        """
@ag.remote
class Named:
    def __init__(self, name):
        print("who am I")
        self.name = name
    def __repr__(self):
        return f"Named({self.name})"
    def speak(self):
        print("hello")
        return os.getpid()
print("pid:", ag.get(Named.remote("one").speak.remote()))
""",
    )
    assert f"(Named(one) pid={driver.said('pid')}) hello\n" in driver.err
    assert f"(Named pid={driver.said('pid')}) who am I\n" in driver.err


def test_title_and_prefix_of_what_is_called_anything_do_nothing_to_a_terminal(drive: Drive) -> None:
    driver = run(
        drive,
        r"""
def title():
    print("hello")
    return open("/proc/self/cmdline").read().rstrip("\0")
title.__qualname__ = "ti\x1b[31m\ntle"
print("title:", repr(ag.get(ag.remote(title).remote())))
""",
    )
    assert driver.said("title") == repr(r"actorgrid: worker ti\x1b[31m\ntle")
    assert re.search(r"\(ti\\x1b\[31m\\ntle pid=\d+\) hello", driver.err)


def test_standard_error_of_a_task_has_name_and_pid_before_it(drive: Drive) -> None:
    driver = run(drive, "f = ag.remote(lambda: print('oops', file=sys.stderr))\nag.get(f.remote())")
    assert re.search(r"\(.*pid=\d+\) oops\n", driver.err)


def test_every_line_of_a_text_has_the_prefix(drive: Drive) -> None:
    driver = run(drive, "print('pid:', ag.get(speak.remote('one\\ntwo\\n\\nfour')))")
    prefix = f"(speak pid={driver.said('pid')})"
    lines = [line.rstrip() for line in driver.err.splitlines()]
    assert lines == [f"{prefix} one", f"{prefix} two", prefix, f"{prefix} four"]


def test_output_is_there_before_the_driver_ends(drive: Drive) -> None:
    driver = run(drive, "ag.get([speak.remote(f'line {i}') for i in range(50)])")
    assert sorted(re.findall(r"line (\d+)", driver.err), key=int) == [str(i) for i in range(50)]


def test_lines_of_one_worker_are_complete_and_in_order(drive: Drive) -> None:
    driver = run(
        drive,
        """
@ag.remote
class Many:
    def speak(self):
        for i in range(5000):
            print("number", i)
ag.get(Many.remote().speak.remote())
""",
    )
    assert re.findall(r"^\(Many pid=\d+\) number (\d+)$", driver.err, re.MULTILINE) == [str(i) for i in range(5000)]


def test_every_one_of_a_hundred_thousand_lines_is_shown_in_its_order(drive: Drive) -> None:
    driver = run(
        drive,
        """
@ag.remote(max_retries=0)
def flood(count):
    for number in range(count):
        print("line", number)
    sys.exit(3)  # what was printed is shown all the same

try:
    ag.get(flood.remote(100_000))
except ag.exceptions.WorkerCrashedError:
    print("died:", flush=True)
""",
    )
    driver.wait_for("died")
    shown = re.findall(r"^\(flood pid=\d+\) line (\d+)$", driver.err, re.MULTILINE)
    assert len(shown) == 100_000
    assert shown == [str(number) for number in range(100_000)]


def test_lines_of_several_workers_are_not_torn(drive: Drive) -> None:
    driver = run(
        drive,
        """
@ag.remote(num_cpus=0)
class Many:
    def speak(self, mark):
        for i in range(500):
            print(mark * 100)
speakers = [Many.remote() for _ in range(3)]
ag.get([speaker.speak.remote(mark) for speaker, mark in zip(speakers, "abc")])
""",
    )
    lines = re.findall(r"^\(Many pid=\d+\) (.*)$", driver.err, re.MULTILINE)
    assert sorted(lines) == [mark * 100 for mark in "abc" for _ in range(500)]


def test_last_lines_before_a_crash_arrive(drive: Drive) -> None:
    driver = run(
        drive,
        """
@ag.remote(max_retries=0)
def crash():
    for i in range(100):
        print("step", i)
    sys.stdout.flush()
    os._exit(3)
try:
    ag.get(crash.remote())
except ag.exceptions.WorkerCrashedError:
    pass
""",
    )
    assert re.findall(r"^\(crash pid=\d+\) step (\d+)$", driver.err, re.MULTILINE) == [str(i) for i in range(100)]


def test_lines_are_flushed_one_by_one(drive: Drive) -> None:
    driver = run(
        drive,
        """
import signal
@ag.remote(max_retries=0)
def crash():
    print("last words")
    os.kill(os.getpid(), signal.SIGKILL)
try:
    ag.get(crash.remote())
except ag.exceptions.WorkerCrashedError:
    pass
""",
    )
    assert re.search(r"\(crash pid=\d+\) last words\n", driver.err)


def test_text_without_a_newline_arrives(drive: Drive) -> None:
    driver = run(drive, "ag.get(ag.remote(lambda: print('unfinished', end='')).remote())")
    assert "unfinished" in driver.err


def test_output_of_a_program_started_by_a_task_arrives(drive: Drive) -> None:
    driver = run(drive, "ag.get(ag.remote(lambda: subprocess.run(['echo', 'from a program'])).remote())")
    assert re.search(r"pid=\d+\) from a program\n", driver.err)


def test_output_of_a_program_has_the_name_of_what_printed_last_in_its_process(drive: Drive) -> None:
    driver = run(
        drive,
        """
def start():
    print("mine")
    subprocess.run(["echo", "from a program"])
    return os.getpid()
def start_silently():
    subprocess.run(["echo", "from a program of another task"])
ag.shutdown()
ag.init(num_cpus=1)
print("pid:", ag.get(ag.remote(start).remote()))
ag.get(ag.remote(start_silently).remote())
""",
    )
    pid = driver.said("pid")
    assert f"(start pid={pid}) from a program\n" in driver.err
    assert re.search(r"^\(start pid=\d+\) from a program of another task$", driver.err, re.MULTILINE)


def test_bytes_that_are_no_text_do_no_harm(drive: Drive) -> None:
    driver = run(drive, "ag.get(ag.remote(lambda: os.write(1, b'\\xff\\xfe here\\n')).remote())")
    assert "here" in driver.err


def test_text_in_any_alphabet_arrives(drive: Drive) -> None:
    driver = run(drive, "ag.get(speak.remote('größer 漢字 🙂'))")
    assert "größer 漢字 🙂" in driver.err


def test_very_long_line_arrives_whole(drive: Drive) -> None:
    driver = run(drive, "ag.get(speak.remote('x' * 300_000))")
    assert driver.err.count("x") == 300_000


def test_traceback_printed_by_a_task_stays_in_one_piece(drive: Drive) -> None:
    driver = run(
        drive,
        """
import traceback
@ag.remote
def show():
    try:
        1 / 0
    except ZeroDivisionError:
        traceback.print_exc()
ag.get(show.remote())
""",
    )
    lines = re.findall(r"^\(show pid=\d+\) (.*)$", driver.err, re.MULTILINE)
    assert lines[0].startswith("Traceback")
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_output_is_shown_while_the_task_runs(drive: Drive) -> None:
    driver = drive(
        START
        + """
@ag.remote
def slow():
    print("begun")
    while not os.path.exists("go"):
        time.sleep(0.01)
ag.get(slow.remote())
"""
    )
    assert wait_until(lambda: "begun" in driver.err)
    assert driver.process.poll() is None
    (driver.folder / "go").touch()
    driver.succeeds()


def test_log_to_driver_false_keeps_the_driver_silent(drive: Drive) -> None:
    start = START.replace("num_cpus=2", "num_cpus=2, log_to_driver=False")
    driver = run(drive, "print('pid:', ag.get(speak.remote('hello')))", start)
    assert driver.said("pid")
    assert driver.err == ""


def test_quiet_program_prints_nothing_of_its_own(drive: Drive) -> None:
    driver = run(drive, "ag.get(ag.remote(lambda: 1).remote())\nag.get(Speaker.remote().__ray_ready__.remote())")
    assert driver.err == ""
    assert driver.out == ""


def test_last_lines_before_a_crash_come_before_its_error_however_slow_the_terminal(drive: Drive) -> None:
    program = """
        class Terminal:
            def __init__(self): self.shown = ""
            def write(self, text): time.sleep(0.05); self.shown += text
            def flush(self): pass

        @ag.remote(max_retries=0)
        def fall(number):
            print("before", number)
            os._exit(3)

        sys.stderr = terminal = Terminal()
        for number in range(5):
            try:
                ag.get(fall.remote(number))
            except ag.exceptions.WorkerCrashedError:
                assert f"before {number}" in terminal.shown, terminal.shown
            else:
                raise AssertionError("it has returned")
    """
    run(drive, textwrap.dedent(program))
