"""The columns of a measurement in the archive, and canonical lines as rows. Pure.

The devices write few different sets of names, and each set has its own regular
expression that reads a whole line. Its groups are the values, and DuckDB reads them as
CSV with a backslash as the escape character. `decode` takes ten times as long, so it
only reads lines with a set of names that is new.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from qos_agent.evidence.merkle import leaf_hash
from qos_agent.model import Record, Value
from qos_agent.model.line_protocol import decode, encode
from qos_agent.model.schema import MEASUREMENTS, Measurement

SQL_TYPES = {"int": "BIGINT", "float": "DOUBLE", "str": "VARCHAR"}
# Readings have a journal and a number in it. The centre's own points have neither.
READINGS = {m.name: m for m in MEASUREMENTS.values() if m.source == "agent"}
# No device has so many sets of names at a time. The limit bounds memory and time for
# lines that someone made up.
_SHAPES_MAX = 64
_ALWAYS = ("time_ns", "leaf")
# Integers with 19 digits may need more than 64 bits, so `decode` reads their lines.
_WHOLE = r"(0|-?[1-9][0-9]{0,17})"
_WIDE = r"(0|-?[1-9][0-9]{0,18})"
_FLOAT = r"(-?[0-9]+(?:\.[0-9]+)?(?:e[+-][0-9]+)?)"
_TEXT = r'("(?:[^"\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]|\\["\\])*")'
# InfluxDB has no times outside these limits.
_TIME_MAX_NS = 2**63 - 2


class NotAReadingError(ValueError):
    """A canonical point that has no journal or no number, such as a census."""


@dataclass(frozen=True, slots=True)
class Row:
    """A reading as one line of CSV, and its identity as another.

    The identity has the columns journal, seq and leaf.
    """

    measurement: str
    csv: str
    identity: str
    leaf: bytes


@dataclass(frozen=True, slots=True)
class _Shape:
    """The lines with one set of names: their expression, and the places of groups."""

    pattern: re.Pattern[str]
    template: str
    floats: tuple[int, ...]
    journal: int
    seq: int


def columns(measurement: Measurement) -> dict[str, str]:
    """Return name and SQL type of the columns, as the archive stores them."""
    fields = {f.name: SQL_TYPES[f.type] for f in measurement.fields}
    tags = dict.fromkeys(measurement.tags, "VARCHAR")
    return {"time_ns": "BIGINT", **tags, **fields, "leaf": "BLOB"}


def csv_columns(name: str) -> dict[str, str]:
    """Return name and SQL type of the values in `Row.csv`, in their order."""
    measurement = READINGS[name]
    types = columns(measurement)
    fields = sorted(f.name for f in measurement.fields)
    names = [*sorted(measurement.tags), *fields, "time_ns"]
    return {**{name: types[name] for name in names}, "leaf": "VARCHAR"}


class Parser:
    """Reads canonical lines. It remembers the sets of names that it met last."""

    def __init__(self) -> None:
        self._shapes: dict[str, list[_Shape]] = {name: [] for name in READINGS}

    def row(self, line: bytes) -> Row:
        """Return the row of a canonical line.

        Raises NotAReadingError for a point that is no reading, and ValueError for a
        line that is not canonical or has a time outside 64 bits.
        """
        text = line.decode()
        name = text.partition(" ")[0].partition(",")[0]
        shapes = self._shapes.get(name)
        if shapes is None:
            decode(line)
            raise NotAReadingError(f"{name}: this measurement has no readings")
        for place, shape in enumerate(shapes):
            if match := shape.pattern.fullmatch(text):
                if place:
                    shapes.insert(0, shapes.pop(place))
                return _row(name, shape, match.groups(), line)
        return self._new_shape(line, text)

    def _new_shape(self, line: bytes, text: str) -> Row:
        record = decode(line)
        name = record.measurement
        shape = _shape(record, _WHOLE)
        if shape.pattern.fullmatch(text):
            shapes = self._shapes[name]
            shapes.insert(0, shape)
            del shapes[_SHAPES_MAX:]
        match = _shape(record, _WIDE).pattern.fullmatch(text)
        if match is None:
            raise ValueError(f"{name}: the line is not canonical")
        return _row(name, shape, match.groups(), line)


def _row(name: str, shape: _Shape, values: tuple[str, ...], line: bytes) -> Row:
    for place in shape.floats:
        if repr(float(values[place]) + 0.0) != values[place]:
            raise ValueError(f"{name}: the line is not canonical")
    if abs(int(values[-1])) > _TIME_MAX_NS:
        raise ValueError(f"{name}: the time {values[-1]} is out of range")
    leaf = leaf_hash(line)
    digits = leaf.hex()
    identity = f"{values[shape.journal]},{values[shape.seq]},{digits}"
    return Row(name, shape.template % (*values, digits), identity, leaf)


def _shape(record: Record, whole: str) -> _Shape:
    """Return the shape of a record's line. Raises NotAReadingError without identity."""
    name = record.measurement
    if not {"journal", "seq"} <= record.fields.keys():
        raise NotAReadingError(f"{name}: the point has no journal or no number")
    tags, fields = sorted(record.tags), sorted(record.fields)
    names = [*tags, *fields]
    types = {field.name: field.type for field in READINGS[name].fields}
    head = "".join(f",{tag}=([A-Za-z0-9_-]+)" for tag in tags)
    patterns = {"int": f"{whole}i", "float": _FLOAT, "str": _TEXT}
    body = ",".join(f"{field}={patterns[types[field]]}" for field in fields)
    cells = ["%s" if c in {*names, *_ALWAYS} else "" for c in csv_columns(name)]
    return _Shape(
        re.compile(f"{name}{head} {body} {_WIDE}"),
        ",".join(cells),
        tuple(names.index(f) for f in fields if types[f] == "float"),
        names.index("journal"),
        names.index("seq"),
    )


def line_of(measurement: str, values: Sequence[Value | None]) -> bytes:
    """Return the canonical line of a row with the columns of `columns`, without leaf.

    Raises ValueError if a value has another type than the schema says.
    """
    table = MEASUREMENTS[measurement]
    time_ns, *others = values
    tags = zip(table.tags, others[: len(table.tags)], strict=True)
    names = (field.name for field in table.fields)
    fields = zip(names, others[len(table.tags) :], strict=True)
    present = {name: str(value) for name, value in tags if value is not None}
    known = {name: value for name, value in fields if value is not None}
    if not isinstance(time_ns, int):
        raise ValueError(f"{measurement}: the time is missing")  # noqa: TRY004
    return encode(Record(measurement, present, known, time_ns))
