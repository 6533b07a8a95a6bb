"""Control: actors and the grid itself. The rest of the engine protocol, on top of ``ReservingEngine``."""

from __future__ import annotations

import platform
from typing import Any

from actorgrid.core import messages as m
from actorgrid.core.client import Awaited
from actorgrid.core.resources import UNIT
from actorgrid.engine import placing
from actorgrid.engine.calls import actor_spec
from actorgrid.engine.definitions import ActorDefinition, ActorOptions, to_send
from actorgrid.engine.interrupts import protected
from actorgrid.engine.protocol import Handle
from actorgrid.engine.refs import ActorRef, ObjectRef
from actorgrid.engine.reserving import ReservingEngine
from actorgrid.engine.serialize import dumps, loads
from actorgrid.engine.waits import PendingCalls
from actorgrid.exceptions import ActorAlreadyExistsError, GetTimeoutError


class LocalEngine(ReservingEngine):
    """Everything of the engine protocol that our own machines offer, whatever hosts them."""

    # ------------------------------------------------------------------------------------ actors

    def create_actor(
        self, definition: ActorDefinition, options: ActorOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[ActorRef, bool]:
        """See ``Engine``."""
        spec = actor_spec(definition, options)
        placing.check(self, spec, options.where)
        spec.setup = self.setup_for(options.runtime_env)
        spec = self.captured_spec(spec)
        prepared = self._prepare(spec, definition.cls)
        namespace = self.namespace if options.namespace is None else options.namespace
        call, keep = self._with_arguments(spec, args, kwargs, 0) if args or kwargs else (m.Submit(0, spec.spec), None)
        handle = dumps((definition.name, to_send(definition.methods), definition.groups), definition.name).inline()
        create = m.CreateActor(
            0, spec.spec, call.args, call.deps, call.slots, call.refs, name=options.name, namespace=namespace,
            get_if_exists=options.get_if_exists, handle=handle,
        )  # fmt: skip
        actor, created = self._create(create, spec.name)
        del keep, prepared
        if not created:
            self.saw_chance()
        if options.max_pending_calls > 0:
            self._pending_calls[actor.ident] = PendingCalls(options.max_pending_calls)
        return actor, created

    def _create(self, create: m.CreateActor, name: str) -> tuple[ActorRef, bool]:
        if not create.name:
            return self._enter_actor(create, name), True
        before = self._placed(create, name)
        if before is not None:
            return before, True
        made: list[ActorRef] = []

        def take(answer: m.Answer) -> None:
            # If whoever asked was interrupted meanwhile, this reference goes at once and gives the grant back.
            if not answer.error:
                entry = self.client.granted(answer.body["actor"])
                entry.actor = entry.heavy = True
                made.append(ActorRef(entry))

        answer = self._ask(create, take=take)
        if answer.error:
            self.saw_chance()
            where = f" in namespace {create.namespace!r}" if create.namespace else ""
            raise ActorAlreadyExistsError(f"the name {create.name!r} is taken{where} by an actor that is alive")
        return made.pop(), answer.body["created"]

    @protected
    def _placed(self, create: m.CreateActor, name: str) -> ActorRef | None:
        """Give the creation of a named actor its number; return the actor if the calling code made it before."""
        with self.lock:
            create.parent, create.nth = self.current_task()
            made = self.made_before(create.nth, name, 1, 0, found=True)
            return None if made is None else self._made(made)

    def _made(self, made: m.Made) -> ActorRef:
        entry = self.client.entries[made.ident]
        entry.actor = entry.heavy = True
        return ActorRef(entry)

    @protected
    def _enter_actor(self, create: m.CreateActor, name: str) -> ActorRef:
        client = self.client
        with self.lock:
            if client.dead is not None:
                raise client.dead
            create.parent, create.nth = self.current_task()
            made = self.made_before(create.nth, name, 1, 0)
            if made is not None:
                return self._made(made)
            create.task = client.take_ids(1)
            entry = client.promise(create.task)
            entry.actor = entry.heavy = True
            client.outbox.append(create)
            if client.dropped:
                client.collect()
            self.send(force=False)
            return ActorRef(entry)

    @protected
    def _weak(self, ident: int) -> ActorRef:
        """Return a weak reference to an actor that the head told us about."""
        with self.lock:
            entry = self.client.entries.get(ident) or self.client.ungranted(ident)
            entry.actor = entry.heavy = True
            return ActorRef(entry, weak=True)

    def kill(self, actor: ActorRef, *, no_restart: bool) -> None:
        """See ``Engine``."""
        self._tell(m.KillActor(actor.ident, no_restart))

    def cancel(self, ref: ObjectRef[Any], *, force: bool, recursive: bool, waiting: bool = False) -> None:
        """See ``Engine``."""
        if force and self.query("kind", {"oid": self._own(ref)}).body["kind"] == m.Kind.METHOD:
            raise ValueError("force=True is not supported for actor tasks.")
        self._tell(m.Cancel(self._own(ref), force, recursive, waiting))

    def get_actor(self, name: str, namespace: str | None) -> Handle:
        """See ``Engine``."""
        where = self.namespace if namespace is None else namespace
        answer = self.query("get_actor", {"name": name, "namespace": where}, may_fail=True)
        if answer.error:
            raise ValueError(
                f"Failed to look up actor with name '{name}'. This could be because 1. You are trying to look up a "
                "named actor you didn't create. 2. The named actor died. 3. You did not use a namespace matching the "
                "namespace of the actor."
            )
        return self._weak(answer.body["actor"]), *loads(answer.body["handle"])

    def named_actors(self) -> list[tuple[str, str]]:
        """See ``Engine``."""
        return [(namespace, name) for namespace, name in self.query("named_actors").body["names"]]

    def current_actor(self) -> Handle:
        """See ``Engine``."""
        raise RuntimeError("current_actor is only available inside an actor")

    def exit_actor(self) -> None:
        """See ``Engine``."""
        raise TypeError("exit_actor can only be called inside an actor")

    def _explain(self, entry: Awaited) -> list[str]:
        """See ``CallingEngine``."""
        told: list[str] = self.query("explain", {"oid": entry.oid}).body["told"]
        return told

    # ------------------------------------------------------------------------------------ asking the head

    @protected
    def describe(self, metric: m.Metric) -> None:
        """See ``Engine``."""
        with self.lock:
            self.measures.describe(metric)

    @protected
    def measure(self, metric: m.Metric, tags: tuple[tuple[str, str], ...], value: float) -> None:
        """See ``Engine``. When the grid is gone there is nobody left to tell."""
        with self.lock:
            if self.client.dead is None and self.measures.record(metric, tags, value):
                self.soon()

    def inspect(self, what: str, body: dict[str, Any], timeout: float | None = None) -> dict[str, Any]:
        """See ``Engine``."""
        self.saw_chance()
        answer = self._ask_within(m.Query(0, what, body), timeout)
        if answer is None:
            raise GetTimeoutError(f"the head has not answered within {timeout} s what was asked of it ({what})")
        if answer.error:
            raise RuntimeError(f"query {what!r}: {answer.error}")
        return answer.body

    # ------------------------------------------------------------------------------------ processes

    def keep_changes(self) -> None:
        """See ``Engine``. A driver's process is its own."""

    def unneeded(self, setup: bytes) -> None:
        """See ``Engine``."""
        self.tell_quietly(m.Unneeded(setup))

    @protected
    def tell_quietly(self, message: Any) -> None:
        """Say something to the head if it still listens."""
        with self.lock:
            if self.client.dead is None:
                self.client.outbox.append(message)
                self.send(force=True)

    # ------------------------------------------------------------------------------------ the grid

    def cluster_resources(self) -> dict[str, float]:
        """See ``Engine``."""
        if self.client.dead is not None:
            raise self.client.dead
        return dict(self.capacity)

    def available_resources(self) -> dict[str, float]:
        """See ``Engine``."""
        body = self.query("available").body
        return {name: units / UNIT for name, units in body.items()}

    def has_ended(self) -> bool:
        """See ``Engine``."""
        return self.client.dead is not None

    def nodes(self) -> list[dict[str, Any]]:
        """See ``Engine``."""
        host = platform.node() or "localhost"
        node = {
            "NodeID": self.node_id, "Alive": True, "NodeManagerAddress": "127.0.0.1",
            "NodeManagerHostname": host, "NodeManagerPort": 0, "ObjectManagerPort": 0, "ObjectStoreSocketName": "",
            "RayletSocketName": "", "MetricsExportPort": 0, "MetricsAgentPort": 0, "DashboardAgentListenPort": 0,
            "RuntimeEnvAgentPort": 0, "NodeName": self.node_name or host, "DeathReason": 0, "DeathReasonMessage": "",
            "alive": True, "Resources": dict(self.capacity), "Labels": self.node_labels(),
        }  # fmt: skip
        return [node]
