"""Runtime environments: the names of ``ray.runtime_env``."""

from actorgrid.api.environments import RuntimeEnv

__all__ = ["RuntimeEnv"]
