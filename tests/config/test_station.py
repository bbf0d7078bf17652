"""The section of the station."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from qos_agent.config.station import StationSection


@pytest.mark.parametrize("code", ["317101000100", "31710100010011", "3171"])
def test_a_code_with_a_missing_digit_is_refused(code: str) -> None:
    """Otherwise the readings of a mistyped station belong to no station."""
    with pytest.raises(ValidationError, match="must have 13 digits"):
        StationSection.model_validate({"id": code})


@pytest.mark.parametrize("code", ["3171010001001", "unassigned", "lab-2"])
def test_a_whole_code_and_the_name_of_a_test_device_are_valid(code: str) -> None:
    """A device that is not at a station may have any name."""
    assert StationSection.model_validate({"id": code, "province": "31"}).id == code
