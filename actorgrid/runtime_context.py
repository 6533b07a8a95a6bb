"""Where the calling code runs: the names of ``ray.runtime_context``."""

from actorgrid.api.context import RuntimeContext, get_runtime_context

__all__ = ["RuntimeContext", "get_runtime_context"]
