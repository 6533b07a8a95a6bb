"""Types of identifiers, by Ray's names: they can stand in annotations and in ``isinstance``, and none can be made.

Here identifiers are text, handles' and groups' own objects apart; so to type checkers each of these types is whatever
tells its digits.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, runtime_checkable

from actorgrid.api.placement import PlacementGroupID as GroupID
from actorgrid.core.ids import Id
from actorgrid.engine.refs import ActorRef

WHY: Final = "identifiers are strings of hexadecimal digits: get_runtime_context() has them"
#: Name -> how many digits those have that it stands for; None: nobody gets one.
DIGITS: Final = {
    "ActorClassID": None, "ActorID": 32, "FunctionID": None, "JobID": 8, "NodeID": 56, "PlacementGroupID": 36,
    "TaskID": 48, "UniqueID": None, "WorkerID": None,
}  # fmt: skip

if TYPE_CHECKING:

    @runtime_checkable
    class Identifier(Protocol):
        """What has such an id's methods."""

        def hex(self) -> str:
            """Return the digits."""

        def binary(self) -> bytes:
            """Return the bytes."""

        def is_nil(self) -> bool:
            """Return whether it is the id of nothing."""

    ActorClassID = Identifier
    ActorID = Identifier
    FunctionID = Identifier
    JobID = Identifier
    NodeID = Identifier
    PlacementGroupID = Identifier
    TaskID = Identifier
    UniqueID = Identifier
    WorkerID = Identifier


class _Type(type):
    """Makes such a type."""

    def __call__(cls, *args: object, **kwargs: object) -> NoReturn:
        """Raise NotImplementedError."""
        raise NotImplementedError(f"actorgrid has no {cls.__name__}: {WHY}")

    def __getattr__(cls, name: str) -> NoReturn:
        raise AttributeError(f"actorgrid has no {cls.__name__}.{name}: {WHY}")

    def __instancecheck__(cls, thing: object) -> bool:
        """Return whether an object has such an id, and what is here instead: plain text is none, as on Ray."""
        if isinstance(thing, ActorRef | GroupID):
            return cls.__name__ == ("ActorID" if isinstance(thing, ActorRef) else "PlacementGroupID")
        return isinstance(thing, Id) and len(thing) == DIGITS[cls.__name__]

    def __repr__(cls) -> str:
        return f"<{cls.__name__}, which actorgrid does not have: {WHY}>"


@cache  # what is pickled by its name must be the same when that is looked up
def kind(name: str) -> Any:
    """Return the type of this name."""
    return _Type(name, (), {"__module__": "actorgrid"})
