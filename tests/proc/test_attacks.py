"""Drivers in odd surroundings: closed standard descriptors, few descriptors, strange streams."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.proc.helpers import Driver

Drive = Callable[..., Driver]

START = """
import os, resource, sys, threading
import actorgrid as ag

def limit(soft, hard=None):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1] if hard is None else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

@ag.remote
def speak(number):
    print("spoken", number)
    return number

@ag.remote
def nest(depth):
    return 0 if not depth else 1 + ag.get(nest.remote(depth - 1))
"""


def run(drive: Drive, program: str) -> Driver:
    driver = drive(START + program)
    driver.succeeds()
    driver.leaves_nothing()
    return driver


@pytest.mark.parametrize("closed", ["0", "1", "2", "0, 1", "1, 2", "0, 1, 2"])
def test_output_of_tasks_never_goes_into_a_link_where_standard_descriptors_are_closed(
    drive: Drive, closed: str
) -> None:
    driver = run(
        drive,
        f"""
out = os.dup(1)
for fd in ({closed},):
    os.close(fd)
ag.init(num_cpus=2)
total = sum(ag.get([speak.remote(number) for number in range(50)]))
ag.shutdown()
os.write(out, f"total: {{total}}\\n".encode())
os._exit(0)
""",
    )
    assert driver.said("total") == "1225"


def test_stream_that_refuses_to_be_written_to_does_not_end_the_grid(drive: Drive) -> None:
    driver = run(
        drive,
        """
class Strange:
    def write(self, text):
        raise KeyError(text)
    def flush(self):
        raise KeyError
ag.init(num_cpus=1)
usual, sys.stderr = sys.stderr, Strange()
for number in range(20):
    assert ag.get(speak.remote(number)) == number
ag.shutdown()
sys.stderr = usual
print("fine:", 1)
""",
    )
    assert driver.said("fine") == "1"


def test_soft_limit_of_descriptors_does_not_bound_the_number_of_workers(drive: Drive) -> None:
    driver = run(
        drive,
        """
limit(40)
ag.init(num_cpus=1)
print("depth:", ag.get(nest.remote(20)))
""",
    )
    assert driver.said("depth") == "20"


def test_hard_limit_of_descriptors_bounds_the_number_of_workers_with_a_typed_error(drive: Drive) -> None:
    driver = run(
        drive,
        """
limit(40, 40)
ag.init(num_cpus=1)
try:
    ag.get(nest.remote(20))
except ag.exceptions.TooManyWorkersError:
    print("error: TooManyWorkersError")
print("depth:", ag.get(nest.remote(2)))
""",
    )
    assert driver.said("error") == "TooManyWorkersError"
    assert driver.said("depth") == "2"


def test_shutdown_in_a_callback_ends_the_grid_promptly(drive: Drive) -> None:
    driver = run(
        drive,
        """
ag.init(num_cpus=1)
over = threading.Event()
def end(future):
    ag.shutdown()
    over.set()
nest.remote(1).future().add_done_callback(end)
assert over.wait(30)
print("running:", ag.is_initialized())
ag.init(num_cpus=1)
print("depth:", ag.get(nest.remote(2)))
""",
    )
    assert driver.said("running") == "False"
    assert driver.said("depth") == "2"


NOBODY_READS = """
from actorgrid.testing import wait_until
read, write = os.pipe()
os.dup2(write, 2)  # standard error is a pipe that nobody reads

@ag.remote
def chatter(path):
    line = "x" * 100
    while True:
        print(line)
        open(path, "w").close()

path = sys.argv[0] + ".started"
ref = chatter.remote(path)
assert wait_until(lambda: os.path.exists(path), 20)
"""


def test_calls_go_on_though_nobody_reads_what_is_printed(drive: Drive) -> None:
    run(
        drive,
        NOBODY_READS
        + """
for number in range(50):
    assert ag.get(nest.remote(1), timeout=20) == 1
ag.cancel(ref, force=True)
try:
    ag.get(ref, timeout=20)
except ag.exceptions.TaskCancelledError:
    pass
""",
    )


def test_program_ends_at_once_though_nobody_reads_what_is_printed(drive: Drive) -> None:
    run(
        drive,
        NOBODY_READS
        + """
ag.get(nest.remote(0), timeout=20)
ag.shutdown()
""",
    )


def test_what_was_held_back_is_printed_once_somebody_reads(drive: Drive) -> None:
    run(
        drive,
        NOBODY_READS
        + """
ag.cancel(ref, force=True)
@ag.remote
def count():
    for number in range(30_000):
        print("line", number)
done = count.remote()
lines, text = [], b""
def collect():
    global text
    while b"line 29999" not in text:
        text += os.read(read, 1 << 16)
thread = threading.Thread(target=collect)
thread.start()
ag.get(done, timeout=20)
thread.join(20)
seen = [int(line.split()[-1]) for line in text.decode().splitlines() if " line " in line]
assert seen == list(range(30_000)), (len(seen), seen[:3], seen[-3:])
""",
    )


@pytest.mark.parametrize("broken", ["1", "2", "1, 2"])
def test_grid_works_though_whoever_read_what_the_program_prints_has_gone(drive: Drive, broken: str) -> None:
    driver = run(
        drive,
        f"""
out = os.dup(1)
for fd in ({broken},):
    read, write = os.pipe()
    os.close(read)
    os.dup2(write, fd)
    os.close(write)
ag.init(num_cpus=2)
total = sum(ag.get([speak.remote(number) for number in range(50)]))
ag.shutdown()
ag.init(num_cpus=1)
total += ag.get(speak.remote(1))
ag.shutdown()
os.write(out, f"total: {{total}}\\n".encode())
""",
    )
    assert driver.said("total") == "1226"


def test_broken_pipe_of_the_program_itself_is_its_own_error_and_its_grid_goes_with_it(drive: Drive) -> None:
    driver = drive(
        START
        + """
import subprocess
if len(sys.argv) == 1:
    # As `program | head -1`.
    program = subprocess.Popen([sys.executable, __file__, "inner"], stdout=subprocess.PIPE, text=True)
    print("first:", program.stdout.readline(), end="")
    program.stdout.close()
    print("code:", program.wait(30))
else:
    ag.init(num_cpus=2)
    print("one", flush=True)
    ag.get([speak.remote(number) for number in range(8)])
    for number in range(1000):
        print("x" * 1000, flush=True)
"""
    )
    assert driver.said("first") == "one"
    assert driver.said("code") == "1"
    driver.succeeds()
    driver.leaves_nothing()
    assert driver.err.count("Traceback") == 1
    assert "BrokenPipeError" in driver.err
