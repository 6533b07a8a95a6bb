"""Grids that come and go in one program."""

from __future__ import annotations

from collections.abc import Callable

from tests.proc.helpers import Driver

Drive = Callable[..., Driver]


def run(drive: Drive, program: str) -> Driver:
    driver = drive("import asyncio, os, sys, threading\nimport actorgrid as ag\n" + program)
    driver.succeeds()
    driver.leaves_nothing()
    return driver


def test_descriptors_and_threads_do_not_grow_from_grid_to_grid(drive: Drive) -> None:
    driver = run(
        drive,
        """
one = ag.remote(lambda: 1)
counts = []
for _ in range(6):
    ag.init(num_cpus=1)
    ag.get(one.remote())
    ag.get(ag.put(bytes(1_000_000)))
    ag.shutdown()
    counts.append((len(os.listdir("/proc/self/fd")), threading.active_count()))
print("same:", len(set(counts[1:])) == 1, counts)
""",
    )
    assert driver.said("same").startswith("True")


def test_grid_started_from_a_thread(drive: Drive) -> None:
    driver = run(
        drive,
        """
def work():
    ag.init(num_cpus=1)
    print("value:", ag.get(ag.remote(lambda: 42).remote()))
thread = threading.Thread(target=work)
thread.start()
thread.join()
print("again:", ag.get(ag.remote(lambda: 43).remote()))
""",
    )
    assert driver.said("value") == "42"
    assert driver.said("again") == "43"


def test_first_use_from_many_threads_starts_one_grid(drive: Drive) -> None:
    driver = run(
        drive,
        """
node = ag.remote(lambda: ag.get_runtime_context().get_node_id())
nodes = []
threads = [threading.Thread(target=lambda: nodes.append(ag.get(node.remote()))) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("nodes:", len(nodes), len(set(nodes)))
""",
    )
    assert driver.said("nodes") == "8 1"


def test_grid_used_only_inside_an_event_loop(drive: Drive) -> None:
    driver = run(
        drive,
        """
double = ag.remote(lambda x: 2 * x)
async def main():
    ag.init(num_cpus=1)
    print("value:", sum(await asyncio.gather(*[double.remote(i) for i in range(10)])))
asyncio.run(main())
""",
    )
    assert driver.said("value") == "90"


def test_loop_that_is_closed_while_a_reference_is_awaited_does_no_harm(drive: Drive) -> None:
    driver = run(
        drive,
        """
@ag.remote(num_cpus=0)
def slow():
    while not os.path.exists("go"):
        pass
    return 1
ag.init(num_cpus=1)
ref = slow.remote()
async def main():
    try:
        await asyncio.wait_for(ref, 0.05)
    except TimeoutError:
        pass
asyncio.run(main())
open("go", "w").close()
print("value:", ag.get(ref))
""",
    )
    assert driver.said("value") == "1"
    assert driver.err == ""


def test_signal_handlers_of_the_program_stay(drive: Drive) -> None:
    driver = run(
        drive,
        """
import signal
def mine(*args):
    print("mine:", flush=True)
signal.signal(signal.SIGINT, mine)
signal.signal(signal.SIGCHLD, mine2 := (lambda *args: None))
ag.init(num_cpus=1)
assert signal.getsignal(signal.SIGINT) is mine
assert signal.getsignal(signal.SIGCHLD) is mine2
signal.raise_signal(signal.SIGINT)
print("value:", ag.get(ag.remote(lambda: 42).remote()))
ag.shutdown()
assert signal.getsignal(signal.SIGINT) is mine
""",
    )
    driver.wait_for("mine")
    assert driver.said("value") == "42"


def test_signals_that_break_off_system_calls_of_the_program_break_none_of_the_grid(drive: Drive) -> None:
    driver = run(
        drive,
        """
import signal, time
count = 0
def tick(*args):
    global count
    count += 1
signal.signal(signal.SIGALRM, tick)
signal.siginterrupt(signal.SIGALRM, True)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
work = ag.remote(lambda number: (time.sleep(0.002), number)[1])
large = bytes(range(256)) * 4000
total = 0
for _ in range(2):
    ag.init(num_cpus=1)
    total += sum(ag.get([work.remote(number) for number in range(30)], timeout=30))
    assert ag.get(ag.remote(lambda value: value).remote(large), timeout=30) == large
    assert ag.get(ag.put(large)) == large
    ag.shutdown()
signal.setitimer(signal.ITIMER_REAL, 0)
assert signal.getsignal(signal.SIGALRM) is tick
print("total:", total, count > 20)
""",
    )
    assert driver.said("total") == "870 True"


def test_interrupt_handler_is_pythons_again_after_shutdown(drive: Drive) -> None:
    driver = run(
        drive,
        """
import signal
before = signal.getsignal(signal.SIGINT)
ag.init(num_cpus=1)
ag.shutdown()
print("same:", signal.getsignal(signal.SIGINT) is before)
""",
    )
    assert driver.said("same") == "True"


def test_references_alive_at_exit_make_no_noise(drive: Drive) -> None:
    driver = run(
        drive,
        """
ag.init(num_cpus=1)
kept = [ag.put(bytes(1_000_000)) for _ in range(5)]
value = ag.get(kept[0])
class Cycle: pass
cycle = Cycle(); cycle.me = cycle; cycle.ref = ag.put(1)
""",
    )
    assert driver.err == ""


def test_array_outlives_its_grid(drive: Drive) -> None:
    driver = run(
        drive,
        """
import numpy as np
ag.init(num_cpus=1)
array = ag.get(ag.put(np.arange(1_000_000)))
ag.shutdown()
print("value:", int(array[-1]))
""",
    )
    assert driver.said("value") == "999999"
    assert driver.err == ""


def test_grid_that_ends_while_it_starts_leaves_nothing(drive: Drive) -> None:
    driver = drive("""
import time
import psutil
import actorgrid as ag
for delay in (0, 0, 0.02, 0.1, 0.3):
    ag.init(num_cpus=2)
    time.sleep(delay)  # what it does meanwhile is none of our business
    ag.shutdown()
    print(len(psutil.Process().children(recursive=True)))
""")
    driver.succeeds()
    driver.leaves_nothing()
    assert driver.out.split() == ["0"] * 5
