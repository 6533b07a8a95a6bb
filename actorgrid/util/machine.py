"""What a program may ask about the machine that it runs on."""

from __future__ import annotations


def get_node_ip_address() -> str:
    """Return the address of this machine, as ``nodes()`` gives it: a grid is one machine, and nothing listens."""
    return "127.0.0.1"
