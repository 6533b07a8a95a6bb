from __future__ import annotations

import functools
import inspect
import pickle
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import cloudpickle
import pytest
from hypothesis import given
from hypothesis import strategies as st

import actorgrid as ag
from actorgrid.api.signature import of_callable
from actorgrid.engine import current
from actorgrid.engine.definitions import BACKPRESSURE, STREAMING

if TYPE_CHECKING:
    from tests.api.fake_engine import FakeEngine


@ag.remote
def add(a: int, b: int = 0, *, c: int = 0) -> int:
    """Add."""
    return a + b + c


def test_call() -> None:
    assert ag.get(add.remote(1, 2, c=3)) == 6
    assert ag.get(add.remote(add.remote(1), b=ag.put(4).arg)) == 5


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "missing a required argument: 'a'"),
        ((1, 2, 3), {}, "too many positional arguments"),
        ((1,), {"a": 1}, "multiple values for argument 'a'"),
        ((1,), {"z": 1}, "got an unexpected keyword argument 'z'"),
    ],
)
def test_wrong_arguments_fail_here(args: Any, kwargs: Any, message: str, engine: FakeEngine) -> None:
    with pytest.raises(TypeError, match=f"^add\\(\\): {message}"):
        add.remote(*args, **kwargs)
    assert engine.entries == {}


def test_signatures() -> None:
    def bounds(function: Any) -> tuple[int, int]:
        signature = of_callable(function)
        return signature.low, min(signature.high, 99)

    assert bounds(lambda: 0) == (0, 0)
    assert bounds(lambda a, /, b, c=1: 0) == (2, 3)
    assert bounds(lambda a, *rest, **more: 0) == (1, 99)
    low, high = bounds(lambda a, *, must: 0)
    assert low > high
    assert bounds(dict) == (0, 99)
    assert bounds(functools.partial(lambda a, b: 0, 1)) == (1, 1)


def test_direct_call_says_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"Remote functions cannot be called directly.*add\.remote\(\)"):
        add(1)


def test_it_looks_like_the_function() -> None:
    assert add.__name__ == "add"
    assert add.__doc__ == "Add."
    assert add._function(1, 2) == 3
    assert list(inspect.signature(add).parameters) == ["a", "b", "c"]
    assert "add" in repr(add)


def test_prepared_once_per_engine(engine: FakeEngine) -> None:
    function = ag.remote(lambda: 1)
    for _ in range(3):
        function.remote()
        function.options(num_cpus=2).remote()
    assert [entry[2].num_cpus for entry in engine.log if entry[0] == "prepare_task"] == [1.0, 2.0]
    other = type(engine)()
    current.install(other)
    assert ag.get(function.remote()) == 1
    assert [entry[0] for entry in other.log] == ["prepare_task", "get"]


def test_options() -> None:
    two = ag.remote(num_returns=2)(lambda: (1, 2))
    assert ag.get(two.remote()) == [1, 2]
    assert add.options(num_returns=0).remote(1) is None
    assert ag.get(add.options(num_cpus=2, resources={"x": 1}).remote(1)) == 1
    assert ag.get(add._remote((1,), {"b": 2}, num_cpus=2)) == 3
    assert not hasattr(add.options(num_cpus=2), "options")
    with pytest.raises(
        ValueError, match=r"Invalid option keyword 'foo' for a remote function\. Valid ones are accelerator_type"
    ):
        add.options(foo=1)
    with pytest.raises(ValueError, match=r"'num_cpu' for a remote function\. Did you mean 'num_cpus'\?"):
        add.options(num_cpu=1)
    with pytest.raises(ValueError, match="max_calls"):
        add.options(max_calls=1)
    with pytest.raises(TypeError, match="num_cpus"):
        add.options(num_cpus=True)
    for index in range(200):
        add.options(name=f"task {index}")
    assert len(add._configured) <= 64


def test_what_remote_takes() -> None:
    async def nope() -> None: ...

    with pytest.raises(ValueError, match="async"):
        ag.remote(nope)
    with pytest.raises(AssertionError):
        ag.remote(3)  # type: ignore[call-overload]
    with pytest.raises(AssertionError):
        ag.remote()
    with pytest.raises(AssertionError):
        ag.remote(lambda: 0, num_cpus=1)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        ag.remote(add)  # type: ignore[call-overload, unused-ignore]
    with pytest.raises(ValueError, match="Invalid option"):
        ag.remote(foo=1)(lambda: 0)
    assert ag.get(ag.remote(len).remote("abc")) == 3


def test_generators_stream_unless_told_otherwise(engine: FakeEngine) -> None:
    @ag.remote
    def generate() -> Iterator[int]:
        yield 1
        yield 2

    def options() -> Any:
        return [entry[2] for entry in engine.log if entry[0] == "prepare_task"][-1]

    generate.remote()
    assert (options().num_returns, options().backpressure) == (STREAMING, BACKPRESSURE)
    generate.options(_generator_backpressure_num_objects=3).remote()
    assert (options().num_returns, options().backpressure) == (STREAMING, 3)
    assert ag.get(generate.options(num_returns=2).remote()) == [1, 2]
    assert isinstance(cloudpickle.loads(cloudpickle.dumps(generate)), type(generate))


def test_pickle_by_value() -> None:
    outside = 5
    function = ag.remote(num_cpus=2)(lambda x: x + outside)
    again = cloudpickle.loads(cloudpickle.dumps(function))
    assert ag.get(again.remote(1)) == 6
    assert again._options["num_cpus"] == 2


def test_pickle_by_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    module = types.ModuleType("a_module_of_functions")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec("import actorgrid as ag\n@ag.remote\ndef f(): return 1", vars(module))
    assert pickle.loads(pickle.dumps(module.f)) is module.f


FUNCTIONS: list[Any] = [
    lambda: 0,
    lambda a: 0,
    lambda a, b=1: 0,
    lambda a, /, b: 0,
    lambda a, b, *, c, d=1: 0,
    lambda a, *rest: 0,
    lambda a=1, **more: 0,
    lambda *, c: 0,
]


@given(
    st.sampled_from(FUNCTIONS),
    st.lists(st.none(), max_size=4),
    st.dictionaries(st.sampled_from("abcdz"), st.none(), max_size=4),
)
def test_the_check_is_what_a_call_would_do(function: Any, args: list[None], kwargs: dict[str, None]) -> None:
    signature = of_callable(function)
    try:
        function(*args, **kwargs)
    except TypeError:
        right = False
    else:
        right = True
    if not kwargs:
        assert (signature.low <= len(args) <= signature.high) in {right, False}
    try:
        signature.check(tuple(args), kwargs, "f")
    except TypeError:
        assert not right
    else:
        assert right
