"""Checkpoints, where the actor is: when its state is saved, how, and how it comes back.

Works beside ``core.head.journals``, which knows what to do with a saved state. Shared by real workers and simulated
ones. This file may not know how calls reach this process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actorgrid.core import messages as m
from actorgrid.core.messages import Kind, Status
from actorgrid.engine.serialize import loads_own

if TYPE_CHECKING:
    from actorgrid.core.worker import Running
    from actorgrid.engine.refs import ObjectRef
    from actorgrid.engine.worker_side import WorkerSide

#: What an actor class must define to be saved.
SAVE: Final = "__actorgrid_save__"
RESTORE: Final = "__actorgrid_restore__"


class Checkpoints:
    """The saved states of the actor that this process is."""

    def __init__(self, engine: WorkerSide, spec: m.Spec) -> None:
        self._engine = engine
        self._spec = spec
        #: Calls since the state was saved, and when that was.
        self._calls = 0
        self._last = engine.clock()
        self._failed = False

    def after(self, running: Running) -> ObjectRef[Any] | None:
        """A call has ended. Save the state if it is time to; return a reference to hold until the head knows of it.

        Also after a call that was interrupted, or that has seen what need not be so again: it might end otherwise if
        it ran again.
        """
        if running.spec.kind is not Kind.METHOD or running.spec.readonly:
            return None
        self._calls += 1
        if running.cancelled:  # looked at once: a cancellation that comes from here on has interrupted nothing
            running.chance = True
        spec = self._spec
        now = self._engine.clock()
        due = 0 < spec.checkpoint_calls <= self._calls
        late = spec.checkpoint_seconds and now - self._last >= spec.checkpoint_seconds
        return self._save(now) if due or late or running.chance else None

    def _save(self, now: float) -> ObjectRef[Any] | None:
        self._last = now
        engine = self._engine
        try:
            saved = engine.put(getattr(engine.instance, SAVE)())
        except Exception as error:  # noqa: BLE001  # user code, or a value that cannot be stored: the actor goes on
            if not self._failed:
                self._failed = True
                name = self._spec.name
                text = f"the state of {name} was not saved ({type(error).__name__}: {error}); it is tried again later"
                engine.print_error(f"actorgrid: {text}, and more calls run again if its process dies meanwhile\n")
            return None
        self._calls = 0
        self._failed = False
        return saved


def restore(engine: WorkerSide, run: m.Run) -> None:
    """Give an actor that was made anew the state that was saved, if there is one. Raises what its method raises."""
    if m.STATE not in run.slots:
        return
    at = run.slots.index(m.STATE)
    value, oid = run.deps[at], run.oids[at]
    if value.status is not Status.OK:
        raise engine.error_of(value)
    data = value.data if value.extent is None else engine.pinned(oid, value.extent)
    getattr(engine.instance, RESTORE)(loads_own(data))  # an actor may change its own state


def note(done: m.Done, running: Running, saved: ObjectRef[Any] | None) -> None:
    """Have the message that ends a call say what became of the state."""
    done.saved = 0 if saved is None else saved._entry.oid  # noqa: SLF001  # our own reference
    done.strayed, done.chance = running.strayed, running.chance and saved is None
