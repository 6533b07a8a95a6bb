"""How a grid comes to life: what its processes import, and from where."""

from __future__ import annotations

from collections.abc import Callable

import psutil
import pytest

from actorgrid.engine.definitions import StartConfig
from actorgrid.runtime.spawn import Spawned
from tests.proc.helpers import Driver

Drive = Callable[..., Driver]


def test_files_in_the_working_directory_do_not_stand_in_for_modules_of_the_grid(drive: Drive) -> None:
    script = """
        import os
        import actorgrid as ag

        @ag.remote
        def works(): return "done"

        os.mkdir("elsewhere")
        os.chdir("elsewhere")
        for name in ("inspect", "socket", "msgspec", "cloudpickle", "actorgrid"):
            with open(f"{name}.py", "w") as file:
                file.write("raise SystemExit('imported from the working directory')")
        with ag.init(num_cpus=1):
            print(ag.get(works.remote()))
    """
    driver = drive(script)
    driver.succeeds()
    assert driver.out == "done\n"
    driver.leaves_nothing()


def test_grid_that_does_not_need_asyncio_does_not_pay_for_it(drive: Drive) -> None:
    script = """
        import sys
        import actorgrid as ag

        @ag.remote
        def has(name): return name in sys.modules

        with ag.init(num_cpus=1):
            print(ag.get(has.remote("asyncio")), "asyncio" in sys.modules)
    """
    driver = drive(script)
    driver.succeeds()
    assert driver.out == "False False\n"


def test_head_is_gone_when_its_driver_cannot_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from actorgrid.api.session import init
    from actorgrid.runtime import machine

    before = set(psutil.Process().children())
    heads: list[psutil.Process] = []

    def fails(start: StartConfig) -> dict[str, float]:
        heads.extend(set(psutil.Process().children()) - before)
        raise OSError("this machine cannot be looked at")

    monkeypatch.setattr(machine, "capacity", fails)
    with pytest.raises(OSError, match="cannot be looked at"):
        init(num_cpus=1)
    assert len(heads) == 1
    assert not heads[0].is_running()


def test_head_that_is_never_told_what_it_is_for_goes_with_its_driver() -> None:
    head = Spawned(StartConfig())
    process = psutil.Process(head.pid)
    head.link.close()
    assert process.wait(30) == 0


def test_grid_starts_while_threads_of_its_program_hold_the_locks_that_a_copy_of_it_would_wait_for(drive: Drive) -> None:
    script = """
        import importlib, logging, os, sys, threading
        import actorgrid as ag

        with open("slow_to_import.py", "w") as file:
            file.write("import __main__; __main__.importing.set(); __main__.done.wait()")
        importing, logs, done = (threading.Event() for _ in range(3))

        def hold_logging():
            with logging.getLogger().handlers[0].lock:
                logs.set()
                done.wait()

        @ag.remote
        def works():
            logging.warning("from a worker")
            print("printed by a worker")
            return "done"

        logging.basicConfig()
        sys.path.insert(0, os.getcwd())
        targets = [hold_logging, lambda: importlib.import_module("slow_to_import")]
        threads = [threading.Thread(target=target) for target in targets]
        for thread in threads:
            thread.start()
        for held in (importing, logs):
            held.wait()
        with ag.init(num_cpus=2, log_to_driver=False):
            print(ag.get([works.remote() for _ in range(4)]))
        done.set()
        for thread in threads:
            thread.join()
    """
    driver = drive(script)
    driver.succeeds()
    assert driver.out == "['done', 'done', 'done', 'done']\n"


STARTS = """
    import logging, os, sys, threading
    import actorgrid as ag

    sys.stdout = open(os.devnull, "w")  # its buffer has a lock that everybody wants
    logging.basicConfig(stream=sys.stdout)
    stop = threading.Event()

    def work():
        while not stop.is_set():
            print("x" * 500)
            logging.warning("said by a thread")

    @ag.remote(max_calls=1, max_retries=0)
    def speak():
        print("printed by a worker")
        logging.warning("logged by a worker")
        return os.getpid()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        ag.init(num_cpus=4, log_to_driver=False)
        pids = ag.get([speak.remote() for _ in range(int(sys.argv[1]))], timeout=120)
    finally:
        stop.set()
    for thread in threads:
        thread.join()
    sys.__stdout__.write(f"processes: {len(set(pids))}\\n")
"""


@pytest.mark.parametrize("starts", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_no_worker_hangs_though_threads_of_the_driver_print_and_log_all_the_time(drive: Drive, starts: int) -> None:
    driver = drive(STARTS, args=[str(starts)])
    assert driver.wait(180) == 0, driver.err
    assert driver.said("processes") == str(starts)
    driver.leaves_nothing()
