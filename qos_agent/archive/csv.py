"""Exports a journal as CSV files with the data dictionary and a manifest.

The canonical lines are exported unchanged in `points.lp`, so that the CSV can be
compared with what the device recorded. The same journal gives the same bytes.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from qos_agent import __version__
from qos_agent.model.line_protocol import decode
from qos_agent.model.schema import MEASUREMENTS, SCHEMA_VERSION
from qos_agent.model.schema.dictionary import COLUMNS, rows


@dataclass(frozen=True, slots=True)
class Exported:
    """The folder of an export, its points by measurement, and its files' hashes.

    `damaged` is the number of lines that are only in points.lp, because they are not
    canonical.
    """

    folder: Path
    points: Mapping[str, int]
    damaged: int = 0
    sha256: Mapping[str, str] = field(default_factory=dict)


def export_csv(lines: Iterable[bytes], folder: Path) -> Exported:
    """Write a CSV file for each measurement, the lines, the dictionary, the manifest.

    `lines` are canonical lines in order. Raises OSError if `folder` cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    points, damaged = _write_points(lines, folder)
    _write_dictionary(folder / "dictionary.csv")
    sha256 = {path.name: _sha256(path) for path in _written(folder, points)}
    _write_manifest(folder, points, sha256)
    return Exported(folder, points, damaged, sha256)


def _write_points(lines: Iterable[bytes], folder: Path) -> tuple[dict[str, int], int]:
    """Return the points by measurement, and the number of damaged lines."""
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
    return points, damaged


def _table(name: str, stream: IO[str]) -> csv.DictWriter[str]:
    measurement = MEASUREMENTS[name]
    columns = ["time_ns", *measurement.tags, *(f.name for f in measurement.fields)]
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    return writer


def _write_dictionary(path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows())


def _written(folder: Path, points: Mapping[str, int]) -> Iterator[Path]:
    yield folder / "dictionary.csv"
    yield folder / "points.lp"
    for name in sorted(points):
        yield folder / f"{name}.csv"


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write_manifest(
    folder: Path, points: Mapping[str, int], sha256: Mapping[str, str]
) -> None:
    """Write manifest.json for programs and SHA256SUMS for `sha256sum -c`."""
    manifest: dict[str, Any] = {
        "agent_version": __version__,
        "schema_version": SCHEMA_VERSION,
        "points": dict(sorted(points.items())),
        "sha256": dict(sorted(sha256.items())),
    }
    text = json.dumps(manifest, indent=1) + "\n"
    (folder / "manifest.json").write_text(text, encoding="utf-8")
    sums = "".join(f"{digest}  {name}\n" for name, digest in sorted(sha256.items()))
    (folder / "SHA256SUMS").write_text(sums, encoding="utf-8")
