"""pytest once more, with strings hashed as a simulated test needs it: that is settled when Python starts."""

from __future__ import annotations

import contextlib
import os
import sys

import pytest

from actorgrid.sim import hashing
from actorgrid.sim.choices import Schedule


def hash_as(config: pytest.Config, asked: str, schedule: str | None) -> None:
    """Start this pytest again where strings hash as they did for ``schedule``, or with the seed ``asked`` ("": 0).

    Nothing if they do already; if ``PYTHONHASHSEED`` is set, and no schedule says otherwise; or if the process does
    something else besides: then it is not ours to start again.
    """
    wanted = asked or "0"
    if schedule is not None:
        with contextlib.suppress(ValueError, OSError):  # the test that replays it will tell
            wanted = str(hashing.seed_of(Schedule.loads(schedule).settings) or wanted)
    elif os.environ.get(hashing.VARIABLE):
        return
    if not wanted.isdigit():
        raise pytest.UsageError(f"actorgrid_hash_seed must be a whole number, not {wanted!r}")
    if int(wanted) == hashing.HERE or sys.flags.ignore_environment or not _is_all_that_runs(config):
        return
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.stop_global_capturing()
    sys.stdout.flush()
    os.execve(sys.executable, sys.orig_argv, {**os.environ, hashing.VARIABLE: wanted})  # noqa: S606  # ourselves


def _is_all_that_runs(config: pytest.Config) -> bool:
    """Return whether this is the command ``pytest``, neither a worker of another one nor called by a program."""
    return not hasattr(config, "workerinput") and sys.argv[1:] == list(config.invocation_params.args)
