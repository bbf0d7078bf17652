"""Two records of every measurement with fixed values, as golden data.

The values depend only on the names and types in the schema table. Fields added to
the schema later are not part of the golden lines: `records` takes the names from the
golden file itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from qos_agent.model import Record, Value
from qos_agent.model.line_protocol import encode
from qos_agent.model.schema import MEASUREMENTS, Field

TIME_NS = 1_707_868_800_000_000_001
# Text that needs every escape of line protocol, and characters beyond ASCII.
TEXT = 'kabel "putus", 5 \\ 10 = ½ – ≥ é'


def value(name: str, field: Field, low: bool) -> Value:
    """Return a value of the field's type that depends only on its name."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:6])
    match field.type:
        case "int":
            return -number if low else number
        case "float":
            return -number / 1e9 if low else number / 7
        case _:
            return f"{name} {TEXT}" if low else name


def record(
    measurement: str, tags: list[str], fields: Mapping[str, Field], low: bool
) -> Record:
    """Return the record that stands for these names."""
    suffix = "low" if low else "high"
    return Record(
        measurement,
        {tag: f"{tag}-{suffix}_1" for tag in tags},
        {name: value(name, field, low) for name, field in fields.items()},
        TIME_NS + low,
    )


def main() -> None:
    """Print the golden lines of the whole schema table."""
    for golden in all_records():
        print(encode(golden).decode())


def all_records() -> Iterator[Record]:
    """Yield the records of the whole schema table."""
    for name, table in sorted(MEASUREMENTS.items()):
        fields = {field.name: field for field in table.fields}
        for low in (False, True):
            yield record(name, list(table.tags), fields, low)


if __name__ == "__main__":
    main()
