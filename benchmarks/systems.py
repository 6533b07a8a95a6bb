"""The systems that are compared, each behind the same small interface. ``None``: the system has no such thing."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import tasks

WORKERS = 2


class System:
    """How a workload talks to a system. Futures and actors are the system's own."""

    name = "?"
    #: The module that must be importable.
    needs = ""
    has_actors = False
    #: A future may be an argument of a task.
    has_dependencies = False

    def start(self) -> None:
        """Start it with ``WORKERS`` workers."""
        raise TypeError(self.name)

    def stop(self) -> None:
        """Shut it down and wait until it is."""
        raise TypeError(self.name)

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        """Start a task."""
        raise TypeError(self.name)

    def result(self, future: Any) -> Any:
        """Wait for one result."""
        return future.result()

    def results(self, futures: list[Any]) -> list[Any]:
        """Wait for all results."""
        return [self.result(future) for future in futures]

    def call_sync(self, function: Callable[..., Any]) -> Any:
        """One round trip."""
        return self.result(self.submit(function))

    def fan_in(self, futures: list[Any]) -> Any:
        """One task that takes all of ``futures``."""
        return self.submit(tasks.total, *futures)

    def first_done(self, futures: list[Any]) -> list[Any]:
        """Wait for any one; return the others."""
        raise TypeError(self.name)

    def actor(self) -> Any:
        """Create a ``tasks.Counter``."""
        raise TypeError(self.name)

    def increment(self, actor: Any) -> Any:
        """Call it; returns a future."""
        return actor.increment()

    def drop_actors(self, actors: list[Any]) -> None:
        """End them."""
        actors.clear()

    def put(self, value: Any) -> Any:
        """Store a value."""
        raise TypeError(self.name)

    def get(self, stored: Any) -> Any:
        """Fetch a stored value."""
        return self.result(stored)

    def nested(self, outer: int, inner: int) -> bool:
        """``outer`` tasks that each submit ``inner`` tasks and wait for them. Returns whether it can."""
        del outer, inner
        return False

    def callers(self, actors: list[Any], calls: int) -> bool:
        """As many calling actors as ``actors``, each making ``calls`` calls over them. Returns whether it can."""
        del actors, calls
        return False

    def stream(self, count: int) -> bool:
        """Read a stream of ``count`` small items, one by one. Returns whether it can."""
        del count
        return False

    def pipeline(self, actors: list[Any], *, compiled: bool) -> tuple[Callable[[], Any], Callable[[], Any]] | None:
        """Return what sends a small value through ``actors`` and waits for it, and what ends that; None: it cannot."""
        del actors, compiled


class RayLike(System):
    """Ray and actorgrid: one program."""

    has_actors = has_dependencies = True

    def __init__(self) -> None:
        self.api: Any = importlib.import_module(self.needs)

    def _init(self) -> None:
        self.api.init(num_cpus=WORKERS)

    def start(self) -> None:
        api = self.api
        self._init()
        self.remote = {
            function: api.remote(function)
            for function in (
                tasks.noop, tasks.increment, tasks.add, tasks.total, tasks.length, tasks.make_array,
                tasks.monte_carlo, tasks.count_up,
            )
        }  # fmt: skip
        self.Counter = api.remote(num_cpus=0)(tasks.Counter)
        noop = self.remote[tasks.noop]

        def nest(count: int) -> int:
            return len(api.get([noop.remote() for _ in range(count)]))

        class Caller:
            def call(self, actors: list[Any], calls: int) -> int:
                share = calls // len(actors)
                return len(api.get([actor.increment.remote() for _ in range(share) for actor in actors]))

        self.nest = api.remote(nest)
        self.Caller = api.remote(num_cpus=0)(Caller)

    def stop(self) -> None:
        self.api.shutdown()

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.remote[function].remote(*args)

    def result(self, future: Any) -> Any:
        return self.api.get(future)

    def results(self, futures: list[Any]) -> list[Any]:
        values: list[Any] = self.api.get(futures)
        return values

    def first_done(self, futures: list[Any]) -> list[Any]:
        rest: list[Any] = self.api.wait(futures)[1]
        return rest

    def actor(self) -> Any:
        return self.Counter.remote()

    def increment(self, actor: Any) -> Any:
        return actor.increment.remote()

    def put(self, value: Any) -> Any:
        return self.api.put(value)

    def nested(self, outer: int, inner: int) -> bool:
        self.api.get([self.nest.remote(inner) for _ in range(outer)])
        return True

    def callers(self, actors: list[Any], calls: int) -> bool:
        callers = [self.Caller.remote() for _ in actors]
        self.api.get([caller.call.remote(actors, calls) for caller in callers])
        return True

    def stream(self, count: int) -> bool:
        return sum(self.api.get(ref) for ref in self.remote[tasks.count_up].remote(count)) >= 0

    def pipeline(self, actors: list[Any], *, compiled: bool) -> tuple[Callable[[], Any], Callable[[], Any]] | None:
        api = self.api
        if not compiled:

            def ordinary() -> Any:
                value: Any = 1
                for actor in actors:
                    value = actor.echo.remote(value)
                return api.get(value)

            return ordinary, lambda: None
        with importlib.import_module(f"{self.needs}.dag").InputNode() as node:
            step = node
            for actor in actors:
                step = actor.echo.bind(step)
        graph = step.experimental_compile()
        return lambda: api.get(graph.execute(1)), graph.teardown


class Actorgrid(RayLike):
    """This project."""

    name = needs = "actorgrid"


class Ray(RayLike):
    """Ray."""

    name = needs = "ray"

    def _init(self) -> None:
        self.api.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")


class Pool(System):
    """``multiprocessing.Pool``."""

    name = "Pool"
    needs = "multiprocessing"

    def start(self) -> None:
        import multiprocessing

        self.pool = multiprocessing.get_context("fork").Pool(WORKERS)

    def stop(self) -> None:
        self.pool.terminate()
        self.pool.join()

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.pool.apply_async(function, args)

    def result(self, future: Any) -> Any:
        return future.get()

    def call_sync(self, function: Callable[..., Any]) -> Any:
        return self.pool.apply(function)


class Executor(System):
    """``concurrent.futures.ProcessPoolExecutor``."""

    name = "Executor"
    needs = "concurrent.futures"

    def _executor(self) -> Any:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        return ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("fork"))

    def start(self) -> None:
        self.executor = self._executor()

    def stop(self) -> None:
        self.executor.shutdown()

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.executor.submit(function, *args)

    def first_done(self, futures: list[Any]) -> list[Any]:
        from concurrent.futures import FIRST_COMPLETED, wait

        return list(wait(futures, return_when=FIRST_COMPLETED).not_done)


class Loky(Executor):
    """loky."""

    name = needs = "loky"

    def _executor(self) -> Any:
        import loky

        return loky.ProcessPoolExecutor(WORKERS)


class Dask(System):
    """dask.distributed on a local cluster of processes."""

    name = "dask"
    needs = "distributed"
    has_actors = has_dependencies = True

    def start(self) -> None:
        import distributed

        self.cluster = distributed.LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        )
        self.client = distributed.Client(self.cluster)

    def stop(self) -> None:
        self.client.close()
        self.cluster.close()

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.client.submit(function, *args, pure=False)

    def results(self, futures: list[Any]) -> list[Any]:
        values: list[Any] = self.client.gather(futures)
        return values

    def fan_in(self, futures: list[Any]) -> Any:
        return self.client.submit(tasks.total_of_list, futures, pure=False)

    def first_done(self, futures: list[Any]) -> list[Any]:
        import distributed

        return list(distributed.wait(futures, return_when="FIRST_COMPLETED").not_done)

    def actor(self) -> Any:
        return self.client.submit(tasks.Counter, actor=True, pure=False).result()

    def put(self, value: Any) -> Any:
        return self.client.scatter(value)


ALL: dict[str, type[System]] = {cls.name: cls for cls in (Actorgrid, Pool, Executor, Loky, Dask, Ray)}


def installed() -> list[str]:
    """Return the names of the systems that are installed."""
    return [name for name, cls in ALL.items() if importlib.util.find_spec(cls.needs) is not None]
