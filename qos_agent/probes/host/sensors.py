"""What the kernel tells of the board: heat, throttling, supply, battery.

Reads sysfs and nothing else; the folder is given, so that recorded trees can stand
in its place. Boards differ: what is not there, or does not make sense, is None.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# The sensors that stand for the processor, by thermal zone type and hwmon name.
_PROCESSOR = re.compile(r"cpu|soc|x86_pkg_temp|bcm2835|coretemp|k10temp|zenpower", re.I)
_COOLED_PROCESSOR = re.compile(r"processor|cpufreq", re.I)
# A sensor that is not connected reads absolute zero, 0 °C exactly, or nonsense.
_PLAUSIBLE_C = (-40.0, 150.0)
# vcgencmd get_throttled of the Raspberry Pi; bits from 16 up tell of the past.
_PI_UNDERVOLTAGE = 1 << 0
_PI_SLOWED = 1 << 1 | 1 << 2 | 1 << 3


@dataclass(frozen=True, slots=True)
class Power:
    """Where the current comes from; None where the board cannot tell."""

    on_battery: bool | None
    charge_share: float | None


def processor_temperature_c(sys: Path) -> float | None:
    """The hottest sensor of the processor, in °C."""
    zones = (sys / "class/thermal").glob("thermal_zone*")
    found = [_celsius(zone / "temp") for zone in zones if _is_processor(zone / "type")]
    for chip in (sys / "class/hwmon").glob("hwmon*"):
        if _is_processor(chip / "name"):
            found += [_celsius(sensor) for sensor in chip.glob("temp*_input")]
    return max((value for value in found if value is not None), default=None)


def throttled(sys: Path) -> bool | None:
    """Whether the processor is being slowed now, for heat or want of current."""
    devices = (sys / "class/thermal").glob("cooling_device*")
    states = [
        _number(device / "cur_state")
        for device in devices
        if _COOLED_PROCESSOR.search(_text(device / "type") or "")
    ]
    bits = _pi_bits(sys)
    if bits is not None:
        states.append(bits & _PI_SLOWED)
    known = [state for state in states if state is not None]
    return any(known) if known else None


def undervoltage(sys: Path) -> bool | None:
    """Whether the supply is too weak now (Raspberry Pi)."""
    for chip in (sys / "class/hwmon").glob("hwmon*"):
        if _text(chip / "name") == "rpi_volt":
            alarm = _number(chip / "in0_lcrit_alarm")
            return None if alarm is None else bool(alarm)
    bits = _pi_bits(sys)
    return None if bits is None else bool(bits & _PI_UNDERVOLTAGE)


def power(sys: Path) -> Power:
    """Mains or battery, and the charge; batteries of peripherals do not count."""
    supplies = [
        supply
        for supply in (sys / "class/power_supply").glob("*")
        if _text(supply / "scope") != "Device"
    ]
    batteries = [s for s in supplies if _text(s / "type") == "Battery"]
    mains = [s for s in supplies if s not in batteries]
    charges = [c for c in (_number(b / "capacity") for b in batteries) if c is not None]
    share = sum(charges) / len(charges) / 100 if charges else None
    return Power(_on_battery(batteries, mains), share)


def _on_battery(batteries: list[Path], mains: list[Path]) -> bool | None:
    """Mains decides; a board whose charger tells nothing is judged by its battery."""
    online = [n for n in (_number(m / "online") for m in mains) if n is not None]
    if any(online):
        return False
    statuses = {status for b in batteries if (status := _text(b / "status"))}
    if not statuses - {"Unknown"}:
        return None
    return "Discharging" in statuses


def _is_processor(path: Path) -> bool:
    return bool(_PROCESSOR.search(_text(path) or ""))


def _celsius(path: Path) -> float | None:
    """Millidegrees as degrees, where that is a temperature."""
    raw = _number(path)
    if raw is None or raw == 0:
        return None
    low, high = _PLAUSIBLE_C
    return raw / 1000 if low < raw / 1000 < high else None


def _pi_bits(sys: Path) -> int | None:
    """The firmware's word, hexadecimal without a prefix or with one."""
    for path in _pi_files(sys):
        try:
            return int(_text(path) or "", 16)
        except ValueError:
            continue
    return None


def _pi_files(sys: Path) -> Iterator[Path]:
    return (sys / "devices/platform/soc").glob("*firmware/get_throttled")


def _number(path: Path) -> int | None:
    try:
        return int(_text(path) or "")
    except ValueError:
        return None


def _text(path: Path) -> str | None:
    """A file's content; sensors may answer EIO, ENODATA or bytes that are no text."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
