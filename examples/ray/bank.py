"""A bank: accounts are actors, a lock for each is one too, and transfers that go every which way lose no money."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import ray

ACCOUNTS = 5
TRANSFERS = 40
START = 100


@ray.remote(num_cpus=0)
class Lock:
    """A lock is an asynchronous actor: whoever acquires it waits in line."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()

    async def acquire(self) -> None:
        await self.lock.acquire()

    async def release(self) -> None:
        self.lock.release()


@ray.remote(num_cpus=0)
class Account:
    def __init__(self) -> None:
        self.balance = START

    def get(self) -> int:
        return self.balance

    def set(self, balance: int) -> None:
        self.balance = balance


@ray.remote
def transfer(locks: list[Any], accounts: list[Any], source: int, target: int, amount: int) -> bool:
    for number in sorted([source, target]):  # always in this order: nobody waits in a circle
        ray.get(locks[number].acquire.remote())
    try:
        have, there = ray.get([accounts[source].get.remote(), accounts[target].get.remote()])
        if have < amount:
            return False
        ray.get([accounts[source].set.remote(have - amount), accounts[target].set.remote(there + amount)])
        return True
    finally:
        ray.get([locks[number].release.remote() for number in (source, target)])


def main() -> None:
    ray.init(num_cpus=4)
    locks = [Lock.remote() for _ in range(ACCOUNTS)]
    accounts = [Account.remote() for _ in range(ACCOUNTS)]
    rng = random.Random(1)
    pairs = [(*rng.sample(range(ACCOUNTS), 2), rng.randint(1, 30)) for _ in range(TRANSFERS)]
    done = ray.get([transfer.remote(locks, accounts, *pair) for pair in pairs])
    balances = ray.get([account.get.remote() for account in accounts])
    assert all(balance >= 0 for balance in balances)
    assert any(done)
    print(f"{TRANSFERS} transfers, in all {sum(balances)}")


if __name__ == "__main__":
    main()
