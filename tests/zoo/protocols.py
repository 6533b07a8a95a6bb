"""The zoo, part E: protocols that are wrong by one line. The first three and the detector after the tutorials of P."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import asyncio
from typing import Any

import actorgrid as ag
from tests.zoo.shared_state import Cell, finish

# -------------------------------------------------------------------------------------------------- client and server


@ag.remote
class BankServer:
    """Gives money to clients, and keeps the balance in a database."""

    def __init__(self, database: Any) -> None:
        self.database = database

    def withdraw(self, amount: int) -> bool:
        balance = ag.get(self.database.get.remote())
        if balance < amount:
            return False
        ag.get(self.database.set.remote(balance - amount))
        return True


def _withdraw_twice(servers: list[Any], database: Any) -> None:
    given = ag.get([server.withdraw.remote(60) for server in servers])
    assert ag.get(database.get.remote()) + 60 * sum(given) == 100, "more was given than was booked"


def client_server_withdraw() -> None:
    """The server was scaled out: two of them read the balance before either writes it."""
    database = Cell.remote(100)
    _withdraw_twice([BankServer.remote(database) for _ in range(2)], database)


def client_server_withdraw_fixed() -> None:
    database = Cell.remote(100)
    _withdraw_twice([BankServer.remote(database)] * 2, database)


# --------------------------------------------------------------------------------------------------- two-phase commit


@ag.remote
class Coordinator:
    """Asks everybody, then decides."""

    def __init__(self) -> None:
        self.decided = asyncio.Event()
        self.commit = False

    async def run(self, participants: list[Any]) -> None:
        votes = [await participant.vote.remote() for participant in participants]
        self.commit = all(votes)
        self.decided.set()
        for participant in participants:
            await participant.decide.remote(self.commit)

    async def decision(self) -> bool:
        await self.decided.wait()
        return self.commit


@ag.remote
class Participant:
    """Votes, and then waits for the decision; not for ever."""

    def __init__(self, yes: bool, coordinator: Any, asks: bool) -> None:
        self.yes = yes
        self.coordinator = coordinator
        self.asks = asks
        self.told = asyncio.Event()
        self.committed = False

    async def vote(self) -> bool:
        return self.yes

    async def decide(self, commit: bool) -> None:
        self.committed = commit
        self.told.set()

    async def outcome(self) -> bool:
        """Return whether it has committed, once it knows."""
        if not self.yes:
            return False
        try:
            await asyncio.wait_for(self.told.wait(), 10)
        except TimeoutError:
            self.committed = bool(await self.coordinator.decision.remote()) if self.asks else True
        return self.committed


def two_phase_commit(asks: bool = False) -> None:
    """A participant that has voted yes takes silence for yes."""
    coordinator = Coordinator.remote()
    participants = [Participant.remote(yes, coordinator, asks) for yes in (True, False)]
    outcomes = [participant.outcome.remote() for participant in participants]
    ag.get(coordinator.run.remote(participants))
    assert ag.get(outcomes) == [False, False], "one has committed and the other has not"


def two_phase_commit_fixed() -> None:
    two_phase_commit(asks=True)


@ag.remote
def write_and_trust(store: Any, value: str) -> None:
    ag.get(store.set.remote(value))
    assert ag.get(store.get.remote()) == value, "a client reads something else than it has just written"


@ag.remote
def write_and_accept(store: Any, value: str) -> None:
    ag.get(store.set.remote(value))
    assert ag.get(store.get.remote()) in ("a", "b")


def two_phase_client() -> None:
    """The client's assumption is wrong, and not the store: a committed value may be overwritten by another client."""
    store = Cell.remote("")
    finish([write_and_trust.remote(store, value) for value in ("a", "b")])


def two_phase_client_fixed() -> None:
    store = Cell.remote("")
    finish([write_and_accept.remote(store, value) for value in ("a", "b")])


# --------------------------------------------------------------------------------------------------- espresso machine


@ag.remote
class Grinder:
    """The machine itself."""

    def __init__(self) -> None:
        self.open = False

    def heat(self) -> None: ...

    def grind(self) -> None:
        assert not self.open, "it grinds while its door is open"

    def open_door(self) -> None:
        self.open = True


@ag.remote
class Panel:
    """What the user touches: it refuses what must not be done now."""

    def __init__(self, machine: Any, careful: bool) -> None:
        self.machine = machine
        self.careful = careful
        self.busy = self.open = False

    async def make_espresso(self) -> None:
        if self.open:
            return
        self.busy = self.careful
        await self.machine.heat.remote()
        self.busy = True
        await self.machine.grind.remote()
        self.busy = False

    async def open_door(self) -> None:
        if not self.busy:
            self.open = True
            await self.machine.open_door.remote()


def espresso(careful: bool = False) -> None:
    """The panel is busy only when the machine is hot: until then the door may be opened."""
    panel = Panel.remote(Grinder.remote(), careful)
    finish([panel.make_espresso.remote(), panel.open_door.remote()])


def espresso_fixed() -> None:
    espresso(careful=True)


# --------------------------------------------------------------------------------------------------- failure detector


@ag.remote
class Server:
    """Serves if it is the active one."""

    def __init__(self, active: bool) -> None:
        self.active = active

    @ag.method(readonly=True)
    def ping(self) -> None: ...

    def activate(self, active: bool) -> None:
        self.active = active

    @ag.method(readonly=True)
    def is_active(self) -> bool:
        return self.active


@ag.remote
def watch(primary: Any, backup: Any, fence: bool) -> None:
    """Have the backup serve if the primary does not answer in time."""
    try:
        ag.get(primary.ping.remote(), timeout=1)
    except ag.exceptions.GetTimeoutError:
        if fence:
            ag.get(primary.activate.remote(False))
        ag.get(backup.activate.remote(True))


def failure_detector(fence: bool = False) -> None:
    """Who is slow is taken for dead."""
    primary, backup = Server.remote(True), Server.remote(False)
    ag.get(watch.remote(primary, backup, fence))
    assert sum(ag.get([primary.is_active.remote(), backup.is_active.remote()])) == 1, "both of them serve"


def failure_detector_fixed() -> None:
    failure_detector(fence=True)


# ------------------------------------------------------------------------------------------------- election in a ring


@ag.remote
class RingNode:
    """Chang and Roberts: numbers go round, and only the highest comes back to its node."""

    def __init__(self, number: int, board: Any, forwards_all: bool) -> None:
        self.number = number
        self.board = board
        self.forwards_all = forwards_all
        self.takes_part = False
        self.following: Any = None

    def follow(self, following: Any) -> None:
        self.following = following

    def start(self) -> None:
        if not self.takes_part:
            self._send(self.number)

    def hear(self, number: int) -> None:
        if number == self.number:
            self.board.elected.remote(number)
        elif number > self.number or (self.forwards_all and not self.takes_part):
            self._send(number)
        elif not self.takes_part:
            self._send(self.number)

    def _send(self, number: int) -> None:
        self.takes_part = True
        self.following.hear.remote(number)


@ag.remote
class Board:
    """Waits for the first result of an election."""

    def __init__(self) -> None:
        self.leader = 0
        self.known = asyncio.Event()

    async def elected(self, number: int) -> None:
        self.leader = self.leader or number
        self.known.set()

    async def wait(self) -> int:
        await self.known.wait()
        return self.leader


def chang_roberts(forwards_all: bool = True) -> None:
    """A node that does not take part yet forwards a number that is smaller than its own."""
    board = Board.remote()
    nodes = [RingNode.remote(number, board, forwards_all) for number in (1, 2, 3)]
    ag.get([node.follow.remote(nodes[(index + 1) % 3]) for index, node in enumerate(nodes)])
    nodes[2].start.remote()
    nodes[0].start.remote()
    assert ag.get(board.wait.remote()) == 3, "the leader is not the node with the highest number"


def chang_roberts_fixed() -> None:
    chang_roberts(forwards_all=False)
