"""``multiprocessing`` on a grid: its pool is ``pool.Pool``, and the rest is the standard library's."""

from __future__ import annotations

from multiprocessing import JoinableQueue, TimeoutError  # noqa: A004  # it is what programs catch

from actorgrid.util.multiprocessing.pool import AsyncResult, Pool

__all__ = ["AsyncResult", "JoinableQueue", "Pool", "TimeoutError"]
