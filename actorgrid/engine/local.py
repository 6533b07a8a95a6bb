"""LocalEngine: the engine protocol on our own head, worker and client machines.

What is common to every host of these machines: registering functions, sending calls, waiting for values.
"""

from __future__ import annotations

import hashlib
import sys
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from msgspec.structs import replace

from actorgrid.core import messages as m
from actorgrid.core.client import Entry, failed
from actorgrid.core.resources import UNIT
from actorgrid.engine.calls import PreparedCall, method_spec, task_spec
from actorgrid.engine.definitions import FunctionDefinition, MethodOptions, TaskOptions
from actorgrid.engine.interrupts import protected
from actorgrid.engine.protocol import Returns
from actorgrid.engine.refs import ActorRef, ObjectRef
from actorgrid.engine.requests import RequestingEngine
from actorgrid.engine.serialize import INLINE_LIMIT, Pickled, dumps
from actorgrid.engine.waits import CallbackWaiter, PendingCalls, PendingTasks, Sleeper
from actorgrid.exceptions import (
    ActorGridError,
    ActorHandleNotFoundError,
    GetTimeoutError,
    InfeasibleResourcesError,
    SerializationError,
)

#: So many of the objects that a call waits for the head is told of.
MOST_TOLD: Final = 64


class CallingEngine(RequestingEngine):
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

    # ------------------------------------------------------------------------------------ calls

    def prepare_task(self, definition: FunctionDefinition, options: TaskOptions) -> PreparedCall:
        """See ``Engine``."""
        spec = task_spec(definition, options)
        self._check_feasible(spec, spec.name)
        return self._prepare(spec, definition.function)

    def prepare_method(self, method: str, display_name: str, options: MethodOptions) -> PreparedCall:
        """See ``Engine``."""
        return self._prepare(method_spec(method, display_name, options), None)

    def _prepare(self, spec: m.Spec, code: Any) -> PreparedCall:
        if code is not None:
            pickled: Pickled | None = dumps(code, spec.name)
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

    def _check_feasible(self, spec: m.Spec, name: str) -> None:
        for wanted in (spec.demand, spec.lifetime_demand):
            if not self._pool.feasible(wanted):
                asked = {key: units / UNIT for key, units in wanted}
                there = {key: self.capacity.get(key, 0.0) for key in asked}
                raise InfeasibleResourcesError(
                    f"{name} asks for {asked}, but this grid has only {there}: ask for less, or give init() more"
                )

    def submit(self, prepared: PreparedCall, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Returns:
        """See ``Engine``."""
        if self.pending_tasks is None:
            return self._submit(prepared, args, kwargs, 0)
        self._make_room(self.pending_tasks)
        returned = self._submit(self._counted(prepared), args, kwargs, 0)
        return returned if prepared.num_returns else None

    def limit_pending(self, limit: int, *, refuses: bool) -> None:
        """Let this process have ``limit`` unfinished tasks at most; 0: any number."""
        if limit:
            self.pending_tasks = PendingTasks(limit, refuses=refuses)

    def _make_room(self, pending: PendingTasks) -> None:
        """Wait until one more task may be submitted. Raises PendingCallsLimitExceeded."""
        while missing := pending.excess():
            pending.check(may_wait=not in_event_loop())
            with self.lock:
                entries = list(pending.entries)
            self._wait_for(min(missing, len(entries)), entries, None, "remote")

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
            self._pending_calls[ident].check()
            if not prepared.num_returns:
                self._submit(self._counted(prepared), args, kwargs, ident)
                return None
        return self._submit(prepared, args, kwargs, ident)

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
            made = self.made_before(message.nth, prepared.spec.name, num_returns, message.actor)
            if made is not None:
                refs: list[ObjectRef[Any]] = [
                    ObjectRef(client.entries[made.ident + index]) for index in range(num_returns)
                ]
                return refs[0] if num_returns == 1 else refs or None
            message.task = oid = client.take_ids(num_returns)
            if client.dropped:
                client.collect()
            if num_returns == 1:
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
        whole = self._put(self.place(pickled))
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
        return self._put(self.store(value, "the value"))

    @protected
    def _put(self, value: m.Value) -> ObjectRef[Any]:
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

    def get(self, refs: Sequence[ObjectRef[Any]], timeout: float | None) -> list[Any]:
        """See ``Engine``."""
        entries = [self._entry(ref) for ref in refs]
        pending = [entry for entry in entries if entry.value is None]
        try:
            if pending:
                self._await(pending, entries, timeout)
            return [self.load(entry, timeout) for entry in entries]
        except ActorGridError as error:
            if not isinstance(error, GetTimeoutError):
                for entry in entries:
                    entry.read = True  # one error stands for all
                self.let_speak()
            raise

    def _entry(self, ref: ObjectRef[Any]) -> Entry:
        entry: Any = ref._entry  # noqa: SLF001  # our own reference
        if not isinstance(entry, Entry) or entry.client is not self.client:
            raise ValueError(
                f"{ref!r} belongs to another session: the grid that made it has ended or is another process's"
            )
        return entry

    def _await(self, pending: list[Entry], entries: list[Entry], timeout: float | None) -> None:
        for entry in entries:
            if entry.value is not None and failed(entry.value):
                return  # get() raises the first error seen without waiting for the rest
        if timeout != 0:
            self.check_may_wait("get()")
        waiter = self.waiter(len(pending), eager=True)
        resume = self._watch(pending, waiter, m.Blocked(0, "get", finite=timeout is not None))
        try:
            arrived = self._sleep(pending, waiter, timeout, "get")
        except BaseException:
            self._unwatch(pending, waiter, resume)
            raise
        self._unwatch(() if arrived and waiter.error is None else pending, waiter, resume)
        if waiter.error is not None:
            raise waiter.error
        if self.client.dead is not None and any(entry.value is None for entry in pending):
            self._raise_early(entries)
            raise self.client.dead
        if not arrived:
            raise self._timed_out(pending, timeout)
        self._raise_early(entries)

    def _raise_early(self, entries: list[Entry]) -> None:
        """Raise the error of whichever object failed, if some others do not exist yet."""
        if any(entry.value is None for entry in entries):
            for entry in entries:
                if entry.value is not None and failed(entry.value):
                    self.load(entry)

    @staticmethod
    def _timed_out(pending: list[Entry], timeout: float | None) -> GetTimeoutError:
        missing = [entry for entry in pending if entry.value is None]
        shown = ", ".join(f"ObjectRef({entry.hex()})" for entry in missing[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        return GetTimeoutError(f"get() timed out after {timeout} s waiting for {shown}{more}")

    def _sleep(self, pending: list[Entry], waiter: Sleeper, timeout: float | None, call: str) -> bool:
        """Wait; after a while, say once for what."""
        patience = self.stall_warning
        if patience is None or (timeout is not None and timeout <= patience):
            return waiter.wait(timeout)
        if waiter.wait(patience):
            return True
        for entry in [entry for entry in pending if entry.value is None][:1]:
            told = "\n".join(f"  {line}" for line in self._explain(entry))
            self.print_error(f"actorgrid: {call}() has waited for {patience:g} s for {entry.hex()}:\n{told}\n")
        return waiter.wait(None if timeout is None else timeout - patience)

    @protected
    def _watch(self, pending: list[Entry], waiter: Sleeper, blocked: m.Blocked) -> Callable[[], None] | None:
        client = self.client
        with self.lock:
            if client.dead is not None:
                raise client.dead
            ready = [entry for entry in pending if entry.value is not None]
            client.watch([entry for entry in pending if entry.value is None], waiter)
            for entry in ready:
                waiter.arrived(entry)
            if waiter.open:
                resume = None
            else:
                blocked.oids = tuple(entry.oid for entry in pending[:MOST_TOLD])
                blocked.finite = blocked.finite or (blocked.need > 0 and len(pending) > MOST_TOLD)
                resume = self.blocking(blocked, waiter)
            if client.dropped:
                client.collect()
            self.send(force=True)
            return resume

    @protected
    def _unwatch(self, pending: Sequence[Entry], waiter: Sleeper, resume: Callable[[], None] | None) -> None:
        if pending or resume is not None:
            with self.lock:
                self.client.unwatch(list(pending), waiter)
                if resume is not None:
                    resume()

    def wait(
        self, refs: Sequence[ObjectRef[Any]], num_returns: int, timeout: float | None
    ) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
        """See ``Engine``."""
        entries: list[Any] = [ref._entry for ref in refs]  # noqa: SLF001  # our own references
        client = self.client
        for ref, entry in zip(refs, entries, strict=True):
            if entry.client is not client:
                self._entry(ref)  # raises
        missing = num_returns
        for entry in entries:
            if entry.value is not None:
                missing -= 1
                if not missing:
                    break
        else:
            self._wait_for(missing, [entry for entry in entries if entry.value is None], timeout)
        return _split(refs, entries, num_returns)

    def _wait_for(self, missing: int, pending: list[Entry], timeout: float | None, call: str = "wait") -> None:
        if timeout != 0:
            self.check_may_wait(f"{call}()")
        waiter = self.waiter(missing, eager=False)
        resume = self._watch(pending, waiter, m.Blocked(0, call, need=missing, finite=timeout is not None))
        try:
            self._sleep(pending, waiter, timeout, call)
        finally:
            self._unwatch(pending, waiter, resume)
        if waiter.error is not None:
            raise waiter.error
        if self.client.dead is not None:
            raise self.client.dead

    def explain(self, ref: ObjectRef[Any]) -> list[str]:
        """See ``Engine``."""
        return self._explain(self._entry(ref))

    def _explain(self, entry: Entry) -> list[str]:
        """Return what an object waits for. A host that can ask the head says more."""
        return ["the object exists" if entry.value is not None else "the object does not exist yet"]

    def on_ready(self, ref: ObjectRef[Any], callback: Callable[[ObjectRef[Any]], None]) -> None:
        """See ``Engine``."""
        entry = self._entry(ref)
        if self.forked and self.client.dead is not None:
            raise self.client.dead
        here = entry.value is not None and not entry.away
        if here or not self._call_back_later(entry, ref, callback):
            callback(ref)

    @protected
    def _call_back_later(self, entry: Entry, ref: ObjectRef[Any], callback: Callable[[ObjectRef[Any]], None]) -> bool:
        with self.lock:
            if entry.value is not None and not entry.away:
                return False
            if self.client.dead is not None:
                raise self.client.dead
            then = partial(callback, ref)
            if entry.value is not None:
                self.fetch_then(entry, then)
                return True
            self.client.watch([entry], CallbackWaiter(partial(self.fetch_then, entry, then)))
            self.send(force=False)
            return True


def _split(
    refs: Sequence[ObjectRef[Any]], entries: list[Entry], num_returns: int
) -> tuple[list[ObjectRef[Any]], list[ObjectRef[Any]]]:
    """Return the first ``num_returns`` references whose objects exist, and the others."""
    ready: list[ObjectRef[Any]] = []
    rest: list[ObjectRef[Any]] = []
    for index, entry in enumerate(entries):
        if entry.value is None:
            rest.append(refs[index])
        else:
            ready.append(refs[index])
            if len(ready) == num_returns:
                rest += refs[index + 1 :]
                break
    return ready, rest


def in_event_loop() -> bool:
    """Return whether an event loop runs in the calling thread."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None  # noqa: SLF001  # no public test
