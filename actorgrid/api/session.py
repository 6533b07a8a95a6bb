"""Starting and ending the grid: ``init``, ``shutdown`` and what can be asked of a running grid."""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import actorgrid
from actorgrid.api.grid_context import GridContext
from actorgrid.api.options import flag, quantity, seconds, whole
from actorgrid.api.starting import (
    capacities,
    capacity,
    check_address,
    check_engine,
    check_labels,
    check_limits,
    check_preload,
    check_unsupported,
    cpus,
    default_logging,
    job_setup,
    logging_settings,
    one_of,
    or_none,
    spill_directory,
    threshold,
    whole_bytes,
    with_environment,
)
from actorgrid.api.texts import not_empty
from actorgrid.engine.current import host, install, installed, set_processes, start_processes
from actorgrid.engine.definitions import StartConfig
from actorgrid.engine.interrupts import exit_on_signal, is_hurried, is_import, is_under
from actorgrid.exceptions import NotStartedError, ResourceLimitError

if TYPE_CHECKING:
    from actorgrid.api.job_config import JobConfig
    from actorgrid.api.logs import LoggingConfig
    from actorgrid.engine.protocol import Engine

_lock = threading.RLock()
_at_exit = False
_to_finish: Final[list[Callable[[], None]]] = []


def init(  # Ray's signature
    address: str | None = None,
    *,
    num_cpus: int | None = None,
    num_gpus: float | None = None,
    resources: Mapping[str, float] | None = None,
    labels: Mapping[str, str] | None = None,
    object_store_memory: int | None = None,
    local_mode: bool = False,
    ignore_reinit_error: bool = False,
    job_config: JobConfig | None = None,
    logging_config: LoggingConfig | None = None,
    log_to_driver: bool | None = None,
    namespace: str | None = None,
    runtime_env: Mapping[str, Any] | None = None,
    preload: Sequence[str] = (),
    max_workers: int | None = None,
    restart_intensity: int = 10,
    restart_period: float = 5.0,
    object_spilling_directory: str | None = None,
    max_pending_tasks: int | None = None,
    on_max_pending: str = "wait",
    memory_usage_threshold: float | None = None,
    max_worker_memory: int | None = None,
    engine: str | None = None,
    seed: int | None = None,
    _memory: int | None = None,
    _node_name: str | None = None,
    **kwargs: Any,
) -> GridContext:
    """Start a grid for this process. The first call that needs one does so with defaults.

    ``address`` joins a persistent grid instead (``actorgrid start``): the path of its socket, or "auto" for
    ``ACTORGRID_ADDRESS`` or the default one. That variable alone does so too; "local" does not. What follows up to
    ``object_store_memory``, ``preload``, the limits on processes and memory, and what begins with an underscore are
    for grids of one's own.

    ``num_cpus`` and ``num_gpus`` (default: what this process may use, and no more CPUs than ``ACTORGRID_NUM_CPUS``
    says) and ``resources``, whole numbers, are what tasks are counted against; ``labels`` are those of this machine,
    for ``label_selector``, and ``_node_name`` is its name in ``nodes()``; ``_memory`` is what tasks that ask for memory
    are counted against, in bytes; ``object_store_memory`` is a limit in bytes, beyond which the least recently used
    objects go to a file in ``object_spilling_directory`` (default: ``ACTORGRID_SPILL_DIRECTORY``, else the temporary
    directory; an empty text: they stay, and what does not fit is refused); ``preload`` names modules that workers have
    imported before they are needed; ``max_workers`` is a limit on processes. An actor that dies more than
    ``restart_intensity`` times within ``restart_period`` seconds without serving a call in between is in a loop and
    stays dead. A process that has ``max_pending_tasks`` unfinished tasks (default: any number) waits in ``f.remote()``
    until a tenth of them are over, or gets a PendingCallsLimitExceeded (``on_max_pending="raise"``; always where an
    event loop would have to wait). When more than ``memory_usage_threshold`` (0.95) of the memory of the machine, or of
    a control group, is in use, a worker is killed (``OutOfMemoryError``); one that has more than ``max_worker_memory``
    bytes of its own when a task is over is replaced. ``runtime_env`` is what tasks and actors inherit
    (``runtime_env.RuntimeEnv``). ``engine`` is "process" (the default, unless the environment variable
    ``ACTORGRID_ENGINE`` says otherwise) or "sim": everything in this thread, on virtual time, deterministically, in the
    order that ``seed`` stands for. Arguments of ``ray.init`` that are about dashboards and clusters are accepted
    without effect (a dashboard that is asked for gives a warning). ``logging_config`` says how the root logger of
    driver and workers logs. ``job_config`` stands for ``namespace``, ``runtime_env`` and ``logging_config``.

    A grid that has died is replaced. Raises RuntimeError if there is a grid already, as there is inside a task (unless
    ``ignore_reinit_error``, or while a worker imports a module whose top level says ``init()``: that grid's context is
    returned), for unknown arguments and for ``local_mode``;
    ConnectionError where no grid is at ``address``, PermissionError where one is that is not this
    user's; ValueError and TypeError for bad values.
    """
    check_unsupported(local_mode, kwargs, init)
    or_none(not_empty, "namespace", namespace)
    if job_config is not None:
        from actorgrid.api.job_config import completed  # few programs have one

        namespace, runtime_env, logging_config = completed(job_config, namespace, runtime_env, logging_config)
    engine = check_engine(engine, seed)
    own = {
        "num_cpus": num_cpus, "num_gpus": num_gpus, "resources": resources, "labels": labels,
        "object_store_memory": object_store_memory,
        "preload": preload or None, "max_workers": max_workers, "memory_usage_threshold": memory_usage_threshold,
        "max_worker_memory": max_worker_memory, "object_spilling_directory": object_spilling_directory,
        "_memory": _memory, "_node_name": _node_name, "_system_config": kwargs.get("_system_config") or None,
    }  # fmt: skip
    config = StartConfig(
        num_cpus=or_none(cpus, "num_cpus", num_cpus),
        num_gpus=or_none(capacity, "num_gpus", num_gpus),
        resources=capacities("resources", resources or {}),
        object_store_memory=or_none(whole_bytes, "object_store_memory", object_store_memory),
        namespace=or_none(not_empty, "namespace", namespace or os.environ.get("ACTORGRID_NAMESPACE")),
        preload=check_preload(preload),
        log_to_driver=default_logging() if log_to_driver is None else flag("log_to_driver", log_to_driver),
        setup=job_setup(runtime_env),
        max_workers=or_none(whole(1), "max_workers", max_workers),
        restart_intensity=whole(0)("restart_intensity", restart_intensity),
        restart_period=seconds("restart_period", restart_period),
        max_pending_tasks=or_none(whole(1), "max_pending_tasks", max_pending_tasks) or 0,
        refuse_pending_tasks=one_of("on_max_pending", on_max_pending, "wait", "raise") == "raise",
        memory_threshold=threshold(memory_usage_threshold),
        max_worker_memory=or_none(whole_bytes, "max_worker_memory", max_worker_memory) or 0,
        object_spilling_directory=spill_directory(object_spilling_directory),
        address=check_address(address, own),
        logging=logging_settings(logging_config),
        labels=check_labels(labels or {}),
        memory=None if _memory is None else int(quantity("_memory", _memory)),
        node_name=or_none(not_empty, "_node_name", _node_name) or "",
    )
    config = with_environment(config, engine)
    with _lock:
        there = installed()
        if there is not None and there.has_ended():
            shutdown()
            there = installed()
        if there is None:
            _start(config, engine, seed)
            _begin_to_log(config)
        elif not (ignore_reinit_error or _imports_in_worker(there)):
            raise RuntimeError(
                "Maybe you called actorgrid.init twice by accident? This error can be suppressed by passing in "
                "'ignore_reinit_error=True' or by calling 'actorgrid.shutdown()' prior to 'actorgrid.init()'."
            )
    return GridContext(running(), config.address, shutdown)


def _imports_in_worker(engine: Engine) -> bool:
    """Return whether a worker runs the top level of a module: one that starts a grid there joins this one."""
    return engine.context().worker != 0 and is_under(sys._getframe(), is_import)  # noqa: SLF001  # who called us


def start_implicitly() -> Engine:
    """Start a grid with defaults because a call needs one. Raises NotStartedError where that was switched off."""
    if os.environ.get("ACTORGRID_ENABLE_AUTO_CONNECT") == "0":
        raise NotStartedError("actorgrid has not been started yet: call actorgrid.init()")
    with _lock:
        if installed() is None:
            init()
        engine = installed()
    assert engine is not None
    return engine


def _start(config: StartConfig, engine: str, seed: int | None) -> None:
    global _at_exit  # noqa: PLW0603  # atexit handlers are a thing of the process
    simulation = host()
    if simulation is not None:
        install(simulation(config))
        return
    if engine == "sim":
        from actorgrid.sim.session import start_ambient

        install(start_ambient(config, seed))
        return
    install(start_processes(config))
    if not _at_exit:
        _at_exit = True
        atexit.register(_shutdown_at_exit)
    _exit_on_sigterm()


def _begin_to_log(config: StartConfig) -> None:
    if config.logging is not None:
        from actorgrid.engine import logs  # logging takes its time to import

        logs.apply(config.logging)


def _processes(config: StartConfig) -> Engine:
    if config.address:
        from actorgrid.runtime.joined import JoinedEngine

        return JoinedEngine(config)
    from actorgrid.runtime.devices import check
    from actorgrid.runtime.spawn import Spawned

    check_limits()
    check(config.num_gpus)
    try:
        head = Spawned(config)  # first: its interpreter starts while this one imports the rest
    except OSError as error:
        raise _refused(error) from error
    try:
        from actorgrid.runtime.driver import DriverEngine

        return DriverEngine(config, head)
    except BaseException as error:
        head.abandon()
        if isinstance(error, RuntimeError) and "start new thread" in str(error):
            raise _refused(error) from error
        if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM}:
            raise _refused(error) from error
        raise


def _refused(error: Exception) -> ResourceLimitError:
    return ResourceLimitError(
        f"the system refuses what a grid needs ({error}): two processes and one per CPU, a second thread here and in "
        "each worker, about 10 descriptors here. Raise the limits (ulimit -u, ulimit -n, pids.max of the control group)"
    )


set_processes(_processes)


def _exit_on_sigterm() -> None:
    """Let SIGTERM end the driver by an exception, so that its exit handlers run (Ray's rule)."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, exit_on_signal)


class _Fork(threading.local):
    """Forked children die of SIGTERM as ever: the rule is for the driver alone, and ``Pool.terminate`` needs it so.

    A signal that comes between the fork and the change of its handler must not get lost: it is blocked meanwhile.
    """

    mask: Any = None

    def before(self) -> None:
        """Hold SIGTERM back if its handler is ours."""
        if signal.getsignal(signal.SIGTERM) is exit_on_signal:
            self.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def after(self) -> None:
        """Let it through."""
        if self.mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)
            self.mask = None

    def after_in_child(self) -> None:
        """Let it through, and kill."""
        if self.mask is not None:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self.after()


_fork = _Fork()
os.register_at_fork(before=_fork.before, after_in_parent=_fork.after, after_in_child=_fork.after_in_child)


# ------------------------------------------------------------------------------------------------- the running grid


def shutdown(*, wait_for_processes: bool = False, _exiting_interpreter: bool = False) -> None:
    """End the grid that this process started. Safe to call twice; inside a task it does nothing."""
    del wait_for_processes, _exiting_interpreter  # the processes are always waited for
    with _lock:
        engine = installed()
        if engine is None or engine.context().worker != 0:
            return
        try:
            engine.shutdown()
        finally:
            install(None)
            if "actorgrid.engine.logs" in sys.modules:
                sys.modules["actorgrid.engine.logs"].restore()
            if (
                threading.current_thread() is threading.main_thread()
                and signal.getsignal(signal.SIGTERM) is exit_on_signal
            ):
                signal.signal(signal.SIGTERM, signal.SIG_DFL)


def finish_first(finish: Callable[[], None]) -> None:
    """Have the end of a program call ``finish`` before the grid ends with it, unless a signal ends the program."""
    _to_finish.append(finish)


def _shutdown_at_exit() -> None:
    """End the grid with the program. Whoever presses Ctrl-C once more then gets what they want without a traceback."""
    with contextlib.suppress(KeyboardInterrupt):
        for finish in [] if is_hurried() else _to_finish:
            finish()
    with contextlib.suppress(KeyboardInterrupt):  # everything of ours ends with this process anyway
        shutdown()
    _bind_names()


def _bind_names() -> None:
    """A finalizer may be the first to use a name of the package, when nothing can be imported any more."""
    for home, names in actorgrid._HOMES.items():  # noqa: SLF001  # the package's own
        if f"{actorgrid.__name__}.{home}" in sys.modules:
            for name in names:
                getattr(actorgrid, name)


def is_initialized() -> bool:
    """Return whether this process belongs to a grid."""
    return installed() is not None


def running() -> Engine:
    """Return the engine of this process. Raises NotStartedError if there is no grid."""
    engine = installed()
    if engine is None:
        raise NotStartedError("actorgrid has not been started yet: call actorgrid.init()")
    return engine


def nodes() -> list[dict[str, Any]]:
    """Return one record for this machine, with Ray's keys. Raises NotStartedError if there is no grid."""
    return running().nodes()


def cluster_resources() -> dict[str, float]:
    """Return what the grid has, by name. Raises NotStartedError if there is no grid."""
    return running().cluster_resources()


def available_resources() -> dict[str, float]:
    """Return what is free now; what is used up is absent. Raises NotStartedError if there is no grid."""
    return running().available_resources()
