"""Whether a call may ever run where it is to run: asked when it is made, since the answer never changes.

A grid is one machine. What that has not got, or is not, it will never have or be: no call waits for it in vain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from actorgrid.core.messages import Kind, Placement, Spec
from actorgrid.core.resources import Demand, amounts, covers
from actorgrid.exceptions import (
    ActorUnschedulableError,
    InfeasibleResourcesError,
    TaskUnschedulableError,
)

if TYPE_CHECKING:
    from actorgrid.engine.base import EngineBase
    from actorgrid.engine.definitions import Condition, GroupRef, Where


def check(engine: EngineBase, spec: Spec, where: Where) -> None:
    """Raise InfeasibleResourcesError, TaskUnschedulableError, ActorUnschedulableError, or ValueError."""
    check_machine(engine, spec, where)
    if where.group is not None:
        check_session(engine, where.group)
    wanted = _largest(spec)
    if spec.placement is not None and spec.placement.group:
        check_bundles(spec, spec.placement)
    elif not all(engine.has(each) for each in wanted):
        asked = {key: value for each in wanted for key, value in amounts(each).items()}
        there = {key: engine.capacity.get(key, 0.0) for key in asked}
        raise InfeasibleResourcesError(
            f"{spec.name} asks for {asked}, but this grid has only {there}: ask for less, or give init() more"
        )


def _largest(spec: Spec) -> tuple[Demand, ...]:
    return (spec.demand, spec.lifetime_demand)


def check_session(engine: EngineBase, group: GroupRef) -> None:
    """Raise ValueError for a placement group of another grid: its number may be another one's here."""
    if group.session != engine.session:
        raise ValueError("this placement group belongs to another session: the grid that made it is not this one")


def check_bundles(spec: Spec, placement: Placement) -> None:
    """Raise InfeasibleResourcesError if no bundle of a placement group can hold a call."""
    bundles = placement.bundles
    if placement.bundle >= 0:
        bundles = bundles[placement.bundle : placement.bundle + 1]
    for wanted in _largest(spec):
        if not any(covers(bundle, wanted) for bundle in bundles):
            which = f"bundle {placement.bundle} of" if placement.bundle >= 0 else "any bundle of"
            raise InfeasibleResourcesError(
                f"{spec.name} asks for {amounts(wanted)}, which does not fit into {which} its placement group, "
                f"{[amounts(bundle) for bundle in placement.bundles]}"
            )


def check_machine(engine: EngineBase, spec: Spec, where: Where) -> None:
    """Raise TaskUnschedulableError or ActorUnschedulableError if this is not the machine that was asked for."""
    error = ActorUnschedulableError if spec.kind is Kind.ACTOR else TaskUnschedulableError
    if where.node_id and where.node_id != engine.node_id:
        raise error(
            f"{spec.name} is to run on the node {where.node_id!r}, but there is only {engine.node_id}: "
            "see nodes(), or give soft=True"
        )
    labels = engine.node_labels() if where.conditions else {}
    if where.conditions and not any(meets(labels, each) for each in where.conditions):
        wanted = " or ".join(" and ".join(map(told, each)) for each in where.conditions)
        raise error(f"{spec.name} is to run where {wanted}, but the labels of this machine are {labels}: see init()")


def meets(labels: Mapping[str, str], conditions: Sequence[Condition]) -> bool:
    """Return whether a machine with these labels meets all of ``conditions``."""
    return all(_holds(labels.get(each.label), each) for each in conditions)


def _holds(value: str | None, condition: Condition) -> bool:
    if value is None:
        return not condition.wanted
    return (condition.values is None or value in condition.values) is condition.wanted


def told(condition: Condition) -> str:
    """Return a condition in words."""
    if condition.values is None:
        return f"there is {'a' if condition.wanted else 'no'} label {condition.label!r}"
    values = " or ".join(map(repr, condition.values))
    return f"{condition.label!r} is {'' if condition.wanted else 'not '}{values}"


def may_be_captured(spec: Spec) -> bool:
    """Return whether it matters to ``spec`` that its caller takes along what it submits."""
    placement = spec.placement
    return placement is None or (placement.group != 0 and placement.capture is None)


def captured(spec: Spec, caller: Placement) -> Spec:
    """Return such a spec as it is for a caller that does so. Raises InfeasibleResourcesError."""
    if spec.placement is not None:
        return replace(spec, placement=replace(spec.placement, capture=True))
    taken = Placement(caller.group, -1, True, caller.bundles)
    check_bundles(spec, taken)
    return replace(spec, placement=taken)
