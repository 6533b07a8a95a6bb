"""Libraries that actorgrid does not need and its users have: notebooks, Arrow, uvloop."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.proc.helpers import Driver

Drive = Callable[..., Driver]

START = """
import actorgrid as ag
"""

#: What a notebook does: a shell in a module called __main__ runs cells, each compiled under a name of its own.
NOTEBOOK = """
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance(colors="nocolor")

def cell(source):
    shell.run_cell(source, store_history=True).raise_error()

cell("import actorgrid as ag; grid = ag.init(num_cpus=2)")
"""


def run(drive: Drive, program: str) -> Driver:
    driver = drive(START + program)
    driver.succeeds()
    driver.leaves_nothing()
    return driver


def notebook(drive: Drive, cells: str) -> Driver:
    pytest.importorskip("IPython", reason="a notebook's cells need IPython: pip install ipython")
    return run(drive, NOTEBOOK + cells + '\ncell("ag.shutdown()")\n')


def test_functions_and_classes_of_a_notebook(drive: Drive) -> None:
    driver = notebook(
        drive,
        """
cell("LIMIT = 10\\nclass Point:\\n    def __init__(self, x): self.x = x")
cell("def helper(x): return x + LIMIT")
cell("@ag.remote\\ndef use(point): return Point(helper(point.x))")
cell("@ag.remote\\nclass Box:\\n    def get(self): return Point(5)")
cell("point = ag.get(use.remote(Point(1))); print('task:', isinstance(point, Point), point.x)")
cell("print('actor:', isinstance(ag.get(Box.remote().get.remote()), Point))")
""",
    )
    assert driver.said("task") == "True 11"
    assert driver.said("actor") == "True"


def test_cell_that_is_run_again_defines_the_function_anew(drive: Drive) -> None:
    driver = notebook(
        drive,
        """
for version in range(3):
    cell(f"@ag.remote\\ndef f(): return {version}")
    cell("print(f'again{ag.get(f.remote())}: seen')")
""",
    )
    for version in range(3):
        driver.wait_for(f"again{version}")


def test_traceback_of_a_task_names_the_cell(drive: Drive) -> None:
    driver = notebook(
        drive,
        """
cell("@ag.remote\\ndef fails():\\n    raise ValueError('odd')")
place = shell.user_ns["fails"]._function.__code__.co_filename
try:
    cell("ag.get(fails.remote())")
except ValueError as error:
    print("named:", f'File "{place}", line 3, in fails' in str(error))
""",
    )
    assert driver.said("named") == "True"


def test_await_in_a_cell(drive: Drive) -> None:
    driver = notebook(
        drive,
        """
cell("f = ag.remote(lambda: 7)")
cell("print('awaited:', await f.remote())")
""",
    )
    assert driver.said("awaited") == "7"


def test_arrow_tables_come_back_without_a_copy_and_cannot_be_changed(drive: Drive) -> None:
    pytest.importorskip("pyarrow", reason="Arrow tables need pyarrow: pip install pyarrow")
    driver = run(
        drive,
        """
import pyarrow as pa
table = pa.table({"number": pa.array(range(100_000)), "word": pa.array(["a", "bc"] * 50_000)})

@ag.remote
def total(table):
    return table.slice(10), pa.compute.sum(table["number"]).as_py()

def buffers(table):
    return [buffer for column in table.columns for chunk in column.chunks for buffer in chunk.buffers() if buffer]

import pyarrow.compute
with ag.init(num_cpus=2):
    ref = ag.put(table)
    part, value = ag.get(total.remote(ref))
    print("sum:", value, part.num_rows)
    first, second = ag.get(ref), ag.get(ref)
    print("equal:", first.equals(table))
    print("shared:", [a.address for a in buffers(first)] == [b.address for b in buffers(second)])
    print("mutable:", any(buffer.is_mutable for buffer in buffers(first)))
    del first, second, part
""",
    )
    assert driver.said("sum") == f"{sum(range(100_000))} 99990"
    assert driver.said("equal") == "True"
    assert driver.said("shared") == "True"
    assert driver.said("mutable") == "False"


def test_async_actors_run_on_uvloop(drive: Drive) -> None:
    pytest.importorskip("uvloop", reason="uvloop is a dependency wherever it exists, and it does not exist here")
    driver = run(
        drive,
        """
import asyncio

@ag.remote
class Server:
    async def loop(self):
        import uvloop
        return isinstance(asyncio.get_running_loop(), uvloop.Loop)

print("loop:", ag.get(Server.remote().loop.remote()))
""",
    )
    assert driver.said("loop") == "True"
