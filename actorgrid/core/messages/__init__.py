"""Every message that crosses a pipe: the single definition.

Rules for this folder

* A message is a ``msgspec.Struct`` encoded as an array with an integer tag: decoding it checks every type, cannot
  run code, and costs 0.1 microseconds. (Measured beside ``marshal`` and a restricted unpickler: as fast, and the only
  one of the three that checks types.) The message read off the pipe *is* the event that a machine handles.
* Tags are never reused. Fields are only ever added at the end, with a default.
* User data travels as opaque bytes (``data``) or as a place in shared memory (``extent``); no machine looks inside.
* ``refs`` lists the objects and actors that a payload mentions. Who sends a payload on grants these to the receiver.

Directions: ``C>H`` client to head, ``H>C`` head to client, ``H>W`` head to a worker's task link, ``W>H`` back,
``H>L`` head to launcher, ``L>H`` back, ``H>S`` head to the keeper of the spill file, ``S>H`` back. A worker is also a
client: its ``C>H`` messages share one FIFO with ``W>H``. Each direction has a file, and tags are unique in all:

    base.py          what messages are made of        from_client.py   C>H, tags 1 to 29, 35, 40 to 42
    from_worker.py   W>H, 30 to 37                    to_client.py     H>C, 50 to 64
    to_worker.py     H>W, 70 to 85                    launcher.py      H>L and L>H, 90 to 109
    spill_file.py    H>S and S>H, 110 to 123          script.py        how a recorded run is to be played
"""

from __future__ import annotations

from actorgrid.core.messages.base import OK, Extent, Failure, FailureKind, Status, Struct, Value, failure_kind
from actorgrid.core.messages.from_client import (
    A_METHOD,
    A_RESERVATION,
    A_TASK,
    AN_ACTOR,
    AS_ACTOR,
    AWAIT,
    DYNAMIC,
    NO_THREAD,
    STATE,
    UNBOUNDED,
    YIELD,
    AwaitEnd,
    AwaitReserved,
    Blocked,
    Bye,
    Cancel,
    CreateActor,
    Dismiss,
    Environment,
    Export,
    Fetch,
    Forget,
    HoldOutput,
    KillActor,
    Kind,
    LeaseRequest,
    LeaseReturn,
    Measured,
    Metric,
    MetricKind,
    NewSegment,
    Placement,
    Put,
    Query,
    Recalled,
    Release,
    Reserve,
    Resumed,
    Sample,
    Spec,
    Submit,
    Subscribe,
    Taken,
    Unneeded,
    Unpinned,
    Unreserve,
)
from actorgrid.core.messages.from_worker import ActorReady, Done, Exiting, Parting, Present, Revoked, Yield
from actorgrid.core.messages.launcher import (
    Exited,
    KillProcess,
    LinkLost,
    Quit,
    Spared,
    Spawn,
    Spawned,
    SpawnFailed,
    SpawnSpiller,
    Stopped,
)
from actorgrid.core.messages.script import HEAD, Kill, Script
from actorgrid.core.messages.spill_file import (
    Emptied,
    NoSpiller,
    Restored,
    SpillFailed,
    SpillFile,
    SpillFree,
    SpillIn,
    SpillOut,
    Written,
)
from actorgrid.core.messages.to_client import (
    Answer,
    Freed,
    GridDied,
    Group,
    Item,
    Notice,
    Output,
    Ready,
    Recall,
    Segment,
    Squeeze,
    Unread,
)
from actorgrid.core.messages.to_worker import (
    Code,
    Credit,
    Deadlock,
    Devices,
    Exit,
    Interrupt,
    Knock,
    Learn,
    Made,
    Restarted,
    Revoke,
    Run,
    Unlearn,
)

__all__ = [
    "AN_ACTOR", "AS_ACTOR", "AWAIT", "A_METHOD", "A_RESERVATION", "A_TASK", "DYNAMIC", "HEAD", "NO_THREAD", "OK",
    "STATE", "UNBOUNDED", "YIELD", "ActorReady", "Answer", "AwaitEnd", "AwaitReserved", "Blocked", "Bye", "Cancel",
    "Code", "CreateActor", "Credit", "Deadlock", "Devices", "Dismiss", "Done", "Emptied", "Environment", "Exit",
    "Exited", "Exiting", "Export", "Extent", "Failure", "FailureKind", "Fetch", "Forget", "Freed", "FromLauncher",
    "FromSpiller", "GridDied", "Group", "HoldOutput", "Interrupt", "Item", "Kill", "KillActor", "KillProcess",
    "Kind", "Knock", "Learn", "LeaseRequest", "LeaseReturn", "LinkLost", "Made", "Measured", "Metric",
    "MetricKind", "NewSegment", "NoSpiller", "Notice", "Output", "Parting", "Placement", "Present", "Put", "Query",
    "Quit",
    "Ready", "Recall", "Recalled", "Release", "Reserve", "Restarted", "Restored", "Resumed", "Revoke", "Revoked",
    "Run", "Sample", "Script", "Segment", "Spared", "Spawn", "SpawnFailed", "SpawnSpiller", "Spawned", "Spec",
    "SpillFailed", "SpillFile", "SpillFree", "SpillIn", "SpillOut", "Squeeze", "Status", "Stopped", "Struct",
    "Submit", "Subscribe", "Taken", "ToClient", "ToHead", "ToLauncher", "ToSpiller", "ToWorker", "Unlearn",
    "Unneeded", "Unpinned", "Unread", "Unreserve", "Value", "Written", "Yield", "failure_kind",
]  # fmt: skip

#: What arrives at the head from a client or a worker's task link.
ToHead = (
    Export | Spec | Submit | CreateActor | Put | Release | Subscribe | Blocked | Resumed | Cancel | KillActor |
    Query | NewSegment | LeaseRequest | LeaseReturn | Forget | Environment | Bye | HoldOutput | Fetch | Recalled |
    Unpinned | AwaitEnd | Taken | Dismiss | Measured | Reserve | Unreserve | AwaitReserved | Unneeded | Done |
    Revoked | ActorReady | Exiting | Yield | Present | Parting
)  # fmt: skip
#: What arrives at a client.
ToClient = (
    Ready | Item | Answer | Segment | Freed | Output | GridDied | Group | Notice | Unread | Revoke | Interrupt |
    Knock | Deadlock | Credit | Recall | Squeeze
)  # fmt: skip
#: What arrives at a worker's task link.
ToWorker = Run | Learn | Code | Unlearn | Exit | Environment | Segment | Restarted | Devices
ToLauncher = Spawn | KillProcess | Quit | SpawnSpiller
FromLauncher = Spawned | Exited | SpawnFailed | Stopped | Spared | LinkLost
#: What travels between the head and the process that owns the spill file.
ToSpiller = SpillOut | SpillIn | SpillFree | SpillFile
FromSpiller = Written | Emptied | Restored | SpillFailed | SpillFile | NoSpiller
