"""What users call. ``actorgrid`` itself re-exports what is public."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorgrid.engine import current

if TYPE_CHECKING:
    from actorgrid.engine.protocol import Engine


def _start() -> Engine:
    from actorgrid.api.session import start_implicitly

    return start_implicitly()


current.set_starter(_start)
