"""Options: what users may write in ``remote(...)``, ``options(...)`` and ``method(...)``, checked, one table each.

A check takes the name and the value and returns the value as the engine wants it. It raises TypeError for a wrong
type and ValueError for a bad value; an option that is not in the table is a ValueError. These are Ray's rules.
Options that Ray has and we do not yet are in the tables, too: their trivial values are accepted, others are a
ValueError that names the option, so that nobody waits for an effect that never comes.
"""

from __future__ import annotations

import datetime as dt
import inspect
import math
import os
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from actorgrid.api import deprecation, scheduling
from actorgrid.api.environments import check_runtime_env
from actorgrid.api.texts import not_empty, text
from actorgrid.engine.definitions import DYNAMIC, STREAMING, ActorOptions, MethodOptions, TaskOptions
from actorgrid.engine.hints import did_you_mean

Check = Callable[[str, Any], Any]

#: How many items may be unread of a generator, and of all that run in an actor at a time.
BOUND: Final = "_generator_backpressure_num_objects"
BOUND_OF_ACTOR: Final = "_actor_generator_backpressure_num_objects"

#: Resources are counted in steps of this.
STEP: Final = 0.0001
_INT_LIMIT: Final = 1 << 31
#: The longest time limit (seconds): thirty years.
_LONGEST: Final = 1e9
#: What ``num_returns`` may be besides numbers.
_GENERATORS: Final = {"streaming": STREAMING, "dynamic": DYNAMIC}


def _a(kind: str, name: str, value: object) -> TypeError:
    return TypeError(f"option {name!r} must be {kind}, not {type(value).__name__}: {value!r:.100}")


def quantity(name: str, value: Any) -> float:
    """Check the amount of a resource. Raises TypeError, ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _a("a number", name, value)
    if value < 0 or not math.isfinite(value):
        raise ValueError(f"the quantity of {name!r} must be finite and not negative: {value}")
    if value != 0 and value < STEP:
        raise ValueError(f"the quantity of {name!r} cannot be smaller than {STEP}: {value}")
    return float(value)


def whole_above_one(name: str, value: Any) -> float:
    """Check a number of devices: beyond 1 there are no parts of them. Raises TypeError, ValueError."""
    amount = quantity(name, value)
    if amount > 1 and not amount.is_integer():
        raise ValueError(f"{name!r} must be a whole number if it is more than 1: {value}")
    return amount


def resources(name: str, value: Any) -> dict[str, float]:
    """Check custom resources. Raises TypeError, ValueError."""
    if not isinstance(value, Mapping):
        raise _a("a dictionary", name, value)
    for key in value:
        if not isinstance(key, str):
            raise _a("a dictionary whose keys are str", name, value)
        text(name, key)
        if key in {"CPU", "GPU", "memory"}:
            option = {"CPU": "num_cpus", "GPU": "num_gpus"}.get(key, key)
            raise ValueError(f"use the option {option!r} instead of {key!r} in {name!r}")
    return {key: quantity(f"{name}[{key!r}]", amount) for key, amount in value.items()}


def whole(least: int) -> Check:
    """Return the check for an int that is at least ``least`` (-1 stands for any number)."""

    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise _a("an int", name, value)
        if not least <= value < _INT_LIMIT:
            also = " (-1 means: any number)" if least == -1 else ""
            raise ValueError(f"option {name!r} must be at least {least}{also}: {value}")
        return value

    return check


def seconds(name: str, value: Any) -> float:
    """Check a time limit. Raises TypeError, ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _a("a number of seconds", name, value)
    if not 0 < value < _LONGEST:
        raise ValueError(f"option {name!r} must be a positive number of seconds below {_LONGEST:g}: {value!r}")
    return float(value)


def _of_calls(name: str, value: Any) -> None:
    del value
    raise ValueError(
        f"option {name!r} is for tasks and methods: use @method({name}=...) or .method.options({name}=...)"
    )


def _memory(name: str, value: Any) -> int:
    return math.ceil(quantity(name, value))


def _checkpoint(name: str, value: Any) -> int | dt.timedelta:
    if isinstance(value, dt.timedelta):
        if value <= dt.timedelta():
            raise ValueError(f"option {name!r} must be a time above zero: {value}")
        return value
    if isinstance(value, float):
        raise _a(f"a number of calls (an int) or a time (datetime.timedelta(seconds={value:g}))", name, value)
    return int(whole(1)(name, value))


def flag(name: str, value: Any) -> bool:
    """Check a yes or no. Raises TypeError."""
    if not isinstance(value, bool):
        raise _a("a bool", name, value)
    return value


def _num_returns(name: str, value: Any) -> int | str:
    if isinstance(value, str):
        if value in _GENERATORS:
            return value
        raise ValueError(f"option {name!r} must be an int, 'streaming' or 'dynamic': {value!r}")  # Ray's
    return int(whole(0)(name, value))


def _backpressure(name: str, value: Any) -> int:
    if value == 0 and not isinstance(value, bool):
        raise ValueError(f"option {name!r} must be positive, or -1 for no bound: with 0 nothing could ever be yielded")
    return int(whole(-1)(name, value))


def generates(function: Any) -> bool:
    """Return whether calls of ``function`` yield."""
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def check_generator(given: Mapping[str, Any], function: Any, name: str) -> None:
    """Raise ValueError if a function that does not yield is to return what it yields; warn of the old spelling."""
    wanted = given.get("num_returns")
    if not isinstance(wanted, str):
        return
    if not generates(function):
        raise ValueError(
            f"num_returns={wanted!r} can only be used with generator functions (functions that use 'yield'), and "
            f"{name} is not one"
        )
    if wanted == "dynamic":
        text = "num_returns='dynamic' is deprecated, as in Ray: use num_returns='streaming'"
        deprecation.warn(text, deprecation.RayDeprecationWarning)


def deprecated(given: Mapping[str, Any]) -> bool:
    """Return whether there may be something to warn of."""
    return given.get("num_returns") == "dynamic" or not scheduling.OLDER.keys().isdisjoint(given)


def _retry_exceptions(name: str, value: Any) -> bool | tuple[type[BaseException], ...]:
    if isinstance(value, bool):
        return value
    if not isinstance(value, (list, tuple)):
        raise _a("a bool or a list of exception classes", name, value)
    for item in value:
        if not (isinstance(item, type) and issubclass(item, BaseException)):
            raise _a("a bool or a list of exception classes", name, item)
    return tuple(value)


def _groups(name: str, value: Any) -> dict[str, int]:
    if not isinstance(value, Mapping):
        raise _a("a dictionary of names and how many calls of each run at once", name, value)
    return {not_empty(f"{name}: a name", key): int(whole(1)(f"{name}[{key!r}]", limit)) for key, limit in value.items()}


def check_group(group: str, groups: Iterable[str], class_name: str) -> None:
    """Raise ValueError if a method names a concurrency group that its class does not have."""
    known = tuple(groups)
    if group and group not in known:
        there = f"has {', '.join(map(repr, known))}" if known else "has none: give @remote(concurrency_groups={...})"
        raise ValueError(f"actor class {class_name} has no concurrency group {group!r}: it {there}")


def _lifetime(name: str, value: Any) -> str:
    if text(name, value) not in {"detached", "non_detached"}:
        raise ValueError(f"option {name!r} must be 'detached', 'non_detached' or None: {value!r}")
    return str(value)


def _no_limit_if_zero(name: str, value: Any) -> int:
    return whole(-1)(name, value) or -1


def _ignored(name: str, value: Any) -> None:
    """Accept an option that only says how something is shown or recorded."""


def _without(reason: str, *trivial: object) -> Check:
    """Return the check for an option that there is not, except for values that ask for nothing. ``reason``: why."""

    def check(name: str, value: Any) -> None:
        for item in trivial:
            if type(value) is type(item) and value == item:
                return
        raise ValueError(f"option {name!r} is not supported (given: {value!r:.100}): {reason}")

    return check


_ONE_EACH: Final = "each item of a generator is one object: yield a tuple"
_TRANSPORT: Final = "tensors go from process to process through shared memory"


_COMMON: Final[dict[str, Check]] = {
    "num_cpus": quantity,
    "num_gpus": whole_above_one,
    "resources": resources,
    "memory": _memory,
    "priority": whole(-_INT_LIMIT),
    "enable_task_events": flag,
    "_labels": _ignored,
    "_metadata": _ignored,
    "accelerator_type": not_empty,
    "scheduling_strategy": scheduling.strategy,
    "label_selector": scheduling.label_selector,
    "fallback_strategy": scheduling.fallback_strategy,
    "runtime_env": check_runtime_env,
    "placement_group": scheduling.older_group,
    "placement_group_bundle_index": scheduling.bundle_index,
    "placement_group_capture_child_tasks": flag,
}

TASK: Final[dict[str, Check]] = _COMMON | {
    "num_returns": _num_returns,
    "max_retries": whole(-1),
    "retry_exceptions": _retry_exceptions,
    "max_calls": whole(0),
    "name": text,
    "timeout": seconds,
    "run_timeout": seconds,
    BOUND: _backpressure,
    "_num_objects_per_yield": _without(_ONE_EACH, 1),
}

ACTOR: Final[dict[str, Check]] = _COMMON | {
    "max_restarts": whole(-1),
    "max_task_retries": whole(-1),
    "max_concurrency": whole(1),
    "max_pending_calls": _no_limit_if_zero,
    "name": not_empty,
    "namespace": not_empty,
    "get_if_exists": flag,
    "lifetime": _lifetime,
    "allow_out_of_order_execution": flag,
    "checkpoint": _checkpoint,
    "concurrency_groups": _groups,
    "object_store_memory": _without("init(object_store_memory=) limits what all have together", 0),
    "enable_tensor_transport": _without(_TRANSPORT, False),  # a value, not a flag
    "timeout": _of_calls,
    "run_timeout": _of_calls,
    BOUND_OF_ACTOR: _backpressure,
}

METHOD: Final[dict[str, Check]] = {
    "readonly": flag,
    "name": text,
    "num_returns": _num_returns,
    "max_task_retries": whole(-1),
    "retry_exceptions": _retry_exceptions,
    "enable_task_events": flag,
    "_labels": _ignored,
    "concurrency_group": not_empty,
    "tensor_transport": _without(_TRANSPORT),
    "timeout": seconds,
    "run_timeout": seconds,
    BOUND: _backpressure,
    "_num_objects_per_yield": _without(_ONE_EACH, 1),
}


def checked(
    table: Mapping[str, Check], given: Mapping[str, Any], what: str, *, unknown: type[Exception] = ValueError
) -> dict[str, Any]:
    """Return ``given`` with every value checked; None stays None. Raises TypeError, ValueError, ``unknown``."""
    result = {}
    for name, value in given.items():
        check = table.get(name)
        if check is None:
            valid = ", ".join(sorted(table, key=lambda known: (known.startswith("_"), known)))
            hint = did_you_mean(name, table)
            raise unknown(f"Invalid option keyword {name!r} for {what}.{hint} Valid ones are {valid}.")
        result[name] = None if value is None else check(name, value)
    return result


def check_task_options(
    given: Mapping[str, Any], *, at_use: bool, on: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """Check the options of a function. Raises TypeError, ValueError.

    ``at_use``: they come from ``.options(...)``; ``on``: the decorator's, on top of which they are.
    """
    if at_use and given.get("max_calls") is not None:
        raise ValueError("option 'max_calls' belongs to the decorator: it cannot be changed by .options()")
    final = checked(TASK, given, "a remote function")
    scheduling.warn_of_older(final, on)
    return final


def check_actor_options(
    given: Mapping[str, Any], *, at_use: bool, on: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """Check the options of an actor class. ``at_use``, ``on``: as for tasks. Raises TypeError, ValueError."""
    if at_use and given.get("concurrency_groups") is not None:
        raise ValueError("option 'concurrency_groups' belongs to the decorator: it cannot be changed by .options()")
    final = checked(ACTOR, given, "an actor class")
    scheduling.warn_of_older(final, on)
    return final


#: Checked, and of no consequence here; or (the bound of an actor) part of what its methods are.
_UNUSED: Final = frozenset({"enable_task_events", "lifetime", BOUND_OF_ACTOR})
#: For all others None is the same as not being there. This one keeps out of the caller's placement group (Ray's rule).
_NONE_SAYS_SOMETHING: Final = frozenset({"placement_group"})


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    given = {
        name: value
        for name, value in values.items()
        if (value is not None or name in _NONE_SAYS_SOMETHING) and name not in _UNUSED
    }
    return {_RENAMED.get(name, name): value for name, value in given.items()}


#: Ray's name of an option, and the engine's.
_RENAMED: Final = {BOUND: "backpressure"}


def _count(present: dict[str, Any]) -> None:
    """Replace the names of numbers of results by what the engine knows."""
    wanted = present.get("num_returns")
    if isinstance(wanted, str):
        present["num_returns"] = _GENERATORS[wanted]


def _retries(text: str) -> int:
    try:
        count: int = whole(-1)("max_retries", int(text))
    except ValueError:
        raise ValueError(
            f"the environment variable ACTORGRID_TASK_MAX_RETRIES is no number of retries: {text!r:.100}"
        ) from None
    return count


def task_options(values: Mapping[str, Any], *, streams: bool = False) -> TaskOptions:
    """Return the engine's form of options that were checked. ``streams``: the function is a generator."""
    present = _present(values)
    if retries := os.environ.get("ACTORGRID_TASK_MAX_RETRIES"):
        present.setdefault("max_retries", _retries(retries))
    if streams:
        present.setdefault("num_returns", "streaming")
    _count(present)
    scheduling.settle(present)
    if present.get("num_gpus"):
        present.setdefault("max_calls", 1)  # Ray's rule: a device's memory is freed when its process ends
    return TaskOptions(**present)


def actor_options(values: Mapping[str, Any], *, is_async: bool) -> ActorOptions:
    """Return the engine's form of options that were checked. Raises ValueError for those that exclude each other."""
    present = _present(values)
    _checkpoints(present, is_async=is_async)
    if present.get("get_if_exists") and "name" not in present:
        raise ValueError("option 'get_if_exists' needs a 'name'")
    concurrent = _is_concurrent(present, is_async=is_async)
    if values.get("allow_out_of_order_execution") is False and concurrent:
        raise ValueError("option 'allow_out_of_order_execution' cannot be False: this actor runs calls concurrently")
    if concurrent and (values.get(BOUND_OF_ACTOR) or -1) > 0:
        raise ValueError(
            f"option {BOUND_OF_ACTOR!r} is for actors that run one call at a time: there is no bound for several "
            f"generators together. Give {BOUND} to the methods of this one, with @method or options()"
        )
    scheduling.settle(present)
    if "num_gpus" in present or present.get("resources"):
        present.setdefault("num_cpus", 1.0)  # Ray's rule: who asks for any resource holds a CPU, too
    return ActorOptions(**present, detached=values.get("lifetime") == "detached")


def _is_concurrent(present: Mapping[str, Any], *, is_async: bool) -> bool:
    return is_async or present.get("max_concurrency", 1) > 1 or bool(present.get("concurrency_groups"))


def _checkpoints(present: dict[str, Any], *, is_async: bool) -> None:
    """Replace ``checkpoint`` by what the engine knows. Raises ValueError where an actor cannot have it."""
    every = present.pop("checkpoint", None)
    if every is None:
        return
    if _is_concurrent(present, is_async=is_async):
        raise ValueError(
            "option 'checkpoint' is for actors that run one call at a time: this one is asynchronous or has "
            "max_concurrency > 1 or concurrency groups, so that there is no order in which its calls could run again"
        )
    if not present.get("max_restarts"):
        raise ValueError("option 'checkpoint' is for actors that restart: give 'max_restarts', too (-1: any number)")
    if isinstance(every, dt.timedelta):
        present["checkpoint_seconds"] = every.total_seconds()
    else:
        present["checkpoint_calls"] = every


def method_options(values: Mapping[str, Any], base: MethodOptions | None = None) -> MethodOptions:
    """Return the engine's form of options that were checked, on top of ``base``."""
    base = base or MethodOptions()
    present = _present(values)
    _count(present)
    return MethodOptions(
        num_returns=present.get("num_returns", base.num_returns),
        max_task_retries=present.get("max_task_retries", base.max_task_retries),
        retry_exceptions=present.get("retry_exceptions", base.retry_exceptions),
        name=present.get("name", base.name),
        readonly=present.get("readonly", base.readonly),
        timeout=present.get("timeout", base.timeout),
        run_timeout=present.get("run_timeout", base.run_timeout),
        concurrency_group=present.get("concurrency_group", base.concurrency_group),
        backpressure=present.get("backpressure", base.backpressure),
    )
