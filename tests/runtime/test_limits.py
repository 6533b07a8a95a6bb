"""What errors say of the limits of the system."""

from __future__ import annotations

import errno
import os
import resource

import pytest

from actorgrid.runtime import cgroups, limits


def refused(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def test_too_many_open_files_says_how_many_there_may_be() -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert limits.told(refused(errno.EMFILE), "the head") == (
        f"Too many open files: the head may have {most} descriptors, and all are taken (ulimit -n)"
    )


def test_process_that_may_not_be_says_what_its_groups_and_its_user_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "processes", lambda: [(5, 6)])
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1000, 1000))
    assert limits.told(refused(errno.EAGAIN), "the head") == (
        "Resource temporarily unavailable: the head may start no further process; there may be "
        "6 in its control group (pids.max), and there are 5, and 1000 of this user (ulimit -u)"
    )


def test_whatever_else_is_refused_says_what_the_system_says() -> None:
    assert limits.told(refused(errno.ENOSPC), "the head") == "No space left on device"
