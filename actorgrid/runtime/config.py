"""What a grid is started with: made by the driver, read by the head, inherited by the launcher and the workers."""

from __future__ import annotations

import msgspec

from actorgrid.core.messages import Script
from actorgrid.runtime.surroundings import Surroundings


class BootConfig(msgspec.Struct):
    """Everything the processes of a grid need to know before the first message."""

    session: str
    driver_pid: int
    capacity: dict[str, float]
    store_budget: int
    keep_workers: int
    max_workers: int
    namespace: str
    preload: list[str]
    log_to_driver: bool
    env_vars: dict[str, str]
    surroundings: Surroundings
    restart_intensity: int
    restart_period: float
    stopped_limit: float
    #: Of the pauses between retries.
    seed: int
    script: Script | None = None
    #: Where objects go that memory cannot hold; empty: nowhere.
    spill_directory: str = ""
    #: Seconds that a request for memory may wait.
    store_patience: float = 10.0


#: Environment variable that marks every process of a grid.
SESSION_VARIABLE = "ACTORGRID_SESSION"
