"""Workers look like their driver: path, folder, arguments, flags, filters, environment; and have titles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from actorgrid.testing.waiting import wait_until
from tests.proc.helpers import Driver, title_of

Drive = Callable[..., Driver]

START = """
import os, sys, time, warnings
import actorgrid as ag
"""


def run(drive: Drive, program: str, **options: object) -> Driver:
    driver = drive(START + program, **options)
    driver.succeeds()
    driver.leaves_nothing()
    return driver


def test_module_beside_the_script_can_be_imported(drive: Drive) -> None:
    driver = run(
        drive,
        """
with open("beside.py", "w") as file:
    file.write("def answer(): return 42")
import beside
print("value:", ag.get(ag.remote(beside.answer).remote()))
""",
    )
    assert driver.said("value") == "42"


def test_later_change_of_sys_path_reaches_running_workers(drive: Drive) -> None:
    driver = run(
        drive,
        """
ag.init(num_cpus=1)
ag.get(ag.remote(lambda: 1).remote())
os.mkdir("later")
with open("later/late_module.py", "w") as file:
    file.write("def answer(): return 43")
sys.path.append(os.path.abspath("later"))
import late_module
print("value:", ag.get(ag.remote(late_module.answer).remote()))
""",
    )
    assert driver.said("value") == "43"


def test_later_change_of_sys_path_reaches_functions_and_actors_that_are_in_use(drive: Drive) -> None:
    driver = run(
        drive,
        """
@ag.remote
def answer():
    import late_module
    return late_module.answer()

@ag.remote
def kind(value):
    return type(value).__name__

@ag.remote
class Actor:
    def answer(self, *values):
        import late_module
        return late_module.answer()

ag.init(num_cpus=1)
actor = Actor.remote()
print("before:", ag.get(kind.remote(1)))
for ref in (answer.remote(), actor.answer.remote()):
    try:
        ag.get(ref)
    except ImportError as error:
        print("missing:", error.cause)
os.mkdir("later")
with open("later/late_module.py", "w") as file:
    print("class Late: pass", "def answer(): return 44", sep=chr(10), file=file)
sys.path.append(os.path.abspath("later"))
import late_module
late = late_module.Late()
print("values:", ag.get([answer.remote(), kind.remote(late), actor.answer.remote(), actor.answer.remote(late)]))
""",
    )
    assert driver.said("values") == "[44, 'Late', 44, 44]"


def test_sys_path_is_the_drivers(drive: Drive) -> None:
    driver = run(drive, "print('value:', ag.get(ag.remote(lambda: sys.path).remote()) == sys.path)")
    assert driver.said("value") == "True"


def test_missing_module_is_an_error_that_names_it(drive: Drive) -> None:
    driver = run(
        drive,
        """
@ag.remote
def use():
    import no_such_module_anywhere
try:
    ag.get(use.remote())
except ImportError as error:
    print("error:", "no_such_module_anywhere" in str(error))
""",
    )
    assert driver.said("error") == "True"


def test_module_that_a_worker_cannot_find_is_an_error_that_names_it_and_spares_the_worker(drive: Drive) -> None:
    driver = run(
        drive,
        """
@ag.remote(max_retries=0)
def pid(value):
    return os.getpid()

ag.init(num_cpus=1)
before = ag.get(pid.remote(1))
os.mkdir("mine")
with open("mine/drivers_own_module.py", "w") as file:
    print("class Own: pass", "def own(): return 1", sep=chr(10), file=file)
sys.path.append(os.path.abspath("mine"))
import drivers_own_module
sys.path.pop()
for call in (pid, ag.remote(drivers_own_module.own)):
    try:
        ag.get(call.remote(*([drivers_own_module.Own()] if call is pid else [])))
    except ModuleNotFoundError as error:
        print(type(error.cause).__name__, "drivers_own_module" in str(error), error.pid == before)
print("same:", ag.get(pid.remote(1)) == before)
""",
    )
    assert driver.said("same") == "True"
    assert driver.out.count("ModuleNotFoundError True True\n") == 2


def test_later_change_of_folder_and_path_reaches_running_workers(drive: Drive) -> None:
    driver = run(
        drive,
        """
@ag.remote
def where():
    return os.getcwd(), sys.path[-1], os.getpid()

ag.init(num_cpus=1)
before = ag.get(where.remote())
for name in ("one", "two"):
    os.mkdir(name)
    os.chdir(name)
    sys.path.append(os.getcwd())
    print(name + ":", ag.get(where.remote()) == (os.getcwd(), os.getcwd(), before[2]))
""",
    )
    assert (driver.said("one"), driver.said("two")) == ("True", "True")


def test_working_folder_is_the_drivers(drive: Drive) -> None:
    driver = run(drive, "os.mkdir('sub'); os.chdir('sub')\nprint('value:', ag.get(ag.remote(os.getcwd).remote()))")
    assert driver.said("value") == str(driver.folder / "sub")


def test_arguments_of_the_program_are_the_drivers(drive: Drive) -> None:
    driver = run(drive, "print('value:', ag.get(ag.remote(lambda: sys.argv[1:]).remote()))", args=["--a", "b c"])
    assert driver.said("value") == "['--a', 'b c']"


@pytest.mark.parametrize(
    ("flags", "expression"),
    [
        (["-O"], "(__debug__, sys.flags.optimize)"),
        (["-OO"], "sys.flags.optimize"),
        (["-X", "utf8=1"], "sys.flags.utf8_mode"),
        (["-X", "dev"], "sys.flags.dev_mode"),
        (["-B"], "sys.dont_write_bytecode"),
        (["-W", "error::UserWarning"], "sys.warnoptions"),
        (["-s"], "sys.flags.no_user_site"),
        (["-X", "int_max_str_digits=5000"], "sys.get_int_max_str_digits()"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_interpreter_flags_are_the_drivers(drive: Drive, flags: list[str], expression: str) -> None:
    driver = run(
        drive,
        f"""
print("driver:", repr({expression}))
print("worker:", ag.get(ag.remote(lambda: repr({expression})).remote()))
""",
        flags=flags,
    )
    assert driver.said("worker") == driver.said("driver")


def test_assertions_are_off_in_tasks_of_an_optimised_driver(drive: Drive) -> None:
    driver = run(
        drive,
        """
import beside_o
print("value:", ag.get(ag.remote(beside_o.check).remote()))
""".replace(
            "import beside_o",
            'open("beside_o.py", "w").write("def check():\\n    assert False\\n    return 1")\nimport beside_o',
        ),
        flags=["-O"],
    )
    assert driver.said("value") == "1"


def test_warning_filters_are_the_drivers(drive: Drive) -> None:
    driver = run(
        drive,
        """
warnings.simplefilter("error", UserWarning)
@ag.remote
def warn():
    warnings.warn("careful")
try:
    ag.get(warn.remote())
except UserWarning as error:
    print("raised:", "careful" in str(error))
""",
    )
    assert driver.said("raised") == "True"


def test_environment_at_init_is_the_drivers(drive: Drive) -> None:
    driver = run(
        drive,
        """
os.environ["SET_BEFORE"] = "1"
ag.init(num_cpus=1)
print("value:", ag.get(ag.remote(lambda: (os.environ.get("SET_BEFORE"), os.environ.get("GIVEN"))).remote()))
""",
        env={"GIVEN": "too"},
    )
    assert driver.said("value") == "('1', 'too')"


def test_titles_tell_what_processes_do(drive: Drive) -> None:
    driver = drive(
        START
        + """
@ag.remote
def work():
    while not os.path.exists("go"):
        time.sleep(0.01)
@ag.remote
class Actor:
    def ready(self):
        pass
ag.init(num_cpus=1)
actor = Actor.remote()
ag.get(actor.ready.remote())
ref = work.remote()
print("ready:", flush=True)
ag.get(ref)
"""
    )
    driver.wait_for("ready")
    assert wait_until(lambda: driver.titled("actorgrid: worker work")), driver.describe()
    assert wait_until(lambda: driver.titled("actorgrid: worker Actor")), driver.describe()
    driver.one("actorgrid: head")
    driver.one("actorgrid: launcher")
    (driver.folder / "go").touch()
    driver.succeeds()
    driver.leaves_nothing()


def test_all_processes_of_a_grid_have_titles(drive: Drive) -> None:
    driver = drive(START + "ag.get(ag.remote(lambda: 1).remote())\nprint('ready:', flush=True)\ntime.sleep(600)")
    driver.wait_for("ready")
    assert wait_until(lambda: all(title_of(process).startswith("actorgrid: ") for process in driver.others()))


def test_pool_grows_for_blocked_tasks_and_shrinks_back(drive: Drive) -> None:
    driver = drive(
        START
        + """
@ag.remote
def deep(n):
    return os.getpid() if n == 0 else ag.get(deep.remote(n - 1))
ag.init(num_cpus=1)
ag.get(deep.remote(12))
print("ready:", flush=True)
time.sleep(600)
"""
    )
    driver.wait_for("ready")
    assert wait_until(lambda: len(driver.titled("actorgrid: worker")) <= 3, 20), driver.describe()


@pytest.mark.parametrize("how", ["script", "module", "command", "stdin"])
def test_functions_and_classes_of_the_main_program(drive: Drive, how: str) -> None:
    driver = run(
        drive,
        """
LIMIT = 10

class Point:
    def __init__(self, x):
        self.x = x

class Odd(Exception):
    pass

def helper(x):
    return x + LIMIT

@ag.remote
def use(point):
    if point.x == 0:
        raise Odd("zero")
    return Point(helper(point.x))

@ag.remote
class Box:
    def get(self):
        return Point(5)

result = ag.get(use.remote(Point(1)))
print("value:", isinstance(result, Point), result.x)
print("actor:", isinstance(ag.get(Box.remote().get.remote()), Point))
try:
    ag.get(use.remote(Point(0)))
except Odd:
    print("odd:")
print("main:", ag.get(ag.remote(lambda: __name__).remote()))
""",
        how=how,
    )
    assert driver.said("value") == "True 11"
    assert driver.said("actor") == "True"
    driver.wait_for("odd")
    assert driver.said("main") == "__main__"


def test_program_in_an_archive_has_its_functions_classes_and_modules_in_workers(drive: Drive) -> None:
    driver = run(
        drive,
        '''
import subprocess, zipapp
PROGRAM = """
import actorgrid as ag
import zipped_helper
print("top", flush=True)
class Point:
    def __init__(self, x): self.x = x
@ag.remote
def use(point): return Point(zipped_helper.twice(point.x))
@ag.remote
class Box:
    def get(self): return zipped_helper.twice(4)
result = ag.get(use.remote(Point(21)))
others = [Box.remote().get.remote(), ag.remote(zipped_helper.twice).remote(5)]
print(type(result) is Point, result.x, *ag.get(others))
"""
os.mkdir("app")
for name, text in {"__main__": PROGRAM, "zipped_helper": "def twice(x): return 2 * x"}.items():
    with open(f"app/{name}.py", "w") as file:
        file.write(text)
zipapp.create_archive("app", "app.pyz")
import shutil; shutil.rmtree("app")
done = subprocess.run([sys.executable, "app.pyz"], capture_output=True, text=True, timeout=60)
print("said:", done.returncode, done.stdout.split(), done.stderr)
''',
    )
    assert driver.said("said") == "0 ['top', 'True', '42', '8', '10']"


def test_program_without_a_main_guard_is_not_run_again(drive: Drive) -> None:
    driver = run(drive, "print('top', flush=True)\nag.get([ag.remote(lambda: 1).remote() for _ in range(5)])")
    assert driver.out == "top\n"
    assert "top" not in driver.err


def test_function_defined_anew_is_the_one_that_runs(drive: Drive) -> None:
    driver = run(
        drive,
        """
for version in range(3):
    exec(f"@ag.remote\\ndef f(): return {version}")
    print(f"v{version}:", ag.get(f.remote()))
""",
    )
    assert [driver.said(f"v{version}") for version in range(3)] == ["0", "1", "2"]


def test_init_in_a_task_joins_the_grid_of_its_driver_if_it_may(drive: Drive) -> None:
    driver = run(
        drive,
        """
@ag.remote
def join():
    ag.init(ignore_reinit_error=True)
    return ag.get(ag.remote(lambda: ag.get_runtime_context().get_node_id()).remote())
print("value:", ag.get(join.remote()) == ag.get_runtime_context().get_node_id())
""",
    )
    assert driver.said("value") == "True"


def test_program_that_a_task_starts_can_be_interrupted(drive: Drive) -> None:
    driver = run(
        drive,
        """
import signal, subprocess
@ag.remote
def handler():
    code = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip()
print("default:", ag.get(handler.remote()))
""",
    )
    assert driver.said("default") == "True"


@pytest.mark.parametrize("preload", ["", "numpy"])
def test_numerical_library_that_the_driver_has_used_with_threads_works_in_tasks(drive: Drive, preload: str) -> None:
    pytest.importorskip("numpy")
    driver = run(
        drive,
        f"""
import numpy as np
matrix = np.random.default_rng(1).random((600, 600))
mine = np.linalg.solve(matrix, matrix @ matrix)  # its threads are there now

@ag.remote
def solve(matrix):
    return float(abs(np.linalg.solve(matrix, matrix @ matrix) - matrix).max())

ag.init(num_cpus=2, preload={preload.split()})
print("right:", all(error < 1e-6 for error in ag.get([solve.remote(matrix) for _ in range(4)], timeout=60)))
print("mine:", abs(np.linalg.solve(matrix, matrix @ matrix) - mine).max() < 1e-6)
""",
    )
    assert (driver.said("right"), driver.said("mine")) == ("True", "True")


def test_numerical_libraries_of_preloaded_modules_start_no_threads_before_the_fork(drive: Drive) -> None:
    driver = run(
        drive,
        """
ag.init(preload=["numpy"])
@ag.remote
def threads():
    import psutil
    launcher = psutil.Process().parent()
    return "numpy" in sys.modules, launcher.num_threads()
print("threads:", *ag.get(threads.remote()))
""",
    )
    assert driver.said("threads") == "True 1"


UNGUARDED = """
import actorgrid as ag

def twice(x):
    return 2 * x  # who needs this imports the module

@ag.remote
def double(x):
    return twice(x)

@ag.remote
class Counter:
    def here(self):
        return twice(1) == 2

"""


@pytest.mark.parametrize("call", ["ag.get(double.remote(1))", "ag.get(Counter.remote().here.remote())"])
def test_module_that_calls_what_it_defines_is_not_imported_without_end(drive: Drive, call: str) -> None:
    driver = run(
        drive,
        f"""
with open("unguarded.py", "w") as file:
    file.write({UNGUARDED + call!r})
ag.init(num_cpus=2, max_workers=6)
try:
    import unguarded
except Exception as error:
    print("guard:", "'unguarded' calls" in str(error) and "__main__" in str(error))
""",
    )
    assert driver.said("guard") == "True"


@pytest.mark.parametrize("call", ["ag.init()", "Counter.options(name='shared', get_if_exists=True).remote()"])
def test_module_may_join_the_grid_while_it_is_imported(drive: Drive, call: str) -> None:
    driver = run(
        drive,
        f"""
with open("unguarded.py", "w") as file:
    file.write({UNGUARDED + call!r})
import unguarded
counter = unguarded.Counter.options(name="shared", get_if_exists=True).remote()
print("value:", ag.get(unguarded.double.remote(2)), ag.get(counter.here.remote()))
""",
    )
    assert driver.said("value") == "4 True"


def test_preloaded_module_that_ends_the_process_is_named_with_how_it_ended(drive: Drive, tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text("import os; os._exit(3)\n")
    driver = drive(f"""
import sys
import actorgrid as ag
sys.path.insert(0, {str(tmp_path)!r})
try:
    ag.init(preload=["json", "deadly"])
    ag.get(ag.remote(lambda: 1).remote())
except ag.exceptions.HeadDiedError as error:
    print(error)
""")
    driver.succeeds()
    assert "the launcher process exited with code 3 before it had started a worker" in driver.out
    assert "init(preload=) imports, 'json', 'deadly'" in driver.out


def test_process_of_a_grid_starts_no_grid_while_it_preloads(drive: Drive) -> None:
    driver = run(
        drive,
        """
with open("unguarded.py", "w") as file:
    file.write("import actorgrid as ag\\nag.init()")
ag.init(preload=["unguarded"])
print("value:", ag.get(ag.remote(lambda: 1).remote()))
""",
    )
    assert driver.said("value") == "1"
    assert "cannot start a grid of its own" in driver.err
