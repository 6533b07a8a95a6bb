"""For tests of programs that use actorgrid, and of actorgrid itself.

``processes``
    the processes of the running grid, to look at and to kill
``commands``
    command lines with captured output, gone at the end with all they started
``leaks``
    what is there after a test and was not before: processes, threads, descriptors, shared memory, files
``waiting``, ``marks``
    waiting for a condition; finding the processes that somebody started
``programs``
    small random programs: tasks, actors, nested gets, cancellations, kills, references in containers
``ledger``
    what came of each of their calls, and which promise was not kept
``strategies``
    Hypothesis strategies for such programs, for fault plans and for schedules
"""

from actorgrid.testing.commands import Command
from actorgrid.testing.leaks import no_leaks
from actorgrid.testing.processes import ProcessHandle, RealGrid
from actorgrid.testing.programs import Act, Outcome, play
from actorgrid.testing.waiting import wait_until

__all__ = ["Act", "Command", "Outcome", "ProcessHandle", "RealGrid", "no_leaks", "play", "wait_until"]
