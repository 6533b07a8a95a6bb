"""A service that counts and times its calls, and a report of what it did: no port, no agent.

Workers measure; the head adds up; whoever wants to know asks. ``prometheus_text()`` is what a page for Prometheus would
return.
"""

from __future__ import annotations

import time

import actorgrid as ag
from actorgrid.util.metrics import Counter, Histogram, collect, prometheus_text
from actorgrid.util.state import list_actors, summarize_tasks

requests = Counter("requests", "Requests by outcome.", tag_keys=("outcome",))
latency = Histogram("latency_seconds", "How long a request takes.", boundaries=[0.001, 0.01, 0.1])


class Service:
    """Answers even numbers and refuses odd ones."""

    def ask(self, number: int) -> str:
        """Answer."""
        began = time.perf_counter()
        outcome = "answered" if number % 2 == 0 else "refused"
        requests.inc(tags={"outcome": outcome})
        latency.observe(time.perf_counter() - began)
        return outcome


RemoteService = ag.remote(num_cpus=0)(Service)


def main() -> None:
    """Ask ten times, then look."""
    services = [RemoteService.options(name=f"service-{number}").remote() for number in range(2)]
    ag.get([services[number % 2].ask.remote(number // 2) for number in range(10)])

    told = {reading.tags["outcome"]: reading.value for reading in collect() if reading.name == "requests"}
    counts = summarize_tasks()["cluster"]["summary"]["Service.ask"]["state_counts"]
    print(f"requests: {told}; calls: {counts}")
    for actor in list_actors(filters=[("state", "=", "ALIVE")]):
        print(f"{actor.name} lives in process {actor.pid}")
    print(next(line for line in prometheus_text().splitlines() if "latency_seconds_count" in line))
    assert told == {"answered": 6.0, "refused": 4.0}
    assert counts == {"FINISHED": 10}


if __name__ == "__main__":
    main()
