"""A bank: transfers lock both accounts, and one that dies between its two halves is found and mended."""

from __future__ import annotations

import os
import signal

import actorgrid as ag
from actorgrid.util.coordination import Lock, Variable

ACCOUNTS = ["ann", "bob", "eve"]


def balance(account: str) -> Variable[int]:
    return Variable(f"balance of {account}")


@ag.remote(max_retries=0)
def transfer(source: str, target: str, amount: int, *, dies: bool = False) -> None:
    first, second = sorted([source, target])  # always in this order: nobody waits in a circle
    with Lock(first), Lock(second):
        have, there = balance(source).get(), balance(target).get()
        Variable[dict[str, int]](f"transfer of {first}").set({source: have, target: there})
        balance(source).set(have - amount)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        balance(target).set(there + amount)
        Variable[dict[str, int]](f"transfer of {first}").delete()


def mend(account: str) -> bool:
    """Undo the transfer that a dead process has left half done; return whether there was one."""
    with Lock(account) as lock:
        if lock.abandoned:
            for name, value in Variable[dict[str, int]](f"transfer of {account}").get().items():
                balance(name).set(value)
        return lock.abandoned


def main() -> None:
    with ag.init(num_cpus=2):
        for account in ACCOUNTS:
            balance(account).set(100)
        ag.get([transfer.remote("ann", "bob", 1), transfer.remote("bob", "eve", 2), transfer.remote("eve", "ann", 3)])
        try:
            ag.get(transfer.remote("ann", "eve", 50, dies=True))
        except ag.exceptions.WorkerCrashedError:
            print("a transfer has died; mended:", mend("ann"))
        balances = {account: balance(account).get() for account in ACCOUNTS}
        print(balances, "in all", sum(balances.values()))


if __name__ == "__main__":
    main()
