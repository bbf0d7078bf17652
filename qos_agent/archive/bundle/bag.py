"""BagIt bags (RFC 8493): the files, their checksums, and the check of both.

A bag has no date of its own, so that the same content gives the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from qos_agent.archive.manifest import sha256_of
from qos_agent.model.errors import OperatorError
from qos_agent.system.files import read_bytes

DECLARATION, INFO = "bagit.txt", "bag-info.txt"
MANIFEST, TAG_MANIFEST = "manifest-sha256.txt", "tagmanifest-sha256.txt"
PAYLOAD = "data"
_DECLARED = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
_LINE = re.compile(r"([0-9a-f]{64})[ \t]+\*?(.+)", re.ASCII)
# A nation of journals has seven files for each of them.
_FILES_MAX = 10_000_000
_LINE_MAX_BYTES = 4096


def safe_name(text: str) -> str:
    """Return a name for a file. Different texts have different names.

    A manifest needs no escapes for it, so `sha256sum -c` accepts the manifest.
    """
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", text)[:80]
    if name == text and name:
        return name
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def write_manifest(bag: Path) -> None:
    """Write the list of all payload files with their checksums."""
    _write_sums(bag / MANIFEST, bag, payload_files(bag))


def finish(bag: Path, info: Iterable[tuple[str, str]]) -> None:
    """Write declaration, information and the manifest of the tag files."""
    sizes = [path.stat().st_size for path in payload_files(bag)]
    lines = [*info, ("Payload-Oxum", f"{sum(sizes)}.{len(sizes)}")]
    text = "".join(f"{name}: {value}\n" for name, value in lines)
    (bag / INFO).write_text(text, encoding="utf-8")
    (bag / DECLARATION).write_bytes(_DECLARED)
    _write_sums(bag / TAG_MANIFEST, bag, _tag_files(bag))


def payload_files(bag: Path) -> list[Path]:
    """Return the files below `data`, in order of their names."""
    return sorted(p for p in (bag / PAYLOAD).rglob("*") if not _is_folder(p))


def need_bag(bag: Path) -> None:
    """Raise OperatorError if a folder is no bag of this version."""
    fix = "name the folder of a bundle, which has the file bagit.txt"
    if not bag.is_dir():
        raise OperatorError(f"{bag}: is not a folder. Fix: {fix}.")
    try:
        found = read_bytes(bag / DECLARATION, 1000)
    except OSError as error:
        problem = f"{DECLARATION} cannot be read: {error.strerror}"
        raise OperatorError(f"{bag}: is no bundle; {problem}. Fix: {fix}.") from error
    if found.replace(b"\r\n", b"\n") != _DECLARED:
        raise OperatorError(f"{bag / DECLARATION}: is not of BagIt 1.0. Fix: {fix}.")


def faults(bag: Path) -> Iterator[str]:
    """Yield each file that is missing, changed or not in a manifest."""
    yield from _sum_faults(bag, MANIFEST, payload_files(bag))
    yield from _sum_faults(bag, TAG_MANIFEST, _tag_files(bag))
    yield from _oxum_faults(bag)


def _sum_faults(bag: Path, name: str, present: Iterable[Path]) -> Iterator[str]:
    try:
        listed = dict(_entries(bag / name))
    except (OSError, ValueError) as error:
        yield f"{name}: cannot be read: {error}"
        return
    for path in present:
        relative = path.relative_to(bag).as_posix()
        expected = listed.pop(relative, None)
        if expected is None:
            yield f"{relative}: is not in {name}"
        elif path.is_symlink() or not path.is_file():
            yield f"{relative}: is not a regular file"
        elif _digest(path) != expected:
            yield f"{relative}: was changed"
    yield from (f"{relative}: is missing" for relative in listed)


def _oxum_faults(bag: Path) -> Iterator[str]:
    try:
        text = read_bytes(bag / INFO).decode("utf-8", "replace")
    except OSError:
        return  # The manifest of the tag files names it.
    sizes = [path.lstat().st_size for path in payload_files(bag)]
    if f"Payload-Oxum: {sum(sizes)}.{len(sizes)}" not in text.splitlines():
        yield f"{INFO}: Payload-Oxum is not {sum(sizes)}.{len(sizes)}"


def _entries(path: Path) -> Iterator[tuple[str, str]]:
    """Yield path and checksum of each line. Raises ValueError, OSError."""
    with path.open("rb") as file:
        for number in range(1, _FILES_MAX):
            line = file.readline(_LINE_MAX_BYTES)
            if not line:
                return
            match = _LINE.fullmatch(line.rstrip(b"\r\n").decode("utf-8"))
            if match is None or ".." in PurePosixPath(match[2]).parts:
                raise ValueError(f"line {number} is not a checksum and a path")
            yield match[2], match[1]
    raise ValueError(f"more than {_FILES_MAX} files")


def _digest(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _tag_files(bag: Path) -> list[Path]:
    """Return the files next to `data`, except the manifest of the tag files."""
    found = (p for p in bag.iterdir() if p.name not in (PAYLOAD, TAG_MANIFEST))
    return sorted(p for p in found if not _is_folder(p))


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _write_sums(target: Path, bag: Path, paths: Iterable[Path]) -> None:
    with target.open("w", encoding="utf-8") as file:
        for path in paths:
            relative = path.relative_to(bag).as_posix()
            file.write(f"{sha256_of(path)}  {relative}\n")
        file.flush()
        os.fsync(file.fileno())
