"""A call as a world sees it: where it stands in the tree of calls, and what waits for its start.

This file may not know who runs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actorgrid.core import messages as m
    from actorgrid.sim.choices import Chain, Event


class Call:
    """A submission as the world sees it: its place in the tree of calls, equal in every run."""

    __slots__ = (
        "actor", "again", "age", "chain", "given", "label", "name", "offer", "path", "readonly", "run", "site"
    )  # fmt: skip

    def __init__(
        self, path: str, chain: Chain, age: int, name: str, *, readonly: bool, actor: Call | None = None, again: int = 0
    ) -> None:
        self.path = path
        #: How many there were before with this path: a task that runs again submits its calls again.
        self.again = again
        #: What made the actor whose method it is.
        self.actor = actor
        self.readonly = readonly
        self.chain = chain
        self.age = age
        self.name = name
        self.label = f"{name} {path}"
        #: File and line that made it, and a digest of its arguments, while the story is told.
        self.site = ""
        self.given = ""
        #: The attempt that waits for its start, and what that start is.
        self.run: m.Run | None = None
        self.offer: Event | None = None

    @property
    def title(self) -> str:
        """What the thread is called that runs it: in each run another name than all others have."""
        return f"{self.label} again" + f" {self.again}" * (self.again > 1) if self.again else self.label

    def key(self, kind: str) -> tuple[Any, ...]:
        """Return the key of the event (see ``choices``) in which it starts: of a "call", or of a "start"."""
        where = self.actor.path if kind == "call" and self.actor is not None else self.path
        return kind, where, (self.path, self.again)

    def starts(self) -> None:
        """It waits no more: its arguments are not kept for as long as its world lives."""
        self.run = self.offer = None

    def __str__(self) -> str:
        return f"{self.label} of {self.actor.label}" if self.actor is not None else self.label
