"""The worker: what this process was given, what it runs, and what it may still hand back.

Rules for this file

* No input or output, no threads, no event loop: the host calls every method with its lock held, so that starting a
  task and revoking it exclude each other.
* Tasks run in the order given, one at a time. An actor runs up to ``limit`` calls at once: one (synchronous, in
  order), or more in threads or on an event loop, which the host provides.
* What was revoked or dropped before it started never starts. What has started is never handed back.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from actorgrid.core.messages import A_METHOD, Credit, Restarted, Run, Spec
from actorgrid.core.stream import Outflow, streams

#: So many cancellations are remembered whose task is not here (yet).
MOST_EARLY: Final = 1024


class Running:
    """A call whose user code runs."""

    __slots__ = (
        "cancelled", "chance", "children", "counts", "given", "kept", "made", "outflow", "overdue", "run", "spec",
        "strayed", "until",
    )  # fmt: skip

    def __init__(self, run: Run, spec: Spec) -> None:
        self.run = run
        self.spec = spec
        #: How many calls it has submitted: the next one is its child number ``children``.
        self.children = 0
        #: What it has submitted before, by number: it is not submitted anew.
        self.made = {made.nth: made for made in run.made} if run.made else {}
        #: How it has not done what it did before, although it should: the end of a sentence.
        self.strayed = ""
        #: It has learned something that need not be so when it runs again: who was ready first, who was late.
        self.chance = False
        self.cancelled = False
        #: Its outcome is told whatever comes: it has done what its caller must hear of.
        self.counts = False
        #: It was cancelled because its time is over.
        self.overdue = False
        #: What its result mentions: the host keeps that until the result is sent.
        self.kept: object = None
        #: What it was called with: the host keeps that until its result is where it survives the process, for what goes
        #: with it may have a finalizer that does not.
        self.given: object = None
        #: The latest time for which it has set a timer, which may end a wait; 0: none.
        self.until = 0.0
        #: It is a generator whose items somebody reads (nobody does if it only brings its actor back to where it was).
        self.outflow = Outflow(spec.yields) if spec.yields and streams(spec) and not run.again else None


class WorkerMachine:
    """The state of a worker."""

    __slots__ = (
        "actor", "counts", "early", "free", "leaving", "limit", "places", "queue", "running", "specs", "spoiled",
    )  # fmt: skip

    # Invariant: len(self.running) <= self.limit
    # Invariant: self.free is None or all(places >= 0 for places in self.free.values())

    def __init__(self) -> None:
        self.specs: dict[int, Spec] = {}
        self.queue: deque[Run] = deque()
        self.running: dict[int, Running] = {}
        self.limit = 1
        #: Of each concurrency group the places that it has, "" for calls that name none, and those that nobody has now;
        #: None: there are no groups.
        self.places: dict[str, int] | None = None
        self.free: dict[str, int] | None = None
        #: Cancellations (task, attempt) that found nothing: what they are for may still be on its way, since they come
        #: over another link. The oldest go when there are too many: most are for what was over already.
        self.early: dict[tuple[int, int], None] = {}
        #: Which actor this process is, once it is one.
        self.actor: Restarted | None = None
        #: Executions of functions with ``max_calls``, by digest.
        self.counts: dict[bytes, int] = {}
        #: It could not be set up for the runtime environment of its first call: nothing else may run here.
        self.spoiled = False
        #: Why it will leave when it has nothing to do; "" if it stays.
        self.leaving = ""

    def given(self, run: Run) -> Running | None:
        """Queue a call. Returns it marked if it was cancelled before it came: it will not start."""
        if self.early and (run.task, run.attempt) in self.early:
            del self.early[run.task, run.attempt]
            running = Running(run, self.specs[run.spec])
            running.cancelled = True
            return running
        self.queue.append(run)
        return None

    def candidates(self) -> list[Run]:
        """Return the calls that may start now: one per caller, its oldest; all of them where calls may overlap."""
        if len(self.running) >= self.limit:
            return []
        if self.places is not None:
            return self._candidates_of_groups(self.places)
        if self.limit > 1:
            return list(self.queue)
        if self.queue and self.queue[0].again:  # what brings an actor back has one order, and comes first
            return [self.queue[0]]
        first: dict[int, Run] = {}
        for run in self.queue:
            first.setdefault(run.caller, run)
        return list(first.values())

    def _candidates_of_groups(self, places: dict[str, int]) -> list[Run]:
        """The same, where each group has places of its own: of one with a single place, one call per caller."""
        found: dict[tuple[str, int, int], Run] = {}
        for run in self.queue:
            if self._has_place(run):
                group = self._group(run)
                found.setdefault((group, run.caller, 0 if places[group] == 1 else run.task), run)
        return list(found.values())

    def start(self, chosen: Run | None = None) -> Running | None:
        """Return the next call to run now, None if there is none or if ``limit`` calls run already.

        A host that explores orders says which of the ``candidates``.
        """
        if not self.queue or len(self.running) >= self.limit:
            return None
        if self.free is not None:
            chosen = chosen or next(filter(self._has_place, self.queue), None)
            if chosen is None:
                return None
            self.free[self._group(chosen)] -= 1
        if chosen is None:
            run = self.queue.popleft()
        else:
            run = chosen
            self.queue.remove(run)
        running = Running(run, self.specs[run.spec])
        self.running[run.task] = running
        return running

    def _group(self, run: Run) -> str:
        group = self.specs[run.spec].group
        return group if self.free is not None and group in self.free else ""

    def _has_place(self, run: Run) -> bool:
        return self.free is None or self.free[self._group(run)] > 0

    def finished(self, running: Running) -> bool:
        """A call is over. Returns whether the process must be replaced now (``max_calls``, or a setup that failed)."""
        del self.running[running.run.task]
        if self.free is not None:
            self.free[self._group(running.run)] += 1
        if self.spoiled:
            return self.actor is None  # an actor's process ends with the actor
        most = running.spec.max_calls
        if not most:
            return False
        digest = running.spec.digest
        count = self.counts[digest] = self.counts.get(digest, 0) + 1
        return count >= most

    def become_actor(self, identity: Restarted) -> None:
        """The next call is the constructor of an actor, and this process is that actor from now on."""
        self.actor = identity

    def constructed(self, spec: Spec) -> None:
        """The constructor returned: calls may overlap from now on if the actor allows it."""
        self.limit = spec.max_concurrency
        self.places = dict(spec.groups) if spec.groups else None
        self.free = dict(spec.groups) if spec.groups else None

    def revoke(self, tasks: tuple[int, ...]) -> tuple[Run, ...]:
        """Hand back those of ``tasks`` that have not started. The host lets go of what they brought along."""
        if not tasks or not self.queue:
            return ()
        wanted = dict.fromkeys(tasks)
        back = tuple(run for run in self.queue if run.task in wanted)
        self.queue = deque(run for run in self.queue if run.task not in wanted)
        return back

    def block(self) -> tuple[Run, ...]:
        """The one running task waits: hand back what is queued behind it (an actor's calls have no other place)."""
        if self.actor is not None or not self.queue:
            return ()
        back = tuple(self.queue)
        self.queue.clear()
        return back

    def leave(self, reason: str) -> tuple[Run, ...]:
        """The process will end after what runs now; returns the tasks that go back."""
        self.leaving = reason
        return self.block()

    def cancel(self, task: int, attempt: int, *, overdue: bool = False) -> Running | None:
        """Cancel an attempt. Returns it marked: it runs (and is in ``running``), or it will never start; None: gone."""
        running = self.running.get(task)
        if running is None:
            run = next((run for run in self.queue if run.task == task and run.attempt == attempt), None)
            if run is None:
                self.early[task, attempt] = None
                if len(self.early) > MOST_EARLY:
                    del self.early[next(iter(self.early))]
                return None
            self.queue.remove(run)
            running = Running(run, self.specs[run.spec])
        elif running.run.attempt != attempt or running.counts:
            return None
        running.cancelled = True
        running.overdue = overdue
        return running

    def settle(self, running: Running) -> bool:
        """From here on a call is not cancelled any more, if it was not before. Returns whether its outcome counts."""
        running.counts = not running.cancelled
        return running.counts

    def credit(self, message: Credit) -> Running | None:
        """The reader of a stream has taken items. Returns the call if it is here and need not wait for more."""
        running = self.running.get(message.task)
        if running is None or running.outflow is None or running.run.attempt != message.attempt:
            return None
        running.outflow.credit(message.taken)
        return None if running.outflow.full else running

    def is_method(self, running: Running) -> bool:
        """Return whether a call is one of an actor's methods."""
        return running.spec.kind is A_METHOD
