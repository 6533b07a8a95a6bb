"""W>H: what becomes of a worker's tasks and of its actor, in one FIFO with what it says as a client."""

from __future__ import annotations

from actorgrid.core.messages.base import Struct, Value


class Done(Struct, tag=30):
    """An attempt ended. ``retry``: it raised an exception that ``retry_exceptions`` covers."""

    task: int
    attempt: int
    values: tuple[Value, ...]
    #: Time inside user code.
    micros: int = 0
    retry: bool = False
    #: The worker leaves after this (``max_calls``, ``exit_actor``).
    leaving: bool = False
    #: The object, put just before, that is the actor's state after this call; 0: none was saved.
    saved: int = 0
    #: A call that ran again has not submitted what it had submitted before: the end of a sentence that says so.
    strayed: str = ""
    #: It was cancelled before it started.
    unstarted: bool = False
    #: It was interrupted, or has learned something that need not be so when it runs again, and its actor's state was
    #: not saved since.
    chance: bool = False


class Present(Struct, tag=36):
    """The answer to ``Knock``."""


class Revoked(Struct, tag=31):
    """These tasks had not started and will not start here."""

    tasks: tuple[int, ...]


class ActorReady(Struct, tag=32):
    """The constructor returned. Said only by actors whose class has a ``__repr__`` of its own."""

    actor: int
    attempt: int
    #: What that returned.
    shown: str = ""


class Exiting(Struct, tag=33):
    """The worker's process is about to end on purpose (``exit_actor``, retirement): its death is no crash."""

    reason: str


class Parting(Struct, tag=37):
    """Nothing runs in the worker any more: its last words begin (``__ray_shutdown__``, exit handlers, finalizers)."""


class Yield(Struct, tag=34):
    """A stream's item number ``index``, counted anew by each attempt."""

    task: int
    attempt: int
    index: int
    value: Value
