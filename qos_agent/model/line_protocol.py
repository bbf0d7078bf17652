"""Conversion of readings to canonical points, of points to bytes, and back. Pure.

The bytes are the record: they are stored, hashed, delivered, exported and verified
unchanged. In the canonical form tags and fields are sorted by name, integers end in
`i`, floats have their shortest round-trip form and timestamps are in nanoseconds. The
schema decides the type of a field, not the form of the value.

Syntax: InfluxDB line protocol, as 1.8, 2.x and 3.x read it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping

from qos_agent.model import Identity, Outcome, Point, Reading, Record, Sample, Value
from qos_agent.model.schema import MEASUREMENTS, Field, Measurement

_TAG_VALUE = re.compile(r"[A-Za-z0-9_-]+")
_FIELD = re.compile(r'([a-z0-9_]+)=("(?:[^"\\]|\\.)*"|[^,"]+)(?:,|$)')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_VALUES = re.compile(r'"(?:[^"\\]|\\.)*"|\d+')
_INT64 = 2**63
_TEXT_MAX = 200
# A signature, a signed note and a proof of 64 hashes are of no use if they are cut.
_LIMITS = {"note": 4000, "proof": 4000, "origin": 1000}
# Every field of every point is looked up here. A search of the table would cost more
# than the rest of the encoding.
_FIELDS = {m.name: {f.name: f for f in m.fields} for m in MEASUREMENTS.values()}
_TASKS = frozenset(name for name, fields in _FIELDS.items() if "slots" in fields)


def tag_value(text: str) -> str:
    """Return `text` with `_` for characters outside [A-Za-z0-9_-]; never empty."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_") or "unknown"


def one_line(text: str, limit: int = _TEXT_MAX) -> str:
    """Return `text` on one line, without control characters, cut at a limit."""
    return _CONTROL.sub(" ", text).strip()[:limit]


def without_values(text: str) -> str:
    """Return a message without numbers and quoted values, to compare its cause."""
    return _VALUES.sub("*", text)


def points(reading: Reading, identity: Identity) -> tuple[Point, ...]:
    """Return the points of a reading: one for each sample, each with the outcome."""
    place = {
        "station": identity.station,
        "province": identity.province,
        "regency": identity.regency,
    }
    return tuple(
        Point(
            reading.measurement,
            {**place, **sample.tags},
            {**_outcome_fields(reading), **_clean(sample)},
            reading.boot_ns,
        )
        for sample in reading.samples
    )


def _outcome_fields(reading: Reading) -> dict[str, Value]:
    """Return counts by outcome, cause and reason, if the measurement has tasks."""
    if reading.measurement not in _TASKS:
        return {}
    fields: dict[str, Value] = {outcome.value: 0 for outcome in Outcome}
    fields[reading.outcome.value] = reading.slots
    fields["slots"] = reading.slots
    optional = {
        "cause": reading.cause,
        "reason": reading.reason,
        "detail": one_line(reading.detail) or None,
        "late_ms": reading.late_ms,
        "duration_ms": reading.duration_ms,
    }
    present = {name: value for name, value in optional.items() if value is not None}
    return fields | present


def _clean(sample: Sample) -> dict[str, Value]:
    """Return the sample's fields with texts on one line, without empty texts."""
    cleaned = {
        name: one_line(value, _LIMITS.get(name, _TEXT_MAX))
        if isinstance(value, str)
        else value
        for name, value in sample.fields.items()
    }
    return {name: value for name, value in cleaned.items() if value != ""}


def encode(record: Record) -> bytes:
    """Return the canonical line of `record`, without the line feed.

    Raises ValueError with measurement and key if the schema has no such name, if a
    value has another type, or if a tag's value has a character outside [A-Za-z0-9_-].
    """
    table = _table(record.measurement)
    tags = "".join(f",{key}={value}" for key, value in _checked_tags(record, table))
    known, values = _FIELDS[table.name], record.fields
    fields = ",".join(
        [
            f"{name}={_encode_value(table, known, name, values[name])}"
            for name in sorted(values)
        ]
    )
    if not fields:
        raise ValueError(f"{record.measurement}: a point needs a field")
    return f"{record.measurement}{tags} {fields} {record.time_ns}".encode()


def _table(measurement: str) -> Measurement:
    if measurement not in MEASUREMENTS:
        raise ValueError(f"{measurement}: no such measurement in the schema")
    return MEASUREMENTS[measurement]


def _checked_tags(record: Record, table: Measurement) -> Iterator[tuple[str, str]]:
    for key in sorted(record.tags):
        value = record.tags[key]
        if key not in table.tags:
            raise ValueError(f"{record.measurement}.{key}: no such tag in the schema")
        if not _TAG_VALUE.fullmatch(value):
            raise ValueError(
                f"{record.measurement}.{key}: {value!r} is not a valid tag value"
            )
        yield key, value


def _encode_value(
    table: Measurement, known: Mapping[str, Field], name: str, value: Value
) -> str:
    field = known.get(name)
    if field is None:
        raise ValueError(f"{table.name}.{name}: no such field in the schema")
    encoded = _ENCODERS[field.type](value)
    if encoded is None:
        raise ValueError(f"{table.name}.{name}: {value!r} is not of type {field.type}")
    return encoded


# Each returns the value in line protocol, or None if it does not fit the type.
def _int_text(value: Value) -> str | None:
    fits = isinstance(value, int) and -_INT64 <= value < _INT64
    return f"{int(value)}i" if fits else None


def _float_text(value: Value) -> str | None:
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return repr(float(value) + 0.0)  # InfluxDB's JSON loses the sign of -0.0


def _str_text(value: Value) -> str | None:
    if not isinstance(value, str) or _CONTROL.search(value):
        return None
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_ENCODERS: dict[str, Callable[[Value], str | None]] = {
    "int": _int_text,
    "float": _float_text,
    "str": _str_text,
}


def decode(line: bytes) -> Record:
    """Return the record of a canonical line. Raises ValueError on anything else."""
    series, _, rest = line.decode().partition(" ")
    fields_text, _, time_text = rest.rpartition(" ")
    measurement, *tag_texts = series.split(",")
    table = _table(measurement)
    tags = dict(_split_tag(text) for text in tag_texts)
    pairs = _split(fields_text)
    fields = {name: _decode_value(table, name, text) for name, text in pairs}
    record = Record(measurement, tags, fields, int(time_text))
    if encode(record) != line:
        raise ValueError(f"{measurement}: the line is not canonical")
    return record


def _split_tag(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key, value


def _split(text: str) -> Iterator[tuple[str, str]]:
    """Yield name and raw value of each field; texts may contain commas and spaces."""
    position = 0
    while position < len(text):
        match = _FIELD.match(text, position)
        if match is None:
            raise ValueError(f"no field at {text[position : position + 20]!r}")
        yield match[1], match[2]
        position = match.end()


def _decode_value(table: Measurement, name: str, text: str) -> Value:
    if text.startswith('"'):
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    if text.endswith("i"):
        return int(text[:-1])
    try:
        field = table.field(name)
    except KeyError as error:
        raise ValueError(f"{error}: no such field in the schema") from None
    return _typed(field, float(text))


def from_row(measurement: str, row: Mapping[str, Value | None]) -> Record:
    """Return the record of one row of an InfluxQL response (`epoch=ns`, all columns).

    InfluxDB's JSON contains 20 for 20.0. The types therefore come from the schema, so
    that `encode` returns the bytes that the device sealed.
    """
    table = _table(measurement)
    present = {name: value for name, value in row.items() if value is not None}
    time_ns = int(present.pop("time"))
    tags = {name: str(present.pop(name)) for name in table.tags if name in present}
    fields = {name: _typed(table.field(name), v) for name, v in present.items()}
    return Record(measurement, tags, fields, time_ns)


def _whole(value: Value) -> int:
    try:
        return int(value)
    except OverflowError as error:
        raise ValueError(f"{value} is not an integer") from error


def _typed(field: Field, value: Value) -> Value:
    match field.type:
        case "int":
            return _whole(value)
        case "float":
            return float(value)
        case _:
            return str(value)
