"""A program on the simulator that ends without a word: so it does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import actorgrid as ag
ag.init(num_cpus=2, engine="sim")

@ag.remote
def one():
    return 1

ref = one.remote()
ag.get(ref)

def refers():
    return ag
"""


def test_reference_that_outlives_the_module_it_is_of_says_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


FAILS = """
import actorgrid as ag

ag.init(engine="sim")
raise LookupError("nothing")
"""


def test_error_that_ends_the_program_shows_its_source(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(FAILS)
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert '    raise LookupError("nothing")\n' in done.stderr
