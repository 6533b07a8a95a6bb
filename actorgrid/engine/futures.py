"""A ``concurrent.futures.Future`` of an object: a thread that waits for it long is told what for, as by ``get``."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from time import monotonic  # by name: user code may replace that of the module
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from actorgrid.engine.protocol import Engine
    from actorgrid.engine.refs import Entry

T = TypeVar("T")


class PatientFuture(Future[T]):
    """What ``ObjectRef.future()`` returns."""

    def __init__(self, engine: Engine, entry: Entry) -> None:
        """``entry`` is the object."""
        super().__init__()
        self._engine = engine
        self._entry = entry
        #: Somebody is called back by it, or has its value: then nobody needs to look.
        self._told = False

    def __hash__(self) -> int:
        return self._entry.oid  # not its address: sets of them have one order in every run of a simulation

    def settle(self, value: Any, error: BaseException | None) -> None:
        """The object exists: this is it, or its error."""
        if error is not None:
            self.set_exception(error)
        else:
            self.set_result(value)

    def done(self) -> bool:
        """See ``concurrent.futures.Future``."""
        return (self._told or self._engine.sees_done(self._entry)) and super().done()

    def add_done_callback(self, fn: Callable[[Future[T]], object]) -> None:
        """See ``concurrent.futures.Future``."""
        self._told = True
        super().add_done_callback(fn)

    def result(self, timeout: float | None = None) -> T:
        """See ``concurrent.futures.Future``."""
        left = self._after_a_while(timeout, "result")
        try:
            return super().result(left)
        finally:
            self._had()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """See ``concurrent.futures.Future``."""
        left = self._after_a_while(timeout, "exception")
        try:
            return super().exception(left)
        finally:
            self._had()

    def _had(self) -> None:
        if super().done():
            self._told = True
            self._engine.notices(self._entry)

    def _after_a_while(self, timeout: float | None, method: str) -> float | None:
        """Wait; if that lasts say once what for. Returns how long one may wait on."""
        patience = self._engine.stall_warning
        if patience is None or super().done() or (timeout is not None and timeout <= patience):
            return timeout
        began = monotonic()
        try:
            super().exception(patience)
        except CancelledError:
            pass
        except TimeoutError:
            self._engine.say_stalled(f"future().{method}()", patience, self._entry, 0)
        return None if timeout is None else max(timeout - (monotonic() - began), 0.0)
