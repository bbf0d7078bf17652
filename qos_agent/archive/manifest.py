"""The manifest of an archive: its files, their hashes, and the sources.

The files that the manifest names are the archive. Replacing the manifest is therefore
the one step that publishes a build. Other files in the folder do not count.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from qos_agent.model.errors import OperatorError, StorageError
from qos_agent.model.schema import SCHEMA_VERSION
from qos_agent.system.files import read_bytes, sync

FILE_NAME = "archive.json"
CONFLICTS = "conflicts"
LEFT_OUT = "left-out"
DICTIONARY = "dictionary"
FORMAT = "qos-agent archive"
FORMAT_VERSION = 1
# A file for each measurement, day and province of a year, and all devices' journals.
_MAX_BYTES = 1_000_000_000
FAULTS_MAX = 20


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """One file of the archive; `readings` is 0 for files that have none."""

    path: str
    readings: int
    size_bytes: int
    sha256: str

    @property
    def partition(self) -> tuple[str, str, str]:
        """Measurement, day and province of a Parquet file."""
        measurement, day, province, _ = PurePosixPath(self.path).parts
        return measurement, day, province

    @property
    def measurement(self) -> str:
        """The measurement of a Parquet file."""
        return PurePosixPath(self.path).parts[0]


@dataclass(frozen=True, slots=True)
class SourceState:
    """The state of one source: how far it was read, and what was found in it.

    `other_points` are points that are no readings. `faults` has the first of
    `faulty` places without a sound line. `at_end` has the faults that the next reading
    reports again, such as a torn last line.
    """

    name: str
    fingerprint: str
    position: int | None = None
    is_complete: bool = False
    readings: int = 0
    other_points: int = 0
    faulty: int = 0
    faults: tuple[str, ...] = ()
    at_end: tuple[str, ...] = ()

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> SourceState:
        """Read what `asdict` returned. Raises TypeError for other keys."""
        lists = {key: tuple(table[key]) for key in ("faults", "at_end")}
        return cls(**{**table, **lists})


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of archive.json.

    `left_out` is the number of readings by reason that no registered key has sealed. It
    is None for an archive that was built without the keys.
    """

    files: tuple[ArchiveFile, ...] = ()
    sources: tuple[SourceState, ...] = ()
    conflicts: int = 0
    schema_version: int = SCHEMA_VERSION
    readings: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, int] | None = None

    def to_text(self) -> str:
        """Return the JSON text, which depends on nothing but the content."""
        table = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "schema_version": self.schema_version,
            "readings": dict(sorted(self.readings.items())),
            "conflicts": self.conflicts,
            **({} if self.left_out is None else {"left_out": self.left_out}),
            "files": [asdict(f) for f in sorted(self.files, key=lambda f: f.path)],
            "sources": [asdict(s) for s in sorted(self.sources, key=lambda s: s.name)],
        }
        return json.dumps(table, indent=1, ensure_ascii=False) + "\n"


def need_plain(folder: Path) -> None:
    """Raise OperatorError for a path that DuckDB reads as another one.

    It takes a question mark for the end of a name, and a backslash for a slash.
    """
    path = str(folder.absolute())
    if "?" in path or "\\" in path:
        raise OperatorError(
            f"{path}: the path of an archive must not contain ? or \\. Fix: use another"
            " folder."
        )


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of an archive. Raises OperatorError if it is not one."""
    need_plain(folder)
    path = folder / FILE_NAME
    try:
        table = json.loads(read_bytes(path, _MAX_BYTES))
    except FileNotFoundError:
        raise _error(path, "missing, so this folder is not an archive") from None
    except OSError as error:
        raise _error(path, f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise _error(path, f"is not JSON ({error})") from error
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        raise _error(path, "is not the manifest of an archive of qos-agent")
    _need_version(path, table, "format_version", FORMAT_VERSION)
    _need_version(path, table, "schema_version", SCHEMA_VERSION)
    try:
        return _manifest(table)
    except (TypeError, ValueError, KeyError) as error:
        raise _error(path, f"has another content than expected ({error})") from error


def _manifest(table: Mapping[str, Any]) -> Manifest:
    files = tuple(ArchiveFile(**entry) for entry in table["files"])
    for file in files:
        parts = PurePosixPath(file.path).parts
        if ".." in parts or len(parts) != (4 if file.readings else 1):
            raise ValueError(f"the path {file.path!r} is not one of an archive")
    return Manifest(
        files,
        tuple(SourceState.from_table(entry) for entry in table["sources"]),
        int(table["conflicts"]),
        int(table["schema_version"]),
        _counts(table["readings"]),
        _counts(table["left_out"]) if "left_out" in table else None,
    )


def _counts(table: Mapping[str, Any]) -> dict[str, int]:
    return {str(name): int(count) for name, count in table.items()}


def _need_version(path: Path, table: Mapping[str, Any], key: str, newest: int) -> None:
    version = table.get(key)
    if not isinstance(version, int) or not 1 <= version <= newest:
        raise _error(
            path,
            f"{key} must be at most {newest} (found: {version!r})",
            "use the version of qos-agent that wrote the archive, or a later one",
        )


def _error(
    path: Path, problem: str, fix: str = "name the folder of an archive"
) -> OperatorError:
    return OperatorError(f"{path}: {problem}. Fix: {fix}.")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file in one step that also survives a power cut. Raises OSError."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync(path.parent)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn the errors of a full disk, which name no file, into StorageError."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        fix = f"{error.strerror}. Fix: free disk space"
        raise StorageError("cannot write", str(folder), fix) from error
