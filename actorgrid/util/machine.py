"""What a program may ask about the machine that it runs on."""

from __future__ import annotations


def get_node_ip_address(address: str | None = None) -> str:
    """Return the address of this machine, as ``nodes()`` gives it: a grid is one machine, and nothing listens.

    ``address`` is where Ray would look for its cluster.
    """
    del address
    return "127.0.0.1"
