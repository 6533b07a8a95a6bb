"""An explanation of what runs says whether its process still answers, and asks that when somebody wants to know."""

from __future__ import annotations

from typing import Any

from actorgrid.core import messages as m
from tests.core.bench import Bench

PID = 7


class Asking(Bench):
    """A bench on which a task runs about which somebody asks."""

    def __init__(self) -> None:
        super().__init__()
        self.task = self.submit(self.spec("t"))
        self.worker: Any = self.worker_of(self.task)
        self.worker.pid = PID
        self.say(m.Release(()), source=self.worker.number)  # any word: it is there
        self.send_all()

    def ask(self, request: int) -> None:
        self.say(m.Query(request, "explain", {"oid": self.task}))

    def told(self) -> list[str]:
        """Return what the driver has been answered since it was asked last."""
        return [line for answer in self.sent() if isinstance(answer, m.Answer) for line in answer.body["told"]]

    def knocks(self) -> int:
        return sum(isinstance(message, m.Knock) for message in self.worker.peer.outbox)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.say()


def test_nobody_is_asked_who_has_just_said_something() -> None:
    bench = Asking()
    bench.wait(0.5)
    bench.ask(1)
    assert bench.told() == ["t runs in process 7, for 0.5 s so far"]
    assert not bench.knocks()


def test_process_that_answers_runs() -> None:
    bench = Asking()
    bench.wait(2)
    bench.ask(1)
    assert (bench.told(), bench.knocks()) == ([], 1)
    bench.say(m.Present(), source=bench.worker.number)
    assert bench.told() == ["t runs in process 7, for 2.0 s so far"]


def test_process_that_does_not_answer_is_said_to_be_in_c_code() -> None:
    bench = Asking()
    bench.wait(2)
    bench.ask(1)
    bench.ask(2)
    assert bench.knocks() == 1
    bench.wait(1)
    told = (
        "t has been in process 7 for 3.0 s, which does not answer: "
        "it runs code in C that keeps the interpreter to itself"
    )
    assert bench.told() == [told] * 2
    bench.ask(3)
    assert bench.told() == [told], "at once: it has been asked"
    bench.say(m.Present(), source=bench.worker.number)
    bench.ask(4)
    assert bench.told() == ["t runs in process 7, for 3.0 s so far"]


def test_process_that_dies_instead_of_answering_is_no_riddle() -> None:
    bench = Asking()
    bench.wait(2)
    bench.ask(1)
    bench.die(bench.worker, bench.task)
    assert bench.told() == ["the object exists: it is an error"]
