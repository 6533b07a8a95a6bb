"""H>S and S>H: objects on their way to the spill file and back."""

from __future__ import annotations

from actorgrid.core.messages.base import Extent, Struct


class SpillOut(Struct, tag=110):
    """Copy an extent to the spill file, at ``offset``, then give its pages back; its segment rides on this frame."""

    job: int
    extent: Extent
    offset: int


class SpillIn(Struct, tag=111):
    """Copy an extent back to where it lay, and compare its checksum; its segment rides on this frame."""

    job: int
    extent: Extent
    offset: int
    checksum: int


class SpillFree(Struct, tag=112):
    """Nobody needs this part of the spill file any more."""

    offset: int
    size: int


class SpillFile(Struct, tag=113):
    """The spill file; its descriptor rides on this frame. The head keeps it for the next process of this kind."""

    path: str


class Written(Struct, tag=120):
    """The extent is in the spill file; its pages go next."""

    job: int
    checksum: int


class Emptied(Struct, tag=121):
    """The pages of the extent are the system's again."""

    job: int


class Restored(Struct, tag=122):
    """The extent is in memory again, and is what it was."""

    job: int


class SpillFailed(Struct, tag=123):
    """The file could not be written, or what was read from it is not what was written."""

    job: int
    message: str


class NoSpiller(Struct, tag=124):
    """The system lets nothing be copied: it allows no process for that, or no descriptor. ``reason`` says what."""

    reason: str
