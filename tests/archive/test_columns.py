"""Canonical lines become rows of DuckDB and back, without a change."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.archive.columns import (
    READINGS,
    NotAReadingError,
    Parser,
    columns,
    csv_columns,
    line_of,
)
from qos_agent.evidence.merkle import leaf_hash
from qos_agent.model import Record
from qos_agent.model.line_protocol import decode, encode
from tests.archive.support import line
from tests.support.readings import records

IDENTIFIED = records().filter(lambda r: r.measurement in READINGS)


def _through_duckdb(measurement: str, csv: str, folder: Path) -> bytes:
    """Return the line of a CSV row that DuckDB has read."""
    path = folder / "rows.csv"
    path.write_text(csv + "\n", encoding="utf-8")
    types = ", ".join(f"'{n}': '{t}'" for n, t in csv_columns(measurement).items())
    names = ", ".join(f'"{name}"' for name in columns(READINGS[measurement]))
    with duckdb.connect() as db:
        (row,) = db.execute(
            f"SELECT {names} FROM read_csv('{path}', header = false, delim = ',',"
            " quote = '\"', escape = '\\', auto_detect = false, nullstr = '',"
            f" allow_quoted_nulls = false, columns = {{{types}}})"
        ).fetchall()
    return line_of(measurement, row[:-1])


@pytest.mark.slow
@given(IDENTIFIED, st.integers(1, 2**62), st.text('abc\\," =é', min_size=1))
def test_every_reading_survives_the_way_through_duckdb(
    tmp_path_factory: pytest.TempPathFactory, record: Record, seq: int, journal: str
) -> None:
    """Integers, floats and texts have the same bytes after CSV and SQL types."""
    fields = {**record.fields, "seq": seq, "journal": journal}
    point = Record(record.measurement, record.tags, fields, record.time_ns)
    original = encode(point)
    row = Parser().row(original)
    escaped = journal.replace("\\", "\\\\").replace('"', '\\"')
    assert row.measurement == point.measurement
    assert row.identity == f'"{escaped}",{seq},{row.leaf.hex()}'
    assert row.leaf == leaf_hash(original)
    folder = tmp_path_factory.getbasetemp()
    assert _through_duckdb(row.measurement, row.csv, folder) == original


@given(st.data())
def test_a_known_shape_accepts_no_more_than_decode(data: st.DataObject) -> None:
    """After one good line, a line with one changed character is judged as before."""
    parser = Parser()
    good = line(5)
    parser.row(good)
    place = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(
        st.sampled_from([b"0", b"1", b"-", b".", b"e", b'"', b"\\", b" "])
    )
    changed = good[:place] + other + good[place + 1 :]
    try:
        decode(changed)
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011  any message will do
            parser.row(changed)
    else:
        assert parser.row(changed).leaf == leaf_hash(changed)


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (b"watermark complete_ms=1i 1", "has no readings"),
        (b"host cpu_share=0.5 1", "no journal or no number"),
        (b'host journal="a" 1', "no journal or no number"),
    ],
)
def test_points_that_are_no_readings_are_told_apart(point: bytes, message: str) -> None:
    """The centre's own points are neither readings nor damaged."""
    with pytest.raises(NotAReadingError, match=message):
        Parser().row(point)


@pytest.mark.parametrize(
    "point",
    [
        b'host journal="a",seq=01i 1',
        b'host journal="a",seq=1i 01',
        b'host cpu_share=-0.0,journal="a",seq=1i 1',
        b'host cpu_share=1e999,journal="a",seq=1i 1',
        b'host journal="a",seq=9223372036854775808i 1',
        b'host journal="a",seq=1i 9223372036854775808',
        b'host seq=1i,journal="a" 1',
        b"\xff\xfe",
        b"",
    ],
)
def test_other_lines_are_refused(point: bytes) -> None:
    """Numbers in another form and times beyond 64 bits never reach the archive."""
    parser = Parser()
    parser.row(b'host journal="a",seq=1i 1')
    with pytest.raises(ValueError):  # noqa: PT011  any message will do
        parser.row(point)


@pytest.mark.parametrize("number", [-(2**63), 2**63 - 1, 10**18])
def test_the_widest_numbers_are_read(number: int) -> None:
    """Integers of 19 digits within 64 bits are kept as they are."""
    row = Parser().row(f'host journal="a",seq={number}i 1'.encode())
    assert row.identity.split(",")[1] == str(number)
