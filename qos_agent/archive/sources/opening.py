"""Finds the sources behind a path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from qos_agent.archive import manifest
from qos_agent.archive.sources.journal import FieldJournal
from qos_agent.archive.sources.lines import SUFFIXES, LineFile
from qos_agent.archive.sources.parquet import ParquetArchive
from qos_agent.archive.sources.types import Source
from qos_agent.journal import tables
from qos_agent.model.errors import OperatorError

# Journals that the agent or a person put aside have other names.
_JOURNAL = ".sqlite3"
# The readings in an evidence bundle that seals prove.
_BAG, _RECORD = "bagit.txt", "data/journals/*/*/points.lp"


def open_sources(path: Path) -> list[Source]:
    """Return the sources of a file or folder, in the order of their names.

    A folder is searched for journals and line files, in all folders below it. An
    archive in it is one source. Of an evidence bundle, only the record is read, not the
    lines that were left out of it. Raises OperatorError if there is no source.
    """
    if not path.exists():
        raise OperatorError(f"{path}: does not exist. Fix: check the path.")
    if path.is_file():
        found = [*_of_file(path)]
    else:
        found = sorted(_below(path), key=lambda source: source.name)
    if not found:
        names = f"{tables.FILE_NAME}, {', '.join('*' + s for s in SUFFIXES)}"
        raise OperatorError(
            f"{path}: has no readings. Fix: name a journal, a line file, an archive, or"
            f" a folder with files named {names}."
        )
    return found


def _of_file(path: Path) -> Iterator[Source]:
    if path.name.endswith(_JOURNAL):
        yield FieldJournal(path)
    elif path.name.endswith(SUFFIXES):
        yield LineFile(path)


def _below(folder: Path) -> Iterator[Source]:
    def refuse(error: OSError) -> None:
        raise error

    for place, names, files in os.walk(folder, onerror=refuse):
        if manifest.FILE_NAME in files:
            names.clear()
            yield ParquetArchive(Path(place))
            continue
        if _BAG in files:
            names.clear()
            record = Path(place).glob(_RECORD)
            yield from (LineFile(path) for path in sorted(record) if path.is_file())
            continue
        names[:] = sorted(name for name in names if not name.startswith("."))
        for name in sorted(files):
            path = Path(place) / name
            if path.is_file() and not name.startswith("."):
                yield from _of_file(path)
