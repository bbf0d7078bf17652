"""The host probe, on this machine and on trees laid out as boards lay theirs out."""

from __future__ import annotations

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

# Written after the kernel's Documentation/ABI and the drivers named; not recorded.
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
    """A sysfs of a test's own."""
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
    """The host probe fits the seam and leaves one point without tags of its own."""
    probe: Probe = Host.of(Settings(journal=JournalSection(folder=tmp_path)))
    assert (probe.measurement, probe.loads_link) == ("host", False)
    assert (probe.worst_case_bytes(), list(probe.tags(TASK))) == (0, [{}])


def test_every_field_stands_in_the_schema(tmp_path: Path) -> None:
    """What the probe reports on a full board has the schema's names, nothing else."""
    board_files = {**LAPTOP, **RASPBERRY_PI}
    found = fields(Host(tmp_path, tree(tmp_path, board_files)))
    known = {field.name for field in MEASUREMENTS["host"].fields}
    assert set(found) <= known
    assert {"temperature_c", "throttled", "undervoltage", "on_battery"} <= set(found)


def test_this_machine_answers(tmp_path: Path) -> None:
    """On the machine of the test, memory, disk, load and uptime are plausible."""
    found = fields(Host(tmp_path / "not" / "made" / "yet"))
    assert 0 < float(found["memory_used_share"]) < 1
    assert float(found["disk_free_bytes"]) > 0
    assert float(found["uptime_s"]) > 0
    assert float(found["agent_memory_bytes"]) > 1_000_000


def test_shares_count_since_the_reading_before(tmp_path: Path) -> None:
    """A busy loop shows in the agent's share of the reading it precedes."""
    start_s, before = time.monotonic(), process_time(Host(tmp_path))
    host = Host(tmp_path)
    _burn_until_counted(host)
    found = fields(host)
    used_s = process_time(host) - before
    share = used_s / (time.monotonic() - start_s)
    assert float(found["agent_cpu_share"]) == pytest.approx(share, rel=0.5)
    assert 0 < float(found["cpu_share"]) <= 1


def process_time(host: Host) -> float:
    """Seconds of processor that this process has used, as the kernel counts."""
    return sum(host._process.cpu_times()[:2])


def _burn_until_counted(host: Host) -> None:
    """Work until the kernel's 10 ms ticks have noticed."""
    start_s = process_time(host)
    while process_time(host) < start_s + 0.2:
        sum(range(10_000))


def test_raspberry_pi(tmp_path: Path) -> None:
    """A Pi on a weak supply says so and that it is slowed; the hotter sensor wins."""
    found = fields(Host(tmp_path, tree(tmp_path, RASPBERRY_PI)))
    assert found["temperature_c"] == 61.809
    assert (found["undervoltage"], found["throttled"]) == (1, 1)
    assert "on_battery" not in found


def test_pi_past_throttling_is_not_present_throttling(tmp_path: Path) -> None:
    """Bits that tell of the past leave the flags at 0."""
    name = "devices/platform/soc/soc:firmware/get_throttled"
    sys = tree(tmp_path, {name: "0x50000\n"})
    assert (sensors.undervoltage(sys), sensors.throttled(sys)) == (False, False)


def test_laptop_on_battery(tmp_path: Path) -> None:
    """A laptop unplugged reports its battery, not the mouse's, and not the fan."""
    found = fields(Host(tmp_path, tree(tmp_path, LAPTOP)))
    assert (found["on_battery"], found["battery_share"]) == (1, 0.73)
    assert (found["temperature_c"], found["throttled"]) == (48.0, 0)


@pytest.mark.parametrize(
    ("files", "on_battery"),
    [
        ({}, None),
        ({"AC/type": "Mains", "AC/online": "1"}, False),
        ({"usb/type": "USB", "usb/online": "1", "b/type": "Battery",
          "b/status": "Discharging"}, False),
        ({"b/type": "Battery", "b/status": "Charging"}, False),
        ({"b/type": "Battery", "b/status": "Discharging"}, True),
        ({"b/type": "Battery", "b/status": "Unknown"}, None),
        ({"b/type": "Battery"}, None),
    ],
)  # fmt: skip
def test_power_supplies(
    tmp_path: Path, files: Mapping[str, str], on_battery: bool | None
) -> None:
    """Mains decides, then the battery's own word; where neither speaks, nothing."""
    named = {f"class/power_supply/{name}": text for name, text in files.items()}
    assert sensors.power(tree(tmp_path, named)).on_battery is on_battery


@pytest.mark.parametrize("raw", ["0", "-274000", "4294967", "", "n/a", b"\xff\xfe"])
def test_implausible_temperature_is_absent(tmp_path: Path, raw: str | bytes) -> None:
    """A sensor that is not connected, or speaks nonsense, leaves no temperature."""
    zone = "class/thermal/thermal_zone0"
    sys = tree(tmp_path, {f"{zone}/type": "cpu-thermal", f"{zone}/temp": raw})
    assert sensors.processor_temperature_c(sys) is None


def test_sensor_that_cannot_be_read_is_absent(tmp_path: Path) -> None:
    """A sensor whose read fails (here: a folder in its place) is left out."""
    zone = "class/thermal/thermal_zone0"
    sys = tree(tmp_path, {f"{zone}/type": "cpu-thermal", f"{zone}/temp/x": ""})
    assert sensors.processor_temperature_c(sys) is None


def test_bare_virtual_machine(tmp_path: Path) -> None:
    """Without any sensor the fields of the board are absent, never 0."""
    found = fields(Host(tmp_path, tmp_path / "empty"))
    board_fields = {"temperature_c", "throttled", "undervoltage", "on_battery",
                    "battery_share"}  # fmt: skip
    assert not board_fields & set(found)
