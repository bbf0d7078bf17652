"""Readings to canonical points, canonical points to bytes, and back. Pure.

The bytes are the record: stored, hashed, delivered, exported and checked as they
are. Canonical means: tags and fields sorted by name, integers with `i`, floats in
the shortest form that reads back the same, nanosecond stamps, types by the schema
and never by the value's looks.

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
_INT64 = 2**63
_WORDS_MAX = 200
# Looked up for every field of every point: a search of the table costs more than all
# the rest of the encoding.
_FIELDS = {m.name: {f.name: f for f in m.fields} for m in MEASUREMENTS.values()}
_TASKS = frozenset(name for name, fields in _FIELDS.items() if "slots" in fields)


def tag_value(text: str) -> str:
    """`text` with everything outside [A-Za-z0-9_-] turned into `_`; never empty."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_") or "unknown"


def words(text: str) -> str:
    """`text` on one line, without control characters, at most 200 characters."""
    return _CONTROL.sub(" ", text).strip()[:_WORDS_MAX]


def points(reading: Reading, identity: Identity) -> tuple[Point, ...]:
    """The points of a reading, one a sample, with the outcome in every one."""
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
    """Counts by outcome, cause and reason, where the measurement is a task's."""
    if reading.measurement not in _TASKS:
        return {}
    fields: dict[str, Value] = {outcome.value: 0 for outcome in Outcome}
    fields[reading.outcome.value] = reading.slots
    fields["slots"] = reading.slots
    optional = {
        "cause": reading.cause,
        "reason": reading.reason,
        "detail": words(reading.detail) or None,
        "late_ms": reading.late_ms,
        "duration_ms": reading.duration_ms,
    }
    given = {name: value for name, value in optional.items() if value is not None}
    return fields | given


def _clean(sample: Sample) -> dict[str, Value]:
    """The sample's fields with words cleaned and empty ones left out."""
    cleaned = {
        name: words(value) if isinstance(value, str) else value
        for name, value in sample.fields.items()
    }
    return {name: value for name, value in cleaned.items() if value != ""}


def encode(record: Record) -> bytes:
    """The canonical line of `record`, without the line feed.

    Raises ValueError naming measurement and key where the schema has no such name,
    a value is of another type, or a tag's value has a character outside
    [A-Za-z0-9_-].
    """
    table = _table(record.measurement)
    tags = "".join(f",{key}={value}" for key, value in _checked_tags(record, table))
    known, given = _FIELDS[table.name], record.fields
    fields = ",".join(
        [f"{name}={_encode_value(table, known, name, given[name])}"
         for name in sorted(given)]
    )  # fmt: skip
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
            raise ValueError(f"{record.measurement}.{key}: {value!r} is no tag value")
        yield key, value


def _encode_value(
    table: Measurement, known: Mapping[str, Field], name: str, value: Value
) -> str:
    field = known.get(name)
    if field is None:
        raise ValueError(f"{table.name}.{name}: no such field in the schema")
    encoded = _ENCODERS[field.type](value)
    if encoded is None:
        raise ValueError(f"{table.name}.{name}: {value!r} is no {field.type}")
    return encoded


# Each gives the value in line protocol; None where it does not fit the field's type.
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
    """The record behind a canonical line. Raises ValueError on anything else."""
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
    """Name and raw value of each field; strings may hold commas and spaces."""
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
    return _typed(table.field(name), float(text))


def from_row(measurement: str, row: Mapping[str, Value | None]) -> Record:
    """The record behind one row of an InfluxQL answer (`epoch=ns`, all columns).

    InfluxDB's JSON writes 20.0 as 20: the types come from the schema, so that
    `encode` gives back the bytes the device sealed.
    """
    table = _table(measurement)
    present = {name: value for name, value in row.items() if value is not None}
    time_ns = int(present.pop("time"))
    tags = {name: str(present.pop(name)) for name in table.tags if name in present}
    fields = {name: _typed(table.field(name), v) for name, v in present.items()}
    return Record(measurement, tags, fields, time_ns)


def _typed(field: Field, value: Value) -> Value:
    match field.type:
        case "int":
            return int(value)
        case "float":
            return float(value)
        case _:
            return str(value)
