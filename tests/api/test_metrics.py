"""What metrics refuse, and what they say of themselves; they need no grid for that."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from actorgrid.util.metrics import Counter, Gauge, Histogram, prometheus_text

done = Counter("done", "Calls that have returned.", tag_keys=("who",)).set_default_tags({"who": "somebody"})
level = Gauge("level")
sizes = Histogram("sizes", boundaries=[1, 10])


@pytest.mark.parametrize(
    ("wrong", "error", "text"),
    [
        (lambda: Counter(""), ValueError, "letters, digits"),
        (lambda: Counter("two words"), ValueError, "letters, digits"),
        (lambda: Counter(3), TypeError, "texts, not int"),  # type: ignore[arg-type]  # the point
        (lambda: Gauge("g", tag_keys=["a"]), TypeError, "a tuple, not list"),  # type: ignore[arg-type]  # the point
        (lambda: Gauge("g", tag_keys=(1,)), TypeError, "texts, not int"),  # type: ignore[arg-type]  # the point
        (lambda: Gauge("g", tag_keys=("le",)), ValueError, "not 'le'"),
        (lambda: Gauge("g", tag_keys=("a", "a")), ValueError, "must differ"),
        (lambda: Histogram("h"), ValueError, "needs boundaries"),
        (lambda: Histogram("h", boundaries=[0, 1]), ValueError, "each above the last"),
        (lambda: Histogram("h", boundaries=[2, 1]), ValueError, "each above the last"),
        (lambda: Histogram("h", boundaries=[1, math.inf]), ValueError, "each above the last"),
        (lambda: Histogram("h", boundaries=["1"]), TypeError, "int or float"),  # type: ignore[list-item]  # the point
        (lambda: done.inc(0), ValueError, "must be >0"),
        (lambda: done.inc(math.nan), ValueError, "must be >0"),
        (lambda: done.inc("1"), TypeError, "int or float, got str"),  # type: ignore[arg-type]  # the point
        (lambda: done.inc(tags={"who": 1}), TypeError, "the value of a tag"),  # type: ignore[dict-item]  # the point
        (lambda: done.inc(tags={"whom": "x"}), ValueError, "has no tag 'whom'"),
        (lambda: Counter("c", tag_keys=("a",)).inc(), ValueError, r"Missing value for tag key\(s\): a"),
        (lambda: Counter("c", tag_keys=("a",)).set_default_tags({"b": "1"}), ValueError, "has no tag 'b'"),
        (lambda: sizes.observe(math.nan), ValueError, "NaN"),
        (lambda: level.set("high"), TypeError, "int or float"),  # type: ignore[arg-type]  # the point
        (lambda: prometheus_text(prefix="1_"), ValueError, "beginning of a metric's name"),
    ],
)
def test_bad_input_is_refused_at_the_call(wrong: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        wrong()


def test_info_tells_what_a_metric_is() -> None:
    assert done.info["default_tags"] == {"who": "somebody"}
    told = {"name": "sizes", "description": "", "tag_keys": (), "default_tags": {}, "boundaries": [1, 10]}
    assert sizes.info == told
