"""What a ``runtime_env`` may say, and what is said to who asks for more."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import actorgrid as ag
from actorgrid.api.environments import check_runtime_env
from actorgrid.engine.definitions import Setup
from actorgrid.engine.setups import as_given, decode, encode, merge
from actorgrid.runtime_env import RuntimeEnv, RuntimeEnvConfig


def nothing() -> None: ...


async def awaited() -> None: ...


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pip", ["requests"]), ("uv", ["requests"]), ("conda", "env"), ("container", {"image": "x"}),
        ("image_uri", "x"), ("py_executable", "python2"), ("nsight", "default"), ("rocprof_sys", "default"),
        ("java_jars", ["x.jar"]), ("_ray_commit", "x"),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_refused_with_its_reason(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"'{key}' of 'runtime_env' is not supported: \w+ .*"):
        ag.remote(runtime_env={key: value})(nothing)


def test_what_is_not_supported_may_be_empty() -> None:
    assert check_runtime_env("runtime_env", {"pip": None, "conda": {}, "uv": [], "env_vars": {}}) == {}


def test_how_long_a_setup_may_take_is_accepted_without_effect() -> None:
    config = RuntimeEnvConfig(setup_timeout_seconds=3, eager_install=False)
    assert config == {"setup_timeout_seconds": 3, "eager_install": False, "log_files": []}
    for given in (config, {"eager_install": True, "log_files": ["setup.log"]}, {}):
        assert check_runtime_env("runtime_env", {"config": given, "env_vars": {"A": "1"}}) == {"env_vars": {"A": "1"}}
    assert RuntimeEnv(config=config)["config"] is config


def test_unknown_key_is_refused_with_a_hint() -> None:
    with pytest.raises(ValueError, match="Did you mean 'working_dir'"):
        check_runtime_env("runtime_env", {"workingdir": "."})


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (3, TypeError, "dictionary"),
        ({"env_vars": ["A"]}, TypeError, "dictionary"),
        ({"config": 3}, TypeError, "dictionary or RuntimeEnvConfig"),
        ({"config": {"setup_timeout": 3}}, ValueError, "Did you mean 'setup_timeout_seconds'"),
        ({"config": {"setup_timeout_seconds": 0}}, ValueError, "above 0, or -1"),
        ({"config": {"setup_timeout_seconds": "3"}}, TypeError, "must be an int"),
        ({"config": {"eager_install": 1}}, TypeError, "must be a bool"),
        ({"config": {"log_files": "setup.log"}}, TypeError, "list of names"),
        ({"env_vars": {"A": 1}}, TypeError, "str to str"),
        ({"env_vars": {1: "A"}}, TypeError, "str to str"),
        ({"env_vars": {"A=B": "x"}}, ValueError, "no environment can hold"),
        ({"env_vars": {"A": "x\0"}}, ValueError, "no environment can hold"),
        ({"env_vars": {"": "x"}}, ValueError, "no environment can hold"),
        ({"working_dir": 3}, TypeError, "path"),
        ({"working_dir": b"folder"}, TypeError, "path"),
        ({"working_dir": "s3://bucket/code.zip"}, ValueError, "not downloaded"),
        ({"working_dir": "code.zip"}, ValueError, "not unpacked"),
        ({"py_modules": "package"}, TypeError, "list"),
        ({"py_modules": [3]}, TypeError, "path"),
        ({"py_modules": ["https://example.org/m.zip"]}, ValueError, "not downloaded"),
        ({"py_modules": ["package-1.0.whl"]}, ValueError, "not unpacked"),
        ({"py_modules": ["not-a-name"]}, ValueError, "cannot be imported"),
        ({"py_modules": ["lib/json.py"]}, ValueError, "need themselves"),
        ({"py_modules": [ag]}, ValueError, "need themselves"),
        ({"py_modules": [sys]}, ValueError, "not made of Python files"),
        ({"worker_process_setup_hook": 3}, TypeError, "function"),
        ({"worker_process_setup_hook": "function"}, ValueError, "module.function"),
        ({"worker_process_setup_hook": "a module.f"}, ValueError, "module.function"),
        ({"worker_process_setup_hook": awaited}, TypeError, "async"),
        ({"excludes": "*.txt"}, TypeError, "list"),
    ],
)  # fmt: skip
def test_bad_values_are_refused(given: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        check_runtime_env("runtime_env", given)


def test_module_inside_a_package_is_refused() -> None:
    with pytest.raises(ValueError, match="give the package"):
        check_runtime_env("runtime_env", {"py_modules": [json.decoder]})


def test_package_is_its_folder_and_a_module_its_file(tmp_path: Path) -> None:
    folder = str(Path(pytest.__file__).parent)
    assert check_runtime_env("runtime_env", {"py_modules": [pytest]}) == {"py_modules": [folder]}
    alone = ModuleType("alone")
    alone.__file__ = str(tmp_path / "alone.py")
    assert check_runtime_env("runtime_env", {"py_modules": [alone]}) == {"py_modules": [alone.__file__]}


def test_module_made_by_hand_is_refused() -> None:
    with pytest.raises(ValueError, match="not made of Python files"):
        check_runtime_env("runtime_env", {"py_modules": [ModuleType("by_hand")]})


@pytest.mark.parametrize("decorated", [nothing, type("Actor", (), {})])
def test_tasks_and_actors_check_theirs_in_the_decorator(decorated: Any) -> None:
    with pytest.raises(TypeError, match="'env_vars'"):
        ag.remote(runtime_env={"env_vars": {"A": 1}})(decorated)
    with pytest.raises(ValueError, match="'pip'"):
        ag.remote(decorated).options(runtime_env={"pip": ["x"]})


# ------------------------------------------------------------------------------------------------------------- merging


def test_merging_keeps_what_is_not_named(tmp_path: Path) -> None:
    parent = Setup({"A": "1"}, str(tmp_path), ("/m.py",), b"hook")
    assert merge(parent, {"env_vars": {"B": "2"}}) == Setup({"A": "1", "B": "2"}, str(tmp_path), ("/m.py",), b"hook")


def test_merging_replaces_everything_but_variables(tmp_path: Path) -> None:
    module = tmp_path / "m.py"
    module.touch()
    given = {"working_dir": str(tmp_path), "py_modules": [str(module)], "worker_process_setup_hook": "a.b"}
    merged = merge(Setup({"A": "1"}, "/elsewhere", ("/x.py", "/y.py"), b"hook"), given)
    assert as_given(merged) == {**given, "env_vars": {"A": "1"}}


def test_equal_environments_are_equal_bytes_whatever_their_order() -> None:
    one = merge(Setup({"B": "2"}), {"env_vars": {"A": "1"}})
    other = merge(Setup({"A": "0"}), {"env_vars": {"A": "1", "B": "2"}})
    assert encode(one) == encode(other)
    assert decode(encode(one)) == one


def test_hook_that_is_large_is_refused() -> None:
    data = bytes(200_000)
    with pytest.raises(ValueError, match="bytes with what it refers to"):
        merge(Setup(), {"worker_process_setup_hook": lambda: data})


# ---------------------------------------------------------------------------------------------------------- RuntimeEnv


def test_runtime_env_is_a_dictionary_of_what_was_given(tmp_path: Path) -> None:
    env = RuntimeEnv(env_vars={"A": "1"}, working_dir=str(tmp_path))
    assert env == {"env_vars": {"A": "1"}, "working_dir": str(tmp_path)}
    assert (env.env_vars(), env.working_dir(), env.py_modules()) == ({"A": "1"}, str(tmp_path), [])
    assert type(env.to_dict()) is dict


def test_runtime_env_tells_what_it_has() -> None:
    env = RuntimeEnv(config={"setup_timeout_seconds": 7}, working_dir=".")
    made = env.get("config", None, RuntimeEnvConfig)
    assert (type(made), made["setup_timeout_seconds"]) == (RuntimeEnvConfig, 7)
    assert env.get("config") == {"setup_timeout_seconds": 7}
    assert (env.get("env_vars", 3, dict), env.has_working_dir(), RuntimeEnv().has_working_dir()) == (3, True, False)


def test_processes_of_one_owner_are_not_for_users() -> None:
    with pytest.raises(ValueError, match="has no key '_owner'"):
        RuntimeEnv(_owner="me")


def test_runtime_env_checks_itself() -> None:
    with pytest.raises(ValueError, match="'pip'"):
        RuntimeEnv(pip=["x"])
    env = RuntimeEnv()
    with pytest.raises(TypeError, match="'env_vars'"):
        env.set("env_vars", {"A": 1})
    assert env == {}


def test_runtime_env_can_be_set_and_sent() -> None:
    env = RuntimeEnv()
    env.set("env_vars", {"A": "1"})
    copy = pickle.loads(pickle.dumps(env))
    assert (type(copy), copy) == (RuntimeEnv, {"env_vars": {"A": "1"}})


def test_runtime_env_is_text_and_back() -> None:
    env = RuntimeEnv(env_vars={"A": "1"}, worker_process_setup_hook=nothing, py_modules=[Path("m.py")])
    told = json.loads(env.serialize())
    assert told["worker_process_setup_hook"].endswith("test_environments.nothing")
    assert told["py_modules"] == ["m.py"]
    assert RuntimeEnv.deserialize(env.serialize()).env_vars() == {"A": "1"}


def test_known_fields_are_those_that_are_accepted() -> None:
    assert RuntimeEnv.known_fields == {
        "env_vars", "working_dir", "py_modules", "worker_process_setup_hook", "excludes", "config",
    }  # fmt: skip
