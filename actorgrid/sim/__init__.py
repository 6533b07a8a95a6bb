"""The same without processes: a whole grid in one thread, deterministically, under every schedule and every crash.

The map of the house; each line may use the lines below it::

    explorer     run, explore, prove, replay, test: what users call
    realplay, differential
                 a simulated run again on real processes; the outcomes of both compared
    picture      the same as one HTML file
    report       the story of a failure on one screen
    nondeterminism
                 two runs of one schedule compared
    progress     how far a search is
    shrink, plainer
                 the shortest such story, with as little held back as will do
    search, exhaustive, policies
                 which schedules to try
    runner       one run of a program
    subject      which function is meant, and whether it takes its arguments
    history, linearizability
                 who did what, and whether some order explains it
    ambient      what simulated code calls: settle, peek, always, eventually, buggify
    property_based
                 world(): the same inside of Hypothesis tests, which shrink inputs and schedule together
    session      init(engine="sim"): a world around a program outside of any run
    patches, threads, locks
                 clocks, locks, threads, processes as simulated code finds them
    world        the hub: user code, messages, choices, time, faults
    parts        what of it can be looked at
    links, grid  the head machine and the links of a simulated grid
    worker, async_actor, host, noticing, callbacks, memory
                 a simulated process
    loops        event loops of simulated code
    faults       what may break
    filelocks    locks on files between simulated processes
    readonly     whether a readonly method leaves its actor as it was
    races, asleep, footprint
                 which steps commute
    isolation, snapshots
                 globals that real processes would not share, and as they were before a run
    onlookers    what some programs can tell, and what is held back for them
    places       lines of the user's program
    promises     always, eventually, sometimes
    hashing      how strings hash here
    pythons      which Python this is, where that matters
    replaced, standins
                 functions that are others to simulated code, and where they lie
    choices, clock, fibers, turns
                 decisions, time and turns
"""

from actorgrid.exceptions import NotLinearizable, SimulationFailed
from actorgrid.sim.ambient import always, buggify, eventually, peek, settle, sometimes
from actorgrid.sim.boundary import boundary
from actorgrid.sim.choices import Choice, Schedule
from actorgrid.sim.differential import Diff, differential
from actorgrid.sim.exhaustive import Proof
from actorgrid.sim.explorer import (
    Exploration,
    Failure,
    explore,
    prove,
    replay,
    run,
    test,
)
from actorgrid.sim.faults import Faults, Level
from actorgrid.sim.history import Counter, History, KeyValue, Mutex, Queue, Register
from actorgrid.sim.isolation import share
from actorgrid.sim.linearizability import UNKNOWN, Linearization, Model
from actorgrid.sim.progress import Progress
from actorgrid.sim.property_based import world
from actorgrid.sim.realplay import RealRun
from actorgrid.sim.runner import Run
from actorgrid.sim.world import World

__all__ = [
    "UNKNOWN",
    "Choice",
    "Counter",
    "Diff",
    "Exploration",
    "Failure",
    "Faults",
    "History",
    "KeyValue",
    "Level",
    "Linearization",
    "Model",
    "Mutex",
    "NotLinearizable",
    "Progress",
    "Proof",
    "Queue",
    "RealRun",
    "Register",
    "Run",
    "Schedule",
    "SimulationFailed",
    "World",
    "always",
    "boundary",
    "buggify",
    "differential",
    "eventually",
    "explore",
    "peek",
    "prove",
    "replay",
    "run",
    "settle",
    "share",
    "sometimes",
    "test",
    "world",
]
