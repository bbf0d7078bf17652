"""The host probe on this machine and on sysfs trees of boards."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from qos_agent.config.settings import JournalSection, Settings
from qos_agent.model import Deadline, Probe, Task, Value
from qos_agent.model.schema import MEASUREMENTS
from qos_agent.probes.host import sensors
from qos_agent.probes.host.probe import Host
from tests.probes.time_left import TimeLeft

TASK = Task("host", 0)

# Written by the kernel's Documentation/ABI and the named drivers; not recordings.
RASPBERRY_PI = {
    "class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "class/thermal/thermal_zone0/temp": "61322\n",
    "class/thermal/cooling_device0/type": "cpufreq-cpu0\n",
    "class/thermal/cooling_device0/cur_state": "0\n",
    "class/hwmon/hwmon0/name": "cpu_thermal\n",
    "class/hwmon/hwmon0/temp1_input": "61809\n",
    "class/hwmon/hwmon1/name": "rpi_volt\n",
    "class/hwmon/hwmon1/in0_lcrit_alarm": "1\n",
    "devices/platform/soc/soc:firmware/get_throttled": "50005\n",
}
LAPTOP = {
    "class/thermal/thermal_zone0/type": "acpitz\n",
    "class/thermal/thermal_zone0/temp": "27800\n",
    "class/thermal/thermal_zone7/type": "x86_pkg_temp\n",
    "class/thermal/thermal_zone7/temp": "48000\n",
    "class/thermal/cooling_device0/type": "Processor\n",
    "class/thermal/cooling_device0/cur_state": "0\n",
    "class/thermal/cooling_device1/type": "Fan\n",
    "class/thermal/cooling_device1/cur_state": "3\n",
    "class/power_supply/AC/type": "Mains\n",
    "class/power_supply/AC/online": "0\n",
    "class/power_supply/BAT0/type": "Battery\n",
    "class/power_supply/BAT0/status": "Discharging\n",
    "class/power_supply/BAT0/capacity": "73\n",
    "class/power_supply/hidpp_battery_0/type": "Battery\n",
    "class/power_supply/hidpp_battery_0/scope": "Device\n",
    "class/power_supply/hidpp_battery_0/capacity": "5\n",
}


def tree(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    """Create a sysfs tree for a test."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = content.encode() if isinstance(content, str) else content
        path.write_bytes(raw)
    return folder


def fields(host: Host) -> Mapping[str, Value]:
    deadline: Deadline = TimeLeft(5)
    (sample,) = host.measure(TASK, deadline).samples
    return sample.fields


def test_is_a_probe_without_link_or_target(tmp_path: Path) -> None:
    """It satisfies the Probe protocol and has one point without tags."""
    probe: Probe = Host.of(Settings(journal=JournalSection(folder=tmp_path)))
    assert (probe.measurement, probe.loads_link) == ("host", False)
    assert (probe.worst_case_bytes(), list(probe.tags(TASK))) == (0, [{}])


def test_every_field_is_in_the_schema(tmp_path: Path) -> None:
    """On a board with all sensors every field is in the schema."""
    board_files = {**LAPTOP, **RASPBERRY_PI}
    values = fields(Host(tmp_path, tree(tmp_path, board_files)))
    known = {field.name for field in MEASUREMENTS["host"].fields}
    assert set(values) <= known
    assert {"temperature_c", "throttled", "undervoltage", "on_battery"} <= set(values)


def test_values_of_this_machine(tmp_path: Path) -> None:
    """Memory, disk, load and uptime of this machine are plausible."""
    values = fields(Host(tmp_path / "not" / "made" / "yet"))
    assert 0 < float(values["memory_used_share"]) < 1
    assert float(values["disk_free_bytes"]) > 0
    assert float(values["uptime_s"]) > 0
    assert float(values["agent_memory_bytes"]) > 1_000_000


def test_shares_are_since_the_previous_reading(tmp_path: Path) -> None:
    """A busy loop increases the agent's share in the next reading."""
    start_s, before = time.monotonic(), process_time()
    host = Host(tmp_path)
    _burn_until_counted()
    values = fields(host)
    used_s = process_time() - before
    share = used_s / (time.monotonic() - start_s)
    assert float(values["agent_cpu_share"]) == pytest.approx(share, rel=0.5)
    assert 0 < float(values["cpu_share"]) <= 1


def process_time() -> float:
    """Return the processor time of this process in seconds."""
    return sum(os.times()[:2])


def _burn_until_counted() -> None:
    """Use the processor for 0.2 s, because the kernel counts in 10 ms ticks."""
    start_s = process_time()
    while process_time() < start_s + 0.2:
        sum(range(10_000))


def test_raspberry_pi(tmp_path: Path) -> None:
    """A Pi with a weak supply reports undervoltage, throttling, the hotter sensor."""
    values = fields(Host(tmp_path, tree(tmp_path, RASPBERRY_PI)))
    assert values["temperature_c"] == 61.809
    assert (values["undervoltage"], values["throttled"]) == (1, 1)
    assert "on_battery" not in values


def test_pi_past_throttling_is_not_present_throttling(tmp_path: Path) -> None:
    """Bits about the past leave the flags at 0."""
    name = "devices/platform/soc/soc:firmware/get_throttled"
    sys = tree(tmp_path, {name: "0x50000\n"})
    assert (sensors.undervoltage(sys), sensors.throttled(sys)) == (False, False)


def test_laptop_on_battery(tmp_path: Path) -> None:
    """An unplugged laptop reports its battery, not the mouse's; the fan is ignored."""
    values = fields(Host(tmp_path, tree(tmp_path, LAPTOP)))
    assert (values["on_battery"], values["battery_share"]) == (1, 0.73)
    assert (values["temperature_c"], values["throttled"]) == (48.0, 0)


DISCHARGING = {"b/type": "Battery", "b/status": "Discharging"}


@pytest.mark.parametrize(
    ("files", "on_battery"),
    [
        ({}, None),
        ({"AC/type": "Mains", "AC/online": "1"}, False),
        ({"usb/type": "USB", "usb/online": "1", **DISCHARGING}, False),
        ({"b/type": "Battery", "b/status": "Charging"}, False),
        (DISCHARGING, True),
        ({"b/type": "Battery", "b/status": "Unknown"}, None),
        ({"b/type": "Battery"}, None),
    ],
)
def test_power_supplies(
    tmp_path: Path, files: Mapping[str, str], on_battery: bool | None
) -> None:
    """Mains power decides, then the battery's status; without both it is None."""
    supplies = {f"class/power_supply/{name}": text for name, text in files.items()}
    assert sensors.power(tree(tmp_path, supplies)).on_battery is on_battery


@pytest.mark.parametrize("raw", ["0", "-274000", "4294967", "", "n/a", b"\xff\xfe"])
def test_implausible_temperature_is_absent(tmp_path: Path, raw: str | bytes) -> None:
    """An unconnected sensor or an implausible value gives no temperature."""
    zone = "class/thermal/thermal_zone0"
    sys = tree(tmp_path, {f"{zone}/type": "cpu-thermal", f"{zone}/temp": raw})
    assert sensors.processor_temperature_c(sys) is None


def test_sensor_that_cannot_be_read_is_absent(tmp_path: Path) -> None:
    """A sensor whose read fails is left out; here a folder replaces the file."""
    zone = "class/thermal/thermal_zone0"
    sys = tree(tmp_path, {f"{zone}/type": "cpu-thermal", f"{zone}/temp/x": ""})
    assert sensors.processor_temperature_c(sys) is None


def test_bare_virtual_machine(tmp_path: Path) -> None:
    """Without sensors the fields of the board are absent, not 0."""
    values = fields(Host(tmp_path, tmp_path / "empty"))
    board = {"temperature_c", "throttled", "undervoltage", "on_battery"}
    assert not {*board, "battery_share"} & set(values)
