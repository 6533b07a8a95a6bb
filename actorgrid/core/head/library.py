"""Code and specs: what was exported, who knows it, when it can be forgotten.

Code lies here once per content hash; a spec (a function or method with its options) once per client that uses it.
A worker is taught both before their first use there. This file may not know what a task's state is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorgrid.core import messages
from actorgrid.core.head.records import Code, SpecRecord
from actorgrid.core.messages import A_RESERVATION, Export, Forget, Learn, Spec, Unlearn
from actorgrid.exceptions import InternalError

if TYPE_CHECKING:
    from actorgrid.core.head.machine import Head
    from actorgrid.core.head.records import Peer, Worker


class Library:
    """Everything exported."""

    __slots__ = ("codes", "environment", "head")

    def __init__(self, head: Head) -> None:
        self.head = head
        self.codes: dict[bytes, Code] = {}
        #: The driver's sys.path and the like; workers get it before what they run next.
        self.environment: messages.Environment | None = None

    def export(self, peer: Peer, message: Export) -> None:
        """A client exports code for a spec that follows; if the same content is here already, the new copy goes."""
        self.head.memory.vouch(peer, message.value)
        code = self.codes.get(message.digest)
        if code is not None:
            self.head.memory.discard(message.value)
        else:
            code = self.codes[message.digest] = Code(message.digest, message.name, message.value)
            if message.value.extent is not None:
                self.head.memory.adopt(message.value.extent)
            for ref in message.value.refs:
                self.head.objects.pin(ref)
        if message.digest not in peer.exports:
            peer.exports[message.digest] = None
            code.uses += 1

    def register(self, peer: Peer, message: Spec) -> None:
        """A client registers a spec."""
        if message.kind is A_RESERVATION or any(amount < 0 for _, amount in message.demand):
            raise InternalError(f"nobody may register {message}")  # what starts what is ready would start it for ever
        code = self.codes[message.digest] if message.digest else None
        if code is not None and message.digest in peer.exports:
            del peer.exports[message.digest]  # the spec takes the place of the export
        elif code is not None:
            code.uses += 1
        group = self.head.reservations.find(message)
        if group is None:
            shape = self.head.ready.shape(message.demand, message.setup)
        else:
            shape = self.head.reservations.shape(group, message)
        peer.specs[message.spec] = SpecRecord(message, code, shape, group)

    def forget(self, peer: Peer, message: Forget) -> None:
        """A client will not use a spec again."""
        spec = peer.specs.pop(message.spec, None)
        if spec is not None:
            self._forget(spec)

    def drop_client(self, peer: Peer) -> None:
        """``peer`` is dead."""
        for spec in peer.specs.values():
            self._forget(spec)
        peer.specs.clear()
        for digest in peer.exports:
            if self._unuse(self.codes[digest]):
                self._unlearn_code((digest,))
        peer.exports.clear()

    def _forget(self, spec: SpecRecord) -> None:
        spec.forgotten = True
        if not spec.pending:
            self.drop(spec)

    def drop(self, spec: SpecRecord) -> None:
        """Nothing uses the spec any more. Invariant: spec.forgotten and not spec.pending."""
        self.head.past.let_go(spec)
        code = spec.code
        digests = (code.digest,) if code is not None and self._unuse(code) else ()
        for worker in spec.taught:
            worker.specs.pop(spec, None)
            self.head.order(worker, Unlearn((spec.spec.spec,), self._unlearnt(worker, digests)))
        spec.taught.clear()
        if digests:
            self._unlearn_code(digests)

    def _unlearn_code(self, digests: tuple[bytes, ...]) -> None:
        """Code is gone: who was taught it by another spec, which went before, has it still."""
        for worker in self.head.workers.table.values():
            if known := self._unlearnt(worker, digests):
                self.head.order(worker, Unlearn((), known))

    @staticmethod
    def _unlearnt(worker: Worker, digests: tuple[bytes, ...]) -> tuple[bytes, ...]:
        """Note that code is gone. Returns what of it ``worker`` knew."""
        return tuple(digest for digest in digests if worker.codes.pop(digest, 0) is None)

    def _unuse(self, code: Code) -> bool:
        """One use of ``code`` less. Returns whether that was the last, and the code is gone."""
        code.uses -= 1
        if code.uses:
            return False
        del self.codes[code.digest]
        if code.value.extent is not None:
            self.head.memory.free(code.value.extent)
        for ref in code.value.refs:
            self.head.objects.unpin(ref)
        return True

    def teach(self, worker: Worker, spec: SpecRecord) -> None:
        """Make sure that ``worker`` knows ``spec`` before the next message it gets."""
        spec.taught[worker] = None
        worker.specs[spec] = None
        code = spec.code
        if code is not None and code.digest not in worker.codes:
            worker.codes[code.digest] = None
            if code.value.extent is not None:
                self.head.memory.show(worker.peer, worker.outbox, code.value.extent)
            for ref in code.value.refs:
                self.head.objects.grant(worker.peer, ref)
            self.head.order(worker, messages.Code(code.digest, code.name, code.value))
        self.head.order(worker, Learn(spec.spec))

    def set_environment(self, peer: Peer, message: messages.Environment) -> None:
        """The driver's surroundings changed: tell every worker."""
        del peer
        self.environment = message
        for worker in self.head.workers.table.values():
            self.head.order(worker, message)
