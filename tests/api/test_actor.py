from __future__ import annotations

import functools
import gc
import inspect
import pickle
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import cloudpickle
import pytest

import actorgrid as ag
from actorgrid.actor import ActorClassInheritanceException, exit_actor
from actorgrid.api.handle import Methods
from actorgrid.engine.definitions import BACKPRESSURE, STREAMING

if TYPE_CHECKING:
    from tests.api.fake_engine import FakeEngine


class Plain:
    """A counter."""

    limit = 7

    def __init__(self, value: int = 0) -> None:
        self.value = value

    def add(self, by: int = 1) -> int:
        """Count on."""
        self.value += by
        return self.value

    @ag.method(num_returns=2, max_task_retries=3)
    def two(self) -> tuple[int, int]:
        return 1, 2

    @staticmethod
    def static(x: int) -> int:
        return x

    @classmethod
    def of_class(cls, x: int) -> str:
        return f"{cls.__name__} {x}"

    @functools.lru_cache  # noqa: B019
    def cached(self) -> int:
        return 1

    def _private(self) -> int:
        return -1

    def stream(self) -> Iterator[int]:
        yield 1

    @property
    def prop(self) -> int:
        raise AssertionError("properties are not run")


class Async:
    async def wait(self) -> None: ...


Counter = ag.remote(Plain)


def test_way_back_to_the_plain_class() -> None:
    class Plain:
        pass

    metadata = ag.remote(Plain).__ray_metadata__
    assert (metadata.class_name, metadata.modified_class) == ("Plain", Plain)


def test_methods(engine: FakeEngine) -> None:
    handle = Counter.remote(5)
    assert ag.get(handle.add.remote()) == 6
    assert ag.get(handle.add.remote(by=2)) == 8
    assert ag.get(handle.two.remote()) == [1, 2]
    assert ag.get(handle.static.remote(3)) == 3
    assert ag.get(handle.of_class.remote(3)) == "Plain 3"
    assert ag.get(handle.cached.remote()) == 1
    assert ag.get(handle._private.remote()) == -1
    assert ag.get(handle.__ray_ready__.remote()) is True
    assert ag.get(handle.__ray_call__.remote(lambda self, x: self.value + x, 1)) == 9
    assert [entry[1] for entry in engine.log if entry[0] == "prepare_method"].count("Plain.add") == 1


def test_method_has_the_docstring_and_the_parameters_of_the_users() -> None:
    handle = Counter.remote()
    assert inspect.getdoc(handle.add) == "Count on."
    assert str(inspect.signature(handle.add)) == "(by: 'int' = 1) -> 'int'"
    assert str(inspect.signature(handle.add.options(name="x"))) == "(by: 'int' = 1) -> 'int'"
    assert str(inspect.signature(handle.static)) == "(x: 'int') -> 'int'"
    assert handle.two.__doc__ is None
    elsewhere = pickle.loads(pickle.dumps(handle))
    for method in (elsewhere.add, handle.__ray_ready__):
        assert method.__doc__ == ag.actor.ActorMethod.__doc__
        assert list(inspect.signature(method).parameters) == ["args", "kwargs"]


def test_typed_call() -> None:
    handle = Counter.remote()
    assert ag.get(handle.call(Plain.add, by=2)) == 2
    assert ag.get(handle.call(Counter.add, 1)) == 3

    @ag.remote
    class HasCall:
        def call(self) -> str:
            return "mine"

    assert ag.get(HasCall.remote().call.remote()) == "mine"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda handle: handle.add.remote(1, 2),
        lambda handle: handle.add.remote(wrong=1),
        lambda handle: handle.static.remote(),
        lambda handle: handle.of_class.remote(1, 2),
        lambda handle: Counter.remote(1, 2),
        lambda handle: Counter.remote(wrong=1),
        lambda handle: Counter.options(name="x").remote(1, 2),
        lambda handle: handle.add(),
        lambda handle: Counter(),
    ],
)
def test_wrong_calls_fail_here(wrong: Any) -> None:
    with pytest.raises(TypeError):
        wrong(Counter.remote())


def test_texts_of_direct_calls() -> None:
    with pytest.raises(TypeError, match="Actors cannot be instantiated directly"):
        Counter()
    with pytest.raises(TypeError, match="Actor methods cannot be called directly"):
        Counter.remote().add()


def test_unknown_and_other_attributes() -> None:
    handle = Counter.remote()
    for name in ("nope", "prop", "limit", "value", "__len__"):
        with pytest.raises(AttributeError):
            getattr(handle, name)
    assert Counter.limit == 7
    assert Counter.__doc__ == "A counter."
    with pytest.raises(AttributeError):
        _ = Counter.nope


def test_handles() -> None:
    handle = Counter.remote()
    assert repr(handle) == f"Actor(Plain, {handle._actor_id.hex()})"
    assert len(handle._ray_actor_id.hex()) == 32
    again = pickle.loads(pickle.dumps(handle))
    assert again == handle
    assert {again: 1} == {handle: 1}
    assert again != Counter.remote()
    assert handle != 1
    assert ag.get(again.add.remote()) == 1
    assert ag.get(again.two.remote()) == [1, 2]
    assert {"add", "two", "static", "__ray_ready__"} <= set(dir(handle))
    assert "prop" not in dir(handle)
    with pytest.raises(AttributeError):
        again.nope  # noqa: B018


def test_a_method_keeps_its_handle_alive() -> None:
    handle = Counter.remote()
    watch = weakref.ref(handle)
    method = handle.add
    del handle
    gc.collect()
    assert watch() is not None
    del method
    assert watch() is None


def test_method_options(engine: FakeEngine) -> None:
    handle = Counter.remote()
    assert handle.add.options(num_returns=0).remote() is None
    ag.get(handle.two.options(name="other").remote())
    options = [entry[2] for entry in engine.log if entry[0] == "prepare_method"][-1]
    assert (options.num_returns, options.max_task_retries, options.name) == (2, 3, "other")
    assert ag.get(handle.add._remote((5,), {}, name="x")) == 6
    with pytest.raises(TypeError, match="foo"):
        handle.add.options(foo=1)
    with pytest.raises(AssertionError):
        ag.method(foo=1)
    with pytest.raises(ValueError, match="num_returns"):
        ag.method(num_returns=-1)
    mark: Any = ag.method(num_returns=2)
    with pytest.raises(TypeError, match="@method is for methods of actor classes, not int: 3"):
        mark(3)
    handle.stream.remote()
    options = [entry[2] for entry in engine.log if entry[0] == "prepare_method"][-1]
    assert (options.num_returns, options.backpressure) == (STREAMING, BACKPRESSURE)


def test_foreign_handles_share_prepared_calls(engine: FakeEngine) -> None:
    handle = Counter.remote()
    for _ in range(3):
        ag.get(pickle.loads(pickle.dumps(handle)).add.remote())
    assert len([entry for entry in engine.log if entry[0] == "prepare_method"]) <= 1
    assert Methods("X", {}).find("nope") is None


def test_actor_options(engine: FakeEngine) -> None:
    Counter.options(name="n", lifetime="detached").remote()
    assert engine.log[-1][2].detached
    assert not engine.log[-1][1].is_async
    ag.remote(Async).remote()
    assert engine.log[-1][1].is_async
    ag.remote(num_cpus=2)(Plain).options(max_restarts=1).remote()
    assert (engine.log[-1][2].num_cpus, engine.log[-1][2].max_restarts) == (2.0, 1)
    with pytest.raises(ValueError, match="get_if_exists"):
        Counter.options(get_if_exists=True)
    with pytest.raises(ValueError, match="concurrency_groups"):
        Counter.options(concurrency_groups={})
    assert isinstance(Counter._remote((3,), {}, name="m"), ag.ActorHandle)


def test_no_inheritance() -> None:
    with pytest.raises(ActorClassInheritanceException):

        class Sub(Counter):  # type: ignore[misc, valid-type, unused-ignore]
            pass

    assert issubclass(ActorClassInheritanceException, TypeError)


def test_actor_classes_can_be_sent() -> None:
    again = cloudpickle.loads(cloudpickle.dumps(ag.remote(lifetime="detached", name="d")(Plain)))
    assert ag.get(again.remote(1).add.remote()) == 2


def test_named_actors() -> None:
    Counter.options(name="n").remote(4)
    handle = ag.get_actor("n")
    assert handle._actor_id.weak
    assert ag.get(handle.add.remote()) == 5
    with pytest.raises(ValueError, match="Failed to look up actor"):
        ag.get_actor("zzz")
    for name in ("", None):
        with pytest.raises(ValueError, match="non-empty"):
            ag.get_actor(name)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="namespace"):
        ag.get_actor("n", "")
    with pytest.raises(TypeError):
        ag.get_actor(3)  # type: ignore[arg-type]


def test_exit_actor_outside() -> None:
    with pytest.raises(TypeError):
        exit_actor()
