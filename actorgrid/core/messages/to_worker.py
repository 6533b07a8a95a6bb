"""H>W: work for a worker's task link, the code that it takes, and control: revoke, interrupt, exit."""

from __future__ import annotations

from actorgrid.core.messages.base import Struct, Value
from actorgrid.core.messages.from_client import Spec


class Made(Struct):
    """What a call has submitted as number ``nth``: a task or an actor, ``count`` objects from ``ident`` on."""

    nth: int
    ident: int
    count: int
    name: str
    #: The actor whose method it calls; 0: none.
    actor: int = 0


class Run(Struct, tag=70):
    """Run this attempt. ``deps`` are the values for ``slots``. Grants ``refs`` and the refs of ``deps``."""

    task: int
    attempt: int
    spec: int
    args: bytes
    deps: tuple[Value, ...] = ()
    slots: tuple[int | str, ...] = ()
    refs: tuple[int, ...] = ()
    #: Ids of ``deps``, for pinning.
    oids: tuple[int, ...] = ()
    #: The submitting client, for FIFO per caller.
    caller: int = 0
    #: Actor calls and creations: the actor.
    actor: int = 0
    retries_left: int = 0
    #: Those of ``oids`` that must be fetched before they are read.
    away: tuple[int, ...] = ()
    #: It brings the actor back to where it was: the call that it repeats, whose result nobody needs. 0: it does not.
    again: int = 0
    #: What it has submitted before, and need not submit anew. Grants these.
    made: tuple[Made, ...] = ()


class Learn(Struct, tag=71):
    """A spec that a later Run mentions."""

    spec: Spec


class Code(Struct, tag=72):
    """Code that a later Learn mentions."""

    digest: bytes
    name: str
    value: Value


class Unlearn(Struct, tag=73):
    """Specs and code that will not be used again."""

    specs: tuple[int, ...] = ()
    digests: tuple[bytes, ...] = ()


class Exit(Struct, tag=74):
    """Finish what was given, then leave."""

    reason: str


class Revoke(Struct, tag=75):
    """Hand back these tasks unless they started, and send what is buffered."""

    tasks: tuple[int, ...]


class Knock(Struct, tag=80):
    """To a worker, on its reply link: is anybody there? It is answered with ``Present``."""


class Interrupt(Struct, tag=76):
    """Cancel this attempt if it runs; drop it if it has not started."""

    task: int
    attempt: int
    #: Its time is over: interrupt synchronous methods, too, which ``cancel()`` leaves alone.
    deadline: bool = False
    #: It is a stream that nobody reads: it ends where it next yields, and nothing is interrupted.
    gently: bool = False


class Deadlock(Struct, tag=78):
    """To a worker, on its reply link: what this call waits for can never be; ``text`` says why."""

    task: int
    text: str


class Credit(Struct, tag=79):
    """To a worker, on its reply link: the reader of a stream has taken so many of its items; -1: never wait again."""

    task: int
    attempt: int
    taken: int


class Devices(Struct, tag=85):
    """What this worker runs from now on has these devices, by their numbers."""

    devices: tuple[int, ...]


class Restarted(Struct, tag=77):
    """To a worker that becomes an actor: which incarnation it is."""

    actor: int
    incarnation: int
    name: str
    namespace: str
    #: What a handle to it needs, as in CreateActor.
    handle: bytes = b""
