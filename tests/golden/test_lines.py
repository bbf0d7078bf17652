"""The canonical lines of every measurement stay byte for byte as they were."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from qos_agent.model.line_protocol import decode, encode
from qos_agent.model.schema import MEASUREMENTS
from tests.golden.records import record

LINES = (Path(__file__).parent / "lines.txt").read_bytes().splitlines()


def _measurement(line: bytes) -> str:
    """Return the name that a line begins with, also if it has no tags."""
    return re.split(rb"[, ]", line, maxsplit=1)[0].decode()


def test_every_measurement_is_in_the_golden_file() -> None:
    """The golden file has two lines for each measurement of the schema table."""
    names = [_measurement(line) for line in LINES]
    assert sorted(names) == sorted([*MEASUREMENTS, *MEASUREMENTS])


@pytest.mark.parametrize("line", LINES, ids=_measurement)
def test_a_golden_line_is_encoded_as_before(line: bytes) -> None:
    """The encoder makes the golden bytes from the same names and values."""
    golden = decode(line)
    table = MEASUREMENTS[golden.measurement]
    fields = {name: table.field(name) for name in golden.fields}
    low = line.endswith(b"2")
    rebuilt = record(golden.measurement, list(golden.tags), fields, low)
    assert encode(rebuilt) == line
