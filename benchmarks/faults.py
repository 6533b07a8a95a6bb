"""Single tasks that go wrong, on actorgrid and on pools of processes: who else suffers?

    python benchmarks/faults.py [--systems a,b] [--only WD01,SE08] [--json FILE] [--limit SECONDS] [--smoke]

Each case runs in a process of its own under a watchdog: a pool of two workers, innocent tasks before and after the
faulty one, one more task afterwards. Its outcome is one of

* ``isolated``: the faulty task ended, with an error or a value; every innocent one has its result; the next one too;
* ``collateral``: an innocent task or the next one ended with an error (often the pool is dead), or the program died;
* ``hang``: something has not ended within the limit.

Everybody runs with their defaults. ``pip install 'actorgrid[bench]'`` brings loky.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import fault_cases  # noqa: E402  # found beside this file

WORKERS = 2
OUTCOMES = ("isolated", "collateral", "hang")
SMOKE = ["WD01", "SE08", "UM01b"]
#: A call that starts a task and returns how to wait for it, for so many seconds. Raises TimeoutError.
Submit = Callable[..., Callable[[float], Any]]


def start_actorgrid() -> Submit:
    import actorgrid as ag

    ag.init(num_cpus=WORKERS)

    def submit(function: Callable[..., Any], *args: Any) -> Callable[[float], Any]:
        ref = ag.remote(function).remote(*args)
        return lambda seconds: ag.get(ref, timeout=seconds)

    return submit


def start_pool() -> Submit:
    import multiprocessing

    pool = multiprocessing.get_context("fork").Pool(WORKERS)

    def submit(function: Callable[..., Any], *args: Any) -> Callable[[float], Any]:
        return pool.apply_async(function, args).get

    return submit


def _of_executor(executor: Any) -> Submit:
    def submit(function: Callable[..., Any], *args: Any) -> Callable[[float], Any]:
        return executor.submit(function, *args).result  # type: ignore[no-any-return]  # any executor's

    return submit


def start_executor() -> Submit:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    return _of_executor(ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("fork")))


def start_loky() -> Submit:
    import loky

    return _of_executor(loky.ProcessPoolExecutor(WORKERS))


#: Name -> (how to start it, the module that must be importable).
SYSTEMS: dict[str, tuple[Callable[[], Submit], str]] = {
    "actorgrid": (start_actorgrid, "actorgrid"),
    "Pool": (start_pool, "multiprocessing"),
    "Executor": (start_executor, "concurrent.futures"),
    "loky": (start_loky, "loky"),
}


# -------------------------------------------------------------------------------------------------- one case, a child


def _end_of(wait: Callable[[float], Any], limit: float) -> tuple[str, Any]:
    began = time.monotonic()
    try:
        return "value", wait(limit)
    except BaseException as error:  # noqa: BLE001  # whatever comes is what is measured
        # By name, for that of multiprocessing is no TimeoutError; the clock tells whose time was over.
        late = type(error).__name__ in ("TimeoutError", "GetTimeoutError") and time.monotonic() - began >= limit
        return ("hang" if late else "error"), f"{type(error).__name__}: {_text(error)}"


def _text(error: BaseException) -> str:
    try:
        return str(error)[:200]
    except Exception:  # noqa: BLE001  # some cases are about that
        return "?"


def child(system: str, case: str, limit: float) -> None:
    """Run one case in this process; print one line of JSON, and end without tidying up."""
    submit = SYSTEMS[system][0]()
    for wait in [submit(fault_cases.innocent, number) for number in range(2 * WORKERS)]:
        wait(60.0)  # the workers are there
    before = [submit(fault_cases.innocent, number) for number in range(10)]
    function, args = fault_cases.CASES[case][1]()
    try:
        faulty = submit(function, *args)
        fate = None
    except BaseException as error:  # noqa: BLE001  # refused at the call: as good as any error
        fate = ("error", f"at the call: {type(error).__name__}: {_text(error)}")
    del args
    waits, refused = list(before), 0
    for number in range(10, 20):
        try:
            waits.append(submit(fault_cases.innocent, number))
        except Exception:  # noqa: BLE001  # the pool is dead already
            refused += 1
    fate = fate or _end_of(faulty, limit)
    until = time.monotonic() + limit
    ends = [_end_of(wait, max(until - time.monotonic(), 0.01)) for wait in waits]
    try:
        following = _end_of(submit(fault_cases.innocent, 7), limit)
    except Exception as error:  # noqa: BLE001  # the pool is dead
        following = ("error", f"{type(error).__name__}: {_text(error)}")
    wrong = refused + sum(end != ("value", number * number) for number, end in enumerate(ends))
    hang = "hang" in (fate[0], following[0], *(end[0] for end in ends))
    outcome = "hang" if hang else "collateral" if wrong or following != ("value", 49) else "isolated"
    told = {"outcome": outcome, "faulty": fate[0], "says": str(fate[1]), "innocents lost": wrong, "next": following[0]}
    os.write(1, f"\ncase:{json.dumps(told)}\n".encode())
    os._exit(0)


def run_case(system: str, case: str, limit: float) -> dict[str, Any]:
    """Run one case in a process of its own, with a watchdog."""
    command = [sys.executable, str(HERE / "faults.py"), "--child", system, case, "--limit", str(limit)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=environment, start_new_session=True,
    )  # fmt: skip
    told: dict[str, Any] = {"outcome": "hang", "faulty": "hang", "says": "the program does not end"}
    try:
        # Not to the end of the stream: workers that a pool leaves behind hold it.
        assert process.stdout is not None
        timer = _kill_after(process, 4 * limit + 60)
        for line in process.stdout:
            if line.startswith(b"case:"):
                told = json.loads(line[5:])
                break
        else:
            status = process.wait()
            if status != -signal.SIGKILL:
                told = {"outcome": "collateral", "faulty": "?", "says": f"the program ended with status {status}"}
        timer.cancel()
        process.stdout.close()
    finally:
        _kill_group(process)
        for name in Path("/dev/shm").glob(f"sem.loky-{process.pid}-*"):  # what would have removed them is dead, too
            name.unlink(missing_ok=True)
    return told


def _kill_after(process: subprocess.Popen[bytes], seconds: float) -> Any:
    import threading

    timer = threading.Timer(seconds, _kill_group, (process,))
    timer.daemon = True
    timer.start()
    return timer


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


# ---------------------------------------------------------------------------------------------------------- the table


def table(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Return the score and the cases as Markdown."""
    names = list(results)
    lines = ["| | " + " | ".join(names) + " |", "|---|" + "--:|" * len(names)]
    scores = {name: Counter(told["outcome"] for told in results[name].values()) for name in names}
    lines += [
        f"| **{outcome}** | " + " | ".join(str(scores[name][outcome]) for name in names) + " |" for outcome in OUTCOMES
    ]
    for case in next(iter(results.values())):
        what = fault_cases.CASES[case][0]
        lines.append(f"| {case}: {what} | " + " | ".join(results[name][case]["outcome"] for name in names) + " |")
    return "\n".join(lines)


def main() -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--systems", help=f"comma-separated, of {', '.join(SYSTEMS)}; default: all installed")
    parser.add_argument("--only", help="comma-separated ids of cases")
    parser.add_argument("--limit", type=float, default=8.0, help="seconds after which a wait counts as a hang")
    parser.add_argument("--json", type=Path, help="write every outcome there")
    parser.add_argument("--smoke", action="store_true", help="three cases on actorgrid: does it run, do they pass?")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child(*asked.child, asked.limit)
    installed = [name for name, (_, module) in SYSTEMS.items() if importlib.util.find_spec(module) is not None]
    names = asked.systems.split(",") if asked.systems else ["actorgrid"] if asked.smoke else installed
    cases = asked.only.split(",") if asked.only else SMOKE if asked.smoke else list(fault_cases.CASES)
    results: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in names}
    for case in cases:
        for name in names:
            results[name][case] = told = run_case(name, case, asked.limit)
            print(f"{case} {name}: {told['outcome']} ({told['says'][:100]})", file=sys.stderr, flush=True)
    print(f"CPython {platform.python_version()}, {os.cpu_count()} CPUs, {len(cases)} cases, {WORKERS} workers\n")
    print(table(results))
    if asked.json:
        asked.json.write_text(json.dumps(results, indent=1))
    ours = results.get("actorgrid", {})
    return int(any(told["outcome"] != "isolated" for told in ours.values()))


if __name__ == "__main__":
    sys.exit(main())
