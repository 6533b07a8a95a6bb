"""The door of a persistent grid: who may enter, where it is, and what ``actorgrid status`` says there."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import contextlib
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import actorgrid as ag
from actorgrid.engine.definitions import StartConfig
from actorgrid.exceptions import GridSystemError
from actorgrid.runtime import door, persistent
from actorgrid.runtime.config import BootConfig
from actorgrid.runtime.lobby import ROOM
from actorgrid.testing.waiting import wait_until
from tests.proc.grids import LIMIT, Grid, command, running


@pytest.fixture
def grid(tmp_path: Path) -> Iterator[Grid]:
    yield from running(tmp_path)


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
