"""Durations and sizes as people write them."""

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
    """Each unit, and units one after the other."""
    assert seconds(text) == value_s


@pytest.mark.parametrize(
    "text", ["", "5", "m", "5 m", "-5m", "5M", "5m!", 5, None, True]
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    """A number alone has no unit and is refused."""
    with pytest.raises(ValueError, match="a duration such as"):
        seconds(text)


@pytest.mark.parametrize("text", ["8", "8 MB", "8mb", "MB", "-1MB", 8, None])
def test_what_is_no_size_is_refused(text: object) -> None:
    """Megabytes are MB; anything else is refused rather than guessed."""
    with pytest.raises(ValueError, match="a size such as"):
        size_bytes(text)


@given(st.integers(1, 59), st.sampled_from(["s", "m", "h"]))
def test_a_duration_said_is_read_the_same(count: int, unit: str) -> None:
    """What duration_text says, seconds reads back."""
    value_s = seconds(f"{count}{unit}")
    assert seconds(duration_text(value_s)) == value_s


@given(st.integers(0, 10**13))
def test_a_size_said_is_read_within_its_one_decimal(count: int) -> None:
    """What size_text says is the size, to the decimal it shows."""
    read = size_bytes(size_text(count).replace(" ", ""))
    assert abs(read - count) <= max(0.05 * 10**9 if count >= 10**9 else 0.05 * 10**6
                                    if count >= 10**6 else 50, 0)  # fmt: skip
