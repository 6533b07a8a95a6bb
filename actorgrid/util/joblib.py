"""A backend for joblib: ``register_actorgrid()``, then ``with joblib.parallel_backend("actorgrid"): …``.

Needs joblib 1.4 or newer. scikit-learn and others that call joblib run on the grid that way, unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Final

from joblib import register_parallel_backend
from joblib.parallel import AutoBatchingMixin, ParallelBackendBase

from actorgrid.api.session import cluster_resources, init, is_initialized
from actorgrid.engine.hints import did_you_mean
from actorgrid.util.executor import BackgroundExecutor

__all__ = ["ActorGridBackend", "register_actorgrid", "register_ray"]

#: Options of ``Parallel`` that joblib hands to every backend: they are about memory-mapped files and its own processes.
_WITHOUT_EFFECT: Final = {"prefer", "require", "max_nbytes", "temp_folder", "mmap_mode", "verbose", "context"}


class ActorGridBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]  # joblib has no types
    """Runs joblib's batches as tasks."""

    supports_retrieve_callback = True
    default_n_jobs = -1

    def __init__(
        self, nesting_level: int | None = None, inner_max_num_threads: int | None = None, *,
        ray_remote_args: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """``ray_remote_args``: options of the tasks (``num_cpus``, ``max_retries``, …)."""
        super().__init__(nesting_level=nesting_level, inner_max_num_threads=inner_max_num_threads)
        self._options = dict(ray_remote_args or {})
        #: Those that the running ``Parallel`` has of its own.
        self._more: Mapping[str, Any] = {}
        self._executor: BackgroundExecutor | None = None

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return how many batches run at once: -1 is as many as the grid has CPUs. Raises ValueError for 0."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        if n_jobs > 0:
            return n_jobs
        if not is_initialized():
            init()
        return max(1, int(cluster_resources().get("CPU", 1)) + 1 + n_jobs)

    def configure(
        self, n_jobs: int = 1, parallel: Any = None, *, ray_remote_args: Mapping[str, Any] | None = None, **options: Any
    ) -> int:
        """See joblib. A pool of one is a pool, too: the work is not done here.

        ``ray_remote_args``, which ``Parallel`` hands on, are options of the tasks, and go before those of the backend.
        Raises TypeError for options that joblib does not have, ValueError and TypeError for those that tasks have not.
        """
        for name in options:
            if name not in _WITHOUT_EFFECT:
                hint = did_you_mean(name, ["ray_remote_args"])
                raise TypeError(f"this backend of Parallel() has no option {name!r}; it has ray_remote_args.{hint}")
        if not is_initialized():
            init()
        count = self.effective_n_jobs(n_jobs)
        self.parallel = parallel
        self._more = dict(ray_remote_args or {})
        self._executor = BackgroundExecutor(count, **{**self._options, **self._more})
        return count

    def submit(self, func: Callable[[], Any], callback: Callable[[Future[Any]], object] | None = None) -> Future[Any]:
        """Start a batch."""
        assert self._executor is not None
        future = self._executor.submit(func)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    apply_async = submit  # joblib before 1.5

    def retrieve_result_callback(self, out: Future[Any]) -> Any:
        """Return what a batch returned, or raise what it raised."""
        return out.result()

    def terminate(self) -> None:
        """Forget the executor; the grid stays."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)
            self._executor = None
        self.reset_batch_stats()

    def abort_everything(self, ensure_ready: bool = True) -> None:  # joblib's
        """Stop what is not over, because something has failed."""
        if self._executor is not None:
            self._executor.terminate_workers()
            self._executor = None
        if ensure_ready:
            self.configure(n_jobs=self.parallel.n_jobs, parallel=self.parallel, ray_remote_args=self._more)


def register_actorgrid() -> None:
    """Make the backend known to joblib as "actorgrid"."""
    register_parallel_backend("actorgrid", ActorGridBackend)


def register_ray() -> None:
    """Make the backend known as "ray", for programs that use Ray's."""
    register_parallel_backend("ray", ActorGridBackend)
    register_actorgrid()
