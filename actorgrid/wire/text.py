"""Text about values of users: their methods may do anything, and it may be of any length."""

from __future__ import annotations

from typing import Any, Final

#: So many characters of a member, or of what is said about it, are kept.
MEMBER_LIMIT: Final = 4 << 10
_NAME: Final[Any] = vars(type)["__name__"]


def shorten(text: str, limit: int) -> str:
    """Return ``text`` as text that can be encoded, at most about ``limit`` characters of it."""
    if len(text) > limit:
        half = limit // 2
        text = f"{text[:half]}\n[{len(text) - 2 * half} characters are left out]\n{text[-half:]}"
    return text.encode(errors="backslashreplace").decode()  # lone surrogates


def safe_repr(value: Any) -> str:
    """Return ``repr(value)``, shortened. Never raises."""
    try:
        return shorten(repr(value), MEMBER_LIMIT)
    except BaseException:  # noqa: BLE001  # the methods of user classes
        return f"<{name_of(type(value))} object, whose repr failed>"


def name_of(cls: type) -> str:
    """Return the name of a class. Never raises, whatever its metaclass does."""
    name: str = _NAME.__get__(cls, type)
    return name
