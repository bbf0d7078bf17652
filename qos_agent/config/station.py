"""The `[station]` and `[fleet]` sections of the configuration."""

from __future__ import annotations

import re
import socket
from typing import Literal

from pydantic import Field, field_validator, model_validator

from qos_agent.config.faults import invalid
from qos_agent.config.places import province_zones
from qos_agent.config.types import Name, ProvinceCode, RegencyCode, Section, Version

_CODE_DIGITS = 13


def _device_name() -> str:
    """Return the host name as a valid name of a device."""
    name = re.sub(r"[^A-Za-z0-9_]+", "-", socket.gethostname())
    return name.strip("-")[:64] or "device"


class StationSection(Section):
    """The polling station that this device measures for."""

    id: Name = Field(
        "unassigned",
        description="Code of the station, 13 digits; a test device may have a name.",
    )
    province: ProvinceCode = Field(
        "00", description="Kemendagri code of the province, 2 digits."
    )
    regency: RegencyCode = Field(
        "0000", description="Kemendagri code of the regency or city, 4 digits."
    )
    time_zone: Literal["Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura"] = Field(
        description="Time zone (WIB, WITA or WIT); by default that of the province."
    )
    device: Name = Field(
        default_factory=_device_name,
        description="Name of this device; by default the host name.",
    )

    @field_validator("id")
    @classmethod
    def _whole_code(cls, value: str) -> str:
        """Refuse a code with a missing digit; a device for tests may have a name."""
        if value.isdecimal() and len(value) != _CODE_DIGITS:
            digits = f"must have {_CODE_DIGITS} digits, and has {len(value)}"
            raise ValueError(digits)
        return value

    @model_validator(mode="before")
    @classmethod
    def _zone_of_province(cls, values: object) -> object:
        """Set the time zone if the province is known or no station is configured."""
        if not isinstance(values, dict) or "time_zone" in values:
            return values
        province = str(values.get("province"))
        zone = province_zones().get(province)
        if zone is None and "id" not in values:
            zone = "Asia/Jakarta"
        if zone is None and re.fullmatch(r"(?!00)\d\d", province):
            fix = "correct the code, or set station.time_zone for a new province"
            problem = "is not a known province"
            raise invalid(problem, key="province", found=repr(province), fix=fix)
        return values if zone is None else {**values, "time_zone": zone}


class FleetSection(Section):
    """Facts that all devices of the operations centre share."""

    version: Version | None = Field(
        None,
        description="Version that each device should run; `doctor` reports another.",
    )
