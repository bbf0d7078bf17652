"""Readings become canonical bytes and back, also through a real InfluxDB."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qos_agent.model import Outcome, Reading, Record, Sample
from qos_agent.model.line_protocol import (
    decode,
    encode,
    from_row,
    one_line,
    points,
    tag_value,
)
from tests.servers.database import Database
from tests.support.readings import IDENTITY, LATENCY_TAGS, latency, records


@given(records())
def test_what_is_encoded_decodes_to_the_same_record(record: Record) -> None:
    """decode(encode(r)) equals r for every record that the schema allows."""
    assert decode(encode(record)) == _typed(record)


@pytest.mark.slow
@given(records())
def test_the_bytes_do_not_depend_on_the_order_of_keys(record: Record) -> None:
    """Two dictionaries with the same content give the same canonical bytes."""
    turned = dataclasses.replace(
        record,
        tags=dict(reversed(list(record.tags.items()))),
        fields=dict(reversed(list(record.fields.items()))),
    )
    assert encode(turned) == encode(record)


@given(st.binary(max_size=80))
def test_bytes_that_are_not_canonical_are_refused(noise: bytes) -> None:
    """decode raises only ValueError on bytes that `encode` did not produce."""
    with pytest.raises(ValueError):  # noqa: PT011  any message will do
        decode(noise)


def test_a_reordered_line_is_not_canonical() -> None:
    """A line with its fields in another order is refused."""
    with pytest.raises(ValueError, match="not canonical"):
        decode(b"host uptime_s=1.0,cpu_share=0.5 1")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (Record("hosts", {}, {"uptime_s": 1.0}, 1), "no such measurement"),
        (Record("host", {}, {"uptime": 1.0}, 1), "host.uptime: no such field"),
        (Record("host", {"link": "a"}, {"uptime_s": 1.0}, 1), "host.link: no such tag"),
        (
            Record("host", {"station": "a/b"}, {"uptime_s": 1.0}, 1),
            "'a/b' is not a valid",
        ),
        (Record("host", {}, {"uptime_s": "long"}, 1), "'long' is not of type float"),
        (Record("host", {}, {"uptime_s": float("nan")}, 1), "nan is not of type float"),
        (Record("host", {}, {"seq": 1.0}, 1), "1.0 is not of type int"),
        (Record("host", {}, {"seq": 2**63}, 1), "is not of type int"),
        (Record("host", {}, {"device": "a\nb"}, 1), "is not of type str"),
        (Record("host", {}, {}, 1), "a point needs a field"),
    ],
)
def test_records_outside_the_schema_are_refused(record: Record, message: str) -> None:
    """A wrong name, type or character raises an error that names it."""
    with pytest.raises(ValueError, match=message):
        encode(record)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(records(), min_size=1, max_size=8, unique_by=lambda r: r.time_ns))
def test_the_bytes_come_back_through_influxdb(
    influxdb: Database, sent: list[Record]
) -> None:
    """Bytes written to a real InfluxDB and read by InfluxQL are equal."""
    fresh = influxdb.fresh()
    lines = {r.time_ns: encode(r) for r in sent}
    fresh.write(b"\n".join(lines.values()))
    back = {}
    for name in {r.measurement for r in sent}:
        for row in fresh.rows(name):
            columns = {k: v for k, v in row.items() if k != "measurement"}
            record = from_row(name, columns)
            back[record.time_ns] = encode(record)
    assert back == lines


def _typed(record: Record) -> Record:
    """Return the record with the types of the schema: integers become floats."""
    return from_row(
        record.measurement, {"time": record.time_ns, **record.tags, **record.fields}
    )


def test_a_failed_reading_is_a_point_with_its_cause() -> None:
    """An outage gives a point with sent, received 0 and the cause, but no RTT."""
    (point,) = points(latency(received=0), IDENTITY)
    assert point.fields["failed"] == 1
    assert point.fields["ok"] == 0
    assert point.fields["received"] == 0
    assert point.fields["cause"] == "timeout"
    assert "rtt_p50_ms" not in point.fields


def test_missed_slots_are_counted_as_skipped() -> None:
    """A reading for 7 missed slots has slots 7 and the reason."""
    sample = Sample(LATENCY_TAGS, {"span_s": 420.0})
    reading = Reading(
        "latency", Outcome.SKIPPED, 1, (sample,), reason="missed", slots=7
    )
    (point,) = points(reading, IDENTITY)
    assert (point.fields["slots"], point.fields["skipped"]) == (7, 7)
    assert point.fields["reason"] == "missed"


def test_texts_are_cut_to_one_line() -> None:
    """A server's message cannot break a line or fill a disk."""
    assert one_line("bad\r\ngate\x00way " + "x" * 999) == ("bad gate way " + "x" * 187)


def test_tag_values_are_cleaned_and_never_empty() -> None:
    """An operator's name with dots and spaces becomes a tag value."""
    assert tag_value("XL Axiata, Tbk.") == "XL_Axiata_Tbk"
    assert tag_value("…") == "unknown"
