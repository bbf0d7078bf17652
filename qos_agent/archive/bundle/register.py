"""The keys and stations that a bundle has, as CSV files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from qos_agent.evidence.notes import parse_verifier_key, verifier_key
from qos_agent.evidence.signer import PublicKey

KEY_COLUMNS = ("station", "public_key", "valid_from", "valid_to")
_TIME = "%Y-%m-%dT%H:%M:%SZ"
# Ten keys of each station of a nation.
_ROWS_MAX = 10_000_000


@dataclass(frozen=True, slots=True)
class StationKey:
    """A key of a station's device; `valid_to` is None while it is valid."""

    station: str
    name: str
    key: PublicKey
    valid_from_s: int
    valid_to_s: int | None = None

    def is_valid(self, at_s: int) -> bool:
        """Return True if the key is valid at a moment."""
        ended = self.valid_to_s is not None and at_s >= self.valid_to_s
        return self.valid_from_s <= at_s and not ended


class Keys:
    """The keys of all stations."""

    def __init__(self, keys: Iterable[StationKey]) -> None:
        self._by_station: dict[str, list[StationKey]] = {}
        self._stations: dict[tuple[str, bytes], set[str]] = {}
        for key in keys:
            self._by_station.setdefault(key.station, []).append(key)
            self._stations.setdefault((key.name, key.key.raw), set()).add(key.station)

    def of(self, station: str) -> list[StationKey]:
        """Return the keys of a station."""
        return self._by_station.get(station, [])

    def stations(self, name: str, key: PublicKey) -> set[str]:
        """Return the stations that a device's key was ever registered for."""
        return self._stations.get((name, key.raw), set())

    def all(self) -> Iterator[StationKey]:
        """Yield all keys in a fixed order."""
        for station in sorted(self._by_station):
            yield from sorted(
                self._by_station[station], key=lambda k: (k.valid_from_s, k.key.raw)
            )


def write_keys(path: Path, keys: Iterable[StationKey]) -> None:
    """Write the keys."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(KEY_COLUMNS)
        for key in keys:
            ended = "" if key.valid_to_s is None else moment(key.valid_to_s)
            text = verifier_key(key.name, key.key.raw)
            table.writerow((key.station, text, moment(key.valid_from_s), ended))


def read_keys(path: Path) -> Keys:
    """Read the keys. Raises ValueError, OSError."""
    return Keys(_key(row, number) for number, row in enumerate(_rows(path), 2))


def _key(row: Mapping[str, str], number: int) -> StationKey:
    try:
        name, raw = parse_verifier_key(row.get("public_key") or "")
        started = seconds(row.get("valid_from") or "")
        end = row.get("valid_to")
        ended = seconds(end) if end else None
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from error
    return StationKey(row.get("station") or "", name, PublicKey(raw), started, ended)


def read_stations(path: Path) -> set[str] | None:
    """Return the codes in the extract of the register, or None if there is none.

    Raises ValueError, OSError.
    """
    if not path.exists():
        return None
    return {row.get("code") or "" for row in _rows(path)}


def _rows(path: Path) -> Iterator[Mapping[str, str]]:
    """Yield the rows of a CSV file. Raises ValueError, OSError."""
    with path.open(encoding="utf-8", newline="") as file:
        try:
            yield from islice(csv.DictReader(file, strict=True), _ROWS_MAX)
        except csv.Error as error:
            raise ValueError(f"is not CSV: {error}") from error


def moment(at_s: int) -> str:
    """Return a time as text in UTC."""
    return datetime.fromtimestamp(at_s, UTC).strftime(_TIME)


def seconds(text: str) -> int:
    """Return seconds since 1970 of such a text. Raises ValueError."""
    return int(datetime.strptime(text, _TIME).replace(tzinfo=UTC).timestamp())
