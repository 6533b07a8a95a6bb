"""Signal numbers and exit statuses as words, and the exception that SIGTERM becomes.

The numbers are Linux's (``signal`` asks the system, so not here).
"""

from __future__ import annotations

from typing import Final

SIGINT: Final = 2
SIGKILL: Final = 9
SIGTERM: Final = 15

#: With this exit code a worker ends whose links to the grid user code has closed.
CUT_OFF: Final = 197

NAMES: Final = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
    9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM",
    24: "SIGXCPU", 25: "SIGXFSZ", 31: "SIGSYS",
}  # fmt: skip

#: What a death by this signal usually means.
CAUSES: Final = {
    9: "perhaps by the kernel for lack of memory, or by hand",
    11: "a crash in compiled code",
    7: "memory that does not exist any more",
    6: "compiled code gave up",
}


class Terminated(SystemExit):
    """Somebody wants this program to end (SIGTERM): no exit that user code has asked for, which may not end its caller.

    Whoever catches ``SystemExit`` around user code, such as a ``__reduce__``, lets it pass.
    """


def describe(status: int) -> str:
    """Return how a process ended: ``status`` is its exit code, or minus the signal number."""
    if status == CUT_OFF:
        return "had closed its links to the grid (os.closerange, say) and ended"
    if status >= 0:
        return f"exited with code {status}"
    name = NAMES.get(-status, f"signal {-status}")
    cause = CAUSES.get(-status)
    return f"was killed by {name}" + (f" ({cause})" if cause else "")
