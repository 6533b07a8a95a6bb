"""Every invariant of the head, executable. Tests call ``check`` after every event, production only after nonsense.

Each function states the invariants of one kind of record, most of them as they stand beside the fields in
``records.py``. A violation raises AssertionError with what the head remembers of the record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorgrid.core.head import check_books as books
from actorgrid.core.head import check_calls as calls

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head


def check(head: Head) -> None:
    """Raise AssertionError if anything in ``head`` contradicts anything else."""
    books.check_resources(head)
    books.check_reservations(head)
    books.check_holders(head)
    books.check_pins(head)
    calls.check_objects(head)
    calls.check_tasks(head)
    calls.check_ready(head)
    calls.check_workers(head)
    calls.check_actors(head)
    calls.check_links(head)
    books.check_memory(head)
    books.check_places(head)
    calls.check_streams(head)
    books.check_specs(head)
    books.check_memories(head)
