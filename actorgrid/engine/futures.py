"""A ``concurrent.futures.Future`` of an object: a thread that waits for it long is told what for, as by ``get``."""

from __future__ import annotations

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
        return super().done() or (self._engine.lets_come(self._entry) and super().done())

    def result(self, timeout: float | None = None) -> T:
        """See ``concurrent.futures.Future``."""
        return super().result(self._after_a_while(timeout, "result"))

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """See ``concurrent.futures.Future``."""
        return super().exception(self._after_a_while(timeout, "exception"))

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
