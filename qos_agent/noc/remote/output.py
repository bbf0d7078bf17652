"""The published folder: plain files that any web server can serve.

    31.note             the signed index of a province; the only files that change
    keys-2.note         a key set, signed by two emergency keys of the set before
    files/HASH.toml     all other files, named by their SHA-256

Each file is complete or not there. New files are on the disk before an index names
them. Files that no index names any more stay: a device may be reading them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from qos_agent.config.remote.index import INDEX_NAME

FILES = "files"
_MODE = 0o644


def write_files(folder: Path, files: Mapping[str, bytes]) -> int:
    """Write the files that are not there yet; return their number. Raises OSError."""
    place = folder / FILES
    place.mkdir(mode=0o755, parents=True, exist_ok=True)
    present = {entry.name for entry in os.scandir(place)}
    count = 0
    for digest, content in files.items():
        if (name := f"{digest}.toml") not in present:
            replace(place / name, content)
            count += 1
    # One for all: 10,000 files with a sync each take a minute on a spinning disk.
    os.sync()
    return count


def write_indexes(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write the indexes that changed. Raises OSError."""
    for code, content in contents.items():
        path = folder / INDEX_NAME.format(province=code)
        if not path.exists() or path.read_bytes() != content:
            replace(path, content)
    os.sync()


def replace(path: Path, content: bytes) -> None:
    """Write a file that every user may read, in one step. Raises OSError."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    with new.open("wb") as file:
        os.fchmod(file.fileno(), _MODE)
        file.write(content)
    new.replace(path)
