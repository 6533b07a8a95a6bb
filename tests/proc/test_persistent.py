"""A grid that programs join and leave: what is shared, what ends with whom, who may come in, and what is left."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

import actorgrid as ag
from actorgrid.engine.definitions import StartConfig
from actorgrid.exceptions import GridSystemError, HeadDiedError
from actorgrid.runtime import door, persistent
from actorgrid.runtime.config import BootConfig
from actorgrid.runtime.lobby import ROOM
from actorgrid.testing.waiting import wait_until
from actorgrid.util import state
from tests.proc.grids import LIMIT, Grid, command

RUNNING = [("status", "=", "RUNNING")]


@pytest.fixture
def grid(tmp_path: Path) -> Iterator[Grid]:
    made = Grid(tmp_path)
    yield made
    ag.shutdown()
    if made.head.is_running():
        done = command("stop", "--address", made.address)
        assert (done.returncode, done.stderr) == (0, "")
    assert wait_until(made.is_gone)


@ag.remote
def where() -> int:
    return os.getpid()


@ag.remote
def pause() -> None:
    signal.pause()


@ag.remote(num_cpus=0)
class Counter:
    def __init__(self) -> None:
        self.value = 0

    def add(self, by: int = 1) -> int:
        self.value += by
        return self.value


COUNTER = """
@ag.remote(num_cpus=0)
class Counter:
    def __init__(self): self.value = 0
    def add(self): self.value += 1; return self.value
"""


# ------------------------------------------------------------------------------------------- what is shared, and ends


def test_detached_actor_outlives_the_program_that_made_it(grid: Grid) -> None:
    code = (
        COUNTER
        + "print(ag.get(Counter.options(name='c', lifetime='detached', get_if_exists=True).remote().add.remote()))"
    )
    assert [grid.says(code) for _ in range(3)] == ["1\n", "2\n", "3\n"]


def test_actor_ends_with_the_program_that_made_it_and_its_name_is_free(grid: Grid) -> None:
    assert grid.says(COUNTER + "c = Counter.options(name='c').remote(); print(ag.get(c.add.remote()))") == "1\n"
    assert grid.says("try: ag.get_actor('c')\nexcept ValueError: print('none')") == "none\n"
    grid.join()
    assert ag.available_resources()["CPU"] == 2


def test_names_are_found_in_their_namespace_alone(grid: Grid) -> None:
    grid.join()
    made = Counter.options(name="c", lifetime="detached").remote()
    ag.get(made.add.remote())
    ask = f"ag.shutdown(); ag.init(address={grid.address!r}"
    found = "\ntry: print(ag.get(ag.get_actor('c'{}).add.remote()))\nexcept ValueError: print('none')"
    assert grid.says(ask + ")" + found.format("")) == "none\n"
    assert grid.says(ask + ")" + found.format(", namespace='tests'")) == "2\n"
    assert grid.says(ask + ", namespace='tests')" + found.format("")) == "3\n"


def test_objects_pass_from_program_to_program_through_a_detached_actor(grid: Grid) -> None:
    code = """
import numpy as np
class Keeper:
    def keep(self, refs): self.refs = refs
    def give(self): return self.refs
k = ag.remote(Keeper).options(name='k', lifetime='detached').remote()
ag.get(k.keep.remote([np.arange(300_000)]))
"""
    assert grid.says(code) == ""
    grid.join()
    (array,) = ag.get(ag.get_actor("k").give.remote())
    assert int(array.sum()) == 299_999 * 150_000


def test_killed_program_costs_the_others_nothing(grid: Grid) -> None:
    busy = "f = ag.remote(lambda: time.sleep(600)); refs = [f.remote() for _ in range(9)]; print('on', flush=True)"
    other = grid.program(f"{busy}; ag.get(refs)")
    assert other.stdout is not None
    assert other.stdout.readline() == "on\n"
    grid.join()
    counter = Counter.remote()
    assert ag.get(counter.add.remote()) == 1
    other.kill()
    other.communicate()
    assert ag.get(ag.remote(lambda: "ran").remote(), timeout=LIMIT) == "ran"
    assert ag.get(counter.add.remote()) == 2
    assert wait_until(lambda: ag.available_resources().get("CPU") == 2)


def test_program_that_leaves_streams_behind_that_have_not_begun_costs_the_others_nothing(grid: Grid) -> None:
    code = """
@ag.remote
def items():
    yield os.getpid()
    time.sleep(600)
streams = [items.remote() for _ in range(6)]
next(streams[0])
print('on', flush=True)
"""
    grid.join()
    for end in ("os._exit(3)", "ag.shutdown(); os._exit(3)"):
        program = grid.program(code + end)
        assert program.communicate(timeout=LIMIT)[0] == "on\n"
        assert ag.get(ag.remote(lambda: "ran").remote(), timeout=LIMIT) == "ran"
    assert wait_until(lambda: ag.available_resources().get("CPU") == 2)


def test_programs_share_the_resources(grid: Grid) -> None:
    holder = grid.program(
        "h = ag.remote(lambda: input).options(num_cpus=2)\n"
        "class H:\n    def ready(self): return 1\n"
        "h = ag.remote(H).options(num_cpus=2).remote(); ag.get(h.ready.remote()); print('has', flush=True); input()"
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "has\n"
    grid.join()
    ref = ag.remote(lambda: "ran").remote()
    assert ag.wait([ref], timeout=0) == ([], [ref])
    holder.communicate("go", timeout=LIMIT)
    assert ag.get(ref, timeout=LIMIT) == "ran"


def test_each_program_has_its_own_modules_folder_and_arguments(grid: Grid, tmp_path: Path) -> None:
    code = """
import helper
@ag.remote
def look():
    import helper
    return helper.WHO, os.path.basename(os.getcwd())
print(ag.get(look.remote()), helper.WHO, flush=True); input()
"""
    programs = []
    for who in ("one", "two"):
        folder = tmp_path / who
        folder.mkdir()
        (folder / "helper.py").write_text(f"WHO = {who!r}", encoding="utf-8")
        programs.append(grid.program(code, cwd=folder))
    for who, program in zip(("one", "two"), programs, strict=True):
        assert program.stdout is not None
        assert program.stdout.readline() == f"('{who}', '{who}') {who}\n"
        program.communicate("", timeout=LIMIT)


def test_output_is_printed_where_it_belongs(grid: Grid) -> None:
    talker = grid.program("ag.get(ag.remote(lambda: print('from the task')).remote())")
    listener = grid.program("print(ag.get(ag.remote(lambda: 1).remote()))")
    _, err = talker.communicate(timeout=LIMIT)
    assert "from the task" in err
    assert listener.communicate(timeout=LIMIT) == ("1\n", "")


def test_program_that_wants_no_output_gets_none(grid: Grid) -> None:
    code = f"ag.shutdown(); ag.init(address={grid.address!r}, log_to_driver=False)\n"
    assert grid.says(code + "ag.get(ag.remote(lambda: print('unheard')).remote())") == ""


LOGS = """
ag.shutdown()
ag.init(address={address!r}, logging_config=ag.LoggingConfig(encoding={encoding!r}))
import logging
ag.get(ag.remote(lambda: logging.getLogger('mine').info('hello')).remote())
"""


def test_each_program_says_how_its_workers_log(grid: Grid) -> None:
    for encoding, told in (("JSON", '"message": "hello"'), ("TEXT", " -- hello ")):
        program = grid.program(LOGS.format(address=grid.address, encoding=encoding))
        _, err = program.communicate(timeout=LIMIT)
        assert told in err


def test_limit_of_pending_tasks_holds_in_the_workers_of_a_program_that_joins(grid: Grid) -> None:
    grid.join(max_pending_tasks=2, on_max_pending="raise")

    @ag.remote
    def submit() -> None:
        [pause.remote() for _ in range(3)]

    with pytest.raises(ag.exceptions.PendingCallsLimitExceeded):
        ag.get(submit.remote(), timeout=LIMIT)


def test_program_may_leave_and_join_again(grid: Grid) -> None:
    jobs = set()
    for _ in range(3):
        grid.join()
        assert ag.get(ag.remote(lambda: ag.get_runtime_context().namespace).remote()) == "tests"
        here = ag.get_runtime_context().get_job_id()
        assert ag.get(ag.remote(lambda: ag.get_runtime_context().get_job_id()).remote()) == here
        jobs.add(here)
        ag.shutdown()
    assert len(jobs) == 3
    grid.join()
    now, *before = state.list_jobs(detail=True)
    assert (now.status, now.end_time) == ("RUNNING", None)
    assert {job.job_id for job in before} == jobs
    assert {job.status for job in before} == {"SUCCEEDED"}
    times = [(job.start_time or 0, job.end_time or 0) for job in before]
    assert all(0 < start <= end for start, end in times), times


EMPLOYER = """
def job(): return ag.get_runtime_context().get_job_id()
class Employer:
    def hire(self):
        ref = ag.remote(job).remote()
        return job(), ag.get(ref), [ref]
e = ag.remote(Employer).options(name='e', lifetime='detached').remote()
ag.get(e.hire.remote())
print(job(), end='')
"""


def test_what_a_detached_actor_does_for_others_is_of_the_job_that_made_it(grid: Grid) -> None:
    maker = grid.says(EMPLOYER)
    grid.join()
    here = ag.get_runtime_context().get_job_id()
    own, inner, (ref,) = ag.get(ag.get_actor("e").hire.remote(), timeout=LIMIT)
    assert own == inner == maker != here
    assert {row.job_id for row in state.list_tasks(filters=[("name", "=", "job")])} == {maker}
    assert [row.job_id for row in state.list_tasks(filters=[("name", "=", "Employer.hire")])] == [here, maker]
    assert ref.job_id() == here


def test_processes_that_served_a_program_go_with_it(grid: Grid) -> None:
    grid.join()
    served = [psutil.Process(pid) for pid in set(ag.get([where.remote() for _ in range(20)]))]
    ag.shutdown()
    assert wait_until(lambda: not any(process.is_running() for process in served))


# ------------------------------------------------------------------------------------------------------------ the ends


def test_stop_tells_everybody_who_waits(grid: Grid) -> None:
    grid.join()
    ref = pause.remote()
    done = command("stop", "--address", grid.address)
    assert done.returncode == 0
    assert done.stdout == f"the grid at {grid.address} has ended (pid {grid.head.pid})\n"
    with pytest.raises(HeadDiedError, match=r"the grid was stopped \(actorgrid stop\)"):
        ag.get(ref, timeout=LIMIT)
    assert wait_until(grid.is_gone)


@pytest.mark.parametrize("which", ["head", "launcher"])
def test_grid_that_is_killed_leaves_nothing_and_everybody_is_told(grid: Grid, which: str) -> None:
    grid.join()
    ref = pause.remote()
    victim = grid.head if which == "head" else grid.head.children()[0]
    victim.kill()
    with pytest.raises(HeadDiedError):
        ag.get(ref, timeout=LIMIT)
    assert wait_until(grid.is_gone)


def test_socket_that_a_dead_grid_has_left_is_in_nobodys_way(tmp_path: Path) -> None:
    folder = tmp_path / "door"
    folder.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(folder / "grid.sock"))
    grid = Grid(tmp_path)
    assert grid.says("print(ag.get(ag.put(1)))") == "1\n"
    assert command("stop", "--address", grid.address).returncode == 0
    assert wait_until(grid.is_gone)


def test_program_of_a_grid_that_is_dead_is_told_though_another_one_has_its_address(grid: Grid) -> None:
    grid.join()
    counter = Counter.remote()
    assert ag.get(counter.add.remote()) == 1
    grid.head.kill()
    assert wait_until(grid.is_gone)
    again = Grid(grid.folder)
    try:
        with pytest.raises(HeadDiedError):
            ag.get(counter.add.remote(), timeout=LIMIT)
        assert again.says("print(ag.util.list_named_actors(), ag.get(ag.put(1)))") == "[] 1\n"
    finally:
        ag.shutdown()
        assert command("stop", "--address", again.address).returncode == 0
        assert wait_until(again.is_gone)


def kill_at_work(grid: Grid, work: str) -> None:
    """Kill a program that has joined, when it has begun ``work``, which says "on", and waits for it."""
    victim = grid.program(f"{work}; sys.stdout.flush(); ag.get(refs)")
    assert victim.stdout is not None
    assert victim.stdout.readline() == "on\n"
    victim.kill()
    victim.communicate()


def has_at_most(grid: Grid, count: int) -> bool:
    return grid.descriptors_beside_workers() <= count


def test_programs_that_are_killed_one_after_the_other_cost_a_survivor_nothing_and_leave_nothing(grid: Grid) -> None:
    grid.join()
    counter = Counter.remote()
    work = "refs = [ag.remote(lambda: time.sleep(600)).remote() for _ in range(9)]; ag.put(bytes(1 << 20)); print('on')"
    most = 0
    for number in range(8):
        kill_at_work(grid, work)
        assert ag.get(counter.add.remote(), timeout=LIMIT) == number + 1
        assert wait_until(lambda: ag.available_resources().get("CPU") == 2)
        assert (len(state.list_objects()), len(state.list_jobs(filters=RUNNING))) == (0, 1)
        most = most or grid.descriptors_beside_workers() + 2  # one worker may be about to start
        assert wait_until(partial(has_at_most, grid, most)), number


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a grid that remembers few of the tasks that are over: what it remembers grows until there are so many."""
    monkeypatch.setenv("ACTORGRID_TASK_EVENTS", "20")


@pytest.mark.slow
@pytest.mark.usefixtures("forgetful", "grid")
def test_hundred_killed_programs_leave_the_memory_of_the_head_as_it_was(grid: Grid) -> None:
    grid.join()
    counter = Counter.remote()
    work = (
        "refs = [ag.remote(lambda: time.sleep(600)).remote() for _ in range(50)]; ag.put(bytes(1 << 20)); print('on')"
    )
    used: list[int] = []
    for number in range(100):
        kill_at_work(grid, work)
        assert ag.get(counter.add.remote(), timeout=LIMIT) == number + 1
        assert wait_until(lambda: ag.available_resources().get("CPU") == 2)
        used.append(grid.head.memory_info().rss)
    assert (len(state.list_objects()), len(state.list_jobs(filters=RUNNING))) == (0, 1)
    assert max(used[90:]) - max(used[20:30]) < 2 << 20, used[::10]  # of 70 programs


# ------------------------------------------------------------------------------------------------------- who may enter


def test_grid_that_dies_while_it_starts_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "door").mkdir(mode=0o700)
    address = str(tmp_path / "door" / "grid.sock")
    send = BootConfig.send

    def kill(self: BootConfig, link: socket.socket) -> None:
        send(self, link)
        (head,) = [each for each in psutil.Process().children() if str(each.pid) not in known]
        head.kill()

    known = {str(each.pid) for each in psutil.Process().children()}
    monkeypatch.setattr(BootConfig, "send", kill)
    with pytest.raises(GridSystemError, match="the grid's head died while it started"):
        persistent.start(StartConfig(address=address, num_cpus=1))
    assert not Path(address).exists()


def test_one_address_is_one_grid(grid: Grid) -> None:
    done = command("start", "--address", grid.address)
    assert (done.returncode, done.stderr) == (1, f"actorgrid: a grid is there already: {grid.address}\n")


def test_where_no_grid_is_there_is_none_to_join(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(ConnectionError, match=r"no grid runs at .*: start one with `actorgrid start`"):
        ag.init(address=str(tmp_path / "grid.sock"))
    assert not ag.is_initialized()


@pytest.mark.parametrize("address", ["ray://host:10001", "127.0.0.1:6379", "somewhere"])
def test_addresses_are_paths(address: str) -> None:
    with pytest.raises(ConnectionError, match="grids are on this machine, and addresses are paths"):
        ag.init(address=address)


def test_path_that_is_too_long_for_a_socket_is_refused() -> None:
    with pytest.raises(ValueError, match="the path of a socket has at most 107 bytes"):
        ag.init(address=f"/tmp/{'x' * 120}")


@pytest.mark.parametrize(
    "option",
    [
        {"num_cpus": 2},
        {"object_store_memory": 1 << 20},
        {"preload": ["json"]},
        {"labels": {"zone": "a"}},
        {"_memory": 1 << 30},
        {"_node_name": "box"},
        {"_system_config": {"a": 1}},
    ],
    ids=str,
)
def test_what_a_grid_has_is_said_to_start_and_not_to_join(grid: Grid, option: dict[str, Any]) -> None:
    name = next(iter(option))
    with pytest.raises(ValueError, match=f"{name} must not be given to join a grid that runs already"):
        grid.join(**option)


@pytest.mark.parametrize("labels", ["zone=a, disk=ssd", '{"zone": "a", "disk": "ssd"}'])
def test_labels_and_modules_are_what_start_was_told(tmp_path: Path, labels: str) -> None:
    grid = Grid(tmp_path, "--labels", labels, "--preload", "colorsys", "--preload", "wave")
    try:
        grid.join()
        assert ag.nodes()[0]["Labels"].items() >= {"zone": "a", "disk": "ssd"}.items()
        there = ag.remote(lambda: {"colorsys", "wave"} <= set(sys.modules))
        assert ag.get(there.options(label_selector={"zone": "a"}).remote(), timeout=LIMIT)
        ag.shutdown()
    finally:
        assert command("stop", "--address", grid.address).returncode == 0
    assert wait_until(grid.is_gone)


@pytest.mark.parametrize(
    ("labels", "told"),
    [("zone", "--labels must be such as 'zone=a,disk=ssd': 'zone'"), ("{", "--labels must be JSON"), ("=a", "a label")],
)
def test_labels_that_are_none_are_refused(tmp_path: Path, labels: str, told: str) -> None:
    done = command("start", "--labels", labels, "--address", str(tmp_path / "door" / "grid.sock"))
    assert done.returncode == 2
    assert done.stderr.startswith(f"actorgrid: {told}")


def test_folder_that_others_may_enter_is_refused_on_both_sides(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    address = str(tmp_path / "grid.sock")
    done = command("start", "--address", address)
    told = f"{tmp_path} is open to others (mode 755): a grid's socket must lie in one of mode 700"
    assert (done.returncode, done.stderr) == (1, f"actorgrid: {told}\n")
    with pytest.raises(PermissionError, match="is open to others"):
        ag.init(address=address)


def test_link_to_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(PermissionError, match="is no folder"):
        door.check_folder(str(tmp_path / "link"))


def test_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    with pytest.raises(PermissionError, match=r"belongs to another user \(uid"):
        door.check_folder(str(tmp_path))


def test_process_of_another_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = socket.socketpair()
    with one, other:
        assert door.check_peer(one) == os.getpid()
        monkeypatch.setattr(os, "geteuid", lambda: 4242)
        with pytest.raises(PermissionError, match=f"pid {os.getpid()}"):
            door.check_peer(one)


@pytest.mark.parametrize("words", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 5000, b"\x05\x00\x00\x00hello"])
def test_whoever_says_something_else_is_shown_out_and_the_grid_goes_on(grid: Grid, words: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.connect(grid.address)
        stranger.sendall(words)
        stranger.shutdown(socket.SHUT_WR)
        stranger.settimeout(LIMIT)
        with contextlib.suppress(ConnectionResetError):  # there was more than anybody wanted to read
            assert stranger.recv(1) == b""
    assert grid.says("print(ag.get(ag.put(1)))") == "1\n"


def silent(grid: Grid) -> socket.socket:
    stranger = socket.socket(socket.AF_UNIX)
    stranger.settimeout(LIMIT)
    stranger.connect(grid.address)
    return stranger


def is_shown_out(stranger: socket.socket) -> bool:
    with contextlib.suppress(ConnectionResetError):
        return stranger.recv(1) == b""
    return True


def test_whoever_says_nothing_is_shown_out_and_leaves_no_descriptor_behind(grid: Grid) -> None:
    assert grid.says("print(ag.get(ag.put(1)))") == "1\n"
    before = grid.head.num_fds()
    strangers = [silent(grid) for _ in range(5)]
    strangers[0].sendall(b"\x50")  # it has begun
    assert all(is_shown_out(stranger) for stranger in strangers)
    for stranger in strangers:
        stranger.close()
    assert wait_until(lambda: grid.head.num_fds() <= before)
    assert grid.says("print(ag.get(ag.put(1)))") == "1\n"


def test_of_too_many_who_say_nothing_the_first_makes_room_for_the_next(grid: Grid) -> None:
    strangers = [silent(grid) for _ in range(ROOM + 1)]
    assert is_shown_out(strangers[0])
    assert grid.says("print(ag.get(ag.put(1)))") == "1\n"
    for stranger in strangers:
        stranger.close()


def test_greeting_that_is_too_long_is_none(grid: Grid) -> None:
    with silent(grid) as stranger:
        stranger.sendall((door.LONGEST_HELLO + 1).to_bytes(4, "little"))
        assert is_shown_out(stranger)


def test_socket_is_for_its_user_alone(grid: Grid) -> None:
    assert stat.S_IMODE(Path(grid.address).stat().st_mode) == 0o600


def test_user_id_that_stands_for_everybody_outside_of_a_container_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_is_somebody", lambda _: False)
    one, other = socket.socketpair()
    with one, other, pytest.raises(PermissionError, match="stands for everybody outside of this container"):
        door.check_peer(one)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user, to knock as that one")
def test_real_process_of_another_user_is_refused() -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as entrance:
        Path(folder).chmod(0o711)  # pytest's own folder lets nobody else in
        path = f"{folder}/open to all.sock"
        knocks = (
            f"import os, socket; os.setuid(4242); end = socket.socket(socket.AF_UNIX); end.connect({path!r}); input()"
        )
        entrance.bind(path)
        Path(path).chmod(0o666)
        entrance.listen()
        with subprocess.Popen([sys.executable, "-c", knocks], stdin=subprocess.PIPE) as stranger:
            entrance.settimeout(LIMIT)
            end, _ = entrance.accept()
            with end, pytest.raises(PermissionError, match=f"pid {stranger.pid}.* belongs to uid 4242"):
                door.check_peer(end)
            assert stranger.stdin is not None
            stranger.stdin.close()


def test_other_version_is_refused(grid: Grid) -> None:
    with pytest.raises(ConnectionError, match=r"refuses: it runs actorgrid .*, and you have 0.0.0"):
        door.knock(grid.address, door.Hello("join", "0.0.0"))


def test_driver_that_says_what_is_no_message_ends_alone(grid: Grid) -> None:
    grid.join()
    link, _ = door.knock(grid.address, door.Hello("join", ag.__version__))
    with link:
        link.sendall(b"\x08\x00\x00\x00notamsg!" * 3)
        link.settimeout(LIMIT)
        while link.recv(4096):
            pass
    assert ag.get(ag.remote(lambda: "goes on").remote(), timeout=LIMIT) == "goes on"


# --------------------------------------------------------------------------------------------------------- the address


def test_address_comes_from_the_environment(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTORGRID_ADDRESS", grid.address)
    for address in ("auto", None):
        ag.init(address=address, namespace="tests")
        assert ag.cluster_resources()["CPU"] == 2
        ag.shutdown()
    ag.init(address="local", num_cpus=1)
    assert ag.cluster_resources()["CPU"] == 1


def test_auto_in_the_environment_is_the_default_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTORGRID_ADDRESS", "auto")
    assert door.resolve("auto") == door.default_address()


def test_default_address_is_in_a_folder_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert door.default_address() == "/run/user/7/actorgrid/grid.sock"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert door.default_address().endswith(f"/actorgrid-{os.geteuid()}/grid.sock")


def test_status_says_what_there_is(grid: Grid) -> None:
    done = command("status", "--address", grid.address)
    assert done.returncode == 0
    assert done.stdout.splitlines()[:2] == [f"a grid runs at {grid.address}", "  CPU                  2 of 2 free"]


def test_status_says_how_the_calls_get_on_and_which_process_does_not_answer(grid: Grid) -> None:
    calls = """
import ctypes
@ag.remote(num_cpus=0)
def stuck(): ctypes.PyDLL(None).sleep(600)
@ag.remote(num_cpus=0)
def busy(): time.sleep(600)
refs = [stuck.remote(), busy.remote()]
print("on", flush=True)
ag.get(refs)
"""
    program = grid.program(calls)
    assert program.stdout is not None
    assert program.stdout.readline() == "on\n"

    def said(name: str, words: str) -> bool:
        lines = command("status", "--address", grid.address).stdout.splitlines()
        return any(line.startswith(f"  {name} ") and words in line for line in lines)

    assert wait_until(lambda: said("stuck", "which does not answer: it runs code in C"), LIMIT)
    assert wait_until(lambda: said("busy", "runs in process"), LIMIT)
    program.kill()
    program.communicate()


def test_status_spells_out_what_would_act_on_the_terminal(grid: Grid) -> None:
    calls = r"""
def red(): time.sleep(600)
red.__name__ = red.__qualname__ = "\x1b[31mred\x07"
ref = ag.remote(num_cpus=0)(red).remote()
print("on", flush=True)
ag.get(ref)
"""
    program = grid.program(calls)
    assert program.stdout is not None
    assert program.stdout.readline() == "on\n"

    def said() -> str:
        return command("status", "--address", grid.address).stdout

    assert wait_until(lambda: r"\x1b[31mred\x07 " in said(), LIMIT)
    assert not set(said()) & {"\x1b", "\x07"}
    program.kill()
    program.communicate()
