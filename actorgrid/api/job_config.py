"""``JobConfig``: what ``init(job_config=...)`` takes, Ray's older way to say what ``init`` can be told itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from actorgrid.api.environments import check_runtime_env
from actorgrid.api.logs import LoggingConfig
from actorgrid.api.texts import not_empty


class JobConfig:
    """What a program gives to its tasks and actors; arguments of ``init`` go first.

    ``runtime_env`` and ``ray_namespace`` are the ``runtime_env`` and ``namespace`` of ``init``. ``metadata`` is kept,
    and nobody reads it. Raises ValueError for what is about other languages, and for actors that are all to be
    detached: each says so itself.
    """

    def __init__(
        self, jvm_options: Sequence[str] | None = None, code_search_path: Sequence[str] | None = None,
        runtime_env: Mapping[str, Any] | None = None, _client_job: bool = False,
        metadata: Mapping[str, str] | None = None, ray_namespace: str | None = None,
        default_actor_lifetime: str = "non_detached", _disable_job_level_lineage_reconstruction: bool = False,
        _py_driver_sys_path: Sequence[str] | None = None,
    ) -> None:  # fmt: skip
        del _client_job, _disable_job_level_lineage_reconstruction  # no object is lost with the process that made it
        if _py_driver_sys_path:
            raise ValueError("'_py_driver_sys_path' cannot be set: workers have the sys.path of the program")
        if jvm_options or code_search_path:
            raise ValueError(
                "'jvm_options' and 'code_search_path' are about other languages, and all workers run Python"
            )
        self.metadata = dict(metadata or {})
        self.ray_namespace: str | None = None
        self.py_logging_config: LoggingConfig | None = None
        self.set_runtime_env(runtime_env)
        if ray_namespace is not None:
            self.set_ray_namespace(ray_namespace)
        self.set_default_actor_lifetime(default_actor_lifetime)

    @classmethod
    def from_json(cls, job_config_json: Mapping[str, Any]) -> Self:
        """Return what such a dictionary asks for; what it does not name is as it is by default.

        Raises what the constructor raises.
        """
        named = ("jvm_options", "code_search_path", "runtime_env", "metadata", "ray_namespace")
        arguments: dict[str, Any] = {name: job_config_json.get(name) for name in named}
        return cls(**arguments, _py_driver_sys_path=job_config_json.get("py_driver_sys_path"))

    def set_metadata(self, key: str, value: str) -> None:
        """Note something."""
        self.metadata[key] = value

    def set_runtime_env(self, runtime_env: Mapping[str, Any] | None, validate: bool = False) -> None:
        """Set what tasks and actors inherit. Raises TypeError and ValueError as ``init(runtime_env=...)`` does."""
        del validate  # it always is
        check_runtime_env("runtime_env", runtime_env or {})
        self.runtime_env: dict[str, Any] = dict(runtime_env or {})

    def set_ray_namespace(self, ray_namespace: str) -> None:
        """Set where names of actors are looked up. Raises TypeError, ValueError."""
        self.ray_namespace = not_empty("ray_namespace", ray_namespace)

    def set_py_logging_config(self, logging_config: LoggingConfig | None = None) -> None:
        """Set how the driver and its workers log."""
        self.py_logging_config = logging_config

    def set_default_actor_lifetime(self, default_actor_lifetime: str) -> None:
        """Raise ValueError for anything but "non_detached"."""
        if default_actor_lifetime == "detached":
            raise ValueError("'default_actor_lifetime' cannot be 'detached': say lifetime='detached' of each actor")
        if default_actor_lifetime != "non_detached":
            raise ValueError("Default actor lifetime must be one of `detached`, `non_detached`")


def completed(
    job: Any, namespace: str | None, runtime_env: Mapping[str, Any] | None, logging: LoggingConfig | None
) -> tuple[str | None, Mapping[str, Any] | None, LoggingConfig | None]:
    """Return what ``init`` was told, and what ``job`` says where it was told nothing. Raises TypeError."""
    if job is None:
        return namespace, runtime_env, logging
    if not isinstance(job, JobConfig):
        raise TypeError(f"'job_config' must be a JobConfig, not {type(job).__name__}")
    return namespace or job.ray_namespace, runtime_env or job.runtime_env, logging or job.py_logging_config
