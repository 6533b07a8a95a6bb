"""Vigils: objects that come to exist when a process has ended, for whoever must know that somebody is gone.

This file may not know who asks, nor why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorgrid.core.head.records import Object
from actorgrid.core.messages import AwaitEnd, Value

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head
    from actorgrid.core.head.records import Peer


class Vigils:
    """Who waits for the end of which client."""

    __slots__ = ("_kept", "head")

    def __init__(self, head: Head) -> None:
        self.head = head
        #: Client number -> (object, who asked for it, its value), for clients that are there.
        self._kept: dict[int, list[tuple[int, int, Value]]] = {}

    def keep(self, peer: Peer, message: AwaitEnd) -> None:
        """``peer`` wants to know when a client has ended. One that is not there has."""
        self.head.memory.vouch(peer, message.value)
        oid = message.oid
        peer.last_id = oid
        made = Object(oid, None)
        made.holder, made.grants = peer.number, 1
        peer.held[oid] = None
        self.head.objects.table[oid] = made
        if message.client in self.head.peers:
            self._kept.setdefault(message.client, []).append((oid, peer.number, message.value))
        else:
            self.head.objects.fulfil(oid, message.value, 0, peer.number)

    def makes(self, oid: int) -> bool:
        """Return whether this object will exist when somebody has ended. For checks and explanations: it searches."""
        return any(oid == kept for each in self._kept.values() for kept, _, _ in each)

    def over(self, client: int) -> None:
        """A client has ended."""
        for oid, asker, value in self._kept.pop(client, ()):
            self.head.objects.fulfil(oid, value, 0, asker)
