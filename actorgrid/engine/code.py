"""The functions and classes that a worker was taught, unpickled when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actorgrid.core.messages import Code
from actorgrid.engine.serialize import loads

if TYPE_CHECKING:
    from actorgrid.engine.base import EngineBase


def full_name(code: Any, method: str = "") -> str:
    """Return the name of a function, or of a method of a class, after the name of its module.

    What the program's own file defines is in the module of that file's name, not in ``__main__``: Ray's rule.
    """
    function: Any = getattr(code, method, None) if method else code
    name = getattr(code, "__qualname__", None) or getattr(code, "__name__", None) or repr(code)
    if method:
        name = f"{code.__name__}.{method}"  # of a class Ray shows the last part
    module = getattr(code, "__module__", None)
    if module == "__main__":
        import inspect  # it takes its time

        file = getattr(getattr(inspect.unwrap(function), "__code__", None), "co_filename", "")
        module = inspect.getmodulename(file) or module
    return f"{module}.{name}" if module else str(name)


class CodeShelf:
    """Code by content hash. ``add`` and ``remove`` are called with the engine's lock held."""

    def __init__(self, engine: EngineBase) -> None:
        self._engine = engine
        self._codes: dict[bytes, Code] = {}
        self._loaded: dict[bytes, Any] = {}

    def add(self, code: Code) -> None:
        """Keep what the head sent, and the references in it."""
        self._codes[code.digest] = code
        self._engine.client.hold(code.value.refs)

    def remove(self, digests: tuple[bytes, ...]) -> None:
        """Forget code that will not be used again."""
        for digest in digests:
            self._loaded.pop(digest, None)
            code = self._codes.pop(digest, None)
            if code is not None:
                self._engine.client.let_go(code.value.refs)

    def load(self, digest: bytes) -> Any:
        """Return a function or class. Raises whatever unpickling it raises."""
        if digest not in self._loaded:
            value = self._codes[digest].value
            data = value.data if value.extent is None else bytes(self._engine.map_extent(value.extent, lambda: None))
            self._loaded[digest] = loads(data)
        return self._loaded[digest]
