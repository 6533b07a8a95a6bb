"""The shape of what crosses a pipe: tags are never used again, fields are only ever added behind the others.

A line here is what a message looked like when it was written down; if this fails, it was changed in another way.
"""

from __future__ import annotations

import msgspec
import pytest

from actorgrid.core import messages as m

SPEC = """
    spec kind name digest demand method num_returns max_retries retry_exceptions max_calls priority max_restarts
    max_task_retries max_concurrency is_async detached lifetime_demand readonly timeout run_timeout out_of_order
"""
SHAPES = {
    "Export": (1, "digest name value"),
    "Spec": (2, SPEC),
    "Submit": (3, "task spec args deps slots refs actor parent nth"),
    "CreateActor": (4, "task spec args deps slots refs parent nth name namespace get_if_exists handle request"),
    "Put": (5, "oid value"),
    "Release": (6, "oids seen"),
    "Subscribe": (7, "oids"),
    "Blocked": (8, "task call oids unstarted need finite"),
    "Resumed": (9, "task"),
    "Cancel": (10, "oid force recursive"),
    "KillActor": (11, "actor no_restart"),
    "Query": (12, "request what body"),
    "NewSegment": (13, "segment size"),
    "LeaseRequest": (14, "request size"),
    "LeaseReturn": (15, "size"),
    "Forget": (16, "spec"),
    "Environment": (17, "version blob"),
    "Bye": (18, ""),
    "HoldOutput": (19, "hold"),
    "Fetch": (24, "request oid"),
    "Recalled": (25, "oid number seen used"),
    "Unpinned": (26, "oid"),
    "Unneeded": (43, "setup"),
    "Done": (30, "task attempt values micros retry leaving"),
    "Revoked": (31, "tasks"),
    "ActorReady": (32, "actor attempt"),
    "Exiting": (33, "reason"),
    "Parting": (37, ""),
    "Ready": (50, "oid value"),
    "Answer": (51, "request body error"),
    "Segment": (52, "segment size"),
    "Freed": (53, "extents"),
    "Output": (54, "pid data"),
    "GridDied": (55, "message"),
    "Notice": (56, "text"),
    "Group": (57, "pid alive"),
    "Unread": (58, "value"),
    "Recall": (63, "oid number"),
    "Squeeze": (64, ""),
    "Run": (70, "task attempt spec args deps slots refs oids caller actor retries_left"),
    "Learn": (71, "spec"),
    "Code": (72, "digest name value"),
    "Unlearn": (73, "specs digests"),
    "Exit": (74, "reason"),
    "Revoke": (75, "tasks"),
    "Interrupt": (76, "task attempt deadline"),
    "Restarted": (77, "actor incarnation name namespace handle"),
    "Deadlock": (78, "task text"),
    "Spawn": (90, "worker title"),
    "KillProcess": (91, "worker signal task"),
    "Spawned": (92, "worker pid"),
    "Exited": (93, "worker pid status current outbox"),
    "SpawnFailed": (94, "worker message"),
    "Stopped": (95, "worker stopped"),
    "Quit": (96, ""),
    "Spared": (97, "worker task"),
    "LinkLost": (98, "worker"),
    "SpawnSpiller": (109, ""),
    "SpillOut": (110, "job extent offset"),
    "SpillIn": (111, "job extent offset checksum"),
    "SpillFree": (112, "offset size"),
    "SpillFile": (113, "path"),
    "Written": (120, "job checksum"),
    "Emptied": (121, "job"),
    "Restored": (122, "job"),
    "SpillFailed": (123, "job message"),
    "NoSpiller": (124, "reason"),
}  # fmt: skip


def tagged() -> dict[str, type[msgspec.Struct]]:
    structs = {
        name: thing for name, thing in vars(m).items() if isinstance(thing, type) and issubclass(thing, msgspec.Struct)
    }
    return {name: struct for name, struct in structs.items() if struct.__struct_config__.tag is not None}


@pytest.mark.parametrize("name", SHAPES)
def test_message_has_its_tag_and_its_fields_in_their_places(name: str) -> None:
    message = tagged()[name]
    tag, fields = SHAPES[name]
    assert message.__struct_config__.tag == tag
    assert list(message.__struct_fields__[: len(fields.split())]) == fields.split()


def test_no_two_messages_have_one_tag() -> None:
    tags = [message.__struct_config__.tag for message in tagged().values()]
    assert len(tags) == len(set(tags))


def test_fields_beyond_those_have_defaults() -> None:
    for name, (_, fields) in SHAPES.items():
        message = tagged()[name]
        added = len(message.__struct_fields__) - len(fields.split())
        assert added <= len(message.__struct_defaults__), f"{name}: a field without a default was added"
