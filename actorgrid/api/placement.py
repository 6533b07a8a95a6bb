"""Placement groups: resources that are set aside together, for tasks and actors that run with them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from actorgrid.api.labels import selector
from actorgrid.api.texts import text
from actorgrid.core.ids import render
from actorgrid.core.resources import amounts
from actorgrid.engine.current import current
from actorgrid.engine.definitions import GroupRef
from actorgrid.engine.refs import ObjectRef
from actorgrid.exceptions import TaskPlacementGroupRemoved

#: Digits of a group's id.
GROUP_DIGITS: Final = 36
#: What ``strategy`` may be. On one machine they differ in one thing: only STRICT_SPREAD asks for several machines.
STRATEGIES: Final = ("PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD")
#: The smallest amount of a resource.
_STEP: Final = 0.0001
#: Ray's names of the states.
_STATES: Final = {"waiting": "PENDING", "placed": "CREATED", "removed": "REMOVED"}


class PlacementGroupID:
    """The id of a placement group."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def hex(self) -> str:
        """Return the id as text."""
        return self._text

    def binary(self) -> bytes:
        """Return the id as bytes."""
        return bytes.fromhex(self._text)

    def is_nil(self) -> bool:
        """Return whether it is the id of no group."""
        return not int(self._text, 16)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PlacementGroupID) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"PlacementGroupID({self._text})"


class PlacementGroup:
    """A placement group. It may be sent to tasks and actors; it stays when the last copy of this object goes.

    Not for users to make: see ``placement_group``. ``PlacementGroup.empty()`` stands for none.
    """

    __slots__ = ("_group",)

    def __init__(self, group: GroupRef) -> None:
        self._group = group

    @staticmethod
    def empty() -> PlacementGroup:
        """Return what stands for no placement group."""
        return PlacementGroup(GroupRef(0, "", ()))

    @property
    def id(self) -> PlacementGroupID:
        """Its id."""
        group = self._group
        return PlacementGroupID(render(group.ident, group.session, GROUP_DIGITS) if group.ident else "0" * GROUP_DIGITS)

    @property
    def is_empty(self) -> bool:
        """Whether it stands for no placement group."""
        return not self._group.ident

    @property
    def bundle_specs(self) -> list[dict[str, float]]:
        """What each bundle holds, by the name of the resource."""
        return [amounts(bundle) for bundle in self._group.bundles]

    @property
    def bundle_count(self) -> int:
        """How many bundles it has."""
        return len(self._group.bundles)

    def ready(self) -> ObjectRef[PlacementGroup]:
        """Return a reference to this group that exists as soon as its resources are its own; no process waits for it.

        If the group is removed before that, ``get`` of it raises TaskPlacementGroupRemoved. Raises ValueError for the
        group of another session.
        """
        ref: ObjectRef[PlacementGroup] = current().group_ready(self._group, self)
        return ref

    def wait(self, timeout_seconds: float = 30) -> bool:
        """Wait until its resources are its own, for so long at most; return whether they are. False if it is removed.

        Raises TypeError and ValueError for a bad timeout, ValueError for the group of another session.
        """
        if isinstance(timeout_seconds, bool) or not isinstance(timeout_seconds, int | float):
            raise TypeError(f"'timeout_seconds' must be a number, not {type(timeout_seconds).__name__}")
        if not timeout_seconds >= 0:
            raise ValueError(f"'timeout_seconds' must not be negative: {timeout_seconds}")
        engine, ref = current(), self.ready()
        finite = None if timeout_seconds == math.inf else float(timeout_seconds)
        if not engine.wait([ref], 1, finite)[0]:
            return False
        try:
            engine.get((ref,), None)
        except TaskPlacementGroupRemoved:
            return False
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PlacementGroup) and self._group[:2] == other._group[:2]

    def __hash__(self) -> int:
        return hash(self._group[:2])

    def __repr__(self) -> str:
        return f"PlacementGroup({self.id.hex()}, {self.bundle_specs})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, tuple(self._group)


def _rebuild(ident: int, session: str, bundles: Any) -> PlacementGroup:
    return PlacementGroup(GroupRef(ident, session, bundles))


def group_of(group: PlacementGroup) -> GroupRef:
    """Return what an engine knows of a group."""
    return group._group  # noqa: SLF001  # a class of this module


def _check_group(group: Any, what: str) -> GroupRef:
    if not isinstance(group, PlacementGroup):
        raise TypeError(f"{what} takes a PlacementGroup, not {type(group).__name__}: {group!r:.100}")
    return group_of(group)


def placement_group(
    bundles: Sequence[Mapping[str, float]],
    strategy: str | None = None,
    name: str = "",
    lifetime: str | None = None,
    _soft_target_node_id: str | None = None,
    bundle_label_selector: Sequence[Mapping[str, str]] | None = None,
    topology_strategy: Any = None,
) -> PlacementGroup:
    """Set resources aside, all together and as soon as they are free, and return the group at once.

    ``bundles`` is a list of resources by name: ``[{"CPU": 2}, {"CPU": 1, "GPU": 1}]``. Tasks and actors run in it with
    ``scheduling_strategy=PlacementGroupSchedulingStrategy(group, bundle_index)``; what it holds is nobody else's until
    it is removed (``remove_placement_group``), or its driver ends, unless its ``lifetime`` is "detached". ``name`` is
    for ``get_placement_group``. A grid is one machine: "PACK" (the default), "SPREAD" and "STRICT_PACK" are the same.
    ``bundle_label_selector`` says what the labels of the machine of each bundle must be.

    Raises ValueError for bad bundles, whatever is wrong with them, an unknown strategy or lifetime, and a name that is
    taken; TypeError for other wrong types; InfeasibleResourcesError (a ValueError) for what the grid can never give:
    more than it has, or "STRICT_SPREAD" of several bundles.
    """
    strategy = "PACK" if strategy is None else strategy
    if _soft_target_node_id and strategy != "STRICT_PACK":  # any machine is this one, but Ray refuses it
        raise ValueError(f"option '_soft_target_node_id' only works with STRICT_PACK: {strategy!r:.100}")
    if topology_strategy is not None:
        raise ValueError("option 'topology_strategy' is not supported: a grid is one machine")
    checked = [_check_bundle(index, bundle) for index, bundle in enumerate(_check_list(bundles))]
    if strategy not in STRATEGIES:
        raise ValueError(f"option 'strategy' must be one of {', '.join(STRATEGIES)}: {strategy!r:.100}")
    text("name", name)
    if lifetime not in {None, "detached"}:
        raise ValueError(f"option 'lifetime' must be None or 'detached': {lifetime!r:.100}")
    labels = [selector(f"bundle_label_selector[{i}]", each) for i, each in enumerate(bundle_label_selector or ())]
    if labels and len(labels) != len(checked):
        raise ValueError(f"'bundle_label_selector' has {len(labels)} entries for {len(checked)} bundles")
    detached = lifetime == "detached"
    return PlacementGroup(current().create_group(checked, strategy, name, detached=detached, labels=labels))


def _check_list(bundles: Any) -> list[Any]:
    if isinstance(bundles, str | Mapping) or not isinstance(bundles, Sequence):
        raise ValueError(f"'bundles' must be a list of dictionaries of resources: {bundles!r:.100}")  # noqa: TRY004  # Ray's
    if not bundles:
        raise ValueError("'bundles' must not be empty: a group without resources is none")
    return list(bundles)


def _check_bundle(index: int, bundle: Any) -> dict[str, float]:
    if not isinstance(bundle, Mapping) or not all(isinstance(name, str) for name in bundle):
        raise ValueError(f"'bundles' must be a list of dictionaries of resources; bundle {index} is {bundle!r:.100}")
    for name, value in bundle.items():
        text(f"bundles[{index}]", name)
        _check_amount(f"{name!r} of bundle {index}", value, whole=name == "GPU")
    if not any(bundle.values()):
        raise ValueError(f"bundle {index} holds nothing: {dict(bundle)}")
    return {name: float(value) for name, value in bundle.items()}


def _check_amount(what: str, value: Any, *, whole: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"the quantity of {what} must be a number: {value!r:.100}")  # noqa: TRY004  # Ray's
    if not (math.isfinite(value) and (value == 0 or value >= _STEP)):
        raise ValueError(f"the quantity of {what} must be 0, or finite and at least {_STEP}: {value}")
    if whole and value > 1 and not float(value).is_integer():
        raise ValueError(f"the quantity of {what} must be a whole number if it is more than 1: {value}")


def remove_placement_group(placement_group: PlacementGroup) -> None:
    """Remove a placement group: whatever runs in it ends, and what it holds is free again.

    Its tasks fail with TaskPlacementGroupRemoved, whether they have begun or not, its actors with
    ActorPlacementGroupRemoved (an ActorDiedError). One that is removed already is left alone. Raises TypeError for
    anything but a group, ValueError for a group of another session.
    """
    group = _check_group(placement_group, "remove_placement_group()")
    if group.ident:
        current().remove_group(group)


def get_placement_group(placement_group_name: str) -> PlacementGroup:
    """Return the placement group of this name. Raises ValueError if this namespace has none, or the name is empty."""
    if not placement_group_name:
        raise ValueError("Please supply a non-empty value to get_placement_group")
    group = current().find_group(placement_group_name)
    if group is None:
        raise ValueError(
            f"Failed to look up placement group with name: {placement_group_name}. It was not created in this "
            "namespace, or has been removed"
        )
    return PlacementGroup(group)


def get_current_placement_group() -> PlacementGroup | None:
    """Return the placement group that the calling task or actor runs in; None in a driver, and if it runs in none."""
    here = current().context()
    if here.placement is None:
        return None
    return PlacementGroup(GroupRef(here.placement.group, here.session, here.placement.bundles))


def placement_group_table(placement_group: PlacementGroup | None = None) -> dict[str, Any]:
    """Return what is known of a group: id, name, bundles, strategy and state ("PENDING", "CREATED" or "REMOVED").

    ``bundles_available``, not in Ray, is what is free of each bundle. Without a group, return the groups that there
    are, by id. Raises TypeError for anything but a group, ValueError for a group of another session.
    """
    engine = current()
    if placement_group is None:
        return {PlacementGroup(group).id.hex(): _row(group, told) for group, told in engine.placement_groups()}
    wanted = _check_group(placement_group, "placement_group_table()")
    if wanted.session != engine.context().session:
        raise ValueError("this placement group belongs to another session: the grid that made it is not this one")
    told = next((told for group, told in engine.placement_groups() if group == wanted), None)
    return _row(wanted, told or {"name": "", "strategy": "", "state": "removed", "free": []})


def _row(group: GroupRef, told: dict[str, Any]) -> dict[str, Any]:
    shown = PlacementGroup(group)
    node = current().nodes()[0]["NodeID"] if told["state"] == "placed" else ""
    return {
        "placement_group_id": shown.id.hex(),
        "name": told["name"],
        "bundles": dict(enumerate(shown.bundle_specs)),
        "bundles_to_node_id": dict.fromkeys(range(shown.bundle_count), node),
        "bundles_available": {index: amounts(free) for index, free in enumerate(told["free"])},
        "strategy": told["strategy"],
        "state": _STATES[told["state"]],
    }
