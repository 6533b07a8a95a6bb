"""What type checkers must reject: each ``E:`` names the error of its line. Checked, never run."""

from __future__ import annotations

import actorgrid as ag


@ag.remote
def add(a: int, b: int = 0) -> int:
    return a + b


class Counter:
    def add(self, by: int = 1) -> int:
        return by


handle = ag.remote(Counter).remote()

add.remote("x")  # E: call-overload
add.remote(1, c=3)  # E: call-overload
add.remote()  # E: call-overload
add.remote(1, 2, 3)  # E: call-overload
add.options(num_cpus=2).remote("x")  # E: call-overload
handle.call(Counter.add, by="x")  # E: arg-type
handle.call(Counter.add, 1, 2)  # E: call-arg
text: str = ag.get(add.remote(1))  # E: arg-type
ag.put()  # E: call-arg
ag.kill(3)  # E: arg-type
ag.cancel(add)  # E: arg-type
ag.init(num_cpus="two")  # E: arg-type
ag.no_such_name  # E: attr-defined
