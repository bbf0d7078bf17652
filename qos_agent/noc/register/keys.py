"""Public keys of the stations' devices, with the time in which each is valid.

A station has one valid key at a moment. A new key closes the one before, as a changed
station closes its row. A seal is checked against the key that was valid at its time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from qos_agent.evidence.notes import parse_verifier_key, verifier_key
from qos_agent.evidence.signer import PublicKey
from qos_agent.model.errors import ConfigError
from qos_agent.noc.database import open_database, transaction
from qos_agent.system.files import read_bytes

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS device_key (
    id INTEGER PRIMARY KEY, station TEXT NOT NULL, name TEXT NOT NULL,
    public BLOB NOT NULL, valid_from INTEGER NOT NULL, valid_to INTEGER);
CREATE UNIQUE INDEX IF NOT EXISTS device_key_now ON device_key(station)
    WHERE valid_to IS NULL;
CREATE INDEX IF NOT EXISTS device_key_station ON device_key(station);
CREATE INDEX IF NOT EXISTS device_key_public ON device_key(public);
"""
_COLUMNS = "station, name, public, valid_from, valid_to"
_FILE_MAX_BYTES = 256_000_000
_LINE = "must be a station, its public key and perhaps a time, separated by spaces"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
_TIME = "2024-02-14T00:00:00Z"


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """A device's key: its station, the name it signs with, and its time.

    `valid_to` is None while the key is valid; times are seconds since 1970.
    """

    station: str
    name: str
    key: PublicKey
    valid_from: int
    valid_to: int | None = None

    def text(self) -> str:
        """Return the key as `enrol --self` prints it."""
        return verifier_key(self.name, self.key.raw)


class _UndoneError(Exception):
    """Undoes a transaction whose changes were only to be counted."""


class KeyRegister:
    """The keys, in the file of the register."""

    def __init__(self, path: Path, *, any_thread: bool = False) -> None:
        self._db = open_database(path, _SCHEMA, any_thread=any_thread)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def apply(self, keys: Iterable[DeviceKey], *, keep: bool = True) -> Counter[str]:
        """Make keys valid from their time on, and count the changes by kind.

        Everything is one transaction. Without `keep` it is undone, so that the changes
        are only counted. Raises ConfigError if a key is valid at another station,
        because then two devices would share it.
        """
        counts: Counter[str] = Counter()
        with suppress(_UndoneError), transaction(self._db):
            counts.update(self._apply(key) for key in keys)
            if not keep:
                raise _UndoneError
        return counts

    def enrol(self, key: DeviceKey) -> bool:
        """Make the key of an enrolled device valid. Return False if it was before.

        The device has proven that it holds the private key. If the key is valid at
        another station, it ends there. A repeated request does not reopen a key that
        was closed after the first one.
        """
        known = "station = ? AND public = ? AND (valid_from = ? OR valid_to > ?)"
        start_s = key.valid_from
        with transaction(self._db):
            if any(self._rows(known, key.station, key.key.raw, start_s, start_s)):
                return False
            for holder in list(self._valid_rows(key)):
                if holder.station != key.station:
                    self._end(holder.station, start_s)
            return self._apply(key) != "unchanged"

    def _valid_rows(self, key: DeviceKey) -> Iterator[DeviceKey]:
        return self._rows("public = ? AND valid_to IS NULL", key.key.raw)

    def _apply(self, key: DeviceKey) -> str:
        for holder in self._valid_rows(key):
            if holder.station != key.station:
                raise ConfigError(
                    f"station {key.station}",
                    key.key.fingerprint,
                    f"its key is valid at station {holder.station}",
                    "create a key on each device: qos-agent enrol --self --new-key; or"
                    f" close it: qos-agent noc register close-key {holder.station}",
                )
            if holder.name == key.name:
                return "unchanged"
        kind = "replaced" if self._end(key.station, key.valid_from) else "added"
        self._db.execute(
            f"INSERT INTO device_key ({_COLUMNS}) VALUES (?, ?, ?, ?, NULL)",
            (key.station, key.name, key.key.raw, key.valid_from),
        )
        return kind

    def close_key(self, station: str, at_s: int) -> bool:
        """Close the key of a station. Return False if it has none at that moment."""
        with transaction(self._db):
            return self._end(station, at_s) > 0

    def _end(self, station: str, at_s: int) -> int:
        """End the key of a station; one that starts later gets an empty span."""
        ended = self._db.execute(
            "UPDATE device_key SET valid_to = max(?1, valid_from) "
            "WHERE station = ?2 AND (valid_to IS NULL OR valid_to > ?1)",
            (at_s, station),
        )
        return ended.rowcount

    def at(self, station: str, at_s: int) -> DeviceKey | None:
        """Return the key that was valid at a moment, or None."""
        condition = (
            "station = ? AND valid_from <= ? AND (valid_to IS NULL OR valid_to > ?)"
        )
        return next(self._rows(condition, station, at_s, at_s), None)

    def history(self, station: str | None = None) -> list[DeviceKey]:
        """Return all keys of a station, or of all stations, in order of time."""
        if station is None:
            return list(self._rows("1 ORDER BY station, valid_from, id"))
        return list(self._rows("station = ? ORDER BY valid_from, id", station))

    def _rows(self, condition: str, *values: object) -> Iterator[DeviceKey]:
        query = f"SELECT {_COLUMNS} FROM device_key WHERE {condition}"
        for station, name, public, start, end in self._db.execute(query, values):
            yield DeviceKey(station, name, PublicKey(public), start, end)


def read_keys(path: Path, now_s: int, from_s: int | None = None) -> list[DeviceKey]:
    """Read the keys of a file. Raises ConfigError, OSError.

    A line has the station, the key and the time of its creation, as `enrol --self`
    writes them. A key is valid from `from_s` on, or from its creation, or from now.
    Empty lines and lines that begin with # are ignored.
    """
    keys: dict[str, DeviceKey] = {}
    content = read_bytes(path, _FILE_MAX_BYTES).decode("utf-8-sig", "replace")
    for number, line in enumerate(content.splitlines(), 1):
        words = line.replace(",", " ").split()
        if not words or line.startswith("#"):
            continue
        where = f"{path}, line {number}"
        key = _key(words, where, now_s, from_s)
        if keys.setdefault(key.station, key) != key:
            fix = "keep the line of the key that the device uses"
            problem = "the station has another key in this file"
            raise ConfigError(where, key.station, problem, fix)
    return list(keys.values())


def _key(words: Sequence[str], where: str, now_s: int, from_s: int | None) -> DeviceKey:
    station, text, time_text, *more = [*words, "", ""]
    if not (len(station) == 13 and station.isascii() and station.isdecimal()):
        fix = "write the 13-digit code of the station first"
        raise ConfigError(where, repr(station[:40]), _LINE, fix)
    if any(more):
        raise ConfigError(where, repr(more[0][:40]), _LINE, "remove what follows")
    try:
        name, raw = parse_verifier_key(text)
        created_s = _moment_s(time_text) if time_text else now_s
    except ValueError as error:
        fix = "copy the line that `qos-agent enrol --self` writes to device-key.pub"
        raise ConfigError(where, repr(text[:60]), str(error), fix) from error
    # A device whose clock is wrong cannot make a key valid in the future.
    start_s = min(created_s, now_s) if from_s is None else from_s
    return DeviceKey(station, name, PublicKey(raw), start_s)


def _moment_s(text: str) -> int:
    """Return seconds since 1970 of a moment in UTC. Raises ValueError."""
    try:
        moment = datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"the time {text[:40]!r} is not like {_TIME}") from error
    return max(0, int(moment.timestamp()))
