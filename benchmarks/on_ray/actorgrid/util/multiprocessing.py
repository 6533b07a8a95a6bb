"""Ray's own."""

from multiprocessing import TimeoutError  # noqa: A004  # what programs catch

from ray.util.multiprocessing import Pool

__all__ = ["Pool", "TimeoutError"]
