"""Labels of machines: what ``label_selector`` and its kind ask of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from actorgrid.engine.definitions import Condition

_LIST: Final = re.compile(r"in\s*\(([^()]*)\)")


def selector(name: str, value: Any) -> tuple[Condition, ...]:
    """Return what a dictionary of labels asks for. Values are ``"v"``, ``"!v"``, ``"in(v, w)"`` or ``"!in(v, w)"``.

    ``name`` is the option's, for errors. Raises TypeError, ValueError.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"option {name!r} must be a dictionary of labels, not {type(value).__name__}: {value!r:.100}")
    return tuple(_condition(name, label, text) for label, text in value.items())


def _condition(name: str, label: Any, text: Any) -> Condition:
    if not (isinstance(label, str) and isinstance(text, str)):
        raise TypeError(f"option {name!r} must map str to str: {label!r}: {text!r:.100}")
    wanted = not text.startswith("!")
    plain = text if wanted else text[1:]
    match = _LIST.fullmatch(plain.strip())
    values = tuple(part.strip() for part in match.group(1).split(",")) if match else (plain,)
    if not label or not all(values) or (match is None and re.search(r"[()!,\s]", plain)):
        raise ValueError(
            f"option {name!r} must give each label as 'value', '!value', 'in(value, ...)' or '!in(value, ...)': "
            f"{label!r}: {text!r}"
        )
    return Condition(label, wanted, values)
