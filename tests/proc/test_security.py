"""What SECURITY.md promises, on real processes."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import ast
import fcntl
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import actorgrid as ag
from actorgrid.testing.processes import RealGrid
from tests.proc.helpers import DEADLINE

np = pytest.importorskip("numpy")

ROOT = Path(__file__).parents[2]
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
CLOSES = 0o2000000  # O_CLOEXEC, as /proc shows it


class Note:
    """Notes which process unpickles it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], Note], tuple[str]]:
        return unpickled, (self.path,)


class NoteError(Exception):
    """An exception that does the same."""

    def __reduce__(self) -> tuple[Any, ...]:
        return error_unpickled, self.args


def unpickled(path: str) -> Note:
    with Path(path).open("a", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    return Note(path)


def error_unpickled(path: str) -> NoteError:
    unpickled(path)
    return NoteError(path)


@ag.remote
def echo(value: Any) -> Any:
    return value


@ag.remote
def fail(path: str) -> None:
    raise NoteError(path)


@ag.remote
def fail_with(text: str) -> None:
    raise ValueError(text)


@ag.remote
class Keeper:
    def keep(self, value: Any) -> Any:
        self.value = value
        return value


@pytest.fixture
def grid() -> Iterator[RealGrid]:
    """Return the processes of a grid that has done a bit of everything."""
    with ag.init(num_cpus=2):
        keeper = Keeper.remote()
        large = ag.put(np.ones(1 << 20))
        ag.get([echo.remote(1), echo.remote(large), keeper.keep.remote(large)], timeout=DEADLINE)
        yield RealGrid()


def everybody(grid: RealGrid) -> list[int]:
    return [os.getpid(), grid.head.pid, grid.launcher.pid, *(worker.pid for worker in grid.workers)]


def segments(pid: int) -> list[int]:
    """Return the descriptors of a process that are shared memory of ours."""
    found = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        try:
            if str(fd.readlink()).startswith("/memfd:actorgrid"):
                found.append(int(fd.name))
        except FileNotFoundError:  # closed meanwhile
            pass
    return found


def test_nothing_listens_and_no_socket_has_a_name(grid: RealGrid) -> None:
    ours = everybody(grid)
    assert len(ours) >= 4
    for pid in ours:
        sockets = psutil.Process(pid).net_connections("all")
        assert [each for each in sockets if each.status == psutil.CONN_LISTEN] == []
        if pid != os.getpid():
            assert sockets, "the links of a process are sockets: none was seen"
            assert {str(each.laddr) for each in sockets} == {""}


def test_only_workers_and_the_driver_unpickle(grid: RealGrid, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    keeper = Keeper.remote()
    refs = [echo.remote(Note(str(notes))), keeper.keep.remote(Note(str(notes))), echo.remote(ag.put(Note(str(notes))))]
    ag.get(refs, timeout=DEADLINE)
    with pytest.raises(NoteError):
        ag.get(fail.remote(str(notes)), timeout=DEADLINE)
    who = {int(line) for line in notes.read_text(encoding="ascii").split()}
    assert os.getpid() in who
    assert len(who) >= 3
    assert not who & {grid.head.pid, grid.launcher.pid}


def test_shared_memory_has_no_name_and_is_not_inherited(grid: RealGrid) -> None:
    seen = 0
    for pid in everybody(grid):
        for fd in segments(pid):
            seen += 1
            flags = int(re.findall(r"flags:\s+(\d+)", Path(f"/proc/{pid}/fdinfo/{fd}").read_text())[0], 8)
            assert flags & CLOSES
            assert str(Path(f"/proc/{pid}/fd/{fd}").readlink()).endswith("(deleted)")
    assert seen


def test_shared_memory_cannot_be_resized_under_a_reader(grid: RealGrid) -> None:
    fds = segments(grid.head.pid)
    assert fds
    for fd in fds:
        again = os.open(f"/proc/{grid.head.pid}/fd/{fd}", os.O_RDWR)
        try:
            assert fcntl.fcntl(again, fcntl.F_GET_SEALS) & SEALS == SEALS
            with pytest.raises(PermissionError):
                os.ftruncate(again, 0)
        finally:
            os.close(again)


def test_shared_memory_is_mapped_read_only_by_readers(grid: RealGrid) -> None:
    large = ag.get(echo.remote(np.ones(1 << 20)), timeout=DEADLINE)
    assert not large.flags.writeable
    place = large.ctypes.data
    for line in Path("/proc/self/maps").read_text(encoding="ascii").splitlines():
        first, last = (int(edge, 16) for edge in line.split()[0].split("-"))
        if first <= place < last:
            assert "/memfd:actorgrid" in line
            assert line.split()[1] == "r--s"
            return
    raise AssertionError("the array lies nowhere")


def test_nothing_has_a_name_in_the_file_system(grid: RealGrid) -> None:
    named = re.compile(r"/(tmp|dev/shm|run)/.*actorgrid")
    sources = str(Path(ag.__file__).parent)  # which somebody may import just now, and which may lie there
    for pid in everybody(grid)[1:]:
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            target = str(fd.readlink()) if fd.is_symlink() else ""
            assert not named.match(target) or target.endswith("(deleted)") or target.startswith(sources), target


def test_no_secret_is_in_an_argument_list_or_in_the_environment(grid: RealGrid) -> None:
    secret = f"secret-{os.urandom(8).hex()}"
    keeper = Keeper.remote()
    ref = ag.put([secret])
    ag.get([echo.remote(secret), echo.remote(ref), keeper.keep.remote({secret: secret})], timeout=DEADLINE)
    with pytest.raises(ValueError, match=secret):
        ag.get(fail_with.remote(secret), timeout=DEADLINE)
    seen = 0
    for pid in everybody(grid)[1:]:
        seen += 1
        arguments, environment = (Path(f"/proc/{pid}/{what}").read_bytes() for what in ("cmdline", "environ"))
        assert secret.encode() not in arguments + environment
        assert re.fullmatch(rb"actorgrid: (head|launcher|worker)[ \w.:]*\0*", arguments), arguments
        ours = {
            name: value
            for name, _, value in (word.partition("=") for word in environment.decode().split("\0") if word)
            if os.environ.get(name) != value and name != "PYTEST_CURRENT_TEST"  # pytest's, of an earlier moment
        }
        # It tells which processes belong together, and opens nothing.
        assert list(ours) == ["ACTORGRID_SESSION"]
    assert seen >= 4


def sources() -> list[Path]:
    return sorted((ROOT / "actorgrid").rglob("*.py"))


def test_no_source_starts_a_shell_or_evaluates_text() -> None:
    found = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            shell = any(word.arg == "shell" for word in node.keywords)
            if shell or name in {"eval", "exec", "os.system", "os.popen", "subprocess.getoutput", "yaml.load"}:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {name}")
    assert found == []


#: Who may send a signal, and why it cannot hit a stranger that has got the number of a process that has gone.
SENDERS = {
    "runtime/driver.py:DriverEngine._wake_head": "the head is a child of the driver that has not been waited for",
    "runtime/driver.py:DriverEngine._bury_head": "as above",
    "runtime/spawn.py:Spawned.abandon": "a child that the next line waits for",
    "runtime/launcher.py:Launcher.condemn": "the workers in the table are children that have not been waited for",
    "runtime/launcher.py:Launcher._judge": "as above",
    "runtime/undertaker.py:Undertaker.signal": "as above",
    "runtime/undertaker.py:Undertaker.sweep": "the kernel has just said that these are children",
    "runtime/lifetime.py:bury_children": "as above, of whoever calls it",
    "runtime/lifetime.py:_kill_member": "it has a descriptor of the process when it looks at its group",
    "runtime/lifetime.py:end_child": "a child of whoever calls it, which is waited for here",
    "runtime/lifetime.py:signal_group": "see GROUPS",
    "runtime/head.py:HeadProcess.flush": "the head ends itself",
    "runtime/interruption.py:Interruption.aim": "a thread of this process",
    "runtime/interruption.py:Interruption.press": "as above",
    "cli/demo.py:kill": "a worker that has just said its number, and waits to be killed",
    "testing/commands.py:Command.interrupt": "the leader of the group is a child that has not been waited for",
    "testing/commands.py:Command.send_signal": "Popen: a child that has not been waited for",
    "testing/commands.py:Command.kill": "as above",
    "testing/commands.py:Command.terminate": "as above",
    "testing/commands.py:Command._killed": "ProcessHandle and Command, see there",
    "testing/processes.py:ProcessHandle.send_signal": "psutil compares when the process began",
    "testing/processes.py:ProcessHandle.kill": "as above",
    "testing/processes.py:ProcessHandle.terminate": "as above",
    "util/multiprocessing/pool.py:Pool.__exit__": "none: it is Pool.terminate, which kills actors",
}
#: Who may have a whole group signalled.
GROUPS = {
    "runtime/undertaker.py:Undertaker.signal": "its leader is in the table of children that have not been waited for",
    "runtime/undertaker.py:Undertaker.has_died": "it has ended, and is waited for after that",
    "runtime/lifetime.py:kill_groups": "see who calls it",
    "runtime/driver.py:DriverEngine._give_up_start": "the head, a child that has not been waited for, leads it",
    "runtime/driver.py:DriverEngine.sweep": "by number, and only where head and launcher were killed (SECURITY.md)",
    "runtime/crew.py:Crew.kill": "the launcher was killed: its workers are children of the head, not waited for",
}
#: What sends a signal, wherever it is called.
SENDS = {
    "os.kill", "os.killpg", "os.abort", "signal.pidfd_send_signal", "signal.pthread_kill", "signal.raise_signal",
    "_thread.interrupt_main",
}  # fmt: skip
#: What sends one if it is a method of a process, as it may be in a module that imports one of these.
METHODS, PROCESSES = {"kill", "terminate", "send_signal"}, {"subprocess", "psutil", "multiprocessing"}


def callers(is_meant: Callable[[ast.Call, set[str]], bool]) -> set[str]:
    """Return the functions of the package that call what is meant, as file:function; others as file:."""
    found = set()
    for path in sources():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {
            name.name.partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import)
            for name in node.names
        }
        place = str(path.relative_to(ROOT / "actorgrid"))
        found |= {f"{place}:{name}" for name, call in calls(tree, "") if is_meant(call, imported)}
    return found


def calls(node: ast.AST, within: str) -> Iterator[tuple[str, ast.Call]]:
    """Yield all calls below ``node``, each with the name of the outermost function that it is in."""
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.Call):
            yield within, inner
        name = within
        if isinstance(inner, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            not within or within[-1] == "."
        ):
            name = f"{within}{inner.name}{'.' if isinstance(inner, ast.ClassDef) else ''}"
        yield from calls(inner, name)


def sends(call: ast.Call, imported: set[str]) -> bool:
    name = ast.unparse(call.func)
    return name in SENDS or (name.rpartition(".")[2] in METHODS and "." in name and bool(imported & PROCESSES))


def test_signals_are_sent_by_few_functions_each_of_which_knows_whom_it_hits() -> None:
    assert callers(sends) == set(SENDERS)
    assert callers(lambda call, _: ast.unparse(call.func).endswith(("signal_group", "kill_groups"))) == set(GROUPS)


def test_functions_that_send_signals_have_no_other_names() -> None:
    names = {name.partition(".")[::2] for name in SENDS}
    found = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                found += [
                    f"{path.relative_to(ROOT)}: {name.name}" for name in node.names if (node.module, name.name) in names
                ]
    assert found == []


@pytest.mark.parametrize("test", re.findall(r"`(test_\w+)`", (ROOT / "SECURITY.md").read_text(encoding="utf-8")))
def test_test_that_the_page_names_exists(test: str) -> None:
    defined = f"\ndef {test}("
    assert any(defined in path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
