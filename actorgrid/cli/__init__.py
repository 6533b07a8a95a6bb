"""The ``actorgrid`` command."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status: 0 done, 1 something went wrong, 2 bad arguments."""
    parser = _parser()
    asked = parser.parse_args(argv)
    if asked.command is None:
        parser.print_help()
        return 0
    from actorgrid.cli.demo import run

    try:
        return run(asked.path, asked.workers)
    except KeyboardInterrupt:
        print("actorgrid: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `actorgrid demo | head`: nobody reads on, and the interpreter's last flush must not fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


def _parser() -> argparse.ArgumentParser:
    import actorgrid

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
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 256")
    return int(text)
