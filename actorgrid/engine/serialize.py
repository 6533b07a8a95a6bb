"""Values to bytes and back: pickle protocol 5 with out-of-band buffers.

The C pickler goes first, cloudpickle does what it cannot. The C pickler does not fail on things defined in
``__main__``: it writes a reference that breaks in the worker, so a payload that mentions ``__main__`` (or a module
registered with ``cloudpickle.register_pickle_by_value``) is made again by cloudpickle.

While a value is pickled, the references inside it put their ids into ``Pickled.refs`` (see ``collecting``).
"""

from __future__ import annotations

import pickle
import sys
import threading
from pickle import dumps as pickle_dumps  # by name: user code may replace those of the module
from pickle import loads as pickle_loads
from types import FunctionType
from typing import Any, Final

from actorgrid.core.signals import Terminated
from actorgrid.exceptions import SerializationError
from actorgrid.wire import custom, layout
from actorgrid.wire.by_value import dumps as dumps_by_value
from actorgrid.wire.unpicklable import explain_unpicklable

#: Payloads up to this many bytes travel inside messages, larger ones in shared memory.
INLINE_LIMIT: Final = 100 << 10
#: ``None``, pickled: the most frequent result.
NONE: Final = pickle_dumps(None, protocol=5)


class _Collecting(threading.local):
    """What each thread is pickling.

    Not a context variable: before Python 3.12, setting one crashes the process if the collector runs right then and a
    finalizer sets it too.
    """

    #: The list into which references of the value put their ids; None outside of the grid's pickling.
    refs: list[int] | None = None


collecting: Final = _Collecting()


class Pickled:
    """A value as a pickle stream, its out-of-band buffers, and the ids it mentions."""

    __slots__ = ("buffers", "data", "refs", "size")

    def __init__(self, data: bytes, buffers: list[memoryview], refs: tuple[int, ...]) -> None:
        self.data = data
        self.buffers = buffers
        self.refs = refs
        self.size = layout.size_of(data, buffers) if buffers else len(data)

    def inline(self) -> bytes:
        """Return the inline form."""
        return layout.to_bytes(self.data, self.buffers) if self.buffers else self.data


def dumps_code(code: Any, what: str) -> Pickled:
    """Pickle a function or class. Raises SerializationError, see ``dumps``.

    Under the name of most lies what a decorator has made of them: that the C pickler cannot do it is soon seen.
    """
    return dumps(code, what, by_value=type(code) in (FunctionType, type) and not _is_importable(code))


def _is_importable(code: Any) -> bool:
    try:
        found: Any = sys.modules.get(code.__module__)
        for name in code.__qualname__.split("."):
            found = getattr(found, name)
    except AttributeError:
        return False
    except Exception:  # noqa: BLE001  # user code, or what it has put there: let the pickler see what comes of it
        return True
    return found is code


def dumps(value: Any, what: str, *, by_value: bool = False) -> Pickled:
    """Pickle ``value``. Raises SerializationError naming the member that cannot be; ``what`` starts its path.

    ``by_value``: cloudpickle is needed for it.
    """
    refs: list[int] = []
    outer, collecting.refs = collecting.refs, refs
    buffers: list[pickle.PickleBuffer] = []
    try:
        try:
            if by_value:
                data = b""
            elif custom.current:
                data = custom.dumps(value, buffers.append)
            else:
                data = pickle_dumps(value, protocol=5, buffer_callback=buffers.append)
            again = by_value or _must_go_by_value(data)
        except Terminated:
            raise
        except (Exception, SystemExit):  # noqa: BLE001  # whatever the C pickler cannot do, cloudpickle tries
            again = True
        if again:
            refs.clear()
            buffers.clear()
            data = _by_value(value, buffers, what)
    finally:
        collecting.refs = outer
    views = [_raw(buffer) for buffer in buffers] if buffers else []
    return Pickled(data, views, tuple(refs))


def _by_value(value: Any, buffers: list[pickle.PickleBuffer], what: str) -> bytes:
    try:
        return dumps_by_value(value, buffers.append)
    except (SerializationError, Terminated):  # it says all that there is to say
        raise
    except (Exception, SystemExit) as error:  # a __reduce__ that exits must not end the caller
        raise SerializationError(explain_unpicklable(value, error, what)) from error


def _must_go_by_value(data: bytes) -> bool:
    if data.find(b"__main__") >= 0:  # ``in`` first asks whether it is an index, which raises, and takes twice as long
        return True
    cloudpickle = sys.modules.get("cloudpickle")
    if cloudpickle is None:
        return False
    registered = cloudpickle.list_registry_pickle_by_value()
    return bool(registered) and any(name.encode() in data for name in registered)


def _raw(buffer: pickle.PickleBuffer) -> memoryview:
    return buffer.raw()


def loads(data: bytes | memoryview) -> Any:
    """Return the value whose inline form, or whose bytes in shared memory, ``data`` is. Buffers are not copied."""
    if data[0] == 0x80:
        return pickle_loads(data)  # noqa: S301  # the process that asked for a value is the one that unpickles it
    stream, buffers = layout.parse(data)
    return pickle_loads(stream, buffers=buffers)  # noqa: S301  # see above


def loads_own(data: bytes | memoryview) -> Any:
    """Do the same with copies of the buffers, which may be written."""
    if data[0] == 0x80:
        return pickle_loads(data)  # noqa: S301  # see above
    stream, buffers = layout.parse(data)
    return pickle_loads(stream, buffers=[bytearray(buffer) for buffer in buffers])  # noqa: S301  # see above
