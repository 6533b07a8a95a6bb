"""Strategies that make up messages: every class that crosses a pipe, with any values that its fields may have."""

from __future__ import annotations

import enum
import types
import typing
from typing import Any

import msgspec
from hypothesis import strategies as st

from actorgrid.core import messages as m

#: What msgpack can say of a whole number, and those at which something may change.
INTEGERS = st.integers(-(2**63), 2**64 - 1) | st.integers(0, 300)
#: The values of a field of type Any: what msgpack can say.
ANYTHING = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
_SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    int: INTEGERS,
    float: st.floats(),
    bool: st.booleans(),
    str: st.text(max_size=10),
    bytes: st.binary(max_size=40),
    type(None): st.none(),
    Any: ANYTHING,
}

#: Who reads what: each union of the messages that arrive somewhere.
UNIONS: dict[str, Any] = {
    "head": m.ToHead,
    "client": m.ToClient,
    "worker": m.ToWorker,
    "launcher": m.ToLauncher,
    "head, from the launcher": m.FromLauncher,
    "spiller": m.ToSpiller,
    "head, from the spiller": m.FromSpiller,
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Return any value of this type."""
    origin = typing.get_origin(hint)
    if hint in _SIMPLE:
        found = _SIMPLE[hint]
    elif origin is not None:
        found = _composed(origin, typing.get_args(hint))
    elif issubclass(hint, enum.Enum):
        found = st.sampled_from(hint)
    else:
        assert issubclass(hint, msgspec.Struct), hint
        found = st.builds(hint, **{name: values(field) for name, field in typing.get_type_hints(hint).items()})
    return found


def _composed(origin: Any, inner: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*map(values, inner))
    if origin is dict:
        return st.dictionaries(values(inner[0]), values(inner[1]), max_size=3)
    if origin is tuple and inner[-1] is not ...:
        return st.tuples(*map(values, inner))
    return st.lists(values(inner[0]), max_size=3).map(origin)


def classes(union: Any) -> list[type[Any]]:
    """Return the classes of a union."""
    return list(typing.get_args(union)) or [union]
