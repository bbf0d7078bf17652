"""Sensors of the board in sysfs: temperature, throttling, power supply, battery.

The sysfs folder is a parameter, so that tests can use recorded trees. Boards differ:
missing and implausible values are None.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from qos_agent.system.files import matching, read_number, read_text

# Thermal zone types and hwmon names of processor sensors.
_PROCESSOR = re.compile(r"cpu|soc|x86_pkg_temp|bcm2835|coretemp|k10temp|zenpower", re.I)
_COOLED_PROCESSOR = re.compile(r"processor|cpufreq", re.I)
# An unconnected sensor reads absolute zero, exactly 0 °C, or an implausible value.
_PLAUSIBLE_C = (-40.0, 150.0)
# vcgencmd get_throttled of the Raspberry Pi; bits 16 and above are about the past.
_NUMBER_MAX = 10**9
_TEXT_MAX = 4096
_PI_UNDERVOLTAGE = 1 << 0
_PI_SLOWED = 1 << 1 | 1 << 2 | 1 << 3


@dataclass(frozen=True, slots=True)
class Power:
    """The power source and battery charge; None if the board does not report them."""

    on_battery: bool | None
    charge_share: float | None


def processor_temperature_c(sys: Path) -> float | None:
    """Return the temperature of the hottest processor sensor in °C."""
    zones = matching(sys / "class/thermal", "thermal_zone*")
    values = [_celsius(zone / "temp") for zone in zones if _is_processor(zone / "type")]
    for chip in matching(sys / "class/hwmon", "hwmon*"):
        if _is_processor(chip / "name"):
            values += [_celsius(sensor) for sensor in matching(chip, "temp*_input")]
    return max((value for value in values if value is not None), default=None)


def throttled(sys: Path) -> bool | None:
    """Return True if the processor is slowed now because of heat or low voltage."""
    devices = matching(sys / "class/thermal", "cooling_device*")
    states = [
        read_number(device / "cur_state")
        for device in devices
        if _COOLED_PROCESSOR.search(_text(device / "type") or "")
    ]
    bits = _pi_bits(sys)
    if bits is not None:
        states.append(bits & _PI_SLOWED)
    known = [state for state in states if state is not None]
    return any(known) if known else None


def undervoltage(sys: Path) -> bool | None:
    """Return True if the supply voltage is too low now (Raspberry Pi)."""
    for chip in matching(sys / "class/hwmon", "hwmon*"):
        if _text(chip / "name") == "rpi_volt":
            alarm = read_number(chip / "in0_lcrit_alarm")
            return None if alarm is None else bool(alarm)
    bits = _pi_bits(sys)
    return None if bits is None else bool(bits & _PI_UNDERVOLTAGE)


def power(sys: Path) -> Power:
    """Return the power source and charge, without batteries of peripherals."""
    supplies = [
        supply
        for supply in matching(sys / "class/power_supply", "*")
        if _text(supply / "scope") != "Device"
    ]
    batteries = [s for s in supplies if _text(s / "type") == "Battery"]
    mains = [s for s in supplies if s not in batteries]
    charges = [
        c
        for c in (read_number(b / "capacity", high=100) for b in batteries)
        if c is not None
    ]
    share = sum(charges) / len(charges) / 100 if charges else None
    return Power(_on_battery(batteries, mains), share)


def _on_battery(batteries: list[Path], mains: list[Path]) -> bool | None:
    """Return False with mains power; without its state, use the battery's status."""
    online = [n for n in (read_number(m / "online") for m in mains) if n is not None]
    if any(online):
        return False
    statuses = {status for b in batteries if (status := _text(b / "status"))}
    if not statuses - {"Unknown"}:
        return None
    return "Discharging" in statuses


def _is_processor(path: Path) -> bool:
    return bool(_PROCESSOR.search(_text(path) or ""))


def _celsius(path: Path) -> float | None:
    """Read millidegrees and return a plausible temperature in °C."""
    raw = read_number(path, low=-_NUMBER_MAX)
    if raw is None or raw == 0:
        return None
    low, high = _PLAUSIBLE_C
    return raw / 1000 if low < raw / 1000 < high else None


def _pi_bits(sys: Path) -> int | None:
    """Return the firmware's flags, which are hexadecimal with or without a prefix."""
    for path in matching(sys / "devices/platform/soc", "*firmware/get_throttled"):
        bits = read_number(path, base=16)
        if bits is not None:
            return bits
    return None


def _text(path: Path) -> str | None:
    text = read_text(path, _TEXT_MAX)
    return None if text is None else text.strip()
