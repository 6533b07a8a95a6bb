"""What tasks have started goes with their worker, wherever it has gone; and actors that do not come to their end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.proc.helpers import Driver

Drive = Callable[..., Driver]

START = """
import atexit, os, signal, subprocess, sys, time
import actorgrid as ag
from actorgrid.testing.waiting import wait_until

def alive(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

def gone(pid):
    return wait_until(lambda: not alive(pid), 20)

def start_daemon():
    # A double fork, as daemons do: its parent is gone, and so is its session.
    read, write = os.pipe()
    if not os.fork():
        os.setsid()
        if not os.fork():
            os.write(write, b"%d" % os.getpid())
            os.execvp("sleep", ["sleep", "600"])
        os._exit(0)
    os.wait()
    return int(os.read(read, 20))

@ag.remote
class Starter:
    def pid(self): return os.getpid()
    def session(self): return subprocess.Popen(["sleep", "600"], start_new_session=True).pid
    def daemon(self): return start_daemon()

@ag.remote
class Talker:
    def pid(self): return os.getpid()
    def leave(self): ag.actor.exit_actor()
    def __ray_shutdown__(self): time.sleep(600)

@ag.remote
class Handler:
    def pid(self): atexit.register(time.sleep, 600); return os.getpid()
    def leave(self): ag.actor.exit_actor()

@ag.remote(max_calls=1)
def once(): atexit.register(time.sleep, 600); return os.getpid()
"""


def run(drive: Drive, program: str, **options: dict[str, str]) -> str:
    driver = drive(START + program, **options)
    driver.succeeds()
    driver.leaves_nothing()
    return driver.out


def test_programs_in_a_session_of_their_own_go_with_their_worker(drive: Drive) -> None:
    said = run(drive, """
with ag.init(num_cpus=2):
    starter = Starter.remote()
    children = ag.get([starter.session.remote(), starter.daemon.remote(), starter.session.remote()])
    assert all(alive(child) for child in children)
    os.kill(ag.get(starter.pid.remote()), signal.SIGKILL)
    print([gone(child) for child in children])
""")  # fmt: skip
    assert said == "[True, True, True]\n"


def test_programs_of_other_workers_are_left_alone(drive: Drive) -> None:
    said = run(drive, """
with ag.init(num_cpus=2):
    first, second = Starter.remote(), Starter.remote()
    theirs, others = ag.get([first.daemon.remote(), second.daemon.remote()])
    os.kill(ag.get(first.pid.remote()), signal.SIGKILL)
    print(gone(theirs), alive(others))
""")  # fmt: skip
    assert said == "True True\n"


BRIEF = {"ACTORGRID_ACTOR_GRACEFUL_SHUTDOWN_TIMEOUT_MS": "200"}


@pytest.mark.parametrize("name", ["Talker", "Handler"])
def test_actor_whose_last_words_do_not_end_is_killed(drive: Drive, name: str) -> None:
    said = run(drive, f"""
with ag.init(num_cpus=1):
    actor = {name}.remote()
    pid = ag.get(actor.pid.remote())
    del actor
    print(gone(pid))
""", env=BRIEF)  # fmt: skip
    assert said == "True\n"


@pytest.mark.parametrize("leave", ["actor.leave.remote()", "actor.__ray_terminate__.remote()"])
@pytest.mark.parametrize("name", ["Talker", "Handler"])
def test_actor_that_ends_itself_and_whose_last_words_do_not_end_is_killed(drive: Drive, name: str, leave: str) -> None:
    said = run(drive, f"""
with ag.init(num_cpus=1):
    actor = {name}.remote()
    pid = ag.get(actor.pid.remote())
    calls = [{leave}, actor.pid.remote()]
    print(gone(pid))
    for call in [*calls, actor.pid.remote()]:
        try: ag.get(call, timeout=30)
        except ag.exceptions.ActorDiedError: print("died")
""", env=BRIEF)  # fmt: skip
    assert said == "True\ndied\ndied\ndied\n"


def test_worker_that_leaves_after_its_last_call_is_killed_if_its_last_words_do_not_end(drive: Drive) -> None:
    said = run(drive, """
with ag.init(num_cpus=1):
    first, second = ag.get([once.remote(), once.remote()])
    print(gone(first), gone(second))
""", env=BRIEF)  # fmt: skip
    assert said == "True True\n"
