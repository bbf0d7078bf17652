"""The files of the remote configuration on the device, each complete or not there.

`newest.note` is the newest index that was accepted: its pauses are in force, and no
older index is accepted afterwards. `applied.note` is the index whose content is in
force, and `previous.note` the one before, for the withdrawal of a bad version. All
other files are named by their SHA-256.

A file that does not match its hash or signature counts as missing. A damaged card must
not change what a device does.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from qos_agent.config.remote import index as indexes
from qos_agent.config.remote.index import (
    FILE_MAX_BYTES,
    KEY_SET_NAME,
    Content,
    Index,
)
from qos_agent.evidence import key_set, notes
from qos_agent.evidence.key_set import Authority, KeySet, Verifying
from qos_agent.model.errors import SigningError
from qos_agent.system.files import read_bytes, regular, sync

FOLDER = "remote"
NEWEST, APPLIED, PREVIOUS = "newest.note", "applied.note", "previous.note"
_FILES = "files"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """An index with a correct signature, its bytes, and the kind of its signatures."""

    index: Index
    content: bytes
    authority: Authority


class Store:
    """The folder with the files."""

    def __init__(self, folder: Path, initial: KeySet, verifying: Verifying) -> None:
        self.folder = folder
        self._initial = initial
        self.verifying = verifying

    def keys(self) -> KeySet:
        """Return the newest key set that the device has accepted."""
        newest = self._initial
        while (following := self._key_set(newest.number + 1)) is not None:
            newest = following
        return newest

    def keep_keys(self, keys: KeySet, content: bytes) -> None:
        """Store a key set whose note was checked. Raises OSError.

        The sets before it stay, because stored indexes are signed with their keys.
        """
        self._write(self.folder / KEY_SET_NAME.format(number=keys.number), content)

    def verified(self, content: bytes) -> Held:
        """Return an index that is signed with keys of the newest set.

        Raises ValueError for every other content, and SigningError.
        """
        return self._verified(content, self.keys())

    def _verified(self, content: bytes, keys: KeySet | None) -> Held:
        note = notes.parse_note(content)
        found = key_set.authority(note, keys, self.verifying) if keys else None
        if found is None or keys is None:
            raise ValueError("it is not signed by a key that this device trusts")
        index = indexes.parsed(note.text)
        if index.key_set != keys.number:
            raise ValueError(f"it belongs to key set {index.key_set}")
        return Held(index, content, found)

    def _key_set(self, number: int) -> KeySet | None:
        if number == self._initial.number:
            return self._initial
        content = self._read(KEY_SET_NAME.format(number=number))
        try:
            stored = content and key_set.parsed(notes.parse_note(content).text)
        except ValueError as error:
            _log.warning("remote: key set %d is damaged: %s", number, error)
            return None
        return stored if stored and stored.number == number else None

    def held(self, name: str) -> Held | None:
        """Return a stored index; None if there is none with a correct signature."""
        content = self._read(name)
        if content is None:
            return None
        try:
            number = indexes.parsed(notes.parse_note(content).text).key_set
            return self._verified(content, self._key_set(number))
        except (OSError, ValueError, SigningError) as error:
            # Verifying needs a temporary folder; without one, the agent starts too.
            _log.warning("remote: %s is not used: %s", self.folder / name, error)
            return None

    def keep(self, name: str, held: Held) -> None:
        """Replace a stored index. Raises OSError."""
        self._write(self.folder / name, held.content)

    def remove(self, name: str) -> None:
        """Remove a stored index. Raises OSError."""
        (self.folder / name).unlink(missing_ok=True)

    def path(self, digest: str) -> Path:
        """Return the path of a file with that hash."""
        return self.folder / _FILES / f"{digest}.toml"

    def file(self, digest: str) -> bytes | None:
        """Return the content of a stored file, or None if it is missing or damaged."""
        content = self._read(f"{_FILES}/{digest}.toml")
        if content is None or hashlib.sha256(content).hexdigest() != digest:
            return None
        return content

    def keep_file(self, digest: str, content: bytes) -> None:
        """Store a file that has this hash. Raises ValueError or OSError."""
        if hashlib.sha256(content).hexdigest() != digest:
            raise ValueError(f"the file {digest[:12]} does not have its hash")
        self._write(self.path(digest), content)

    def keep_only(self, digests: Collection[str]) -> None:
        """Remove the files that no stored index needs. Raises OSError."""
        for path in (self.folder / _FILES).glob("*.toml"):
            if path.stem not in digests:
                path.unlink(missing_ok=True)

    def _read(self, name: str) -> bytes | None:
        path = self.folder / name
        try:
            return read_bytes(path, FILE_MAX_BYTES, regular)
        except (FileNotFoundError, PermissionError):
            # Another user may still run `status`, with the device's own settings.
            return None
        except OSError as error:
            _log.warning("remote: %s cannot be read: %s", path, error.strerror)
            return None

    def _write(self, path: Path, content: bytes) -> None:
        """Replace a file, on the disk when this returns."""
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with new.open("wb") as file:
                os.fchmod(file.fileno(), 0o644)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
        except OSError:
            with suppress(OSError):
                new.unlink(missing_ok=True)
            raise
        sync(path.parent)


def hashes_of(content: Content, station: str) -> tuple[str, ...]:
    """Return the hashes of all files that a station needs at once."""
    own = content.bucket_of(station)
    layers = (*content.nation.hashes(), *content.province.hashes())
    return (*layers, own) if own else layers
