"""Where tasks and actors run: the names of ``ray.util.scheduling_strategies``."""

from __future__ import annotations

from typing import TypeAlias

from actorgrid.api.scheduling import (
    DoesNotExist,
    Exists,
    In,
    NodeAffinitySchedulingStrategy,
    NodeLabelSchedulingStrategy,
    NotIn,
    PlacementGroupSchedulingStrategy,
)

__all__ = [
    "DoesNotExist",
    "Exists",
    "In",
    "NodeAffinitySchedulingStrategy",
    "NodeLabelSchedulingStrategy",
    "NotIn",
    "PlacementGroupSchedulingStrategy",
    "SchedulingStrategyT",
]

#: What the option ``scheduling_strategy`` takes; as text "DEFAULT" and "SPREAD".
SchedulingStrategyT: TypeAlias = (
    str | PlacementGroupSchedulingStrategy | NodeAffinitySchedulingStrategy | NodeLabelSchedulingStrategy | None
)
