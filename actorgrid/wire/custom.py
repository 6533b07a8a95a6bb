"""Serializers that a program has registered for classes of its own, or of others (``util.register_serializer``).

They are known in the process that has registered them and nowhere else: the function that makes the value again travels
with it. ``copyreg`` would do the same, but for everybody: ``copy.copy`` and the program's own pickles use it as well.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from collections import ChainMap
from collections.abc import Callable
from typing import Any

#: What a pickler asks for a value of a class: how to make it again, and of what.
Reducer = Callable[[Any], tuple[Any, ...]]

#: Those of the process that runs now (simulated ones have each their own).
current: dict[type[Any], Reducer] = {}


def use(registered: dict[type[Any], Reducer]) -> None:
    """Another process goes on, which has these."""
    global current  # noqa: PLW0603  # one registry per process is what this module is for
    current = registered


def register(cls: type[Any], serializer: Callable[[Any], Any], deserializer: Callable[[Any], Any]) -> None:
    """From now on values of exactly this class are sent as what ``serializer`` makes of them."""
    current[cls] = lambda value: (deserializer, (serializer(value),))


def deregister(cls: type[Any]) -> None:
    """From now on values of this class are pickled as ever."""
    current.pop(cls, None)


def dumps(value: Any, buffer_callback: Callable[[pickle.PickleBuffer], Any] | None = None) -> bytes:
    """Pickle ``value`` by reference, as ``pickle.dumps`` does, with what is registered."""
    if not current:
        return pickle.dumps(value, protocol=5, buffer_callback=buffer_callback)
    table: Any = (current, copyreg.dispatch_table)  # what is registered goes first
    with io.BytesIO() as file:
        pickler = pickle.Pickler(file, protocol=5, buffer_callback=buffer_callback)
        pickler.dispatch_table = ChainMap(*table)
        pickler.dump(value)
        return file.getvalue()
