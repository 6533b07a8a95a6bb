"""A pipeline of actors with back-pressure: parse, enrich, store.

At most ``IN_FLIGHT`` records are on their way; the producer waits for one to arrive before it sends the next, so a slow
stage slows the producer down instead of filling the memory.
"""

from __future__ import annotations

from typing import Any

import actorgrid as ag

IN_FLIGHT = 32


class Parser:
    """Stage one."""

    def parse(self, line: str) -> dict[str, Any]:
        """Turn ``user,amount`` into a record."""
        user, amount = line.split(",")
        return {"user": user, "amount": float(amount)}


class Rates:
    """Stage two: holds the exchange rate."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def convert(self, record: dict[str, Any]) -> dict[str, Any]:
        """Add the amount in another currency."""
        return record | {"converted": record["amount"] * self.rate}


class Ledger:
    """Stage three: adds up."""

    def __init__(self) -> None:
        self.totals: dict[str, float] = {}

    def book(self, record: dict[str, Any]) -> None:
        """Book one record."""
        self.totals[record["user"]] = self.totals.get(record["user"], 0.0) + record["converted"]

    def report(self) -> dict[str, float]:
        """Return the totals."""
        return self.totals


def main() -> None:
    """Push records through the three stages."""
    parser, rates, ledger = ag.remote(Parser).remote(), ag.remote(Rates).remote(2.0), ag.remote(Ledger).remote()
    on_the_way: list[ag.ObjectRef[Any]] = []
    for number in range(1000):
        if len(on_the_way) >= IN_FLIGHT:
            _, on_the_way = ag.wait(on_the_way)
        parsed = parser.parse.remote(f"user{number % 3},{number}")
        converted = rates.convert.remote(parsed)  # references go from actor to actor; the values do not pass here
        on_the_way.append(ledger.book.remote(converted))
    ag.get(on_the_way)
    totals = ag.get(ledger.report.remote())
    print({user: round(total) for user, total in sorted(totals.items())})
    assert sum(totals.values()) == 2.0 * sum(range(1000))


if __name__ == "__main__":
    main()
