"""Ray's own."""

from ray.actor import *  # noqa: F403
from ray.actor import exit_actor

__all__ = ["exit_actor"]
