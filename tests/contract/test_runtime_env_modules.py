"""Runtime environments: folders and modules."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import actorgrid as ag
from tests.contract.environments import (
    get,
    load,
    where,
    write_module,
)
from tests.contract.tools import Gate


@pytest.mark.usefixtures("grid")
class TestFolders:
    def test_task_runs_in_its_folder_and_imports_from_there(self, tmp_path: Path) -> None:
        write_module(tmp_path, "ag_test_local", 42)
        env = {"working_dir": str(tmp_path)}
        assert get(where.options(runtime_env=env).remote()) == str(tmp_path)
        assert get(load.options(runtime_env=env).remote("ag_test_local")) == 42

    def test_files_are_used_where_they_lie(self, tmp_path: Path) -> None:
        @ag.remote(runtime_env={"working_dir": tmp_path})
        def write() -> None:
            Path("written").write_text("here", encoding="ascii")

        get(write.remote())
        assert (tmp_path / "written").read_text(encoding="ascii") == "here"

    def test_other_tasks_do_not_find_the_modules(self, tmp_path: Path) -> None:
        write_module(tmp_path, "ag_test_private", 1)
        get(load.options(runtime_env={"working_dir": tmp_path}).remote("ag_test_private"))
        with pytest.raises(ModuleNotFoundError):
            get(load.remote("ag_test_private"))
        assert "ag_test_private" not in sys.modules

    def test_two_environments_have_each_their_module_of_one_name(self, tmp_path: Path) -> None:
        for number in (1, 2):
            write_module(tmp_path / str(number), "ag_test_same", number)
        looks = [load.options(runtime_env={"working_dir": tmp_path / str(number)}) for number in (1, 2, 1)]
        assert [get(look.remote("ag_test_same")) for look in looks] == [1, 2, 1]

    def test_tasks_of_two_folders_that_run_at_once_stay_in_theirs(self, tmp_path: Path) -> None:
        @ag.remote
        def before_and_after(gate: Any) -> list[str]:
            before = str(Path.cwd())
            ag.get(gate.pass_through.remote())
            return [before, str(Path.cwd())]

        gate, folders = Gate.remote(), [tmp_path / "a", tmp_path / "b"]
        for folder in folders:
            folder.mkdir()
        refs = [before_and_after.options(runtime_env={"working_dir": folder}).remote(gate) for folder in folders]
        get(gate.arrivals.remote(2))
        get(gate.open.remote())
        assert get(refs) == [[str(folder)] * 2 for folder in folders]

    def test_folder_stays_when_the_driver_goes_elsewhere_and_its_path_grows(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("home", "later"):
            (tmp_path / name).mkdir()
        env = {"working_dir": tmp_path / "home"}
        get(where.options(runtime_env=env).remote())
        write_module(tmp_path / "later", "ag_test_later", 3)
        write_module(tmp_path / "home", "ag_test_at_home", 4)
        monkeypatch.syspath_prepend(str(tmp_path / "later"))
        monkeypatch.chdir(tmp_path)

        @ag.remote
        def both() -> tuple[str, list[int]]:
            names = ("ag_test_later", "ag_test_at_home")
            return str(Path.cwd()), [importlib.import_module(name).ANSWER for name in names]

        try:
            assert get(both.options(runtime_env=env).remote()) == (str(tmp_path / "home"), [3, 4])
        finally:
            sys.modules.pop("ag_test_later", None)

    def test_relative_folder_is_one_of_the_caller(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "sub").mkdir()
        monkeypatch.chdir(tmp_path)
        assert get(where.options(runtime_env={"working_dir": "sub"}).remote()) == str(tmp_path / "sub")

    def test_folder_that_is_not_there_is_refused_at_the_call(self, tmp_path: Path) -> None:
        missing = where.options(runtime_env={"working_dir": tmp_path / "nowhere"})
        with pytest.raises(ValueError, match="no folder"):
            missing.remote()

    def test_folder_that_is_gone_when_the_task_starts_is_a_setup_error(self, tmp_path: Path) -> None:
        folder = tmp_path / "soon_gone"
        folder.mkdir()

        @ag.remote(runtime_env={"working_dir": folder})
        def late(_: Any) -> None: ...

        gate = Gate.remote()
        ref = late.remote(gate.pass_through.remote())
        get(gate.arrivals.remote(1))
        folder.rmdir()
        get(gate.open.remote())
        with pytest.raises(ag.exceptions.RuntimeEnvSetupError, match="soon_gone"):
            get(ref)


@pytest.mark.usefixtures("grid")
class TestModules:
    def test_package_of_another_folder_can_be_imported(self, tmp_path: Path) -> None:
        write_module(tmp_path / "ag_test_package", "__init__", 7)
        write_module(tmp_path / "ag_test_package", "inner", 8)
        look = load.options(runtime_env={"py_modules": [str(tmp_path / "ag_test_package")]})
        assert [get(look.remote(name)) for name in ("ag_test_package", "ag_test_package.inner")] == [7, 8]

    def test_file_can_be_imported(self, tmp_path: Path) -> None:
        look = load.options(runtime_env={"py_modules": [write_module(tmp_path, "ag_test_file", 9)]})
        assert get(look.remote("ag_test_file")) == 9

    def test_what_lies_beside_it_cannot(self, tmp_path: Path) -> None:
        write_module(tmp_path, "ag_test_beside", 1)
        look = load.options(runtime_env={"py_modules": [write_module(tmp_path, "ag_test_named", 2)]})
        with pytest.raises(ModuleNotFoundError):
            get(look.remote("ag_test_beside"))

    def test_module_object_stands_for_where_it_lies(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_module(tmp_path, "ag_test_imported", 11)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(tmp_path))
            module = importlib.import_module("ag_test_imported")
        try:
            assert get(load.options(runtime_env={"py_modules": [module]}).remote("ag_test_imported")) == 11
        finally:
            del sys.modules["ag_test_imported"]

    def test_children_can_import_what_their_parent_can(self, tmp_path: Path) -> None:
        @ag.remote(runtime_env={"py_modules": [write_module(tmp_path, "ag_test_family", 5)]})
        def parent() -> Any:
            return ag.get(load.remote("ag_test_family"))

        assert get(parent.remote()) == 5

    def test_module_that_is_not_there_is_refused_at_the_call(self, tmp_path: Path) -> None:
        missing = load.options(runtime_env={"py_modules": [tmp_path / "nowhere.py"]})
        with pytest.raises(ValueError, match="no folder and no file"):
            missing.remote("nowhere")


def test_module_of_the_environment_goes_before_a_preloaded_one(
    fresh_grid: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_module(tmp_path / "program", "ag_test_preloaded", 1)
    module = write_module(tmp_path / "environment", "ag_test_preloaded", 2)
    monkeypatch.syspath_prepend(str(tmp_path / "program"))
    try:
        fresh_grid(num_cpus=1, preload=["ag_test_preloaded"])
        looks = [load, load.options(runtime_env={"py_modules": [module]})]
        assert [get(look.remote("ag_test_preloaded")) for look in looks] == [1, 2]
    finally:
        sys.modules.pop("ag_test_preloaded", None)
