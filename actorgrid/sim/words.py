"""Words on their way to the head: what they have to do with others' business, and which of them are submissions.

This file may not know what the head does with them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from actorgrid.core import messages as m
from actorgrid.core.client import failed
from actorgrid.sim.footprint import ALL

if TYPE_CHECKING:
    from actorgrid.sim.world import World

#: Words to the head that say nothing about anybody else's business (see ``footprint``).
COMMUTING: Final = frozenset(
    {
        m.Export, m.Spec, m.Submit, m.CreateActor, m.Release, m.Subscribe, m.Blocked, m.Resumed, m.Forget, m.Revoked,
        m.ActorReady, m.NewSegment, m.Present, m.Taken, m.Parting,
    }
)  # fmt: skip


def note_words(world: World, batch: list[Any]) -> None:
    """Note what these words to the head have to do with anybody else's."""
    for message in batch:
        kind = type(message)
        if kind is m.CreateActor and message.name:
            world.named.add(message.task)
            world.touch("names")
            world.touch("holders")
        elif kind is m.Query and message.what == "get_actor":
            world.touch("names", writes=False)
            world.touch("holders")
        elif kind is m.Submit and message.actor in world.named:
            world.touch("holders")  # whoever has looked for it does not keep it; a call does
        elif kind is m.Put:
            world.makes(message.oid)
        elif kind is m.Done:
            _made(world, message)
            _may_end_actor(world)
        elif kind is m.Release:
            _may_end_actor(world)
        elif kind is m.Yield:
            world.makes(("item", message.task, message.index))
            world.touch(("made", message.task))
        elif kind is m.LeaseRequest or kind is m.LeaseReturn:
            world.touch("store")
        elif kind is m.Measured:
            _measured(world, message)
        elif kind not in COMMUTING:
            world.touch(ALL)


def _may_end_actor(world: World) -> None:
    """Note that an actor may have one call or handle less: the last one, unless its name was looked up before."""
    if world.named:
        world.touch("holders", writes=False)


def _measured(world: World, message: m.Measured) -> None:
    """Note which gauges are set: of two the last one counts, while it does not matter who counts up first."""
    for sample in message.samples:
        if sample.kind is m.MetricKind.GAUGE:
            world.touch(("gauge", sample.name, sample.tags))


def _made(world: World, done: m.Done) -> None:
    """Note which objects a call has made: whoever looks for one with a timeout sees it from now on."""
    for oid, value in enumerate(done.values, done.task):
        world.makes(oid)
        for what in ("made", "failed") if failed(value) else ("made",):
            world.touch((what, oid))
