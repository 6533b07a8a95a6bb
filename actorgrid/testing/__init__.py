"""For tests of programs that use actorgrid, and of actorgrid itself.

``programs``
    small random programs: tasks, actors, nested gets, cancellations, kills, references in containers
``strategies``
    Hypothesis strategies for such programs, for fault plans and for schedules
"""

from actorgrid.testing.programs import Act, Outcome, play

__all__ = ["Act", "Outcome", "play"]
