"""Identity: what the integers on the wire mean, and how they are shown.

An id is one integer of at most 63 bits, chosen by the client that submits, without a round trip::

    id = client number (23 bits) << COUNTER_BITS | counter (40 bits)

A task that returns ``n`` objects takes ``max(n, 1)`` consecutive counters: its first return has the id of the
task, the k-th has ``task + k``. An actor has the id of the task that creates it. Client numbers are given by the
head and never reused while the grid lives, so an id names one thing for ever: a grid can start eight million
processes, and each of them can make 10 ** 12 objects (a hundred thousand a second for four months).
"""

from __future__ import annotations

from typing import Final

COUNTER_BITS: Final = 40
CLIENT_BITS: Final = 23
MAX_CLIENTS: Final = 1 << CLIENT_BITS

#: Client number of the driver that started the grid.
DRIVER: Final = 1


def first_id(client: int) -> int:
    """Return the first id that client number ``client`` may use."""
    return client << COUNTER_BITS | 1


def client_of(ident: int) -> int:
    """Return the number of the client that chose ``ident``."""
    return ident >> COUNTER_BITS


def render(ident: int, session: str, length: int) -> str:
    """Show ``ident`` as ``length`` hex digits: 16 of the id, then as much of ``session`` (hex) as fits."""
    tag = session * (length // max(len(session), 1) + 1)
    return f"{ident:016x}{tag}"[:length]


class Id(str):
    """An id as text, with the methods that Ray's ids have."""

    __slots__ = ()

    def hex(self) -> str:
        """Return it as plain text."""
        return str(self)

    def binary(self) -> bytes:
        """Return it as bytes."""
        return bytes.fromhex(self)

    def is_nil(self) -> bool:
        """Return False: what there is has an id."""
        return False
