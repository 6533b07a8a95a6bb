"""The zoo, part E: protocols of replicas, wrong by one line."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import itertools
from typing import Any

import actorgrid as ag
from tests.zoo.shared_state import finish

# -------------------------------------------------------------------------------------------------------------- Paxos


@ag.remote
class Acceptor:
    """Promises, and accepts what no later promise forbids."""

    def __init__(self) -> None:
        self.promised = 0
        self.accepted: tuple[int, str] = (0, "")

    def prepare(self, ballot: int) -> tuple[int, str] | None:
        """Return what it has accepted before; None: it has promised a higher ballot."""
        if ballot <= self.promised:
            return None
        self.promised = ballot
        return self.accepted

    def accept(self, ballot: int, value: str) -> bool:
        if ballot < self.promised:
            return False
        self.promised, self.accepted = ballot, (ballot, value)
        return True


@ag.remote
def propose(acceptors: list[Any], ballot: int, value: str, adopts: bool) -> str | None:
    """Return the value that was chosen in this ballot, None if none was."""
    promises = [promise for promise in ag.get([each.prepare.remote(ballot) for each in acceptors]) if promise]
    if len(promises) < 2:
        return None
    if adopts:
        value = max(promises)[1] or value
    accepted = ag.get([each.accept.remote(ballot, value) for each in acceptors])
    return value if sum(accepted) >= 2 else None


def paxos(adopts: bool = False) -> None:
    """A proposer has to go on with the value of the highest ballot that it hears of: this one forgets to."""
    acceptors = [Acceptor.remote() for _ in range(3)]
    chosen = finish([propose.remote(acceptors, 2, "b", adopts), propose.remote(acceptors, 1, "a", adopts)])
    assert chosen != ["b", "a"], "two values were chosen"


def paxos_fixed() -> None:
    paxos(adopts=True)


# --------------------------------------------------------------------------------------------------------------- Raft


@ag.remote
class Voter:
    """Votes once in each term, as far as it remembers: it is restarted when it dies."""

    def __init__(self, disk: Any) -> None:
        self.voted: dict[int, str] = {}
        self.disk = disk

    def vote(self, term: int, candidate: str) -> bool:
        if self.disk is not None:
            return bool(ag.get(self.disk.vote.remote(term, candidate)))
        return self.voted.setdefault(term, candidate) == candidate


@ag.remote
class Disk:
    """What outlives its user; if it is gone itself, then nothing can be done any more."""

    def __init__(self) -> None:
        self.voted: dict[int, str] = {}

    def vote(self, term: int, candidate: str) -> bool:
        return self.voted.setdefault(term, candidate) == candidate


@ag.remote
def run_for_leader(voter: Any, name: str) -> str | None:
    """Return the name if it has a majority of three: its own vote, and that of the voter."""
    try:
        return name if ag.get(voter.vote.remote(1, name)) else None
    except ag.exceptions.ActorGridError:
        return None  # no answer is no vote


def _elect(disk: Any) -> None:
    voter = Voter.options(max_restarts=1, max_task_retries=1).remote(disk)
    leaders = finish([run_for_leader.remote(voter, name) for name in ("one", "two")])
    assert leaders != ["one", "two"], "two leaders in one term"


def raft_double_vote() -> None:
    """The third node votes for one candidate, dies, and votes for the other one: it has not written down its vote."""
    _elect(None)


def raft_double_vote_fixed() -> None:
    _elect(Disk.remote())


@ag.remote
class Follower:
    """Keeps a log of (term, value) for its leader; ``looks``: that of the latest term that it has heard of."""

    def __init__(self, looks: bool) -> None:
        self.looks = looks
        self.term = 0
        self.log: list[tuple[int, str]] = []

    def vote(self, term: int, last: int) -> bool:
        """A candidate whose last entry is of term ``last`` wants to lead ``term``: not one who knows less."""
        if term <= self.term or last < max((entry[0] for entry in self.log), default=0):
            return False
        self.term = term
        return True

    def append(self, term: int, log: list[tuple[int, str]]) -> bool:
        """The leader of ``term`` says what the log is."""
        if self.looks and term < self.term:
            return False
        self.term = max(self.term, term)
        self.log = log
        return True

    @ag.method(readonly=True)
    def values(self) -> list[str]:
        return [value for _, value in self.log]


@ag.remote
def lead(follower: Any, term: int, log: list[tuple[int, str]]) -> str | None:
    """A leader of three: with this follower it has a majority. Return the first value once it is committed."""
    return log[0][1] if ag.get(follower.append.remote(term, log)) else None


@ag.remote
def run_and_lead(follower: Any, term: int, log: list[tuple[int, str]]) -> str | None:
    """The same for one that is to be elected first."""
    if not ag.get(follower.vote.remote(term, log[-1][0])):
        return None
    return str(log[0][1]) if ag.get(follower.append.remote(term, log)) else None


def raft_stale_append(looks: bool = False) -> None:
    """The leader of term 1 does not know that it is deposed, and its follower does not look at the term."""
    follower = Follower.remote(looks)
    ag.get(follower.vote.remote(1, 0))
    _, new = finish([lead.remote(follower, 1, [(1, "old")]), run_and_lead.remote(follower, 2, [(2, "new")])])
    assert new is None or ag.get(follower.values.remote()) == [new], "a leader of the past has overwritten it"


def raft_stale_append_fixed() -> None:
    raft_stale_append(looks=True)


def _old_term(log: list[tuple[int, str]]) -> None:
    """A leader of term 4 holds an entry of term 2, another node one of term 3 (figure 8 of the Raft paper)."""
    follower = Follower.remote(looks=True)
    _, committed = finish([run_and_lead.remote(follower, 5, [(3, "theirs")]), lead.remote(follower, 4, log)])
    assert committed is None or committed in ag.get(follower.values.remote()), "what was committed is gone"


def raft_old_term() -> None:
    """A majority has the entry of term 2, so its leader calls it committed: yet who has one of term 3 is elected."""
    _old_term([(2, "ours")])


def raft_old_term_fixed() -> None:
    """It is committed with an entry of the leader's own term behind it."""
    _old_term([(2, "ours"), (4, "nothing")])


# ------------------------------------------------------------------------------------------- counters that are merged


@ag.remote
class Replica:
    """A counter that grows at several places: how much at each."""

    def __init__(self, name: str, commutes: bool) -> None:
        self.name = name
        self.commutes = commutes
        self.counts = {"a": 0, "b": 0}

    def add(self) -> None:
        self.counts[self.name] += 1

    @ag.method(readonly=True)
    def state(self) -> dict[str, int]:
        return self.counts

    def merge(self, state: dict[str, int]) -> None:
        for name, count in state.items():
            self.counts[name] = max(self.counts[name], count) if self.commutes else count

    @ag.method(readonly=True)
    def total(self) -> int:
        return sum(self.counts.values())


@ag.remote
def send_state(source: Any, target: Any) -> None:
    ag.get(target.merge.remote(ag.get(source.state.remote())))


@ag.remote
def count_one(replica: Any) -> None:
    ag.get(replica.add.remote())


def crdt_merge(commutes: bool = False) -> None:
    """The last state that arrives wins, also over what the receiver knows better."""
    a, b = Replica.remote("a", commutes), Replica.remote("b", commutes)
    finish([send_state.remote(b, a), count_one.remote(a)])
    assert ag.get(a.total.remote()) == 1, "a merge took back what was counted"


def crdt_merge_fixed() -> None:
    crdt_merge(commutes=True)


# ----------------------------------------------------------------------------------------------- membership by gossip


@ag.remote
class Member:
    """Knows who is alive; with ``buries`` also who is dead, which is final."""

    def __init__(self, buries: bool) -> None:
        self.buries = buries
        self.alive = ["a", "b", "c"]
        self.dead: list[str] = []

    def remove(self, name: str) -> None:
        if name in self.alive:
            self.alive.remove(name)
            self.dead.append(name)

    @ag.method(readonly=True)
    def list_alive(self) -> list[str]:
        return self.alive

    def hear(self, alive: list[str]) -> None:
        for name in alive:
            if name not in self.alive and not (self.buries and name in self.dead):
                self.alive.append(name)


@ag.remote
def gossip(source: Any, target: Any) -> None:
    ag.get(target.hear.remote(ag.get(source.list_alive.remote())))


@ag.remote
def declare_dead(members: list[Any], name: str) -> None:
    for member in members:
        ag.get(member.remove.remote(name))


def gossip_resurrects(buries: bool = False) -> None:
    """A list that was on its way when a node died brings it back to life."""
    a, b = Member.remote(buries), Member.remote(buries)
    finish([gossip.remote(b, a), declare_dead.remote([a, b], "c")])
    assert "c" not in ag.get(a.list_alive.remote()), "the dead node is alive again"


def gossip_resurrects_fixed() -> None:
    gossip_resurrects(buries=True)


# ------------------------------------------------------------------------------------- transactions that keep a cycle


@ag.remote
class CycleStore:
    """Nodes that point to each other in one cycle; it can commit writes if what was read has not changed."""

    def __init__(self) -> None:
        self.next = [1, 2, 3, 0]

    @ag.method(readonly=True)
    def get(self, node: int) -> int:
        return self.next[node]

    def set(self, node: int, to: int) -> None:
        self.next[node] = to

    def commit(self, reads: list[tuple[int, int]], writes: list[tuple[int, int]]) -> bool:
        if any(self.next[node] != to for node, to in reads):
            return False
        for node, to in writes:
            self.next[node] = to
        return True

    @ag.method(readonly=True)
    def length(self) -> int:
        """Return how many nodes there are on the way from node 0 back to it."""
        node, length = self.next[0], 1
        while node != 0 and length < 9:
            node, length = self.next[node], length + 1
        return length


def _read_three(store: Any, start: int) -> list[int]:
    path = [start]
    for _ in range(3):
        path.append(ag.get(store.get.remote(path[-1])))
    return path


def _swap(path: list[int]) -> list[tuple[int, int]]:
    """Return what to write so that the two nodes in the middle of the path change places."""
    a, b, c, d = path
    return [(a, c), (c, b), (b, d)]


@ag.remote
def swap(store: Any, start: int) -> None:
    for node, to in _swap(_read_three(store, start)):
        ag.get(store.set.remote(node, to))


@ag.remote
def swap_if_unchanged(store: Any, start: int) -> None:
    path = _read_three(store, start)
    while not ag.get(store.commit.remote(list(itertools.pairwise(path)), _swap(path))):
        path = _read_three(store, start)


def fdb_cycle(transaction: Any = swap) -> None:
    """FoundationDB's test of isolation: swapping neighbours keeps every node on the one cycle."""
    store = CycleStore.remote()
    finish([transaction.remote(store, start) for start in (0, 1)])
    assert ag.get(store.length.remote()) == 4, "the cycle is broken"


def fdb_cycle_fixed() -> None:
    fdb_cycle(swap_if_unchanged)
