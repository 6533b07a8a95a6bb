"""Calls: registering functions, submitting tasks, calling actors, storing objects.

Part of ``LocalEngine``, the engine protocol on our own head, worker and client machines, whatever hosts them.
"""

from __future__ import annotations

import hashlib
import sys
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from actorgrid.core import messages as m
from actorgrid.engine import placing, setups
from actorgrid.engine.calls import PreparedCall, method_spec, task_spec
from actorgrid.engine.definitions import FunctionDefinition, MethodOptions, TaskOptions
from actorgrid.engine.generators import ObjectRefGenerator
from actorgrid.engine.interrupts import breathing, protected
from actorgrid.engine.protocol import Returns
from actorgrid.engine.reading import ReadingEngine
from actorgrid.engine.refs import ActorRef, ObjectRef
from actorgrid.engine.serialize import INLINE_LIMIT, NONE, Pickled, dumps, dumps_code
from actorgrid.engine.waits import PendingCalls, PendingTasks
from actorgrid.exceptions import (
    ActorHandleNotFoundError,
    PendingCallsLimitExceeded,
    SerializationError,
)


class CallingEngine(ReadingEngine):
    """Calls, puts and waits."""

    def __init__(self, client_number: int, session: str, capacity: dict[str, float], namespace: str) -> None:
        """See ``EngineBase``."""
        super().__init__(client_number, session, capacity, namespace)
        #: Digest of exported code -> prepared calls that use it.
        self._exported: dict[bytes, int] = {}
        #: Specs of prepared calls that are gone. Only appended to outside the lock.
        self.forgotten: deque[m.Spec] = deque()
        #: Actors with a limit on pending calls.
        self._pending_calls: dict[int, PendingCalls] = {}
        self.pending_tasks: PendingTasks | None = None
        #: Tasks are submitted as they are: nothing limits their number, and no caller here takes them along.
        self.direct = True

    # ------------------------------------------------------------------------------------ calls

    def prepare_task(self, definition: FunctionDefinition, options: TaskOptions) -> PreparedCall:
        """See ``Engine``."""
        spec = task_spec(definition, options)
        placing.check(self, spec, options.where)
        spec.setup = self.setup_for(options.runtime_env)
        return self._prepare(spec, definition.function)

    def setup_for(self, own: Mapping[str, Any]) -> bytes:
        """Return the setup of a call that is made here: inherited, with what it asks for itself. Raises ValueError."""
        wanted = setups.merge(self.setup, own) if own else self.setup
        return b"" if wanted == self.plain else setups.encode(wanted)

    def prepare_method(self, method: str, display_name: str, options: MethodOptions) -> PreparedCall:
        """See ``Engine``."""
        return self._prepare(method_spec(method, display_name, options), None)

    def _prepare(self, spec: m.Spec, code: Any) -> PreparedCall:
        if code is not None:
            pickled: Pickled | None = dumps_code(code, spec.name)
            assert pickled is not None
            spec.digest = hashlib.blake2b(pickled.data, digest_size=16).digest()
        else:
            pickled = None
        return self._register(spec, pickled)

    def _register(self, spec: m.Spec, pickled: Pickled | None) -> PreparedCall:
        """Export code that is new to the head, then the spec."""
        if pickled is not None:
            self.refresh_environment()
        while True:
            value = self.place(pickled) if pickled is not None and spec.digest not in self._exported else None
            prepared = self._enter_spec(spec, value)
            if prepared is not None:
                return prepared

    @protected
    def _enter_spec(self, spec: m.Spec, value: m.Value | None) -> PreparedCall | None:
        """Register ``spec`` with its code; None if the head has just been told to forget that code."""
        with self.lock:
            if self.client.dead is not None:
                raise self.client.dead
            self._forget()
            if value is not None:
                self.client.outbox.append(m.Export(spec.digest, spec.name, value))
            elif spec.digest and spec.digest not in self._exported:
                return None
            if spec.digest:
                self._exported[spec.digest] = self._exported.get(spec.digest, 0) + 1
            spec.spec = self.client.take_ids(1)
            self.client.outbox.append(spec)
            return PreparedCall(self, spec)

    def _forget(self) -> None:
        """Tell the head about prepared calls that are gone. Called with the lock held."""
        while self.forgotten:
            spec = self.forgotten.popleft()
            self.client.outbox.append(m.Forget(spec.spec))
            if spec.digest:
                self._exported[spec.digest] -= 1
                if not self._exported[spec.digest]:
                    del self._exported[spec.digest]

    def captured(self, prepared: PreparedCall) -> PreparedCall:
        """Return a call as it is for the calling code, which may take along what it submits to its placement group.

        Raises InfeasibleResourcesError.
        """
        return prepared

    def captured_spec(self, spec: m.Spec) -> m.Spec:
        """Do the same for the spec of an actor."""
        return spec

    def submit(self, prepared: PreparedCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Returns:
        """See ``Engine``."""
        if self.direct:
            return self._submit(prepared, args, kwargs, 0)
        prepared = self.captured(prepared)
        if self.pending_tasks is None:
            return self._submit(prepared, args, kwargs, 0)
        self._make_room(self.pending_tasks)
        returned = self._submit(self._counted(prepared), args, kwargs, 0)
        return returned if prepared.num_returns else None

    def limit_pending(self, limit: int, *, refuses: bool) -> None:
        """Let this process have ``limit`` unfinished tasks at most; 0: any number."""
        if limit:
            self.pending_tasks = PendingTasks(limit, refuses=refuses)
            self.direct = False

    def _make_room(self, pending: PendingTasks) -> None:
        """Wait until one more task may be submitted. Raises PendingCallsLimitExceeded."""
        while pending.excess():
            pending.check(may_wait=not in_event_loop())
            with self.lock:  # it may have become less
                missing, entries = pending.excess(), list(pending.entries)
            if missing:
                self._wait_for(missing, entries, None, "remote")

    def _counted(self, prepared: PreparedCall) -> PreparedCall:
        """Return the same call with a result, which says when it is over."""
        if prepared.num_returns:
            return prepared
        if prepared.counted is None:
            prepared.counted = self._register(replace(prepared.spec, num_returns=1), None)
        return prepared.counted

    def call(self, actor: ActorRef, prepared: PreparedCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Returns:
        """See ``Engine``."""
        ident = actor.ident
        engine: object = actor.engine
        if engine is not self:  # its number may be another actor's here
            message = "this handle belongs to another session: the grid of its actor has ended or is another process's"
            raise ActorHandleNotFoundError(message)
        if ident in self._pending_calls:
            self._check_pending_calls(ident)
            if not prepared.num_returns:
                self._submit(self._counted(prepared), args, kwargs, ident)
                return None
        return self._submit(prepared, args, kwargs, ident)

    def _check_pending_calls(self, actor: int) -> None:
        try:
            self._pending_calls[actor].check()
        except PendingCallsLimitExceeded:
            self.saw_chance()
            raise

    def _submit(self, prepared: PreparedCall, args: tuple[Any, ...], kwargs: dict[str, Any], actor: int) -> Returns:
        if args or kwargs:
            message, _keep = self._with_arguments(prepared.spec, args, kwargs, actor)
        else:
            message = m.Submit(0, prepared.number, b"", (), (), (), actor)
        return self._enter(message, prepared)

    def made_before(self, nth: int, name: str, count: int, actor: int, *, found: bool = False) -> m.Made | None:
        """Return what the calling code submitted as its number ``nth`` when it ran before, None if that is needed anew.

        ``found``: perhaps nothing, because an actor of that name was there already. Called with the lock held.
        """
        del nth, name, count, actor, found
        return None

    @protected
    def _enter(self, message: m.Submit, prepared: PreparedCall) -> Returns:
        """Give a call its id and send it: from here on the task exists."""
        client, num_returns = self.client, prepared.num_returns
        with self.lock:
            if client.dead is not None:
                raise client.dead
            message.parent, message.nth = self.current_task()
            result: Returns
            if prepared.streams:  # what an earlier run has read is gone: it is made anew
                made = None
            else:
                made = self.made_before(message.nth, prepared.spec.name, num_returns, message.actor)
            if made is not None:
                refs: list[ObjectRef[Any]] = [
                    ObjectRef(client.entries[made.ident + index]) for index in range(num_returns)
                ]
                return refs[0] if num_returns == 1 else refs or None
            message.task = oid = client.take_ids(num_returns)
            if client.dropped:
                client.collect()
            if prepared.streams:
                result = ObjectRefGenerator(client.open(oid, prepared.spec.yields))
            elif num_returns == 1:
                entry = client.promise(oid)
                result = ObjectRef(entry)
            elif num_returns:
                result = [ObjectRef(client.promise(oid + index)) for index in range(num_returns)]
            else:
                result = None
            client.outbox.append(message)
            if client.unanswered < 2:
                self.send(force=False)
            if message.actor in self._pending_calls:
                self._pending_calls[message.actor].add(client.entries[oid])
            elif self.pending_tasks is not None and not message.actor:
                self.pending_tasks.add(client.entries[oid])
        return result

    def _with_arguments(
        self, spec: m.Spec, args: tuple[Any, ...], kwargs: dict[str, Any], actor: int
    ) -> tuple[m.Submit, Any]:
        """Pickle the arguments; references at the top level become dependencies.

        Also returns what must stay alive until the message is in the outbox.
        """
        deps: list[int] = []
        slots: list[int | str] = []
        for index, argument in enumerate(args):
            if type(argument) is ObjectRef:
                deps.append(self._own(argument))
                slots.append(index)
        for key, argument in kwargs.items():
            if type(argument) is ObjectRef:
                deps.append(self._own(argument))
                slots.append(key)
        if deps:
            args = tuple(None if type(argument) is ObjectRef else argument for argument in args)
            kwargs = {key: None if type(argument) is ObjectRef else argument for key, argument in kwargs.items()}
        pickled = self._pickle_arguments(args, kwargs, spec.name)
        if pickled.size <= INLINE_LIMIT:
            return m.Submit(0, spec.spec, pickled.inline(), tuple(deps), tuple(slots), pickled.refs, actor), None
        whole = self.put_pickled(pickled)
        deps.insert(0, self._own(whole))
        slots.insert(0, -1)
        return m.Submit(0, spec.spec, b"", tuple(deps), tuple(slots), pickled.refs, actor), whole

    @staticmethod
    def _pickle_arguments(args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> Pickled:
        try:
            return dumps((args, kwargs), name)
        except SerializationError as error:
            first = error
        dumps(
            args, f"{name}: args"
        )  # the same error again, with the path as the caller knows it, and not after the first
        dumps(kwargs, f"{name}: kwargs")
        raise first

    def _own(self, ref: ObjectRef[Any]) -> int:
        entry = self._entry(ref)
        entry.read = True
        return entry.oid

    # ------------------------------------------------------------------------------------ objects

    def put(self, value: Any) -> ObjectRef[Any]:
        """See ``Engine``."""
        return self.put_pickled(dumps(value, "the value"))

    @breathing
    def put_pickled(self, pickled: Pickled) -> ObjectRef[Any]:
        """Make an object of what is pickled: all of it, or, if that is interrupted, nothing that takes up memory."""
        return self.put_value(self.place(pickled))

    @protected
    def put_value(self, value: m.Value) -> ObjectRef[Any]:
        """Make an object of a value that is stored already."""
        client = self.client
        with self.lock:
            if client.dead is not None:
                raise client.dead
            oid = client.take_ids(1)
            if client.dropped:
                client.collect()
            ref: ObjectRef[Any] = ObjectRef(client.own(oid, value))
            client.outbox.append(m.Put(oid, value))
            self.send(force=False)
        return ref

    def end_of(self, process: int) -> ObjectRef[None]:
        """See ``Engine``."""
        return self.foretold(lambda oid: m.AwaitEnd(oid, process, m.Value(m.Status.OK, NONE)), now=True)

    @protected
    def foretold(self, message: Callable[[int], Any], *, now: bool) -> ObjectRef[Any]:
        """Return a reference to what the head makes once something has happened: ``message(id)`` says what.

        ``now``: it must hear so at once.
        """
        client = self.client
        with self.lock:
            if client.dead is not None:
                raise client.dead
            oid = client.take_ids(1)
            ref: ObjectRef[Any] = ObjectRef(client.promise(oid))
            client.outbox.append(message(oid))
            self.send(force=now)
        return ref

    def process(self) -> int:
        """See ``Engine``."""
        return self.client.number


def in_event_loop() -> bool:
    """Return whether an event loop runs in the calling thread."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001  # no public test
