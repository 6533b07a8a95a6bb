"""From filters and dataclasses to a question for the head, and back: ids and times as people write them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any, Final, TypeVar

from actorgrid.api.options import seconds
from actorgrid.api.session import running
from actorgrid.core.ids import render
from actorgrid.core.messages import Status
from actorgrid.engine.hints import did_you_mean
from actorgrid.engine.protocol import Engine
from actorgrid.util.state.common import WIRED, NodeState, StateSchema
from actorgrid.wire.codec import decode_failure
from actorgrid.wire.errors import describe_packed

S = TypeVar("S", bound=StateSchema)

Filter = tuple[str, str, Any]
#: Ray's limit on what one call returns, and how long it waits unless it is told (seconds).
MOST: Final = 10_000
TIMEOUT: Final = 30.0
#: How the column "task_id" is compared where any result of the task will do; users' filters cannot say that.
MAKES: Final = "makes"
JOB_DIGITS: Final = 8
_TIMES: Final = ("creation_time_ms", "start_time_ms", "end_time_ms")


class Nothing(Exception):  # noqa: N818  # no error: it ends a question early
    """A filter lets nothing pass, whatever the head knows."""


def check_filters(cls: type[StateSchema], filters: Any) -> list[Filter]:
    """Return filters as they must be. Raises TypeError, ValueError."""
    if filters is None:
        return []
    known = cls.filterable_columns()
    checked: list[Filter] = []
    for each in filters:
        if not isinstance(each, (tuple, list)) or len(each) != 3:
            raise TypeError(f"a filter is (column, '=' or '!=', value), not {each!r:.100}")
        name, how, value = each
        if how not in {"=", "!="}:
            raise ValueError(f"a filter compares with '=' or '!=', not with {how!r:.20}")
        if name not in known:
            hint = did_you_mean(str(name), sorted(known))
            raise ValueError(f"{cls.__name__} cannot be filtered by {name!r:.100}.{hint} It can by {sorted(known)}")
        checked.append((name, how, value))
    return checked


def check_limit(limit: Any) -> int:
    """Return how many rows are wanted. Raises TypeError, ValueError."""
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"'limit' must be a whole number, not {type(limit).__name__}")
    if not 0 < limit <= MOST:
        raise ValueError(f"'limit' must be from 1 to {MOST}: {limit}")
    return limit


def check_address(address: Any) -> None:
    """Refuse the address of a grid elsewhere. Raises ConnectionError."""
    if address not in {None, "auto", "local"}:
        raise ConnectionError(f"there is no grid at {address!r} to ask: this is about the grid of the calling process")


class Question:
    """What is asked about one kind of state."""

    def __init__(self, cls: type[StateSchema], of: str) -> None:
        self.engine: Engine = running()
        self.cls = cls
        self.of = of
        self.session = self.engine.context().session
        self.node = str(self.engine.nodes()[0]["NodeID"])
        self.types = {each.name: str(each.type) for each in fields(cls)}  # type: ignore[arg-type]  # a dataclass
        self.meta = {each.name: each.metadata for each in fields(cls)}  # type: ignore[arg-type]  # a dataclass

    # -- on the way there

    def wired(self, filters: Iterable[Filter]) -> list[list[Any]]:
        """Return filters as the head knows them. Raises Nothing if they let nothing pass."""
        wired: list[list[Any]] = []
        for name, how, value in filters:
            meta = self.meta[name]
            if meta["local"] is not WIRED:
                self._judge(name, how, value, wired)
            elif meta["digits"]:
                wired.append([name, how, self._ident(value, meta["digits"])])
            else:
                wired.append([name, how, _plain(value, self.types[name])])
        return wired

    def _judge(self, name: str, how: str, value: Any, wired: list[list[Any]]) -> None:
        """Apply a filter to what the head does not know."""
        meta = self.meta[name]
        there = self.node if meta["local"] == "node" else meta["local"]
        passes = (str(there).casefold() == str(value).casefold()) == (how == "=")
        if meta["wire"]:  # what has not been given to a worker is not on a machine yet
            if how == "=" and passes:
                wired.append([meta["wire"], "!=", 0])
                return
            if how == "!=" and not passes:
                wired.append([meta["wire"], "=", 0])
                return
        if not passes:
            raise Nothing

    def _ident(self, text: Any, digits: int) -> int:
        """Return the number behind an id, -1 if it is nobody's."""
        try:
            ident = int.from_bytes(bytes.fromhex(text), "little") if digits == JOB_DIGITS else int(text[:16], 16)
        except (TypeError, ValueError):
            return -1
        return ident if self.id_text(ident, digits) == text.lower() else -1

    # -- and back

    def ask(self, filters: list[Filter], limit: int, timeout: float, *, detail: bool) -> list[dict[str, Any]]:
        """Return rows with the fields of the dataclass. Raises GetTimeoutError."""
        names = self.cls.list_columns(detail)
        columns = {self.meta[name]["wire"] or name for name in names if self._is_wired(name)}
        if detail and self.of == "tasks":
            columns.update(_TIMES)
        body = {"of": self.of, "filters": self.wired(filters), "limit": limit, "columns": sorted(columns)}
        answer = self.engine.inspect("list", body, seconds("timeout", timeout))
        return [{name: self._told(name, row, answer["epoch"]) for name in names} for row in answer["rows"]]

    def count(self, columns: list[str], filters: list[Filter], timeout: float) -> list[list[Any]]:
        """Return [value of each column ..., how many have these values]. Raises GetTimeoutError."""
        body = {"of": self.of, "filters": self.wired(filters), "columns": columns}
        counts: list[list[Any]] = self.engine.inspect("count", body, seconds("timeout", timeout))["counts"]
        return counts

    def _is_wired(self, name: str) -> bool:
        return self.meta[name]["local"] is WIRED or bool(self.meta[name]["wire"])

    def _told(self, name: str, row: dict[str, Any], epoch: float) -> Any:
        meta = self.meta[name]
        found = row.get(meta["wire"] or name)
        if meta["local"] == "node":
            return self.node if found or not meta["wire"] else None
        if meta["local"] is not WIRED:
            return meta["local"]
        if meta["digits"]:
            return self.id_text(found, meta["digits"])
        special = _SPECIAL.get(name)
        if special is not None:
            return special(row, epoch)
        times = name.endswith("_time_ms") or name in {"start_time", "end_time"}
        return _milliseconds(found, epoch) if times else found

    def id_text(self, ident: Any, digits: int) -> str | None:
        """Return how an id (an integer) is written; None for no id."""
        if digits == JOB_DIGITS:
            return ident.to_bytes(4, "little").hex() if 0 <= ident < 1 << 32 else None
        return render(ident, self.session, digits) if ident > 0 else None


def _plain(value: Any, kind: str) -> Any:
    """Return a value as the head has it: numbers, and yes and no, may be written as text."""
    if isinstance(value, str) and "bool" in kind and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if isinstance(value, str) and "int" in kind and value.isdecimal():
        return int(value)
    return value


def _milliseconds(when: float | None, epoch: float, otherwise: int | None = None) -> int | None:
    return otherwise if when is None else int((when + epoch) * 1000)


def _events(row: dict[str, Any], epoch: float) -> list[dict[str, Any]]:
    states = ("PENDING_ARGS_AVAIL", "RUNNING", row["state"])
    times = [_milliseconds(row[name], epoch) for name in _TIMES]
    return [{"state": state, "created_ms": at} for state, at in zip(states, times, strict=True) if at is not None]


def _error_message(row: dict[str, Any], _: float) -> str | None:
    if row["error"] is None:
        return None
    status, data, not_run = row["error"]
    return describe_packed(data, tuple(not_run)) if status == Status.ERROR else decode_failure(data).message


def _death_cause(row: dict[str, Any], _: float) -> dict[str, Any] | None:
    return None if row["why"] is None else {"actor_died_error_context": {"error_message": row["why"]}}


def _driver_info(row: dict[str, Any], _: float) -> dict[str, Any]:
    return {"id": row["job_id"].to_bytes(4, "little").hex(), "node_ip_address": "127.0.0.1", "pid": str(row["pid"])}


def _launched(name: str) -> Callable[[dict[str, Any], float], int | None]:
    return lambda row, epoch: _milliseconds(row[name], epoch, otherwise=-1)  # Ray's word for what there is not


#: Fields that are made of more than one column, or of one that says more.
_SPECIAL: Final[dict[str, Callable[[dict[str, Any], float], Any]]] = {
    "events": _events,
    "error_message": _error_message,
    "death_cause": _death_cause,
    "driver_info": _driver_info,
    **{name: _launched(name) for name in ("worker_launch_time_ms", "worker_launched_time_ms")},
}


def nodes(filters: list[Filter]) -> list[NodeState]:
    """Return the machine, unless a filter keeps it out."""
    found = []
    for node in running().nodes():
        state = NodeState(
            node_id=node["NodeID"], node_ip=node["NodeManagerAddress"], is_head_node=True, state="ALIVE",
            node_name=node["NodeName"], resources_total=node["Resources"], labels=node["Labels"],
        )  # fmt: skip
        same = [str(state[name]).casefold() == str(value).casefold() for name, _, value in filters]
        if all(is_so == (how == "=") for is_so, (_, how, _) in zip(same, filters, strict=True)):
            found.append(state)
    return found
