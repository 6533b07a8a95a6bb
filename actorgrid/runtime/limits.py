"""What an error says of a limit of the system that it met: which one, and how much there is of it.

Imported before there are no descriptors left to import it with, it costs nobody anything until something is refused.
"""

from __future__ import annotations

import errno
import resource


def told(error: OSError, who: str) -> str:
    """Return what was refused to ``who``, this process, and how much of it there is."""
    text = error.strerror or str(error)
    if error.errno == errno.EMFILE:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return f"{text}: {who} may have {most} descriptors, and all are taken (ulimit -n)"
    if error.errno == errno.EAGAIN:
        from actorgrid.runtime import cgroups  # pathlib, which programs need not wait for

        limits = [f"{m} in its control group (pids.max), and there are {n}" for n, m in cgroups.processes()]
        most = resource.getrlimit(resource.RLIMIT_NPROC)[0]
        if most != resource.RLIM_INFINITY:
            limits.append(f"{most} of this user (ulimit -u)")
        return f"{text}: {who} may start no further process; there may be {', and '.join(limits) or 'no more'}"
    return text
