"""Backup and restore of InfluxDB 1.8 with `influxd backup`, a day's changes each night.

A chain is a folder with a full copy and the changes since then. Files in the format
before `-portable` are used, because only these have the accounts of the devices: their
tokens exist nowhere else. They are restored while InfluxDB is stopped.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from qos_agent.model import json_text
from qos_agent.model.errors import OperatorError, ProbeError
from qos_agent.noc.sections import BackupSection
from qos_agent.system.child_process import run_child
from qos_agent.system.files import read_bytes, write_atomically

# A full copy each week; the last two chains are kept.
_CHAIN_S = 7 * 86_400
_CHAINS = 2
# The clock of the server may differ from that of its files by this much.
_OVERLAP_S = 600
_LIMIT_S = 12 * 3600.0
_OUTPUT_MAX_BYTES = 10_000_000
_MANIFEST_MAX_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of copies: its folder, its databases, and the start of each copy."""

    folder: Path
    databases: tuple[str, ...]
    starts_s: tuple[int, ...]

    @property
    def manifest(self) -> Path:
        """The file that describes the chain, written after each complete copy."""
        return self.folder.with_name(f"{self.folder.name}.manifest")

    def __str__(self) -> str:
        """Return one line."""
        names = ", ".join(self.databases)
        return f"{self.folder}: {names}, {len(self.starts_s)} copies"


def backup_influxdb(section: BackupSection, folder: Path, now_s: int) -> Chain:
    """Copy the databases, or the changes since the last copy. Raises OperatorError."""
    chain = _chain_for(section.influxdb, folder, now_s)
    for database in chain.databases:
        argv = ["backup", "-host", section.influxdb_address, "-database", database]
        if chain.starts_s:
            since = time.gmtime(chain.starts_s[-1] - _OVERLAP_S)
            argv += ["-since", time.strftime("%Y-%m-%dT%H:%M:%SZ", since)]
        influxd([*argv, str(chain.folder)], "back up InfluxDB")
    longer = Chain(chain.folder, chain.databases, (*chain.starts_s, now_s))
    content = {**asdict(longer), "folder": chain.folder.name}
    write_atomically(longer.manifest, json.dumps(content))
    for old in chains(folder)[:-_CHAINS]:
        old.manifest.unlink()
        shutil.rmtree(old.folder)
    return longer


def chains(folder: Path) -> list[Chain]:
    """Return the complete chains in a folder, oldest first. Raises OperatorError."""
    return [_read(path) for path in sorted(folder.glob("*.manifest"))]


def restore_influxdb(chain: Chain, data: Path) -> None:
    """Restore a chain into the empty folder of a stopped InfluxDB.

    The files get the owner of that folder. Raises OperatorError or OSError.
    """
    data.mkdir(parents=True, exist_ok=True)
    if any((data / name).exists() for name in ("meta", "data", "wal")):
        fix = f"stop InfluxDB, and rename the folders in {data}"
        raise OperatorError(f"{data}: is not empty. Fix: {fix}.")
    (data / "meta").mkdir()
    folders = ["-metadir", str(data / "meta"), "-datadir", str(data / "data")]
    meta = ["restore", "-metadir", str(data / "meta"), str(chain.folder)]
    influxd(meta, "restore the accounts")
    # A database without a point has no file.
    for database in chain.databases:
        if not any(chain.folder.glob(f"{database}.*")):
            continue
        argv = ["restore", *folders, "-database", database, str(chain.folder)]
        influxd(argv, f"restore {database}")
    owner = data.stat()
    for name, _, files in os.walk(data):
        for path in (name, *(os.path.join(name, file) for file in files)):  # noqa: PTH118
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def influxd(argv: Sequence[str], purpose: str) -> None:
    """Run influxd. Raises OperatorError with its message."""
    fix = "install InfluxDB 1.8 on this machine, and check that it runs"
    try:
        result = run_child(
            ["influxd", *argv],
            timeout_s=_LIMIT_S,
            output_limit_bytes=_OUTPUT_MAX_BYTES,
        )
    except ProbeError as error:
        raise OperatorError(f"cannot {purpose}: {error}. Fix: {fix}.") from error
    if (failure := result.failure()) is not None:
        raise OperatorError(f"cannot {purpose}: influxd: {failure}. Fix: {fix}.")


def _chain_for(databases: Sequence[str], folder: Path, now_s: int) -> Chain:
    """Return the newest chain if it is young and has the databases, else a new one."""
    newest = next(reversed(chains(folder)), None)
    if (
        newest is not None
        and newest.databases == tuple(databases)
        and 0 <= now_s - newest.starts_s[0] < _CHAIN_S
    ):
        return newest
    name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
    new = Chain(folder / name, tuple(databases), ())
    # A copy that was interrupted has no manifest.
    shutil.rmtree(new.folder, ignore_errors=True)
    new.folder.mkdir(mode=0o700, parents=True)
    return new


def _read(path: Path) -> Chain:
    try:
        values = json_text.loads(read_bytes(path, _MANIFEST_MAX_BYTES))
        starts_s = tuple(int(start) for start in values["starts_s"])
        names = tuple(str(name) for name in values["databases"])
        chain = Chain(path.with_suffix(""), names, (starts_s[0], *starts_s[1:]))
    except (OSError, ValueError, TypeError, KeyError, IndexError) as error:
        fix = "remove the file, and make a new backup"
        raise OperatorError(f"{path}: cannot be used: {error}. Fix: {fix}.") from error
    return chain
