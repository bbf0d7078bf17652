"""Durations and sizes are read and written as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.model.units import duration_text, seconds, size_bytes, size_text


@pytest.mark.parametrize(
    ("text", "value_s"),
    [
        ("500ms", 0.5),
        ("90s", 90),
        ("5m", 300),
        ("2m30s", 150),
        ("1h30m", 5400),
        ("2d", 172800),
    ],
)
def test_durations_are_read(text: str, value_s: float) -> None:
    """Single units and sequences of units are read."""
    assert seconds(text) == value_s


@pytest.mark.parametrize(
    "text", ["", "5", "m", "5 m", "-5m", "5M", "5m!", 5, None, True]
)
def test_an_invalid_duration_is_refused(text: object) -> None:
    """A number without a unit is refused."""
    with pytest.raises(ValueError, match="a duration such as"):
        seconds(text)


@pytest.mark.parametrize("text", ["8", "8 MB", "8mb", "MB", "-1MB", 8, None])
def test_an_invalid_size_is_refused(text: object) -> None:
    """Only the exact unit names are accepted, such as MB."""
    with pytest.raises(ValueError, match="a size such as"):
        size_bytes(text)


@given(st.integers(1, 59), st.sampled_from(["s", "m", "h"]))
def test_a_formatted_duration_is_read_back(count: int, unit: str) -> None:
    """seconds() returns the value that duration_text() formatted."""
    value_s = seconds(f"{count}{unit}")
    assert seconds(duration_text(value_s)) == value_s


@given(st.integers(0, 10**13))
def test_a_formatted_size_is_read_back_to_one_decimal(count: int) -> None:
    """size_bytes() returns the formatted value, within its one decimal."""
    read = size_bytes(size_text(count).replace(" ", ""))
    largest_error = 50.0
    for unit in (10**6, 10**9):
        if count >= unit:
            largest_error = 0.05 * unit
    assert abs(read - count) <= largest_error
