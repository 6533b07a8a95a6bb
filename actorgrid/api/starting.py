"""The arguments of ``init``, checked, and the environment variables that stand in for them."""

from __future__ import annotations

import inspect
import os
import resource
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any, Final

import msgspec

from actorgrid.api.environments import check_runtime_env
from actorgrid.api.options import quantity, resources, seconds, whole
from actorgrid.api.texts import text
from actorgrid.engine.current import host
from actorgrid.engine.definitions import LogSettings, Setup, StartConfig
from actorgrid.engine.hints import did_you_mean
from actorgrid.engine.setups import merge
from actorgrid.exceptions import ResourceLimitError

#: What makes ``import ray`` mean actorgrid, if the driver has imported it.
_AS_RAY: Final = "actorgrid.as_ray"
#: Arguments of ``ray.init`` that are about clusters, dashboards and logging: accepted, without effect, if they are of
#: one of these types.
_WITHOUT_EFFECT: Final[dict[str, tuple[type, ...]]] = {
    **dict.fromkeys(
        (
            "include_dashboard", "configure_logging", "enable_resource_isolation", "_enable_object_reconstruction",
            "_skip_env_hook",
        ),
        (bool,),
    ),
    **dict.fromkeys(
        (
            "dashboard_host", "logging_format", "cgroup_path", "proxy_server_url", "_node_ip_address",
            "_redis_username", "_redis_password",
        ),
        (str,),
    ),
    **dict.fromkeys(("dashboard_port", "_driver_object_store_memory", "_metrics_export_port"), (int,)),
    **dict.fromkeys(("system_reserved_cpu", "system_reserved_memory"), (int, float)),
    **dict.fromkeys(("_plasma_directory", "_temp_dir"), (str, os.PathLike)),
    "logging_level": (int, str),
    "_system_config": (dict,),
    "_tracing_startup_hook": (str, FunctionType),
}  # fmt: skip
#: Those of them whose effect would be missed, and what is said then.
_MISSED: Final = {
    "include_dashboard": "there is no dashboard: actorgrid.util.state tells what it would",
    "dashboard_port": "there is no dashboard: actorgrid.util.state tells what it would",
    "enable_resource_isolation": "the grid makes no control groups: start the program in one",
}


#: Labels that begin so are the grid's own.
_OUR_LABELS: Final = ("actorgrid.io/", "ray.io/")

#: The most that a machine has of anything, and what each has of itself (Ray's limit and name).
_MOST: Final = 1e14
_HEAD: Final = "node:__internal_head__"

#: Descriptors that the head of a grid needs with one worker; each further one costs it three.
DESCRIPTORS: Final = 16
#: Descriptors that a program needs for its grid.
DESCRIPTORS_HERE: Final = 10


def seconds_of(variable: str, default: str) -> float:
    """Return the number of seconds that an environment variable says. Raises ValueError."""
    try:
        return seconds(variable, float(os.environ.get(variable, default)))
    except ValueError as error:
        raise ValueError(f"the environment variable {variable} is no number of seconds: {error}") from None


def count_of(variable: str, default: str) -> int:
    """Return the whole number that an environment variable says. Raises ValueError."""
    text = os.environ.get(variable, default)
    if not text.strip().isdecimal():
        raise ValueError(f"the environment variable {variable} is no whole number: {text!r:.100}")
    return int(text)


def cpus_of(variable: str) -> int | None:
    """Return how many CPUs a grid has if an environment variable says at most how many, else None. Raises ValueError.

    It never gives a grid more than the process may use.
    """
    if variable not in os.environ:
        return None
    most = count_of(variable, "")
    if not most:
        raise ValueError(f"the environment variable {variable} must be at least 1: {os.environ[variable]!r:.100}")
    from actorgrid.runtime.machine import cpu_count  # which a head looks for by itself

    return min(most, cpu_count())


def interval_of(variable: str, default: str) -> float:
    """Return the seconds that an environment variable says in milliseconds; 0: never. Raises ValueError."""
    text = os.environ.get(variable, default)
    return 0.0 if text.strip() == "0" else seconds_of(variable, default) / 1000


def threshold(given: Any) -> float:
    """Return the share of memory that is too much. Raises ValueError."""
    if given is None:
        given = os.environ.get("ACTORGRID_MEMORY_USAGE_THRESHOLD", "0.95")
    try:
        share = float(given)
    except (TypeError, ValueError):
        share = -1.0
    if not 0 < share <= 1:
        raise ValueError(f"'memory_usage_threshold' must be above 0 and at most 1: {given!r:.100}")
    return share


def spill_directory(given: Any) -> str | None:
    """Return where objects go that memory cannot hold; None: where the engine likes, "": nowhere."""
    if given is None:
        given = os.environ.get("ACTORGRID_SPILL_DIRECTORY")
    if given is None:
        return None
    if not isinstance(given, str | os.PathLike):
        raise TypeError(f"'object_spilling_directory' must be a path: {given!r:.100}")
    if given == "":
        return ""
    path = Path(given).absolute()
    if path.exists() and not path.is_dir():
        raise ValueError(f"'object_spilling_directory' is no directory: {path}")
    return str(path)


def resolve_address(address: str) -> str:
    """Return the path of a socket: see ``runtime.door.resolve``. Raises ValueError, ConnectionError."""
    from actorgrid.runtime import door  # few programs join anything

    if address != "auto" and (os.sep not in address or "://" in address):
        raise ConnectionError(
            f"there is no grid at {address!r}: grids are on this machine, and addresses are paths, as './grid.sock' is"
        )
    return door.resolve(address)


def check_resources_of_grid(
    address: str, num_cpus: Any, num_gpus: Any, custom: Any, object_store_memory: Any, max_workers: Any, *,
    labels: Any, preload: Any,
) -> StartConfig:  # fmt: skip
    """Return what a persistent grid is started with. Raises ValueError, TypeError."""
    config = StartConfig(
        num_cpus=or_none(cpus, "num_cpus", num_cpus),
        num_gpus=or_none(capacity, "num_gpus", num_gpus),
        resources=capacities("resources", custom),
        object_store_memory=or_none(whole_bytes, "object_store_memory", object_store_memory),
        max_workers=or_none(whole(1), "max_workers", max_workers),
        memory_threshold=threshold(None),
        object_spilling_directory=spill_directory(None),
        address=address,
        labels=check_labels(labels),
        preload=check_preload(preload),
    )
    return with_environment(config, "process")


def with_environment(config: StartConfig, engine: str) -> StartConfig:
    """Return ``config`` with what only environment variables say. Raises ValueError."""
    # A simulated machine has the same CPUs wherever it is simulated: the schedules of a program depend on them.
    real = engine == "process" and host() is None
    return msgspec.structs.replace(
        config,
        num_cpus=cpus_of("ACTORGRID_NUM_CPUS") if config.num_cpus is None and real else config.num_cpus,
        memory_interval=interval_of("ACTORGRID_MEMORY_MONITOR_REFRESH_MS", "250"),
        farewell=seconds_of("ACTORGRID_ACTOR_GRACEFUL_SHUTDOWN_TIMEOUT_MS", "30000") / 1000,
        stopped_limit=seconds_of("ACTORGRID_STOPPED_LIMIT", "30"),
        store_patience=seconds_of("ACTORGRID_STORE_PATIENCE", "10"),
        task_events=count_of("ACTORGRID_TASK_EVENTS", "10000"),
    )


def check_limits(*, here: bool = True) -> None:
    """See that there are descriptors enough for a grid, and ``here`` for its driver. Raises ResourceLimitError.

    Who is refused one later knows neither how many are allowed nor how many would do.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < DESCRIPTORS:
        raise ResourceLimitError(
            f"a process of a grid may have {hard} descriptors (RLIMIT_NOFILE={hard}, the hard limit), and needs at "
            f"least {DESCRIPTORS} with one worker and 3 more for each further one. Raise that limit (ulimit -Hn)"
        )
    taken: list[int] = []
    try:
        while here and len(taken) < DESCRIPTORS_HERE:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        raise ResourceLimitError(
            f"this process has {len(taken)} of its {soft} descriptors left (RLIMIT_NOFILE={soft}: {error.strerror}), "
            f"and needs {DESCRIPTORS_HERE} for a grid. Close some, or raise that limit (ulimit -n)"
        ) from error
    finally:
        for descriptor in taken:
            os.close(descriptor)


def check_address(address: Any, own: Mapping[str, Any]) -> str:
    """Return the socket of the persistent grid to join, "" for a grid of its own. Raises ValueError, TypeError.

    ``own``: arguments of ``init`` that are for grids of one's own; None: not given.
    """
    if address is None and os.environ.get("ACTORGRID_ADDRESS"):
        address = "auto"
    if address is None or address == "local":
        return ""
    if not isinstance(address, str):
        raise TypeError(f"'address' must be a path, 'auto' or 'local': {address!r:.100}")
    given = [name for name, value in own.items() if value is not None]
    if given:
        raise ValueError(
            f"{', '.join(given)} must not be given to join a grid that runs already: `actorgrid start` has "
            "settled what it is"
        )
    return resolve_address(address)


def check_unsupported(local_mode: bool, rest: dict[str, Any], init: Callable[..., Any]) -> None:
    """Refuse what we do not have, or warn of it. Raises RuntimeError, ConnectionError, ValueError, TypeError."""
    unknown = sorted(set(rest) - set(_WITHOUT_EFFECT))
    if unknown:
        known = inspect.signature(init).parameters
        hints = "".join(did_you_mean(name, known) for name in unknown)
        raise RuntimeError(f"Unknown keyword argument(s): {', '.join(unknown)}.{hints}")
    if local_mode:
        raise RuntimeError("`local_mode` is no longer supported. Tests of your own run fast on real processes here.")
    for name, value in rest.items():
        kinds = _WITHOUT_EFFECT[name]
        if value is not None and not isinstance(value, kinds):
            wanted = " or ".join(kind.__name__ for kind in kinds)
            raise TypeError(f"{name!r} must be {wanted}, not {type(value).__name__}: {value!r:.100}")
        if value and name in _MISSED:
            warnings.warn(f"{name}={value!r:.100} has no effect: {_MISSED[name]}", UserWarning, stacklevel=3)


def check_engine(engine: str | None, seed: int | None) -> str:
    """Return which engine is wanted. Raises ValueError."""
    named = os.environ.get("ACTORGRID_ENGINE", "process") if engine is None else engine
    if named not in {"process", "sim"}:
        raise ValueError(f"there is no engine {named!r}; there are 'process' and 'sim'")
    or_none(whole(0), "seed", seed)
    if seed is not None and named != "sim" and host() is None:
        raise ValueError("'seed' is for engine='sim': real processes run in whatever order they run")
    return named


def or_none(check: Any, name: str, value: Any) -> Any:
    """Return ``value`` checked, or None if it is None."""
    return None if value is None else check(name, value)


def one_of(name: str, value: Any, *known: str) -> str:
    """Check one of a few words. Raises ValueError."""
    if value not in known:
        raise ValueError(f"{name!r} must be {' or '.join(map(repr, known))}: {value!r:.100}")
    return str(value)


def capacity(name: str, value: Any, what: str = "") -> float:
    """Check how much of a resource a machine has (Ray's rules). Raises TypeError, ValueError.

    ``what``: the resource, if ``name`` does not tell.
    """
    amount = quantity(name, value)
    of_it = f" of {what!r}" if what else ""
    if not amount.is_integer():
        raise ValueError(f"{name!r} must be a whole number{of_it}, of which tasks may ask for parts: {value}")
    if amount > _MOST:
        raise ValueError(f"{name!r} must be at most {_MOST:g}{of_it}: {value}")
    return amount


def cpus(name: str, value: Any) -> int:
    """Check how many CPUs a machine has. Raises TypeError, ValueError."""
    return int(capacity(name, value))


def capacities(name: str, value: Any) -> dict[str, float]:
    """Check what a machine has besides CPUs and GPUs. Raises TypeError, ValueError."""
    checked = resources(name, value)
    for key, amount in checked.items():
        capacity(name, amount, key)
        if key == _HEAD:
            raise ValueError(f"{_HEAD!r} in {name!r} is what the machine itself is called: use another name")
    return checked


def whole_bytes(name: str, value: Any) -> int:
    """Check a number of bytes. Raises TypeError, ValueError."""
    size = int(quantity(name, value))
    if size <= 0:
        raise ValueError(f"{name!r} must be more than 0 bytes: {value}")
    return size


def check_preload(preload: Any) -> tuple[str, ...]:
    """Check names of modules. Raises TypeError."""
    if isinstance(preload, str) or not all(isinstance(module, str) for module in preload):
        raise TypeError(f"'preload' must be a list of names of modules: {preload!r:.100}")
    # Workers import what the driver imports, and it must mean the same there.
    return (*([_AS_RAY] if _AS_RAY in sys.modules else []), *preload)


def job_setup(runtime_env: Any) -> Setup:
    """Return what the calls of this program inherit. Raises TypeError, ValueError."""
    own = check_runtime_env("runtime_env", runtime_env or {})
    return merge(Setup(), own) if own else Setup()


def logging_settings(given: Any) -> LogSettings | None:
    """Return how the grid's processes log, None if as Python does. Raises TypeError, ValueError."""
    if given is None and not os.environ.get("ACTORGRID_LOGGING_CONFIG_ENCODING"):
        return None
    from actorgrid.api.logs import check_logging  # logging takes its time to import

    return check_logging(given)


def check_labels(labels: Any) -> dict[str, str]:
    """Check labels of this machine. Raises TypeError, ValueError."""
    if not isinstance(labels, Mapping):
        raise TypeError(f"'labels' must be a dictionary, not {type(labels).__name__}")
    for name, value in labels.items():
        if not (isinstance(name, str) and isinstance(value, str)):
            raise TypeError(f"'labels' must map str to str: {name!r}: {value!r:.100}")
        for part in (name, value):
            text("labels", part)
        if not name or name.startswith(_OUR_LABELS):
            raise ValueError(f"a label of 'labels' must have a name that does not begin with {_OUR_LABELS}: {name!r}")
    return dict(labels)


def default_logging() -> bool:
    """Return whether the driver prints what workers print, if nobody says so."""
    return os.environ.get("ACTORGRID_LOG_TO_DRIVER", "1").lower() not in {"0", "false"}
