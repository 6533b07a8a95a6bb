"""What the event loops of a simulation refuse: sockets, pipes, signals and other processes are outside of it.

This file may not know what a simulated loop does.
"""

from __future__ import annotations

import asyncio.base_events
from collections.abc import Callable
from typing import Any, Final, NoReturn

from actorgrid.exceptions import SimulationError
from actorgrid.sim.places import call_site

_ELSEWHERE: Final = "put it behind an interface and give the simulation another implementation"
_OUTSIDE: Final = f"sockets and pipes lead out of the simulation; {_ELSEWHERE}"
_PROCESSES: Final = f"other processes are outside of the simulation; {_ELSEWHERE}"
_SIGNALS: Final = "signals belong to the one real process"

#: Methods of an event loop, and why they are refused.
REFUSED: Final = {
    **dict.fromkeys(
        (
            "add_reader", "add_writer", "remove_reader", "remove_writer", "connect_accepted_socket",
            "connect_read_pipe", "connect_write_pipe", "create_connection", "create_datagram_endpoint",
            "create_server", "create_unix_connection", "create_unix_server", "getaddrinfo", "getnameinfo", "sendfile",
            "sock_accept", "sock_connect", "sock_recv", "sock_recv_into", "sock_recvfrom", "sock_recvfrom_into",
            "sock_sendall", "sock_sendfile", "sock_sendto", "start_tls",
        ),
        _OUTSIDE,
    ),
    **dict.fromkeys(("subprocess_exec", "subprocess_shell"), _PROCESSES),
    **dict.fromkeys(("add_signal_handler", "remove_signal_handler"), _SIGNALS),
}  # fmt: skip


def _refusing(name: str, why: str) -> Callable[..., NoReturn]:
    def refuse(_loop: Any, *_args: Any, **_kwargs: Any) -> NoReturn:
        raise SimulationError(f"the simulator cannot run loop.{name}(), which is called at {call_site()}: {why}")

    refuse.__name__ = name
    return refuse


class RefusingLoop(asyncio.base_events.BaseEventLoop):
    """An event loop that says so where it cannot do something."""


for _name, _why in REFUSED.items():
    setattr(RefusingLoop, _name, _refusing(_name, _why))
