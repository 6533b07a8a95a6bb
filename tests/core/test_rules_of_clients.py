"""Rules of the client machine: what it counts, and what it gives back."""

from __future__ import annotations

from actorgrid.core import messages as m
from actorgrid.core.client import Client
from actorgrid.core.ids import DRIVER
from actorgrid.core.messages import Status, Value

OTHER = (7 << 40) + 3


class Nobody:
    def wake(self) -> None: ...


def client() -> Client:
    return Client(DRIVER, Nobody(), str, lambda _: ())


def released(one: Client) -> list[int]:
    one.collect()
    return [oid for message in one.outbox if isinstance(message, m.Release) for oid in message.oids]


def test_value_that_nobody_here_wants_any_more_holds_nothing() -> None:
    one = client()
    one.ready(m.Ready(OTHER + 1, Value(Status.OK, b"", None, (OTHER,))))
    assert released(one) == [OTHER]


def test_value_that_comes_twice_holds_what_it_mentions_once() -> None:
    one = client()
    entry = one.promise(one.take_ids(1))
    entry.refs += 1
    for _ in range(2):
        one.ready(m.Ready(entry.oid, Value(Status.OK, b"", None, (OTHER,))))
    assert one.entries[OTHER].refs == 2
    assert released(one) == []
    assert one.entries[OTHER].refs == 1


def test_value_that_is_dropped_lets_go_what_it_mentions() -> None:
    one = client()
    entry = one.promise(one.take_ids(1))
    entry.refs += 1
    one.ready(m.Ready(entry.oid, Value(Status.OK, b"", None, (OTHER,))))
    assert released(one) == []
    one.dropped.append(entry)
    assert released(one) == [entry.oid, OTHER]
