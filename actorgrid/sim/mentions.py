"""The names that code mentions, and those among them that mean variables of its module.

This file may not know what the names mean anywhere.
"""

from __future__ import annotations

import builtins
import dis
from collections.abc import Iterator
from types import CodeType
from typing import Final

#: What code refers to, for ever: the code does not change.
_mentioned: Final[dict[CodeType, frozenset[str]]] = {}
_variables: Final[dict[CodeType, frozenset[str]]] = {}
#: Whoever mentions one of these may refer to a variable by a string.
_BY_STRING: Final = frozenset({"globals", "vars", "__dict__", "getattr", "setattr", "delattr"})
_OF_MODULES: Final = frozenset({"LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL", "LOAD_NAME"})


def names_in(code: CodeType) -> frozenset[str]:
    """Return every name that code mentions, but its own variables."""
    known = _mentioned.get(code)
    if known is None:
        inner = [names_in(each) for each in _inside(code)]
        dotted = [part for name in code.co_names for part in _parts(name)]
        known = _mentioned[code] = frozenset(dotted).union(_strings(code), *inner)
    return known


def variables_in(code: CodeType) -> frozenset[str]:
    """Return the names that mean a variable of the module, whether there is one or not, and nothing of Python's."""
    known = _variables.get(code)
    if known is None:
        own = [each.argval for each in dis.get_instructions(code) if each.opname in _OF_MODULES]
        inner = [variables_in(each) for each in _inside(code)]
        known = _variables[code] = frozenset(own).union(_strings(code), *inner) - vars(builtins).keys()
    return known


def _inside(code: CodeType) -> Iterator[CodeType]:
    return (constant for constant in code.co_consts if isinstance(constant, CodeType))


def _strings(code: CodeType) -> list[str]:
    """Return the strings that may be names, if code looks names up by strings."""
    if _BY_STRING.isdisjoint(code.co_names):
        return []
    return [constant for constant in code.co_consts if isinstance(constant, str) and constant.isidentifier()]


def _parts(name: str) -> Iterator[str]:
    """Yield ``a.b.c`` and its parts: how ``import a.b.c`` in a function is mentioned."""
    yield name
    if "." in name:
        yield from name.split(".")
