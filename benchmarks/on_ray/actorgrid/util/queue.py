"""Ray's own."""

from ray.util.queue import Empty, Full, Queue

__all__ = ["Empty", "Full", "Queue"]
