"""What ``init`` returns."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import actorgrid

if TYPE_CHECKING:
    from actorgrid.engine.protocol import Engine


class GridContext(Mapping[str, Any]):
    """What ``init`` returns. As a context manager it shuts the grid down at the end of the block.

    ``address_info`` has Ray's keys: the machine's id (``node_id``), the socket of a persistent grid (``address``), and
    nothing where Ray has ports and folders, of which there are none. As a mapping it is the same, and warns: that is
    Ray's older way.
    """

    def __init__(self, engine: Engine, address: str, leave: Callable[[], None]) -> None:
        """``leave`` shuts the grid down."""
        self.dashboard_url = ""
        self.python_version = platform.python_version()
        self.actorgrid_version = actorgrid.__version__
        self.ray_version = actorgrid.__version__
        self.ray_commit = ""
        node = engine.nodes()[0]
        self.address_info: dict[str, Any] = {
            "node_ip_address": "127.0.0.1", "redis_address": None, "object_store_address": "",
            "raylet_socket_name": "", "webui_url": "", "session_dir": "", "metrics_export_port": 0,
            "gcs_address": "", "address": address, "dashboard_agent_listen_port": 0, "node_id": node["NodeID"],
        }  # fmt: skip
        self._leave = leave

    def disconnect(self) -> None:
        """Shut the grid down."""
        self._leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._leave()

    def __getitem__(self, key: str) -> Any:
        _warn(f"[{key!r}]")
        return self.address_info[key]

    def __iter__(self) -> Iterator[str]:
        _warn("")
        return iter(self.address_info)

    def __len__(self) -> int:
        _warn("")
        return len(self.address_info)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"GridContext(actorgrid {self.actorgrid_version}, Python {self.python_version})"


def _warn(rest: str) -> None:
    warnings.warn(
        f"the context as a mapping is deprecated, as in Ray: use context.address_info{rest}",
        DeprecationWarning,
        stacklevel=3,
    )
