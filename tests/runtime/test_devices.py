"""Which GPUs there are: told from files of the system and from the environment, on machines that have none."""

from __future__ import annotations

from pathlib import Path

import pytest

from actorgrid.engine.definitions import StartConfig
from actorgrid.engine.worker_side import CUDA
from actorgrid.runtime import devices, machine

INFORMATION = """Model: \t\t {}
IRQ:   \t\t 170
GPU UUID: \t GPU-5e2b
"""


@pytest.fixture(autouse=True)
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (CUDA, devices.HIP, devices.UNSET):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(devices, "NVIDIA_FILES", str(tmp_path / "nvidia"))
    monkeypatch.setattr(devices, "AMD_FILES", str(tmp_path / "amd"))


def nvidia(tmp_path: Path, *models: str) -> None:
    for number, model in enumerate(models):
        folder = tmp_path / "nvidia" / f"0000:0{number}:00.0"
        folder.mkdir(parents=True)
        (folder / "information").write_text(INFORMATION.format(model))


def amd(tmp_path: Path, *cores: int) -> None:
    for number, count in enumerate(cores):
        folder = tmp_path / "amd" / str(number)
        folder.mkdir(parents=True)
        (folder / "properties").write_text(f"cpu_cores_count 0\nsimd_count {count}\n")


def test_machine_without_gpus_has_none() -> None:
    assert devices.detect() == 0
    assert devices.model() == ""
    assert "GPU" not in machine.capacity(StartConfig())


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA A100-SXM4-40GB", "A100"),
        ("Tesla V100-SXM2-16GB", "V100"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA GeForce RTX 4090", ""),
    ],
)
def test_gpus_of_nvidia_are_counted_and_their_kind_is_a_resource(tmp_path: Path, model: str, kind: str) -> None:
    nvidia(tmp_path, model, model)
    assert devices.detect() == 2
    assert devices.model() == kind
    have = machine.capacity(StartConfig())
    assert have["GPU"] == 2
    assert [name for name in have if name.startswith("accelerator_type:")] == [f"accelerator_type:{kind}"][: bool(kind)]


def test_gpus_of_amd_are_the_nodes_that_have_cores_of_theirs(tmp_path: Path) -> None:
    amd(tmp_path, 0, 304, 304)
    assert devices.detect() == 2
    assert devices.variables(2) == [CUDA, devices.HIP]


def test_only_what_this_process_may_use_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvidia(tmp_path, *["NVIDIA L4"] * 4)
    monkeypatch.setenv(CUDA, "3, 1")
    assert devices.detect() == 2
    assert devices.names(2) == ["3", "1"]
    assert devices.names(0.5) == ["3"]
    monkeypatch.setenv(CUDA, "NoDevFiles")
    assert devices.detect() == 0
    monkeypatch.setenv(CUDA, "")
    assert devices.detect() == 0


def test_number_that_init_was_given_is_believed_unless_the_environment_contradicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia(tmp_path, "NVIDIA L4")
    assert "GPU" not in machine.capacity(StartConfig(num_gpus=0))
    assert machine.capacity(StartConfig(num_gpus=3))["GPU"] == 3
    devices.check(3)
    monkeypatch.setenv(CUDA, "0,1")
    devices.check(2)
    with pytest.raises(ValueError, match="only 2"):
        devices.check(3)


def test_devices_are_numbered_if_nobody_named_them() -> None:
    assert devices.names(0) == []
    assert devices.names(2.5) == ["0", "1", "2"]


def test_variables_are_set_only_where_there_are_devices_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.variables(0) == []
    assert devices.variables(1) == [CUDA]
    monkeypatch.setenv(devices.HIP, "0")
    assert devices.variables(1) == [CUDA, devices.HIP]
    monkeypatch.setenv(devices.UNSET, "1")
    assert devices.variables(1) == []
