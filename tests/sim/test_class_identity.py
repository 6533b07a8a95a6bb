"""Simulated processes have their own records of classes that go by value; the program has the interpreter's."""

from __future__ import annotations

import subprocess
import sys

FIRST_PICKLE_OF_A_CLASS = """
from actorgrid import sim
import actorgrid as ag

class Note: ...

@ag.remote
def another(like):
    return type(like)()

def program():
    print(isinstance(ag.get(another.remote(Note())), Note))

sim.run(program)
"""


def test_what_comes_back_is_of_the_programs_class_also_in_the_first_run_of_an_interpreter() -> None:
    done = subprocess.run([sys.executable, "-c", FIRST_PICKLE_OF_A_CLASS], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
