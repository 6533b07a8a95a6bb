"""Marks of programs for Ray: what they mark stays what it is."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from actorgrid.util.annotations import Deprecated, DeveloperAPI, PublicAPI, RayDeprecationWarning


def test_marked_things_stay_what_they_are() -> None:
    def function() -> int:
        return 1

    assert PublicAPI(function) is PublicAPI(stability="beta")(function) is function
    assert DeveloperAPI(function) is DeveloperAPI()(function) is Deprecated(function) is function
    with pytest.raises(ValueError, match="'stable', 'beta' or 'alpha', not 'gamma'"):
        PublicAPI(stability="gamma")


def test_deprecated_function_warns_when_it_is_called() -> None:
    @Deprecated(message="Use another.", warning=True)
    def function(value: int) -> int:
        return value

    with pytest.warns(RayDeprecationWarning, match="function is deprecated. Use another."):
        assert function(3) == 3


def test_deprecated_class_warns_when_it_is_made() -> None:
    class Base:
        def __init__(self, value: int) -> None:
            self.value = value

    @Deprecated(warning=True)
    class Old(Base):
        def double(self) -> int:
            return 2 * self.value

    with pytest.warns(RayDeprecationWarning, match="Old is deprecated"):
        made = Old(3)

    @Deprecated(warning=True)
    class Pair(NamedTuple):
        first: int
        second: int

    with pytest.warns(RayDeprecationWarning, match="Pair is deprecated"):
        assert Pair(1, second=2) == (1, 2)
    assert isinstance(made, Old)
    assert made.double() == 6
