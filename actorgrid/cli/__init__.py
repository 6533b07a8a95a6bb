"""The ``actorgrid`` command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status: 0 done, 1 something went wrong, 2 bad arguments."""
    parser = _parser()
    asked, rest = parser.parse_known_args(argv)
    if rest and getattr(asked, "how", None) == "replay" and asked.schedule is None and not rest[0].startswith("-"):
        asked.schedule = rest.pop(0)  # argparse looks for it before the options only
    if rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if asked.command is None:
        parser.print_help()
        return 0
    if asked.command == "sim" and (wrong := _check_sim(asked)):
        print(f"actorgrid sim: {wrong}", file=sys.stderr)
        return 2
    try:
        if asked.command == "sim" and argv is None:  # a process of its own
            from actorgrid.cli.sim import hash_as_found

            hash_as_found(asked)
        return _carry_out(asked)
    except KeyboardInterrupt:
        if asked.command == "ray":
            raise  # where it was is the program's to say
        print("actorgrid: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `actorgrid demo | head`: nobody reads on, and the interpreter's last flush must not fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


def _carry_out(asked: argparse.Namespace) -> int:
    if asked.command in {"start", "stop", "status"}:
        from actorgrid.cli.grid import run_command as run_grid

        return run_grid(asked)
    if asked.command == "sim":
        from actorgrid.cli.sim import run_command

        return run_command(asked)
    if asked.command == "ray":
        from actorgrid.cli.ray import run_program

        return run_program(asked.program, asked.arguments, module=asked.module)
    from actorgrid.cli.demo import run

    return run(asked.path, asked.workers)


def _parser() -> argparse.ArgumentParser:
    import actorgrid
    from actorgrid.cli.grid import add_parsers as add_grid

    parser = argparse.ArgumentParser(prog="actorgrid", description="Ray's programming model for one machine.")
    parser.add_argument("--version", action="version", version=f"actorgrid {actorgrid.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="index a few thousand files, kill a worker on the way, show that nothing is lost",
        description="Index text files with tasks and actors, kill a worker on the way, show that nothing is lost.",
    )
    demo.add_argument("path", nargs="?", type=Path, help="a folder (default: Python's standard library)")
    demo.add_argument("--workers", type=_count, help="how many tasks at a time (default: one per CPU, 2 to 8)")
    add_grid(commands)
    ray = commands.add_parser(
        "ray",
        help="run a program that was written for Ray, as it is",
        description="Run a Python program in which `import ray` is actorgrid.",
    )
    ray.add_argument("-m", dest="module", action="store_true", help="PROGRAM is a module, as for python -m")
    ray.add_argument("program", help="FILE.py, or a module's name after -m")
    ray.add_argument("arguments", nargs=argparse.REMAINDER, help="what the program finds in sys.argv[1:]")
    _add_sim(commands.add_parser("sim", help="run a program under every schedule and every crash, in one thread"))
    return parser


def _add_sim(sim: argparse.ArgumentParser) -> None:
    sim.add_argument("how", choices=("run", "explore", "prove", "replay"), help="what to do with the program")
    sim.add_argument("program", help="FILE.py::function; the function takes no arguments and fails by raising")
    sim.add_argument("schedule", nargs="?", help="replay: the ag1:... line of a report, or a file that has it")
    sim.add_argument("--runs", type=int, default=1000, help="explore: how many schedules (default: 1000)")
    sim.add_argument("--seconds", type=float, help="explore: how long at the most")
    sim.add_argument("--seed", type=int, default=0, help="what random numbers and random schedules follow (default: 0)")
    sim.add_argument(
        "--policy", default="portfolio", help="explore: portfolio, idb, random, pos, pct:3, delay:0.1, urw"
    )
    sim.add_argument("--reduction", default="dpor", help="prove: dpor, sleep or none (default: dpor)")
    sim.add_argument("--level", choices=("calls", "links"), default="calls", help="what is a choice (default: calls)")
    sim.add_argument("--kill", type=int, default=0, help="how many processes may die in a run (default: 0)")
    sim.add_argument("--tasks-only", action="store_true", help="... only those of tasks, not those of actors")
    sim.add_argument("--kill-points", metavar="P,P", help="... only there: blocked, send, before_reply, restart")
    sim.add_argument("--clock-jumps", type=int, default=0, help="how often the wall clock may jump (default: 0)")
    sim.add_argument("--spawn-errors", type=int, default=0, help="how often a process may not start (default: 0)")
    sim.add_argument("--store-full", type=int, default=0, help="how often a large value finds no room (default: 0)")
    sim.add_argument("--spill-errors", type=int, default=0, help="how often a copy to or from disk fails (default: 0)")
    sim.add_argument("--low-memory", type=int, default=0, help="how often memory may run short (default: 0)")
    sim.add_argument("--head", action="store_true", help="the head may die")
    sim.add_argument("--driver", action="store_true", help="the driver may die")
    sim.add_argument(
        "--html", metavar="FILE", help="explore: write the story of the first failure as a page with lanes"
    )
    sim.add_argument("--real", action="store_true", help="replay: on real processes")


#: Options of ``actorgrid sim`` that one command takes only. ``replay`` takes no others: all else is in the schedule.
_ONLY: Final = {
    "runs": "explore", "seconds": "explore", "policy": "explore", "html": "explore", "reduction": "prove",
    "schedule": "replay", "real": "replay",
}  # fmt: skip


def _check_sim(asked: argparse.Namespace) -> str:
    """Return what is wrong with the options of ``actorgrid sim``, "" if nothing is."""
    plain = argparse.ArgumentParser()
    _add_sim(plain)
    for name, value in vars(asked).items():
        if name in {"command", "how", "program"} or value == plain.get_default(name):
            continue
        only = _ONLY.get(name)
        option = "a schedule" if name == "schedule" else f"--{name.replace('_', '-')}"
        if only not in {None, asked.how}:
            return f"{asked.how} does not take {option}: {only} does"
        if only is None and asked.how == "replay":
            return f"replay does not take {option}: the schedule says what it was found with"
    return ""


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 256")
    return int(text)
