"""``import actorgrid.as_ray`` makes ``import ray`` mean actorgrid, here and in workers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from actorgrid.api.absent import ABSENT


def run(code: str, cwd: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a program as a file of its own."""
    (cwd / "program.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-W", "error", *(options or ("program.py",))]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=50, check=False)


def said(code: str, cwd: Path, *options: str) -> str:
    """Return what a program prints; nothing may go wrong."""
    done = run(code, cwd, *options)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_modules_of_ray_are_those_of_actorgrid(tmp_path: Path) -> None:
    code = """
import actorgrid.as_ray
import actorgrid, ray, ray.util.queue
from ray.exceptions import RayTaskError
from ray.util import ActorPool
assert ray is actorgrid and ray.util.queue is actorgrid.util.queue
assert ActorPool is actorgrid.util.ActorPool and RayTaskError is actorgrid.exceptions.TaskError
assert actorgrid.__spec__.name == "actorgrid" and actorgrid.util.queue.__spec__.name == "actorgrid.util.queue"
print("well")
"""
    assert said(code, tmp_path) == "well\n"


def test_names_are_where_ray_has_them(tmp_path: Path) -> None:
    code = """
import actorgrid.as_ray
import actorgrid
from ray._raylet import ObjectRefGenerator
from ray.dag.dag_node import DAGNode
from ray.dag.input_node import InputNode
from ray.dag.output_node import MultiOutputNode
from ray.job_config import JobConfig
from ray.remote_function import RemoteFunction
from ray.runtime_context import RuntimeContext, get_runtime_context
from ray.util.annotations import Deprecated, DeveloperAPI, PublicAPI
from ray.util.check_serialize import inspect_serializability
from ray.util.multiprocessing import JoinableQueue
from ray.util.multiprocessing.pool import Pool
import ray.dag.function_node
assert ray.dag.function_node.FunctionNode is actorgrid.dag.FunctionNode and InputNode is actorgrid.dag.InputNode
assert get_runtime_context is actorgrid.get_runtime_context and Pool is actorgrid.util.multiprocessing.Pool
print("well")
"""
    assert said(code, tmp_path) == "well\n"


def test_names_are_in_the_modules_that_define_them_on_ray(tmp_path: Path) -> None:
    code = """
import actorgrid.as_ray
import ray
from ray._raylet import ActorID, JobID, ObjectID, TaskID
from ray.experimental.compiled_dag_ref import CompiledDAGRef
from ray.experimental.locations import get_object_locations
from ray.runtime_env.runtime_env import RuntimeEnv
from ray.util.accelerators.accelerators import NVIDIA_H100
from ray.util.actor_group import ActorGroup
from ray.util.annotations import RayDeprecationWarning
from ray.util.check_serialize import FailureTuple
from ray.util.collective.collective import allreduce
from ray.util.collective.types import Backend
from ray.util.helpers import as_completed, map_unordered
from ray.util.placement_group import VALID_PLACEMENT_GROUP_STRATEGIES
from ray.util.scheduling_strategies import SchedulingStrategyT
from ray.util.state.api import list_tasks
assert ActorID is ray.ActorID and ObjectID is ray.ObjectID and RuntimeEnv is ray.runtime_env.RuntimeEnv
assert list_tasks is ray.util.state.list_tasks and allreduce is ray.util.collective.allreduce
assert ray.util.state.__spec__.name == "actorgrid.util.state"
assert (Backend.NCCL, Backend.UNRECOGNIZED, "nccl" in list(Backend)) == ("NCCL", "unrecognized", False)
print("well")
"""
    assert said(code, tmp_path) == "well\n"


def test_modules_are_there_that_import_ray_brings_along_on_ray(tmp_path: Path) -> None:
    code = """
import actorgrid as ray
assert ray.runtime_context.get_runtime_context is ray.get_runtime_context
assert ray.remote_function.RemoteFunction is ray.RemoteFunction
assert ray.util.actor_pool.ActorPool is ray.util.ActorPool and ray.util.helpers.as_completed is ray.util.as_completed
assert ray.util.debug.log_once is ray.util.log_once and ray.experimental.tqdm_ray.tqdm
assert ray.util.annotations.PublicAPI and ray.util.check_serialize.inspect_serializability
print("well")
"""
    assert said(code, tmp_path) == "well\n"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ray.data", "there is no ray.data: actorgrid is Ray Core for one machine, without ray.data"),
        ("ray.train.torch", "there is no ray.train: actorgrid is Ray Core for one machine, without ray.train"),
        ("ray._private.utils", f"there is no ray._private in actorgrid: {ABSENT['_private']}"),
        ("ray.core", "there is no ray.core in actorgrid"),
        ("ray.util.spark", "there is no ray.util.spark in actorgrid"),
        (
            "ray.experimental.internal_kv",
            f"there is no ray.experimental.internal_kv in actorgrid: {ABSENT['experimental.internal_kv']}",
        ),
    ],
)
def test_what_there_is_not_is_no_module(tmp_path: Path, name: str, told: str) -> None:
    code = f"""
import actorgrid.as_ray
try:
    import {name}
except ModuleNotFoundError as error:
    print(error)
"""
    assert said(code, tmp_path) == f"{told}\n"


def test_ray_that_is_imported_already_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("", encoding="utf-8")
    done = run("import ray\nimport actorgrid.as_ray", tmp_path)
    assert done.returncode == 1
    told = f"ImportError: ray is imported already (from {tmp_path / 'ray.py'}): import actorgrid.as_ray before"
    assert told in done.stderr


def test_modules_that_workers_import_see_the_same(tmp_path: Path) -> None:
    helper = "import ray\n\n@ray.remote\ndef nested():\n    return ray.__name__\n"
    (tmp_path / "helper.py").write_text(helper, encoding="utf-8")
    code = """
import actorgrid.as_ray
import ray

@ray.remote
def task():
    import helper
    return ray.get(helper.nested.remote())

ray.init(num_cpus=2)
print(ray.get(task.remote()))
"""
    assert said(code, tmp_path) == "actorgrid\n"


def test_command_runs_a_program_as_it_is(tmp_path: Path) -> None:
    code = """
import sys, ray, beside
assert __name__ == "__main__"

@ray.remote
def double(text):
    return 2 * text

print(ray.get([double.remote(word) for word in sys.argv[1:]]), beside.HERE)
"""
    (tmp_path / "beside.py").write_text("import ray\nHERE = ray.__name__\n", encoding="utf-8")
    printed = said(code, tmp_path, "-m", "actorgrid", "ray", "program.py", "a", "--b")
    assert printed == "['aa', '--b--b'] actorgrid\n"


def test_processes_that_a_program_starts_by_itself_see_the_same(tmp_path: Path) -> None:
    code = """
import multiprocessing, subprocess, sys
import ray

def name(_):
    return ray.__name__

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(name, [1]))
    print(subprocess.check_output([sys.executable, "-c", "import ray.util; print(ray.util.__name__)"], text=True))
"""
    printed = said(code, tmp_path, "-m", "actorgrid", "ray", "program.py")
    assert printed == "['actorgrid']\nactorgrid.util\n\n"


def test_command_ends_as_the_program_does(tmp_path: Path) -> None:
    assert run("raise SystemExit(7)", tmp_path, "-m", "actorgrid", "ray", "program.py").returncode == 7
    failed = run("import ray\nray.get(1)", tmp_path, "-m", "actorgrid", "ray", "program.py")
    assert failed.returncode == 1
    assert 'program.py", line 2' in failed.stderr


def test_command_refuses_what_is_no_file(tmp_path: Path) -> None:
    done = run("", tmp_path, "-m", "actorgrid", "ray", "nothing.py")
    assert (done.returncode, done.stderr) == (2, "actorgrid: there is no file 'nothing.py'\n")


def package_with(tmp_path: Path, main: str) -> None:
    package = tmp_path / "lab"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "steps.py").write_text("import ray\n\n@ray.remote\ndef double(text):\n    return 2 * text\n", "utf-8")
    (package / "__main__.py").write_text(main, encoding="utf-8")


def test_command_runs_a_module_as_python_does(tmp_path: Path) -> None:
    main = """
import sys, ray
from .steps import double

@ray.remote
class Own:
    def double(self, words):
        return ray.get([double.remote(word) for word in words]), __package__

if __name__ == "__main__":
    print(*ray.get(Own.remote().double.remote(sys.argv[1:])))
"""
    package_with(tmp_path, main)
    assert said("", tmp_path, "-m", "actorgrid", "ray", "-m", "lab", "a", "--b") == "['aa', '--b--b'] lab\n"


@pytest.mark.parametrize("name", ["nothing", "nothing.at_all", "lab.nothing", "sys.nothing"])
def test_command_refuses_what_is_no_module(name: str, tmp_path: Path) -> None:
    package_with(tmp_path, "")
    done = run("", tmp_path, "-m", "actorgrid", "ray", "-m", name)
    assert (done.returncode, done.stderr) == (2, f"actorgrid: there is no module {name!r}\n")
