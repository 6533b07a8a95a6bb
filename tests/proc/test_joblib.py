"""joblib on a grid."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

joblib = pytest.importorskip("joblib", reason="the joblib backend needs joblib: pip install joblib")

from actorgrid.util.joblib import register_actorgrid, register_ray  # noqa: E402  # it needs joblib

if TYPE_CHECKING:
    from actorgrid.testing import RealGrid

pytestmark = [pytest.mark.usefixtures("grid"), pytest.mark.actorgrid(num_cpus=2)]


def where(value: int) -> tuple[int, int]:
    return value * value, os.getpid()


def fail(value: int) -> int:
    return 1 // value


@pytest.mark.parametrize(("register", "name"), [(register_actorgrid, "actorgrid"), (register_ray, "ray")])
def test_calls_run_in_workers_of_the_grid(grid: RealGrid, register: Any, name: str) -> None:
    register()
    with joblib.parallel_config(backend=name):
        results = joblib.Parallel(n_jobs=-1)(joblib.delayed(where)(value) for value in range(50))
    assert [value for value, _ in results] == [n * n for n in range(50)]
    assert os.getpid() not in {pid for _, pid in results}


def test_error_of_a_call_is_raised_and_the_backend_goes_on() -> None:
    register_actorgrid()
    with joblib.parallel_config(backend="actorgrid"):
        with pytest.raises(ZeroDivisionError):
            joblib.Parallel(n_jobs=2)(joblib.delayed(fail)(value) for value in (1, 0, 1))
        assert joblib.Parallel(n_jobs=2)(joblib.delayed(fail)(1) for _ in range(3)) == [1, 1, 1]


def test_results_as_they_come() -> None:
    register_actorgrid()
    with joblib.parallel_config(backend="actorgrid", n_jobs=2):
        unordered = joblib.Parallel(return_as="generator_unordered")(joblib.delayed(where)(v) for v in range(10))
        assert sorted(value for value, _ in unordered) == sorted(n * n for n in range(10))


def test_no_jobs_make_no_sense() -> None:
    register_actorgrid()
    with joblib.parallel_config(backend="actorgrid"), pytest.raises(ValueError, match="n_jobs == 0"):
        joblib.Parallel(n_jobs=0)(joblib.delayed(where)(1) for _ in range(2))


def variable(name: str) -> str | None:
    return os.environ.get(name)


def either(value: int) -> str | None:
    if value == 0:
        raise ZeroDivisionError
    return variable("HUE")


def coloured(hue: str) -> dict[str, Any]:
    return {"num_cpus": 0, "runtime_env": {"env_vars": {"HUE": hue}}}


def test_options_of_the_tasks_are_those_of_the_backend_and_of_the_call() -> None:
    register_actorgrid()
    jobs = [joblib.delayed(variable)("HUE")] * 2
    with joblib.parallel_config("actorgrid", n_jobs=2, ray_remote_args=coloured("red")):
        assert joblib.Parallel()(jobs) == ["red", "red"]
        assert joblib.Parallel(ray_remote_args=coloured("green"))(jobs) == ["green", "green"]
        assert joblib.Parallel()(jobs) == ["red", "red"]
    assert joblib.Parallel(n_jobs=2, backend="actorgrid", ray_remote_args=coloured("blue"))(jobs) == ["blue", "blue"]


def test_options_of_a_call_are_those_of_the_next_one_after_an_error() -> None:
    register_actorgrid()
    with joblib.Parallel(n_jobs=2, backend="actorgrid", ray_remote_args=coloured("green")) as parallel:
        with pytest.raises(ZeroDivisionError):
            parallel(joblib.delayed(either)(value) for value in (0, 1))
        assert parallel(joblib.delayed(either)(1) for _ in range(2)) == ["green", "green"]


def test_options_that_there_are_not_are_refused() -> None:
    register_actorgrid()
    jobs = [joblib.delayed(where)(1)] * 2
    with pytest.raises(TypeError, match=r"no option 'ray_remote_arg'.* Did you mean 'ray_remote_args'"):
        joblib.Parallel(n_jobs=2, backend="actorgrid", ray_remote_arg={"num_cpus": 1})(jobs)
    with pytest.raises(ValueError, match="Invalid option keyword 'speed'"):
        joblib.Parallel(n_jobs=2, backend="actorgrid", ray_remote_args={"speed": 1})(jobs)
    with pytest.raises(TypeError, match="'speed'"):
        joblib.parallel_config("actorgrid", speed=1)
