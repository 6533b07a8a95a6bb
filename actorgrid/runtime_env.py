"""Runtime environments: the names of ``ray.runtime_env``."""

from actorgrid.api.environments import RuntimeEnv, RuntimeEnvConfig

__all__ = ["RuntimeEnv", "RuntimeEnvConfig"]
