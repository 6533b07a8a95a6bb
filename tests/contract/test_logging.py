"""``init(logging_config=...)``: how the driver and its workers log, and what a record says of where it was made."""

# mypy: disable-error-code="attr-defined"
# ... because mypy does not see what a decorator makes of a class.

from __future__ import annotations

import contextlib
import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import actorgrid as ag
from tests.contract.tools import DEADLINE

log = logging.getLogger("tests.contract.logging")


@contextlib.contextmanager
def heard() -> Iterator[io.StringIO]:
    """Return what the process writes to standard error, also where a handler has it from before."""
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        for handler in logging.getLogger().handlers:
            if type(handler) is logging.StreamHandler:  # and not pytest's
                stack.callback(handler.setStream, handler.setStream(stream))
        yield stream


def said(*logs: tuple[int, str]) -> list[str]:
    """Log messages, with an extra, and return the lines that the process says of it."""
    with heard() as stream:
        for level, message in logs:
            log.log(level, message, extra={"colour": "red"})
    return stream.getvalue().splitlines()


@ag.remote
def in_a_task(*logs: tuple[int, str]) -> tuple[list[str], dict[str, Any]]:
    context = ag.get_runtime_context()
    ids = {"task_id": context.get_task_id(), "worker_id": context.get_worker_id(), "node_id": context.get_node_id()}
    return said(*logs), ids | {"job_id": context.get_job_id()}


@ag.remote(num_cpus=0)
class Actor:
    def log(self) -> tuple[list[str], str | None]:
        return said((logging.INFO, "here")), ag.get_runtime_context().get_actor_id()

    def fail(self) -> list[str]:
        with heard() as stream:
            try:
                raise LookupError("lost")
            except LookupError:
                log.exception("no such thing")
        return stream.getvalue().splitlines()


def start(fresh_grid: Callable[..., Any], **options: Any) -> None:
    fresh_grid(num_cpus=2, logging_config=ag.LoggingConfig(**options))


def test_json_record_tells_the_ids_of_the_task_that_made_it(fresh_grid: Callable[..., Any]) -> None:
    start(fresh_grid, encoding="JSON")
    (line,), ids = ag.get(in_a_task.remote((logging.INFO, "hello")), timeout=DEADLINE)
    told = json.loads(line)
    assert {name: told[name] for name in ids} == ids
    assert (told["message"], told["levelname"], told["filename"]) == ("hello", "INFO", "test_logging.py")
    assert (told["task_name"], told["colour"]) == ("in_a_task", "red")
    assert {"asctime", "lineno", "timestamp_ns"} <= set(told)
    assert not {"actor_id", "name", "exc_text"} & set(told)


def test_text_record_is_for_people_and_tells_the_same(fresh_grid: Callable[..., Any]) -> None:
    start(fresh_grid)
    (line,), ids = ag.get(in_a_task.remote((logging.INFO, "hello")), timeout=DEADLINE)
    assert "\tINFO test_logging.py:" in line
    assert f" -- hello colour=red job_id={ids['job_id']} worker_id={ids['worker_id']}" in line
    assert f" task_id={ids['task_id']} task_name=in_a_task" in line


def test_record_of_an_actor_tells_which(fresh_grid: Callable[..., Any]) -> None:
    start(fresh_grid, encoding="JSON")
    actor = Actor.options(name="joe").remote()
    (line,), ident = ag.get(actor.log.remote(), timeout=DEADLINE)
    told = json.loads(line)
    assert (told["actor_id"], told["actor_name"], told["task_name"]) == (ident, "joe", "Actor.log")
    (line,) = ag.get(actor.fail.remote(), timeout=DEADLINE)
    assert json.loads(line)["exc_text"].endswith("LookupError: lost")


def test_only_what_matters_is_logged(fresh_grid: Callable[..., Any]) -> None:
    start(fresh_grid, encoding="JSON", log_level="WARNING")
    logs = (logging.INFO, "no"), (logging.WARNING, "yes"), (logging.ERROR, "of course")
    lines, _ = ag.get(in_a_task.remote(*logs), timeout=DEADLINE)
    assert [json.loads(line)["message"] for line in lines] == ["yes", "of course"]


def test_standard_attributes_can_be_asked_for(fresh_grid: Callable[..., Any]) -> None:
    start(fresh_grid, encoding="JSON", additional_log_standard_attrs=["name", "funcName"])
    (line,), _ = ag.get(in_a_task.remote((logging.INFO, "hello")), timeout=DEADLINE)
    assert (json.loads(line)["name"], json.loads(line)["funcName"]) == (log.name, "said")


def test_driver_logs_like_its_workers_until_the_grid_ends(fresh_grid: Callable[..., Any]) -> None:
    level, handlers = logging.getLogger().level, list(logging.getLogger().handlers)
    start(fresh_grid, encoding="JSON")
    (line,) = said((logging.INFO, "here"))
    told = json.loads(line)
    assert told["worker_id"] == ag.get_runtime_context().get_worker_id()
    assert "task_id" not in told
    ag.shutdown()
    assert (logging.getLogger().level, logging.getLogger().handlers) == (level, handlers)


def test_environment_variable_stands_in_for_the_argument(
    fresh_grid: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACTORGRID_LOGGING_CONFIG_ENCODING", "JSON")
    fresh_grid(num_cpus=2)
    (line,) = said((logging.INFO, "here"))
    assert json.loads(line)["message"] == "here"


def test_nothing_changes_for_those_who_do_not_ask(fresh_grid: Callable[..., Any]) -> None:
    before = list(logging.getLogger().handlers)
    fresh_grid(num_cpus=2)
    assert logging.getLogger().handlers == before
    lines, _ = ag.get(in_a_task.remote((logging.INFO, "hello")), timeout=DEADLINE)
    assert lines == []


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"encoding": "XML"}, ValueError, "Invalid encoding type: 'XML'"),
        ({"log_level": "LOUD"}, ValueError, "there is no log level 'LOUD'"),
        ({"log_level": 1.5}, TypeError, "not float"),
        ({"additional_log_standard_attrs": ["namee"]}, ValueError, "Did you mean 'name'"),
        ({"additional_log_standard_attrs": "name"}, TypeError, "a list of names"),
    ],
)
def test_bad_configuration_is_refused(options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        ag.LoggingConfig(**options)


def test_other_things_are_no_configuration(no_grid: None) -> None:
    del no_grid
    with pytest.raises(TypeError, match="must be a LoggingConfig, not dict"):
        ag.init(logging_config={"encoding": "JSON"})  # type: ignore[arg-type]  # the point
