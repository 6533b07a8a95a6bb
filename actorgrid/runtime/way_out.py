"""How a worker's process ends: told to, of its own accord, or as the child that user code has forked.

Whoever leaves in an orderly way says its last words first (``Parting`` tells the head that they begin, for they are
given only so long): the actor's ``__ray_shutdown__``, the exit handlers, and the finalizers of what the actor had. Then
everything goes out, and the process ends with ``os._exit``: it was forked from a launcher whose own exit handlers are
not its business.

This file may not know how calls run, nor why the head wants a worker gone.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import traceback
import weakref
from typing import TYPE_CHECKING, NoReturn

from actorgrid.core import messages as m
from actorgrid.exceptions import is_a

if TYPE_CHECKING:
    from collections.abc import Callable

    from actorgrid.runtime.worker import Worker


class WayOut:
    """The ways in which one worker ends."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        #: ``exit_actor()`` was called: what runs is finished, nothing new is begun.
        self.exiting = False
        #: What the process ends with; None: user code has not asked for that (``sys.exit``).
        self.status: int | None = None
        #: This is a child of the worker, forked by user code.
        self.forked = False

    def finish_output(self) -> None:
        """Push out what user code printed."""
        for stream in self.worker.aftermath.streams:
            with contextlib.suppress(Exception):
                stream.finish()

    # -- a child of the worker

    def end_of_fork(self, error: BaseException | None) -> NoReturn:
        """User code forked, and this is the child: it came back from the call, which only its parent answers."""
        if error is not None and is_a(error, SystemExit):
            status = _status(error)
            self.finish_output()
            os._exit(status)
        if error is not None:
            traceback.print_exception(error)
        self.finish_output()
        os._exit(0 if error is None else 1)

    # -- of its own accord

    def exit_process(self, error: SystemExit) -> NoReturn:
        """``sys.exit`` in a call ends the worker, as in Ray: it counts as a death. On the main thread only."""
        self.note_exit(error)
        self.depart()

    def note_exit(self, error: SystemExit) -> None:
        """A call has ended with ``sys.exit``: nothing new is begun."""
        self.status = _status(error)
        traceback.clear_frames(error.__traceback__)  # they know the actor, which is to be finalized

    def exit_actor(self) -> NoReturn:
        """End this actor: no restart, whatever it was told."""
        self._say(m.Exiting("the actor ended itself with exit_actor()"))
        self.exiting = True
        if self.worker.serving is not None:
            self.worker.serving.leave()
        raise SystemExit(0)

    def ends_actor(self, error: BaseException | None) -> bool:
        """Return whether a call, one of several that overlap, has ended its actor: the head answers it."""
        return error is not None and self.exiting and is_a(error, SystemExit) and not self.forked

    # -- told to

    def leave(self, reason: str) -> None:
        """End this process in an orderly way once nothing runs here."""
        worker = self.worker
        with worker.engine.lock:
            worker.machine.leaving = reason
            if worker.machine.running or worker.machine.queue:
                return
        self.depart()

    def depart(self) -> NoReturn:
        """Run the actor's last words, the exit handlers and finalizers, send everything, go."""
        import atexit  # only here

        if self.worker.engine.instance is not None or atexit._ncallbacks():  # noqa: SLF001  # it has no other way to ask
            self._say(m.Parting())
        # As multiprocessing does before os._exit, too.
        for say in (self._shut_down, atexit._run_exitfuncs, self._finalize):  # noqa: SLF001
            try:
                say()
            except BaseException as error:  # noqa: BLE001  # last words may fail, leaving may not
                print(f"actorgrid: on the way out: {error!r}", file=sys.stderr)
        self.finish_output()
        with contextlib.suppress(OSError):
            self.worker.link.socket.setblocking(True)
            self.worker.push()
        os._exit(self.status or 0)

    def _shut_down(self) -> None:
        shutdown = getattr(self.worker.engine.instance, "__ray_shutdown__", None)
        if shutdown is not None:
            shutdown()

    def _finalize(self) -> None:
        """Let go of the actor: ``__del__`` of it and of what it has run, as where an interpreter ends."""
        engine = self.worker.engine
        if engine.instance is None:
            return
        traceback.clear_frames(sys.exc_info()[2])  # of the call in which it left
        try:
            alive: Callable[[], object] = weakref.ref(engine.instance)
        except TypeError:  # its class has __slots__
            alive = object
        engine.instance = None
        if alive() is not None:  # only then: to look through all of a process takes a while, and copies its pages
            gc.collect()

    def _say(self, message: m.Exiting | m.Parting) -> None:
        """Have the head know at once."""
        engine = self.worker.engine
        with engine.lock:
            engine.client.outbox.append(message)
            engine.send(force=True)
            self.worker.outbox.flush()


def _status(error: SystemExit) -> int:
    """Return what a process ends with, and print what stands in the place of a number."""
    code = error.code
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    return code or 0
