"""No link of the head can keep it from the others, however much it says."""

from __future__ import annotations

from collections.abc import Callable

from tests.proc.helpers import Driver

Drive = Callable[..., Driver]


def test_calls_are_served_while_two_tasks_submit_without_pause(drive: Drive) -> None:
    driver = drive("""
        import os
        import actorgrid as ag
        from actorgrid.testing.waiting import wait_until

        @ag.remote
        def nothing(): pass

        @ag.remote(num_cpus=0)
        def flood(name):
            open(name, "w").close()
            while not os.path.exists("stop"):
                nothing.remote()

        @ag.remote(num_cpus=0)
        class Quiet:
            def ping(self): return 1

        with ag.init(num_cpus=2):
            quiet = Quiet.remote()
            ag.get(quiet.ping.remote())
            floods = [flood.remote(name) for name in ("one", "two")]
            assert wait_until(lambda: os.path.exists("one") and os.path.exists("two"), 20)
            served = sum(ag.get(quiet.ping.remote(), timeout=30) for _ in range(30))
            still, _ = ag.wait(floods, num_returns=2, timeout=0)
            open("stop", "w").close()
            print(served, len(still))
    """)
    driver.succeeds()
    driver.leaves_nothing()
    assert driver.out == "30 0\n"
