"""The arguments of ``init``, checked, and the environment variables that stand in for them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from actorgrid.api.options import did_you_mean, quantity, seconds, whole
from actorgrid.engine.current import host

#: Arguments of ``ray.init`` that are about clusters, dashboards and logging: accepted, without effect.
_WITHOUT_EFFECT: Final = frozenset(
    {
        "include_dashboard", "dashboard_host", "dashboard_port", "configure_logging", "logging_level",
        "logging_format", "logging_config", "enable_resource_isolation", "cgroup_path", "system_reserved_cpu",
        "system_reserved_memory", "proxy_server_url", "_enable_object_reconstruction",
        "_plasma_directory", "_node_ip_address", "_driver_object_store_memory", "_memory", "_redis_username",
        "_redis_password", "_temp_dir", "_metrics_export_port", "_system_config", "_tracing_startup_hook",
        "_node_name", "_skip_env_hook",
    }
)  # fmt: skip


#: Labels that begin so are the grid's own.
_OUR_LABELS: Final = ("actorgrid.io/", "ray.io/")


def seconds_of(variable: str, default: str) -> float:
    """Return the number of seconds that an environment variable says. Raises ValueError."""
    try:
        return seconds(variable, float(os.environ.get(variable, default)))
    except ValueError as error:
        raise ValueError(f"the environment variable {variable} is no number of seconds: {error}") from None


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


def check_unsupported(
    address: Any, local_mode: bool, job_config: Any, rest: dict[str, Any], known: Iterable[str]
) -> None:
    """Refuse what we do not have. Raises RuntimeError, ConnectionError, ValueError."""
    unknown = sorted(set(rest) - _WITHOUT_EFFECT)
    if unknown:
        hints = "".join(did_you_mean(name, known) for name in unknown)
        raise RuntimeError(f"Unknown keyword argument(s): {', '.join(unknown)}.{hints}")
    if local_mode:
        raise RuntimeError("`local_mode` is no longer supported. Tests of your own run fast on real processes here.")
    if address not in {None, "local"}:
        raise ConnectionError(
            f"there is no grid at {address!r} to connect to: a grid belongs to the process that starts it"
        )
    if job_config is not None:
        raise ValueError("'job_config' is not supported; use 'namespace' and 'runtime_env'")


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
    return tuple(preload)


def check_labels(labels: Any) -> dict[str, str]:
    """Check labels of this machine. Raises TypeError, ValueError."""
    if not isinstance(labels, Mapping):
        raise TypeError(f"'labels' must be a dictionary, not {type(labels).__name__}")
    for name, value in labels.items():
        if not (isinstance(name, str) and isinstance(value, str)):
            raise TypeError(f"'labels' must map str to str: {name!r}: {value!r:.100}")
        if not name or name.startswith(_OUR_LABELS):
            raise ValueError(f"a label of 'labels' must have a name that does not begin with {_OUR_LABELS}: {name!r}")
    return dict(labels)


def check_env(runtime_env: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment variables that ``runtime_env`` asks for. Raises TypeError, ValueError."""
    if not isinstance(runtime_env, Mapping):
        raise TypeError(f"'runtime_env' must be a dictionary, not {type(runtime_env).__name__}")
    unsupported = sorted(name for name, value in runtime_env.items() if name != "env_vars" and value)
    if unsupported:
        raise ValueError(f"of 'runtime_env' only 'env_vars' is supported yet, not {', '.join(unsupported)}")
    variables = dict(runtime_env.get("env_vars") or {})
    for name, value in variables.items():
        if not (isinstance(name, str) and isinstance(value, str)):
            raise TypeError(f"'env_vars' must map str to str: {name!r}: {value!r:.100}")
    return variables


def default_logging() -> bool:
    """Return whether the driver prints what workers print, if nobody says so."""
    return os.environ.get("ACTORGRID_LOG_TO_DRIVER", "1").lower() not in {"0", "false"}
