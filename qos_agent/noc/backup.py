"""Backup and restore of the centre's databases, with counts that prove them.

A backup is a tar.gz file: a manifest, then a copy of each database. The copies are made
while the services run (sqlite.org/backup.html). The ledger is copied before the
register, so that the register has the key of each device that the ledger names. The
configuration and the keys of the centre are in it only if a recovery key is set up, and
encrypted to it, because with them anyone could read its tokens.

A restore checks every file completely before it replaces the first one.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from qos_agent.model import json_text
from qos_agent.model.errors import OperatorError
from qos_agent.noc import backup_config, backup_remote
from qos_agent.noc.provision.ledger import give_to_owner
from qos_agent.noc.remote.places import Places
from qos_agent.system.files import sync

# census.sqlite3 is not needed: it has the duration of present states only.
NAMES = ("provision.sqlite3", "register.sqlite3", "witness.sqlite3")
GRAFANA = "grafana.db"
_KNOWN = frozenset((*NAMES, GRAFANA, backup_config.NAME, backup_remote.NAME))
_MANIFEST, _VERSION = "manifest.json", 1
_MANIFEST_MAX_BYTES = 1_000_000
_CHUNK_BYTES = 1 << 20
_DAMAGES = (
    tarfile.TarError,
    EOFError,
    zlib.error,
    ValueError,
    TypeError,
    KeyError,
)
_SERVICES = "qos-agent-census qos-agent-witness qos-agent-enrolment grafana-server"


@dataclass(frozen=True, slots=True)
class Copy:
    """A database in a backup: its size, its SHA-256, and the rows of each table."""

    name: str
    size: int
    sha256: str
    rows: dict[str, int]

    def __str__(self) -> str:
        """Return the name and the number of rows of each table."""
        rows = ", ".join(f"{count} {table}" for table, count in self.rows.items())
        return f"{self.name}: {rows}"


@dataclass(frozen=True, slots=True)
class Config:
    """The folder of configuration and keys, and the certificate that encrypts them."""

    folder: Path
    certificate: Path


def backup(
    folder: Path,
    target: Path,
    others: Mapping[str, Path] = MappingProxyType({}),
    config: Config | None = None,
    remote: Places | None = None,
) -> list[Copy]:
    """Write a backup of the databases in a folder, on disk when this returns.

    `others` has databases in other places by their name in the backup. Raises
    OperatorError if there is no database or one is damaged, SigningError or OSError.
    """
    names = [name for name in NAMES if (folder / name).exists()]
    if not names:
        fix = "name the centre's configuration with -c"
        raise OperatorError(f"{folder}: there is no database. Fix: {fix}.")
    with _private_folder(target.parent) as work:
        copies = [_copied(folder / name, work / name) for name in names]
        copies += [_copied(path, work / name) for name, path in others.items()]
        if remote is not None and backup_remote.exists(remote):
            copies.append(_packed(remote, work / backup_remote.NAME))
        if config is not None:
            copies.append(_encrypted(config, work / backup_config.NAME))
        new = work / "new"
        with new.open("xb") as file:
            _pack(file, work, copies)
            file.flush()
            os.fsync(file.fileno())
        new.chmod(0o600)
        new.replace(target)
    sync(target.parent)
    return copies


def check(archive: Path) -> list[Copy]:
    """Check a backup completely, and return its copies.

    Raises OperatorError if it is damaged, or OSError.
    """
    with _unpacked(archive, archive.parent) as (copies, _):
        return copies


def restore_config(archive: Path, key: Path, folder: Path) -> int:
    """Restore configuration and keys with the recovery key; return their number.

    Raises OperatorError or SigningError if something is damaged, or OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _unpacked(archive, folder) as (_, work):
        source = work / backup_config.NAME
        if not source.exists():
            fix = "use a backup that was made after `qos-agent noc ca recovery`"
            raise OperatorError(f"{archive}: has no configuration. Fix: {fix}.")
        return backup_config.extract(backup_config.decrypt(source, key, work), folder)


def restore(
    archive: Path,
    folder: Path,
    others: Mapping[str, Path] = MappingProxyType({}),
    remote: Places | None = None,
) -> list[Copy]:
    """Replace the databases in a folder, and the remote configuration, by a backup.

    Earlier files stay with the suffix `.before-restore`. Raises OperatorError if the
    backup is damaged or a database is in use, or OSError. Then nothing has changed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    places = {**{name: folder / name for name in NAMES}, **others}
    for place in places.values():
        if (user := _user_of(place)) is not None:
            fix = f"sudo systemctl stop {_SERVICES}"
            problem = f"{place}: is in use by process {user}"
            raise OperatorError(f"{problem}. Fix: {fix}.")
    with _unpacked(archive, folder) as (copies, work):
        for copy in copies:
            if copy.name in places:
                _put(work / copy.name, places[copy.name])
            if copy.name == backup_remote.NAME and remote is not None:
                backup_remote.extract(work / copy.name, remote)
        sync(folder)
    return copies


def _put(source: Path, target: Path) -> None:
    """Put a restored database in its place, perhaps on another disk."""
    _set_aside(target)
    shutil.move(source, target)
    give_to_owner(target)
    sync(target.parent)


def _packed(places: Places, target: Path) -> Copy:
    files = backup_remote.pack(places, target)
    return _described(target, target.name, {"file": files})


def _encrypted(config: Config, target: Path) -> Copy:
    files = backup_config.encrypt(config.folder, config.certificate, target)
    return _described(target, target.name, {"file": files})


def _copied(source: Path, target: Path) -> Copy:
    """Copy a database that other processes may write. Raises OperatorError."""
    try:
        with (
            closing(
                sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)
            ) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
            # A copy is one file, without a log next to it.
            new.execute("PRAGMA journal_mode = DELETE")
            rows = _rows(new)
    except sqlite3.Error as error:
        fix = "restore this database from an earlier backup"
        raise OperatorError(f"{source}: is damaged: {error}. Fix: {fix}.") from error
    return _described(target, target.name, rows)


def _described(path: Path, name: str, rows: dict[str, int]) -> Copy:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Copy(name, path.stat().st_size, digest, rows)


def _rows(database: sqlite3.Connection) -> dict[str, int]:
    """Return the number of rows of each table. Raises sqlite3.Error if damaged."""
    (found,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(found)
    tables = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' "
        "AND name NOT LIKE 'sqlite@_%' ESCAPE '@' ORDER BY name"
    ).fetchall()
    return {
        name: int(database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0])
        for (name,) in tables
    }


def _pack(file: IO[bytes], work: Path, copies: list[Copy]) -> None:
    manifest = {"version": _VERSION, "databases": [asdict(copy) for copy in copies]}
    content = json.dumps(manifest).encode()
    with tarfile.open(fileobj=file, mode="w|gz") as archive:
        archive.addfile(_member(_MANIFEST, len(content)), io.BytesIO(content))
        for copy in copies:
            with (work / copy.name).open("rb") as source:
                archive.addfile(_member(copy.name, copy.size), source)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, int(time.time())
    return member


@contextmanager
def _unpacked(archive: Path, near: Path) -> Iterator[tuple[list[Copy], Path]]:
    """Unpack a backup into a folder in `near`, and yield it after all checks."""
    with _private_folder(near) as work:
        try:
            with tarfile.open(archive, mode="r|gz") as file:
                copies = _unpack(file, work)
        except _DAMAGES as error:
            fix = "use another backup"
            raise OperatorError(
                f"{archive}: is damaged: {error}. Fix: {fix}."
            ) from error
        yield copies, work


def _unpack(file: tarfile.TarFile, work: Path) -> list[Copy]:
    """Write the databases to a folder and check them. Raises ValueError, KeyError."""
    copies: list[Copy] = []
    for member in file:
        content = file.extractfile(member)
        if content is None:
            raise ValueError(f"{member.name!r} is not a file")
        if not copies:
            copies = _manifest(member, content)
            rest = {copy.name: copy for copy in copies}
            continue
        copy = rest.pop(member.name)
        if _written(content, work / copy.name) != (copy.size, copy.sha256):
            raise ValueError(f"{copy.name} has changed since the backup")
        if copy.name == backup_remote.NAME:
            backup_remote.check(work / copy.name)
        elif copy.name != backup_config.NAME:
            _check_rows(work / copy.name, copy)
    if not copies or rest:
        raise ValueError("it is incomplete")
    return copies


def _manifest(member: tarfile.TarInfo, content: IO[bytes]) -> list[Copy]:
    values: Any = json_text.loads(content.read(_MANIFEST_MAX_BYTES + 1))
    if member.name != _MANIFEST or values["version"] != _VERSION:
        raise ValueError("it is not a backup of version 1")
    copies = [Copy(**entry) for entry in values["databases"]]
    if not copies or not {copy.name for copy in copies} <= _KNOWN:
        raise ValueError("it names other files than those of a backup")
    return copies


def _written(content: IO[bytes], path: Path) -> tuple[int, str]:
    """Write a file to disk, and return its size and its SHA-256."""
    digest = hashlib.sha256()
    with path.open("xb") as file:
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o600)
    return path.stat().st_size, digest.hexdigest()


def _check_rows(path: Path, copy: Copy) -> None:
    try:
        with closing(sqlite3.connect(path)) as database:
            rows = _rows(database)
    except sqlite3.Error as error:
        raise ValueError(f"{copy.name}: {error}") from error
    if rows != copy.rows:
        raise ValueError(f"{copy.name} has {rows} rows instead of {copy.rows}")


def _set_aside(path: Path) -> None:
    """Rename a database and its log, so that nothing of it belongs to the new one."""
    for suffix in ("", "-wal", "-shm"):
        old = path.with_name(path.name + suffix)
        with suppress(FileNotFoundError):
            old.replace(path.with_name(f"{path.name}.before-restore{suffix}"))


def _user_of(path: Path) -> int | None:
    """Return a process that has a file open; root sees those of all users."""
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if entry.samefile(path):
                return int(entry.parts[2])
    return None


@contextmanager
def _private_folder(near: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=near) as name:
        yield Path(name)
