"""Where tasks and actors run: scheduling strategies and the options that go with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from actorgrid.api import deprecation
from actorgrid.api.labels import selector
from actorgrid.api.placement import PlacementGroup, group_of
from actorgrid.engine.definitions import Condition, Where

#: Strategies that are mere words: on one machine they ask for nothing.
WORDS: Final = ("DEFAULT", "SPREAD")
#: Ray's older spelling of a strategy -> what is the same as nothing. To say that there is no group (None) is not.
OLDER: Final[dict[str, tuple[Any, ...]]] = {
    "placement_group": ("default",),
    "placement_group_bundle_index": (None, -1),
    "placement_group_capture_child_tasks": (None, False),
}
#: The id of a node; that of none has f's alone.
_NODE: Final = re.compile(r"(?!f{56})[0-9a-f]{56}")
#: What ``accelerator_type`` takes of the resource of that name.
_TOUCH: Final = 0.001


class _Strategy:
    """What strategies have in common: they are equal, and hash alike, if they say the same."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Strategy) and type(other) is type(self) and self._said() == other._said()

    def __hash__(self) -> int:
        return hash(self._said())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._said()))})"

    def _said(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)


class PlacementGroupSchedulingStrategy(_Strategy):
    """Run in a placement group: in one bundle, or (-1) in any; None: in none, even if the caller takes it along to its.

    ``placement_group_capture_child_tasks``: whatever it submits runs in the group, too, unless that says otherwise;
    None: if this holds for whoever submits it.
    """

    __slots__ = ("placement_group", "placement_group_bundle_index", "placement_group_capture_child_tasks")

    def __init__(
        self,
        placement_group: PlacementGroup | None,
        placement_group_bundle_index: int = -1,
        placement_group_capture_child_tasks: bool | None = None,
    ) -> None:
        """Raises TypeError, and ValueError if the group has no such bundle."""
        if placement_group is not None and not isinstance(placement_group, PlacementGroup):
            raise TypeError(f"'placement_group' must be a PlacementGroup, not {type(placement_group).__name__}")
        index = placement_group_bundle_index
        if isinstance(index, bool) or not isinstance(index, int):
            raise TypeError(f"'placement_group_bundle_index' must be an int, not {type(index).__name__}")
        count = placement_group.bundle_count if placement_group is not None else 0
        if not -1 <= index < max(count, 0):
            raise ValueError(
                f"placement group bundle index {index} is invalid. Valid placement group indexes: 0-{count - 1}, and -1"
            )
        if placement_group_capture_child_tasks not in {None, True, False}:
            raise TypeError("'placement_group_capture_child_tasks' must be a bool or None")
        self.placement_group = placement_group
        self.placement_group_bundle_index = index
        self.placement_group_capture_child_tasks = placement_group_capture_child_tasks


class NodeAffinitySchedulingStrategy(_Strategy):
    """Run on the machine with this id (``nodes()``); ``soft``: if there is none, run anywhere. There is one machine."""

    __slots__ = ("node_id", "soft", "_spill_on_unavailable", "_fail_on_unavailable")  # noqa: RUF023  # as they are given

    def __init__(
        self, node_id: str, soft: bool, _spill_on_unavailable: bool = False, _fail_on_unavailable: bool = False
    ) -> None:
        """Raises TypeError, ValueError."""
        if not _NODE.fullmatch(str(node_id).lower()):
            raise ValueError(f"'node_id' must be the id of a node, as nodes() tells it: {node_id!r:.100}")
        if _spill_on_unavailable and not soft:
            raise ValueError("'_spill_on_unavailable' cannot be True if 'soft' is False")
        if _fail_on_unavailable and soft:
            raise ValueError("'_fail_on_unavailable' cannot be True if 'soft' is True")
        self.node_id = node_id.lower()
        self.soft = bool(soft)
        self._spill_on_unavailable = _spill_on_unavailable
        self._fail_on_unavailable = _fail_on_unavailable


class _Operator(_Strategy):
    """What a label must be."""

    __slots__ = ("values",)
    wanted = True

    def __init__(self, *values: str) -> None:
        """Raises ValueError without values."""
        if not values or not all(isinstance(value, str) for value in values):
            raise ValueError(f"{type(self).__name__}() takes values of a label, each a str: {values!r:.100}")
        self.values: tuple[str, ...] | None = values


class In(_Operator):
    """The label is one of these values."""

    __slots__ = ()


class NotIn(_Operator):
    """The label is none of these values."""

    __slots__ = ()
    wanted = False


class Exists(_Operator):
    """There is such a label."""

    __slots__ = ()

    def __init__(self) -> None:
        self.values = None


class DoesNotExist(Exists):
    """There is no such label."""

    __slots__ = ()
    wanted = False


class NodeLabelSchedulingStrategy(_Strategy):
    """Run where all labels of ``hard`` are so: ``{"zone": In("a", "b"), "gpu": Exists()}``.

    ``soft`` would choose among several machines; there is one.
    """

    __slots__ = ("hard", "soft")

    def __init__(
        self, hard: Mapping[str, _Operator] | None = None, *, soft: Mapping[str, _Operator] | None = None
    ) -> None:
        """Raises TypeError, ValueError."""
        self.hard = _check_operators("hard", hard)
        self.soft = _check_operators("soft", soft)
        if not self.hard and not self.soft:
            raise ValueError("'hard' and 'soft' of NodeLabelSchedulingStrategy cannot both be empty")

    def _said(self) -> tuple[Any, ...]:
        return tuple(self.hard.items()), tuple(self.soft.items())


def _check_operators(name: str, labels: Any) -> dict[str, _Operator]:
    if labels is None:
        return {}
    if not isinstance(labels, Mapping):
        raise TypeError(f"{name!r} must be a dictionary of labels, not {type(labels).__name__}")
    for label, operator in labels.items():
        if not isinstance(label, str) or not isinstance(operator, _Operator):
            raise TypeError(f"{name!r} must map labels to In, NotIn, Exists or DoesNotExist: {label!r}: {operator!r}")
    return dict(labels)


# ------------------------------------------------------------------------------------------------ checks of options


def strategy(name: str, value: Any) -> Any:
    """Check ``scheduling_strategy``. Raises TypeError, ValueError."""
    if isinstance(value, str) and value not in WORDS:
        raise ValueError(f"option {name!r} must be {' or '.join(map(repr, WORDS))} if it is a str: {value!r:.100}")
    known = (str, PlacementGroupSchedulingStrategy, NodeAffinitySchedulingStrategy, NodeLabelSchedulingStrategy)
    if not isinstance(value, known):
        raise TypeError(f"option {name!r} must be a str or a scheduling strategy, not {type(value).__name__}")
    return value


def label_selector(name: str, value: Any) -> dict[str, str]:
    """Check ``label_selector``. Raises TypeError, ValueError."""
    selector(name, value)
    return dict(value)


def fallback_strategy(name: str, value: Any) -> list[dict[str, Any]]:
    """Check ``fallback_strategy``, a list of ``{"label_selector": …}``. Raises TypeError, ValueError."""
    if not isinstance(value, list) or not all(isinstance(each, Mapping) for each in value):
        raise TypeError(f"option {name!r} must be a list of dictionaries: {value!r:.100}")
    for each in value:
        if set(each) != {"label_selector"}:
            raise ValueError(f"option {name!r}: each entry has one key, 'label_selector': {each!r:.100}")
        selector(name, each["label_selector"])
    return [dict(each) for each in value]


def older_group(name: str, value: Any) -> Any:
    """Check ``placement_group``, Ray's older spelling of a strategy. Raises TypeError."""
    if value != "default" and not isinstance(value, PlacementGroup):
        raise TypeError(f"option {name!r} must be a PlacementGroup, not {type(value).__name__}: {value!r:.100}")
    return value


def warn_of_older(given: Mapping[str, Any], on: Mapping[str, Any]) -> None:
    """Warn of Ray's older spelling of a strategy, unless there is a group's strategy: ``given``, or among those below.

    ``on``: what ``given`` is put on top of.
    """
    if isinstance({**on, **given}.get("scheduling_strategy"), PlacementGroupSchedulingStrategy):
        return
    for name, trivial in OLDER.items():
        if name in given and given[name] not in trivial:
            deprecation.warn(
                f"option {name!r} is deprecated, as in Ray: use "
                "scheduling_strategy=PlacementGroupSchedulingStrategy(...)"
            )


def bundle_index(name: str, value: Any) -> int:
    """Check ``placement_group_bundle_index``. Raises TypeError, ValueError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"option {name!r} must be an int, not {type(value).__name__}: {value!r:.100}")
    if value < -1:
        raise ValueError(f"option {name!r} must be at least -1 (any bundle): {value}")
    return value


# ------------------------------------------------------------------------------------------- to what engines know


def settle(present: dict[str, Any]) -> None:
    """Replace all options that say where by what the engine knows. Raises ValueError for those that exclude each other.

    The options have been checked one by one.
    """
    _accelerator(present)
    chosen = _older(present, present.pop("scheduling_strategy", None))
    conditions = _alternatives(present)
    where = Where()
    if isinstance(chosen, PlacementGroupSchedulingStrategy):
        where = _in_group(chosen)
    elif chosen is not None:
        where = Where(said=True)
    if isinstance(chosen, NodeAffinitySchedulingStrategy) and not chosen.soft:
        where = where._replace(node_id=chosen.node_id)
    if isinstance(chosen, NodeLabelSchedulingStrategy) and chosen.hard:
        hard = tuple(Condition(label, each.wanted, each.values) for label, each in chosen.hard.items())
        conditions = tuple((*hard, *each) for each in conditions or ((),))
    if where != Where() or conditions:
        present["where"] = where._replace(conditions=conditions)


def _in_group(chosen: PlacementGroupSchedulingStrategy) -> Where:
    group = chosen.placement_group
    if group is None or group.is_empty:
        return Where(said=True)
    capture = chosen.placement_group_capture_child_tasks
    return Where(True, group_of(group), chosen.placement_group_bundle_index, capture)


def _older(present: dict[str, Any], chosen: Any) -> Any:
    """Return the strategy that Ray's older spelling stands for, if it is used. None there is a group: nobody's."""
    group = present.pop("placement_group", "default")
    index = present.pop("placement_group_bundle_index", -1)
    capture = present.pop("placement_group_capture_child_tasks", None)
    if not isinstance(group, PlacementGroup):
        if index != -1:
            raise ValueError("option 'placement_group_bundle_index' needs a 'placement_group'")
        return PlacementGroupSchedulingStrategy(None) if group is None and chosen is None else chosen
    if chosen is not None:
        raise ValueError("options 'placement_group' and 'scheduling_strategy' exclude each other")
    return PlacementGroupSchedulingStrategy(group, index, capture)


def _alternatives(present: dict[str, Any]) -> tuple[tuple[Condition, ...], ...]:
    first = selector("label_selector", present.pop("label_selector", None) or {})
    others = present.pop("fallback_strategy", None) or ()
    if not first:
        return ()
    return (first, *(selector("fallback_strategy", each["label_selector"]) for each in others))


def _accelerator(present: dict[str, Any]) -> None:
    kind = present.pop("accelerator_type", None)
    if kind is not None:
        present["resources"] = {**present.get("resources", {}), f"accelerator_type:{kind}": _TOUCH}
