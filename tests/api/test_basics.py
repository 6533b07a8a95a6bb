from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import actorgrid as ag
from actorgrid.exceptions import ActorHandleNotFoundError, GetTimeoutError

if TYPE_CHECKING:
    from tests.api.fake_engine import FakeEngine


@ag.remote
def fail() -> None:
    raise KeyError("no")


def test_get() -> None:
    first, second = ag.put(1), ag.put("2")
    assert ag.get(first) == 1
    assert ag.get([first, first]) == [1, 1]
    assert ag.get([]) == []
    with pytest.raises(KeyError):
        ag.get([second, fail.remote()])


def test_get_refuses() -> None:
    ref: Any = ag.put(1)
    wrong: Any
    for wrong in ((ref,), {ref}, 3, None, "x", iter([ref])):
        with pytest.raises(ValueError, match="Invalid type of object refs"):
            ag.get(wrong)
    for wrong in ([[ref]], [1], [None]):
        with pytest.raises(TypeError, match="not an ObjectRef"):
            ag.get(wrong)
    with pytest.raises(ValueError, match=r"Make it a list: get\(list\("):
        ag.get((ref,))
    with pytest.raises(TypeError, match="takes a flat list"):
        ag.get([[ref]])
    with pytest.raises(ValueError, match=r"Call it with \.remote\(\) and get what that returns"):
        ag.get(fail)
    with pytest.raises(TypeError, match=r"Call it with \.remote\(\) and get what that returns"):
        ag.get([fail])
    timeout: Any
    for timeout, error in (("1", TypeError), (True, TypeError), (float("nan"), ValueError)):
        with pytest.raises(error):
            ag.get(ref, timeout=timeout)


def test_timeouts(engine: FakeEngine) -> None:
    ref = ag.put(1)
    for given, seen in ((None, None), (-1, None), (0, 0), (1.5, 1.5)):
        ag.get(ref, timeout=given)
        assert engine.log[-1] == ("get", seen)
    engine.entries[hash(ref)].ready = False
    with pytest.raises(GetTimeoutError):
        ag.get(ref, timeout=0)


def test_put_refuses() -> None:
    with pytest.raises(TypeError, match="ObjectRef"):
        ag.put(ag.put(1))
    with pytest.raises(ValueError, match="_owner"):
        ag.put(1, _owner=3)
    assert ag.get(ag.put([ag.put(1)]))


def test_wait() -> None:
    refs = [ag.put(index) for index in range(3)]
    assert ag.wait(refs) == (refs[:1], refs[1:])
    assert ag.wait(refs, num_returns=3, timeout=0, fetch_local=False) == (refs, [])
    assert ag.wait([]) == ([], [])


@pytest.mark.parametrize(
    ("kwargs", "error"),
    [
        ({"num_returns": 0}, ValueError),
        ({"num_returns": -1}, ValueError),
        ({"num_returns": 3}, ValueError),
        ({"num_returns": 1.0}, TypeError),
        ({"timeout": -1}, ValueError),
        ({"timeout": "1"}, TypeError),
    ],
)
def test_wait_refuses_numbers(kwargs: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        ag.wait([ag.put(1), ag.put(2)], **kwargs)


def test_wait_refuses_lists() -> None:
    ref: Any = ag.put(1)
    with pytest.raises(ValueError, match="unique"):
        ag.wait([ref, ref])
    wrong: Any
    for wrong in (ref, (ref,), [1], None):
        with pytest.raises(TypeError):
            ag.wait(wrong)


def test_cancel(engine: FakeEngine) -> None:
    ref = ag.put(1)
    ag.cancel(ref, force=True)
    assert engine.log[-1] == ("cancel", ref, True, True)
    ag.cancel(ray_waitable=ref, recursive=False)
    assert engine.log[-1] == ("cancel", ref, False, False)
    for wrong in (3, [ref]):
        with pytest.raises(TypeError):
            ag.cancel(wrong)  # type: ignore[arg-type]


def test_kill(engine: FakeEngine) -> None:
    handle: ag.ActorHandle[Any] = ag.remote(type("A", (), {})).remote()
    ag.kill(handle, no_restart=False)
    assert engine.log[-1] == ("kill", handle._actor_id, False)
    for wrong in (3, ag.put(1), fail):
        with pytest.raises(ValueError, match="only supports actors"):
            ag.kill(wrong)  # type: ignore[arg-type]
    from actorgrid.engine.current import install

    install(type(engine)())
    with pytest.raises(ActorHandleNotFoundError):
        ag.kill(handle)


def test_gpus() -> None:
    assert ag.get_gpu_ids() == []
