"""Placement groups: the names of ``ray.util.placement_group``.

That is a function of ``ray.util`` and a module of it at once, and so it is here: the module can be called.
"""

from __future__ import annotations

import sys
import types
from importlib import import_module
from typing import Any, Final

from actorgrid.api.placement import (
    STRATEGIES,
    PlacementGroup,
    get_current_placement_group,
    get_placement_group,
    placement_group,
    placement_group_table,
    remove_placement_group,
)

__all__ = [
    "VALID_PLACEMENT_GROUP_STRATEGIES",
    "PlacementGroup",
    "get_current_placement_group",
    "get_placement_group",
    "placement_group",
    "placement_group_table",
    "remove_placement_group",
]

#: What ``strategy`` may be.
VALID_PLACEMENT_GROUP_STRATEGIES: Final = frozenset(STRATEGIES)


class _Callable(types.ModuleType):
    """What is imported last stands under the name: if it is this module, it does what the function does."""

    def __call__(self, *args: Any, **kwargs: Any) -> PlacementGroup:
        return placement_group(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Callable
