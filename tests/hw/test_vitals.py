from pathlib import Path

import pytest

from hw import vitals as module
from hw.vitals import Identity, Vitals, identity, vitals

MEMINFO = "MemTotal: 3884084 kB\nMemFree: 152000 kB\nMemAvailable:    1024000 kB\nBuffers: 1 kB\n"


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def pi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module.os, "cpu_count", lambda: 4)
    write(tmp_path, "sys/class/thermal/thermal_zone0/type", "wifi\n")
    write(tmp_path, "sys/class/thermal/thermal_zone0/temp", "99000\n")
    write(tmp_path, "sys/class/thermal/thermal_zone1/type", "cpu-thermal\n")
    write(tmp_path, "sys/class/thermal/thermal_zone1/temp", "48312\n")
    write(tmp_path, "proc/loadavg", "0.60 0.41 0.30 2/133 13321\n")
    write(tmp_path, "proc/meminfo", MEMINFO)
    write(tmp_path, "proc/uptime", "787.21 508.89\n")
    write(tmp_path, "proc/sys/kernel/hostname", "pole-box\n")
    write(tmp_path, "proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
    write(tmp_path, "proc/device-tree/serial-number", "10000000abcdef01\0")
    write(tmp_path, "etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n")
    return tmp_path


def test_how_it_is(pi: Path) -> None:
    assert vitals(pi) == Vitals(
        cpu_temperature_c=48.312,
        load=0.15,
        memory_available_octets=1024000 * 1024,
        uptime_s=787.21,
    )


def test_what_it_is_called(pi: Path) -> None:
    assert identity(pi) == Identity(
        hostname="pole-box", model="Raspberry Pi 4 Model B Rev 1.4", serial_number="10000000abcdef01"
    )


def test_a_machine_without_a_device_tree_has_its_installations_number(pi: Path) -> None:
    (pi / "proc/device-tree/serial-number").unlink()
    (pi / "proc/device-tree/model").unlink()
    assert identity(pi) == Identity(
        hostname="pole-box", model=None, serial_number="3d1219c7c4c5404aaa1f6d2a48adfda4"
    )


def test_nothing_is_invented(tmp_path: Path) -> None:
    assert vitals(tmp_path) == Vitals(
        cpu_temperature_c=None, load=None, memory_available_octets=None, uptime_s=None
    )
    assert identity(tmp_path) == Identity(hostname=None, model=None, serial_number=None)


@pytest.mark.parametrize("kind", ["x86_pkg_temp", "cpu_thermal", "cpu0-thermal", "soc-thermal"])
def test_sensors_of_processors(pi: Path, kind: str) -> None:
    write(pi, "sys/class/thermal/thermal_zone1/type", kind)
    assert vitals(pi).cpu_temperature_c == 48.312


@pytest.mark.parametrize("kind", ["acpitz", "gpu-thermal", "battery", "my-cpu-thermal"])
def test_other_sensors_are_no_processor(pi: Path, kind: str) -> None:
    write(pi, "sys/class/thermal/thermal_zone1/type", kind)
    assert vitals(pi).cpu_temperature_c is None


@pytest.mark.parametrize("text", ["", "\n", "unknown", "0x10"])
def test_what_is_no_number_is_not_known(pi: Path, text: str) -> None:
    for name in ("proc/loadavg", "proc/uptime", "proc/meminfo", "sys/class/thermal/thermal_zone1/temp"):
        write(pi, name, text)
    assert vitals(pi) == vitals(pi / "nowhere")


def test_this_machine_tells_something() -> None:
    here = vitals()
    assert here.uptime_s is not None
    assert here.uptime_s > 0
    assert here.memory_available_octets is not None
    assert here.memory_available_octets > 0
