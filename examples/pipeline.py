"""A pipeline of actors with back-pressure: parse, convert, book.

At most ``IN_FLIGHT`` records are on their way: a slow stage slows the producer down, and memory stays small.
"""

from __future__ import annotations

from typing import Any

import actorgrid as ag

IN_FLIGHT = 32


class Parser:
    def parse(self, line: str) -> tuple[str, float]:
        user, amount = line.split(",")
        return user, float(amount)


class Rates:
    def __init__(self, rate: float) -> None:
        self.rate = rate

    def convert(self, record: tuple[str, float]) -> tuple[str, float]:
        return record[0], record[1] * self.rate


class Ledger:
    def __init__(self) -> None:
        self.totals: dict[str, float] = {}

    def book(self, record: tuple[str, float]) -> None:
        self.totals[record[0]] = self.totals.get(record[0], 0.0) + record[1]

    def report(self) -> dict[str, float]:
        return self.totals


def main() -> None:
    """Push records through the three stages."""
    parser, rates, ledger = ag.remote(Parser).remote(), ag.remote(Rates).remote(2.0), ag.remote(Ledger).remote()
    on_the_way: list[ag.ObjectRef[Any]] = []
    for number in range(1000):
        if len(on_the_way) == IN_FLIGHT:
            _, on_the_way = ag.wait(on_the_way)
        parsed = parser.parse.remote(f"user{number % 3},{number}")
        converted = rates.convert.remote(parsed)  # references go from stage to stage; values do not pass here
        on_the_way.append(ledger.book.remote(converted))
    ag.get(on_the_way)
    totals = ag.get(ledger.report.remote())
    print({user: round(total) for user, total in sorted(totals.items())})
    assert sum(totals.values()) == 2.0 * sum(range(1000))


if __name__ == "__main__":
    main()
