"""Placement groups, as a client sees them: they are made, waited for, asked for and removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from actorgrid.core import messages as m
from actorgrid.core.resources import GPU, Demand, amounts, demand, of, total
from actorgrid.engine import placing
from actorgrid.engine.definitions import Condition, GroupRef
from actorgrid.engine.interrupts import protected
from actorgrid.engine.local import CallingEngine
from actorgrid.engine.refs import ObjectRef
from actorgrid.exceptions import InfeasibleResourcesError


class ReservingEngine(CallingEngine):
    """What the engine protocol says of placement groups."""

    def create_group(
        self,
        bundles: Sequence[Mapping[str, float]],
        strategy: str,
        name: str,
        *,
        detached: bool,
        labels: Sequence[Sequence[Condition]],
    ) -> GroupRef:
        """See ``Engine``."""
        demands = tuple(demand(bundle) for bundle in bundles)
        self._check_group(demands, strategy, labels)
        message = m.Reserve(0, demands, strategy, name, self.namespace if name else "", detached)
        self.saw_chance()
        if not name:
            self._enter_group(message)
        else:
            message.parent, _ = self.current_task()
            if self._ask(message).error:
                raise ValueError(f"the name {name!r} is taken: there is a placement group of that name, not removed")
        return GroupRef(message.group, self.session, demands)

    def _check_group(self, demands: Sequence[Demand], strategy: str, labels: Sequence[Sequence[Condition]]) -> None:
        if strategy == "STRICT_SPREAD" and len(demands) > 1:
            raise InfeasibleResourcesError(
                f"STRICT_SPREAD wants a machine for each of {len(demands)} bundles, and a grid is one machine: "
                "use SPREAD, which puts them on as many machines as there are"
            )
        wanted = total(demands)
        if not self.has(wanted, [of(GPU, each) for each in demands]):
            asked = amounts(wanted)
            there = {key: self.capacity.get(key, 0.0) for key in asked}
            raise InfeasibleResourcesError(
                f"the bundles of the placement group ask for {asked} together, but this grid has only {there}"
            )
        here = self.node_labels() if labels else {}
        for index, conditions in enumerate(labels):
            if not placing.meets(here, conditions):
                wanted_labels = " and ".join(map(placing.told, conditions))
                raise InfeasibleResourcesError(
                    f"bundle {index} is to be where {wanted_labels}, but the labels of this machine are {here}"
                )

    @protected
    def _enter_group(self, message: m.Reserve) -> None:
        with self.lock:
            if self.client.dead is not None:
                raise self.client.dead
            message.parent, _ = self.current_task()
            message.group = self.client.take_ids(1)
            self.client.outbox.append(message)
            self.send(force=False)

    def group_ready(self, group: GroupRef, value: Any) -> ObjectRef[Any]:
        """See ``Engine``."""
        placing.check_session(self, group)
        told = self.store(value, "the placement group")
        return self.foretold(lambda oid: m.AwaitReserved(oid, group.ident, told), now=False)

    def remove_group(self, group: GroupRef) -> None:
        """See ``Engine``."""
        placing.check_session(self, group)
        self._tell(m.Unreserve(group.ident))

    def find_group(self, name: str) -> GroupRef | None:
        """See ``Engine``."""
        answer = self.query("group", {"name": name, "namespace": self.namespace}, may_fail=True)
        return None if answer.error else self._group_ref(answer.body)

    def placement_groups(self) -> list[tuple[GroupRef, dict[str, Any]]]:
        """See ``Engine``."""
        return [(self._group_ref(body), body) for body in self.query("groups").body["groups"]]

    def _group_ref(self, body: dict[str, Any]) -> GroupRef:
        bundles = tuple(tuple((name, units) for name, units in bundle) for bundle in body["bundles"])
        return GroupRef(body["group"], self.session, bundles)
