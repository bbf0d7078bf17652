"""The section of the station."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from qos_agent.config.faults import validated
from qos_agent.config.settings import Settings
from qos_agent.config.station import StationSection
from qos_agent.model.errors import InvalidConfigError


@pytest.mark.parametrize("code", ["317101000100", "31710100010011", "3171"])
def test_a_code_with_a_missing_digit_is_refused(code: str) -> None:
    """Otherwise the readings of a mistyped station belong to no station."""
    with pytest.raises(ValidationError, match="must have 13 digits"):
        StationSection.model_validate({"id": code})


@pytest.mark.parametrize("code", ["3171010001001", "unassigned", "lab-2"])
def test_a_whole_code_and_the_name_of_a_test_device_are_valid(code: str) -> None:
    """A device that is not at a station may have any name."""
    assert StationSection.model_validate({"id": code, "province": "31"}).id == code


def test_a_mistyped_province_is_named() -> None:
    """The error is about the province, and not about the time zone that follows it."""
    table = {"station": {"id": "3171010001001", "province": "99"}}
    with pytest.raises(InvalidConfigError) as raised:
        validated(Settings, table, lambda _key: "agent.toml")
    assert str(raised.value) == (
        "station.province: is not a known province (found: '99'). "
        "Fix: correct the code, or set station.time_zone for a new province."
    )


def test_a_new_province_needs_only_its_time_zone() -> None:
    """A province that is founded after this release can be configured."""
    table = {"id": "9999010001001", "province": "99", "time_zone": "Asia/Jayapura"}
    assert StationSection.model_validate(table).time_zone == "Asia/Jayapura"
