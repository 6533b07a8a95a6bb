"""``actorgrid start``, ``stop`` and ``status``: a grid that outlives the programs that use it."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import actorgrid as ag
from actorgrid.api.starting import check_limits, check_resources_of_grid, resolve_address
from actorgrid.core.texts import visible

#: So many of the calls that run are told of; each may take a second, if its process does not answer.
MOST_CALLS = 10
#: Seconds that the head has for what it says of one.
PATIENCE = 30.0
#: How much of an id names the object that a call makes; the rest is the grid's.
OBJECT_DIGITS = 16


def run_command(asked: argparse.Namespace) -> int:
    """Do what was asked; return an exit status: 1 if that cannot be done, 2 for bad arguments."""
    try:
        address = resolve_address(asked.address or "auto")
        return {"start": _start, "stop": _stop, "status": _status}[asked.command](asked, address)
    except (ConnectionError, FileExistsError, PermissionError, ag.exceptions.ActorGridError) as error:
        print(f"actorgrid: {error}", file=sys.stderr)
        return 1
    except (TypeError, ValueError) as error:
        print(f"actorgrid: {error}", file=sys.stderr)
        return 2


def _start(asked: argparse.Namespace, address: str) -> int:
    from actorgrid.runtime import persistent

    config = check_resources_of_grid(
        address, asked.num_cpus, asked.num_gpus, _json("resources", asked.resources, '{"disk": 2}'),
        asked.object_store_memory, asked.max_workers, labels=_labels(asked.labels), preload=asked.preload,
    )  # fmt: skip
    check_limits(here=False)
    pid = persistent.start(config)
    print(f"a grid runs at {address} (pid {pid})")
    shown = "auto" if address == resolve_address("auto") else address
    print(f"join it: actorgrid.init(address={shown!r}); end it: actorgrid stop{_option(asked)}")
    return 0


def _json(option: str, text: str | None, example: str) -> Any:
    try:
        return json.loads(text or "{}")
    except ValueError as error:
        raise ValueError(f"--{option} must be JSON such as '{example}': {error}") from error


def _labels(text: str | None) -> Any:
    """Return labels, written as JSON or as Ray has them on the command line: ``zone=a,disk=ssd``. Raises ValueError."""
    if text is None or text.lstrip().startswith("{"):
        return _json("labels", text, '{"zone": "a"}')
    pairs = [pair.partition("=") for pair in text.split(",")]
    if not all(sign for _, sign, _ in pairs):
        raise ValueError(f"--labels must be such as 'zone=a,disk=ssd': {text!r:.100}")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _option(asked: argparse.Namespace) -> str:
    return f" --address {asked.address}" if asked.address else ""


def _stop(asked: argparse.Namespace, address: str) -> int:
    del asked
    from actorgrid.runtime import persistent

    print(f"the grid at {address} has ended (pid {persistent.stop(address)})")
    return 0


def _status(asked: argparse.Namespace, address: str) -> int:
    del asked
    with ag.init(address=address, log_to_driver=False):
        free, have = ag.available_resources(), ag.cluster_resources()
        print(f"a grid runs at {address}")
        for name, amount in sorted(have.items()):
            if not name.startswith("node:"):
                print(f"  {visible(name):20} {free.get(name, 0):g} of {amount:g} free")
        for line in _calls():
            print(f"  {visible(line)}")
    return 0


def _calls() -> list[str]:
    """Return how the calls get on that run now, the first of them: also that a process does not answer any more."""
    from actorgrid.api.session import running
    from actorgrid.util.state import list_tasks

    tasks = list_tasks(filters=[("state", "=", "RUNNING")], limit=MOST_CALLS + 1, raise_on_missing_output=False)
    lines: list[str] = []
    for task in tasks[:MOST_CALLS]:
        lines += running().inspect("explain", {"oid": int(task.task_id[:OBJECT_DIGITS], 16)}, PATIENCE)["told"][:1]
    return [*lines, "..."] if len(tasks) > MOST_CALLS else lines


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # its only name
    """Add the commands."""
    default = "ACTORGRID_ADDRESS, else a folder of your own"
    start = commands.add_parser("start", help="start a grid that programs join with init(address='auto')")
    start.add_argument(
        "--num-cpus", type=int,
        help="what tasks are counted against (default: what it may use, and no more than ACTORGRID_NUM_CPUS says)",
    )  # fmt: skip
    start.add_argument("--num-gpus", type=float, help="... and GPUs (default: 0)")
    start.add_argument("--resources", metavar="JSON", help="... and others: '{\"disk\": 2}'")
    start.add_argument("--object-store-memory", type=int, metavar="BYTES", help="how much large objects may take")
    start.add_argument("--max-workers", type=int, help="the most processes")
    start.add_argument("--labels", metavar="LABELS", help="labels of this machine: 'zone=a,disk=ssd'")
    start.add_argument(
        "--preload", action="append", default=[], metavar="MODULE",
        help="a module that workers have imported before they need it; may be given several times",
    )  # fmt: skip
    for parser in (
        start,
        commands.add_parser("stop", help="end such a grid"),
        commands.add_parser("status", help="say what such a grid has"),
    ):
        parser.add_argument("--address", metavar="PATH", help=f"its socket (default: {default})")
