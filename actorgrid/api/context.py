"""Where the calling code runs: ``get_runtime_context()``."""

from __future__ import annotations

import sys
import tempfile
import warnings
from typing import Any

from actorgrid.api.deprecation import RayDeprecationWarning
from actorgrid.api.environments import RuntimeEnv
from actorgrid.api.handle import ActorHandle, rebuild
from actorgrid.api.placement import GROUP_DIGITS
from actorgrid.core.ids import Id, render
from actorgrid.engine.current import current
from actorgrid.engine.definitions import Context
from actorgrid.engine.setups import as_given


def _older(old: str, name: str) -> property:
    """Return property ``old``: what method ``name`` returns, and a warning."""

    def get(context: RuntimeContext) -> Id | None:
        _warn_of(old, name)
        ident = getattr(context, name)()
        return None if ident is None else Id(ident)

    return property(get, doc=f"What ``{name}()`` returns: the older way to ask for it.")


def _warn_of(old: str, new: str) -> None:
    warnings.warn(f"{old} is deprecated, as in Ray: use {new}()", RayDeprecationWarning, stacklevel=3)


class RuntimeContext:
    """Ids and names of the job, worker, task and actor that the calling code belongs to. Ids are hex strings."""

    @property
    def _here(self) -> Context:
        return current().context()

    def _id(self, ident: int, length: int) -> str | None:
        return render(ident, self._here.session, length) if ident else None

    def get_job_id(self) -> str:
        """Return the job's id."""
        return self._here.job.to_bytes(4, "little").hex()

    def get_node_id(self) -> str:
        """Return the machine's id, the same as in ``nodes()``."""
        return str(current().nodes()[0]["NodeID"])

    def get_worker_id(self) -> str:
        """Return the id of this process."""
        return render(current().process(), self._here.session, 56)

    def get_task_id(self) -> str | None:
        """Return the id of the running task; None in a driver."""
        return self._id(self._here.task, 48)

    def get_task_name(self) -> str | None:
        """Return the name of the running task; None in a driver."""
        return self._here.task_name or None

    def get_task_function_name(self) -> str | None:
        """Return the name of the running task's function, after that of its module; None in a driver."""
        return self._here.function or None

    def get_actor_id(self) -> str | None:
        """Return the id of the actor; None outside actors."""
        return self._id(self._here.actor, 32)

    def get_actor_name(self) -> str | None:
        """Return the name of the actor, "" if it has none; None outside actors."""
        here = self._here
        return here.actor_name if here.actor else None

    def get_placement_group_id(self) -> str | None:
        """Return the id of the placement group that the calling code runs in; None if it runs in none."""
        placement = self._here.placement
        return self._id(placement.group, GROUP_DIGITS) if placement is not None else None

    def get_assigned_resources(self) -> dict[str, float]:
        """Return what the running task or the actor holds, by the name of the resource."""
        return dict(self._here.assigned_resources)

    def get_accelerator_ids(self) -> dict[str, list[str]]:
        """Return the ids of the devices that the running task or the actor has, by the name of the resource."""
        return {"GPU": list(self._here.devices)}

    def get_node_labels(self) -> dict[str, str]:
        """Return the labels of this machine."""
        return dict(current().nodes()[0].get("Labels", {}))

    def get_runtime_env_string(self) -> str:
        """Return ``runtime_env`` as JSON."""
        return self.runtime_env.serialize()

    def get_session_name(self) -> str:
        """Return a name of the running grid."""
        return f"session_{self._here.session}"

    def get_temp_dir(self) -> str:
        """Return the directory for temporary files. The grid itself makes none."""
        return tempfile.gettempdir()

    def is_canceled(self) -> bool:
        """Return whether the running task was cancelled. Raises RuntimeError in async actors (see CancelledError)."""
        asyncio = sys.modules.get("asyncio")
        here = self._here
        if here.actor and asyncio is not None and asyncio._get_running_loop() is not None:  # noqa: SLF001  # no public test
            raise RuntimeError("is_canceled() is not available in async actors: catch asyncio.CancelledError")
        return here.cancelled

    @property
    def namespace(self) -> str:
        """The namespace in which names of actors are looked up."""
        return self._here.namespace

    @property
    def current_actor(self) -> ActorHandle[Any]:
        """A handle of the actor, which does not keep it alive. Raises RuntimeError outside actors."""
        return rebuild(*current().current_actor())

    @property
    def was_current_actor_reconstructed(self) -> bool:
        """Whether the actor has been restarted. Raises RuntimeError outside actors."""
        here = self._here
        if not here.actor:
            raise RuntimeError("was_current_actor_reconstructed is only available inside an actor")
        return here.incarnation > 0

    @property
    def runtime_env(self) -> RuntimeEnv:
        """The runtime environment that the calling code runs in; in a driver, what its tasks and actors inherit."""
        return RuntimeEnv(_validate=False, **as_given(self._here.setup))

    @property
    def gcs_address(self) -> str:
        """Empty: nothing listens on a port."""
        return ""

    @property
    def should_capture_child_tasks_in_placement_group(self) -> bool:
        """Whether what the calling code submits runs in its placement group, unless it says otherwise."""
        placement = self._here.placement
        return placement is not None and bool(placement.capture)

    actor_id = _older("actor_id", "get_actor_id")
    current_placement_group_id = _older("current_placement_group_id", "get_placement_group_id")
    job_id = _older("job_id", "get_job_id")
    node_id = _older("node_id", "get_node_id")
    task_id = _older("task_id", "get_task_id")

    def get_resource_ids(self) -> dict[str, list[str]]:
        """Return what ``get_accelerator_ids()`` returns: the older way to ask for it."""
        _warn_of("get_resource_ids()", "get_accelerator_ids")
        return self.get_accelerator_ids()

    def get(self) -> dict[str, Any]:
        """Return job id, node id and namespace, and where there are any the ids of task and actor: the older way."""
        _warn_of("get()", "get_job_id(), get_node_id(), get_task_id")
        found = {
            "job_id": self.get_job_id(),
            "node_id": self.get_node_id(),
            "task_id": self.get_task_id(),
            "actor_id": self.get_actor_id(),
        }
        return {name: Id(value) for name, value in found.items() if value is not None} | {"namespace": self.namespace}


_context = RuntimeContext()


def get_runtime_context() -> RuntimeContext:
    """Return the context of the calling code. It may be kept: it answers for whoever asks."""
    current()  # starts a grid if there is none
    return _context
