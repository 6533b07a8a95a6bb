"""Workers that a signal has stopped, and what tries again and again on real processes."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from tests.proc.helpers import Driver

Drive = Callable[..., Driver]


def run(drive: Drive, program: str) -> Driver:
    driver = drive(program)
    driver.succeeds()
    driver.leaves_nothing()
    return driver


def test_stopped_worker_is_reported_killed_and_its_task_run_again(drive: Drive) -> None:
    script = """
        import os, signal, tempfile
        os.environ["ACTORGRID_STOPPED_LIMIT"] = "0.5"
        import actorgrid as ag

        @ag.remote
        def stops_once(path):
            if not os.path.exists(path):
                open(path, "w").close()
                os.kill(os.getpid(), signal.SIGSTOP)
            return "ran"

        with ag.init(num_cpus=1), tempfile.TemporaryDirectory() as folder:
            print(ag.get(stops_once.remote(folder + "/once"), timeout=20))
    """
    driver = run(drive, script)
    assert driver.out == "ran\n"
    assert "actorgrid: a signal has stopped worker" in driver.err
    assert "(it runs stops_once); if it does not go on it is killed in 0.5 s" in driver.err


def test_stopped_worker_that_is_let_go_on_in_time_finishes_what_it_was_doing(drive: Drive) -> None:
    script = """
        import contextlib, io, os, signal
        import actorgrid as ag
        from actorgrid.testing.waiting import wait_until

        @ag.remote
        class Worker:
            def pid(self): return os.getpid()
            def work(self): return "done"

        with ag.init(num_cpus=1):
            worker = Worker.remote()
            pid = ag.get(worker.pid.remote())
            with contextlib.redirect_stderr(io.StringIO()) as said:
                os.kill(pid, signal.SIGSTOP)
                # A process that goes on at once has never been stopped for whoever asks the kernel afterwards.
                assert wait_until(lambda: "a signal has stopped worker" in said.getvalue(), 20)
                ref = worker.work.remote()
                os.kill(pid, signal.SIGCONT)
                print(ag.get(ref, timeout=20))
    """
    assert run(drive, script).out == "done\n"


def test_actor_in_a_crash_loop_stops_by_rule(drive: Drive) -> None:
    script = """
        import os
        import actorgrid as ag

        @ag.remote(max_restarts=-1)
        class Loop:
            def __init__(self): os._exit(3)
            def ping(self): return 1

        with ag.init(num_cpus=1, restart_intensity=3, restart_period=30):
            try:
                ag.get(Loop.remote().ping.remote(), timeout=30)
            except ag.exceptions.ActorDiedError as error:
                print(error)
    """
    told = run(drive, script).out
    assert "4 deaths within 30 s, no call served between them, are more than restart_intensity=3 allows" in told


STOPPED = """
    import os, signal
    import actorgrid as ag
    from actorgrid.testing.processes import RealGrid

    signal.signal(signal.SIGINT, signal.default_int_handler)

    @ag.remote
    def size(data): return len(data)

    with ag.init(num_cpus=1):
        ag.get(size.remote(b""))
        head = RealGrid().head.pid
        os.kill(head, signal.SIGSTOP)
        {submits}
        print("waits: 1", flush=True)
        try:
            ag.get(refs)
        except KeyboardInterrupt:
            print("interrupted: 1", flush=True)
        os.kill(head, signal.SIGCONT)
        print("sizes:", sum(ag.get(refs)))
"""
SUBMITS = {
    "arguments": "refs = [size.remote(bytes(90_000)) for _ in range(100)]",
    "objects": "refs = [size.remote(ag.put(bytes(90_000))) for _ in range(100)]",
}


@pytest.mark.parametrize("submits", SUBMITS.values(), ids=SUBMITS)
def test_program_that_has_much_to_say_to_a_stopped_head_can_be_interrupted_and_nothing_is_lost(
    drive: Drive, submits: str
) -> None:
    driver = drive(STOPPED.format(submits=submits))
    driver.wait_for("waits")
    driver.send(signal.SIGINT)
    assert driver.said("interrupted") == "1"
    driver.succeeds()
    assert driver.said("sizes") == "9000000"
    driver.leaves_nothing()


def test_program_that_wants_memory_from_a_stopped_head_can_be_interrupted(drive: Drive) -> None:
    script = """
        import os, signal
        import actorgrid as ag
        from actorgrid.testing.processes import RealGrid

        signal.signal(signal.SIGINT, signal.default_int_handler)
        with ag.init(num_cpus=1):
            head = RealGrid().head.pid
            os.kill(head, signal.SIGSTOP)
            print("waits: 1", flush=True)
            try:
                refs = [ag.put(bytes(900_000)) for _ in range(1000)]
            except KeyboardInterrupt:
                print("interrupted: 1", flush=True)
            os.kill(head, signal.SIGCONT)
            print("size:", len(ag.get(ag.put(bytes(900_000)))))
    """
    driver = drive(script)
    driver.wait_for("waits")
    driver.send(signal.SIGINT)
    assert driver.said("interrupted") == "1"
    driver.succeeds()
    assert driver.said("size") == "900000"
    driver.leaves_nothing()
