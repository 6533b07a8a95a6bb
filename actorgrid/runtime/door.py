"""The door of a persistent grid: a Unix socket in a folder that nobody else may enter.

Whoever opens it and whoever comes through look at each other first: the folder must be this user's and closed to
all others, and the process at the other end must be this user's (SO_PEERCRED), before a byte of it is read. Nothing
listens on a network.

This file may not know what is said once a driver is in.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import struct
import tempfile
from typing import Final, TypeVar

import msgspec

#: Environment variable that names the socket of the grid to join.
ADDRESS_VARIABLE: Final = "ACTORGRID_ADDRESS"
#: Seconds that a grid has for its answer.
PATIENCE: Final = 10.0
#: A path that the system takes for a socket has at most so many bytes.
LONGEST: Final = 107
#: What somebody wants is said in a hundred bytes; the answer has the labels of the machine.
LONGEST_HELLO: Final = 4096
LONGEST_WELCOME: Final = 1 << 20
#: Outside of user namespaces each user id is itself.
_EVERYBODY: Final = ["0", "0", "4294967295"]
_LENGTH: Final = struct.Struct("<I")
_CREDENTIALS: Final = struct.Struct("3i")

T = TypeVar("T", bound=msgspec.Struct)


class Hello(msgspec.Struct):
    """What a process that comes through the door wants: "join" as a driver, or "stop" the grid."""

    wants: str
    version: str
    log_to_driver: bool = True


class Welcome(msgspec.Struct):
    """The answer: who the driver is from now on, and what the grid is; or why it may not come in."""

    refused: str = ""
    number: int = 0
    head_pid: int = 0
    session: str = ""
    capacity: dict[str, float] = {}
    labels: dict[str, str] = {}
    node_name: str = ""


def default_address() -> str:
    """Return where the socket lies if nobody says otherwise."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = os.path.join(runtime, "actorgrid") if runtime else f"{tempfile.gettempdir()}/actorgrid-{os.geteuid()}"
    return os.path.join(folder, "grid.sock")


def resolve(address: str) -> str:
    """Return the path that ``address`` means ("auto": the variable, else the default). Raises ValueError."""
    if address == "auto":
        address = os.environ.get(ADDRESS_VARIABLE, "auto")
    path = default_address() if address in {"auto", ""} else address
    path = os.path.abspath(path)
    if len(os.fsencode(path)) > LONGEST:
        raise ValueError(f"the path of a socket has at most {LONGEST} bytes: {path}")
    return path


def check_folder(folder: str) -> None:
    """Raise PermissionError unless ``folder`` is this user's, and closed to everybody else."""
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode):
        raise PermissionError(f"{folder} is no folder: a grid's socket must lie in one")
    if found.st_uid != os.geteuid():
        raise PermissionError(f"{folder} belongs to another user (uid {found.st_uid}): no grid of yours can be there")
    if found.st_mode & 0o077:
        mode = f"{stat.S_IMODE(found.st_mode):o}"
        raise PermissionError(f"{folder} is open to others (mode {mode}): a grid's socket must lie in one of mode 700")


def check_peer(link: socket.socket) -> int:
    """Return the process id at the other end. Raises PermissionError if it is another user's."""
    credentials = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(credentials)
    if uid != os.geteuid():
        raise PermissionError(f"the process at the other end of this socket (pid {pid}) belongs to uid {uid}")
    if not _is_somebody(uid):
        raise PermissionError(
            f"uid {uid} of the process at the other end stands for everybody outside of this container"
        )
    return int(pid)


def _is_somebody(uid: int) -> bool:
    """Return whether a user id is one user's: in a user namespace one of them stands for all who are not in it."""
    with open("/proc/sys/kernel/overflowuid", encoding="ascii") as file:
        if uid != int(file.read()):
            return True
    with open("/proc/self/uid_map", encoding="ascii") as file:
        return file.read().split() == _EVERYBODY


def open_door(path: str) -> socket.socket:
    """Return a socket that listens at ``path``; what a dead grid has left there is cleared away.

    Raises PermissionError (see ``check_folder``), FileExistsError if a grid is there already, OSError.
    """
    folder = os.path.dirname(path)
    with contextlib.suppress(FileExistsError):
        os.makedirs(folder, mode=0o700)
    check_folder(folder)
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two that start at the same time must not both find nobody there
        _clear_away(path)
        door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            door.bind(path)
            os.chmod(path, 0o600)
            door.listen(64)
        except BaseException:
            door.close()
            raise
        return door
    finally:
        os.close(lock)


def _clear_away(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise FileExistsError(f"a grid is there already: {path}")


def close_door(path: str, inode: int) -> None:
    """Remove the socket, if it is still the one with this inode."""
    with contextlib.suppress(OSError):
        if os.stat(path).st_ino == inode:
            os.unlink(path)


def knock(path: str, hello: Hello) -> tuple[socket.socket, Welcome]:
    """Come through the door of the grid at ``path``.

    Raises ConnectionError if there is no grid, or it refuses; PermissionError if what is there is not this user's.
    """
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        check_folder(os.path.dirname(path))
        link.connect(path)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        link.close()
        raise ConnectionError(f"no grid runs at {path}: start one with `actorgrid start`") from error
    except BaseException:
        link.close()
        raise
    try:
        check_peer(link)
        link.settimeout(PATIENCE)
        link.sendall(pack(hello))
        welcome = _receive(link, Welcome)
        link.settimeout(None)
    except TimeoutError as error:
        link.close()
        raise ConnectionError(f"the grid at {path} has not answered for {PATIENCE:g} s") from error
    except ValueError as error:
        link.close()
        raise ConnectionError(f"whatever listens at {path} is no grid: it answers something else") from error
    except BaseException:
        link.close()
        raise
    if welcome.refused:
        link.close()
        raise ConnectionError(f"the grid at {path} refuses: {welcome.refused}")
    return link, welcome


def pack(message: msgspec.Struct) -> bytes:
    """Return a greeting as bytes that say how many they are."""
    data = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(data)) + data


def unpack(data: bytes, kind: type[T], longest: int) -> T | None:
    """Return the greeting in ``data``, None if it is not complete yet. Raises ValueError if it is none."""
    if len(data) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack_from(data)
    if length > longest or len(data) > _LENGTH.size + length:
        raise ValueError("this is no greeting")
    if len(data) < _LENGTH.size + length:
        return None
    try:
        return msgspec.msgpack.decode(data[_LENGTH.size :], type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:  # the latter: of what is nested too deep
        raise ValueError("this is no greeting") from error


def _receive(link: socket.socket, kind: type[T]) -> T:
    """Read a greeting to its last byte, and no byte of what follows."""
    data = b""
    while (message := unpack(data, kind, LONGEST_WELCOME)) is None:
        wanted = _LENGTH.size if len(data) < _LENGTH.size else _LENGTH.size + _LENGTH.unpack_from(data)[0]
        more = link.recv(min(wanted - len(data), LONGEST_WELCOME))
        if not more:
            raise ConnectionError(
                "the grid has closed its door: it is about to end, or did not hear in time what is wanted"
            )
        data += more
    return message
