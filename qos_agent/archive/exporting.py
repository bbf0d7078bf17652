"""Exports: a folder with files of one format, the data dictionary and a manifest.

The files are written in a hidden folder first. Then they are moved into place one at a
time, the checksums last. A file under its final name is therefore whole, and a folder
with SHA256SUMS has all files of its export.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qos_agent import __version__
from qos_agent.archive.manifest import sha256_of, writing
from qos_agent.model.errors import OperatorError
from qos_agent.model.line_protocol import decode
from qos_agent.model.schema import SCHEMA_VERSION
from qos_agent.model.schema.dictionary import COLUMNS, rows
from qos_agent.system.files import sync

MANIFEST, SUMS = "manifest.json", "SHA256SUMS"
_WORK = ".export"


@dataclass(frozen=True, slots=True)
class Written:
    """The points that were written, by measurement, and the number of damaged lines.

    `points` has other counts for formats that have no points.
    """

    points: Mapping[str, int]
    damaged: int = 0


@dataclass(frozen=True, slots=True)
class Exported:
    """The folder of an export, its points by measurement, and its files' hashes.

    `damaged` is the number of lines that are not canonical. They are only in the file
    of lines.
    """

    folder: Path
    points: Mapping[str, int]
    damaged: int = 0
    sha256: Mapping[str, str] = field(default_factory=dict)


# Writes the files of a format into an empty folder.
Write = Callable[[Path], Written]


def export(write: Write, folder: Path, *, may_be_empty: bool = False) -> Exported:
    """Write an export into a folder, in place of an earlier export there.

    Raises OperatorError if there is nothing to export or if the folder has other files,
    StorageError on a full disk, and OSError if the folder cannot be written.
    """
    work = folder / _WORK
    existed = folder.exists()
    earlier = _need_own(folder)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        with writing(folder):
            written = write(work)
            if not may_be_empty:
                _need_points(written)
            write_dictionary(work / "dictionary.csv")
            sha256 = {path.name: sha256_of(path) for path in sorted(work.iterdir())}
            _write_manifest(work, written, sha256)
            _need_free(folder, {*sha256} - earlier)
            _publish(work, folder, sha256, earlier)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        if not existed:
            with suppress(OSError):
                folder.rmdir()
        raise
    return Exported(folder, written.points, written.damaged, sha256)


def _need_points(written: Written) -> None:
    if not written.points and not written.damaged:
        raise OperatorError(
            "nothing to export: there are no readings. Fix: use another source or"
            " period."
        )


def write_lines(lines: Iterable[bytes], folder: Path) -> Written:
    """Write the canonical lines as they are."""
    points: dict[str, int] = {}
    damaged = 0
    with (folder / "points.lp").open("wb") as file:
        for line in lines:
            file.write(line + b"\n")
            try:
                name = decode(line).measurement
            except ValueError:
                damaged += 1
                continue
            points[name] = points.get(name, 0) + 1
    return Written(points, damaged)


def write_dictionary(path: Path) -> None:
    """Write the meaning of each field as a CSV file."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows())


def _write_manifest(work: Path, written: Written, sha256: Mapping[str, str]) -> None:
    """Write manifest.json for programs and SHA256SUMS for `sha256sum -c`."""
    manifest: dict[str, Any] = {
        "agent_version": __version__,
        "schema_version": SCHEMA_VERSION,
        "points": dict(sorted(written.points.items())),
        "damaged": written.damaged,
        "sha256": dict(sorted(sha256.items())),
    }
    text = json.dumps(manifest, indent=1) + "\n"
    (work / MANIFEST).write_text(text, encoding="utf-8")
    sums = "".join(f"{digest}  {name}\n" for name, digest in sorted(sha256.items()))
    (work / SUMS).write_text(sums, encoding="utf-8")


def _need_own(folder: Path) -> set[str]:
    """Return the files of an earlier export, also of an interrupted one.

    Raises OperatorError if a folder has only files of another kind.
    """
    found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    # The last export may have been killed while it moved its files into place.
    earlier = {*_earlier_files(folder), *_earlier_files(folder / _WORK)}
    others = found - {_WORK}
    if others and not earlier:
        raise OperatorError(
            f"{folder}: is not empty and not an export (found: {min(others)}). Fix:"
            " name a new folder, or the folder of an export."
        )
    return earlier


def _need_free(folder: Path, names: Iterable[str]) -> None:
    """Raise OperatorError if a file of someone else has a name of the export."""
    taken = [name for name in sorted(names) if (folder / name).exists()]
    if taken:
        raise OperatorError(
            f"{folder / taken[0]}: is not a file of the earlier export. Fix: move it,"
            " or name a new folder."
        )


def _publish(
    work: Path, folder: Path, sha256: Mapping[str, str], earlier: Iterable[str]
) -> None:
    """Move the files into place. The checksums go first and come last."""
    for path in work.iterdir():
        sync(path)
    for name in (SUMS, *earlier, MANIFEST):
        (folder / name).unlink(missing_ok=True)
    for name in (*sha256, MANIFEST, SUMS):
        (work / name).rename(folder / name)
    work.rmdir()
    sync(folder)


def _earlier_files(folder: Path) -> Iterator[str]:
    """Yield the files of an earlier export, as its manifest names them."""
    try:
        table = json.loads((folder / MANIFEST).read_bytes())
        names = [*table["sha256"]] if "schema_version" in table else []
    except (OSError, ValueError, KeyError, TypeError):
        return
    yield from (name for name in names if Path(name).name == name)
