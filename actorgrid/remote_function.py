"""Remote functions: the names of ``ray.remote_function``."""

from actorgrid.api.remote_function import RemoteFunction

__all__ = ["RemoteFunction"]
