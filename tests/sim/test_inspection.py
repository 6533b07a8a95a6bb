"""Looking for what cannot be pickled leaves nothing behind."""

from __future__ import annotations

import io

import actorgrid as ag
from actorgrid import sim
from actorgrid.util import inspect_serializability


def test_inspection_holds_no_reference() -> None:
    with sim.world():
        ref = ag.put(1)
        before = ref._entry.refs
        assert inspect_serializability([ref, ref], print_file=io.StringIO())[0]
        assert ref._entry.refs == before
