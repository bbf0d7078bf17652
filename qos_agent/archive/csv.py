"""CSV files of points, one for each measurement.

The canonical lines are exported unchanged in `points.lp`, so that the CSV can be
compared with what the device recorded. The same lines give the same bytes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from qos_agent.archive.exporting import Exported, Written, export
from qos_agent.model.line_protocol import decode
from qos_agent.model.schema import MEASUREMENTS


def export_csv(lines: Iterable[bytes], folder: Path) -> Exported:
    """Export lines as CSV files with the data dictionary and a manifest.

    `lines` are canonical lines in order. Raises OSError if `folder` cannot be written.
    """
    return export(lambda work: write_csv(lines, work), folder, may_be_empty=True)


def write_csv(lines: Iterable[bytes], folder: Path) -> Written:
    """Write a CSV file for each measurement, and the lines."""
    points: dict[str, int] = {}
    damaged = 0
    tables: dict[str, csv.DictWriter[str]] = {}
    with ExitStack() as files:
        raw = files.enter_context((folder / "points.lp").open("wb"))
        for line in lines:
            raw.write(line + b"\n")
            try:
                record = decode(line)
            except ValueError:
                damaged += 1
                continue
            name = record.measurement
            if name not in tables:
                path = folder / f"{name}.csv"
                stream = files.enter_context(
                    path.open("w", encoding="utf-8", newline="")
                )
                tables[name] = _table(name, stream)
            tables[name].writerow(
                {"time_ns": record.time_ns, **record.tags, **record.fields}
            )
            points[name] = points.get(name, 0) + 1
    return Written(points, damaged)


def _table(name: str, stream: IO[str]) -> csv.DictWriter[str]:
    measurement = MEASUREMENTS[name]
    columns = ["time_ns", *measurement.tags, *(f.name for f in measurement.fields)]
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    return writer
