"""Sums of an archive: whole numbers for each station, and for groups of stations.

Only sums and counts are calculated in SQL, so that any engine gives the same numbers.
A reading whose value is missing for an indicator is not in its sums. One with an
impossible value is not either, and it is counted.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from qos_agent.archive.columns import READINGS, columns
from qos_agent.archive.database import connected, quoted, text
from qos_agent.archive.manifest import Manifest, read_manifest
from qos_agent.archive.sources.parquet import fault_of
from qos_agent.model.errors import OperatorError, StorageError
from qos_agent.model.schema.codes import CAUSES, REASONS
from qos_agent.report.estimates import Sums
from qos_agent.report.indicators import DISTRIBUTIONS, INDICATORS, Distribution

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# A reading has no more than this of anything: 1 Tbit/s, or 11 days in microseconds.
_VALUE_MAX = 10**12
_STATION = ("province", "regency", "station")
_LINK = ("operator", "phase")
LEVELS: Mapping[str, tuple[str, ...]] = {
    "nation": (),
    "province": ("province",),
    "regency": ("province", "regency"),
}
_THREADS_MAX = 4


@dataclass(frozen=True, slots=True)
class Selection:
    """The readings to report: from_ns <= time < to_ns, and optional tags.

    `area` is the code of a province or a regency.
    """

    from_ns: int = 0
    to_ns: int = 2**63 - 1
    area: str | None = None
    operator: str | None = None

    def condition(self) -> str:
        """Return the condition on the readings."""
        parts = [f"time_ns >= {self.from_ns} AND time_ns < {self.to_ns}"]
        if self.area is not None:
            tag = "province" if len(self.area) == 2 else "regency"
            parts.append(f"{tag} = {text(self.area)}")
        if self.operator is not None:
            parts.append(f"operator = {text(self.operator)}")
        return " AND ".join(parts)


@dataclass(frozen=True, slots=True)
class Group:
    """An area with an operator and a phase; None stands for all of them."""

    level: str
    area: str | None
    operator: str | None
    phase: str | None


@dataclass(frozen=True, slots=True)
class GroupSums:
    """The sums of one term in a group; `excluded` readings had impossible values."""

    name: str
    group: Group
    sums: Sums
    readings: int
    excluded: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Slots of a measurement in an area, with the code of their cause or reason."""

    level: str
    area: str | None
    measurement: str
    outcome: str
    code: str | None
    slots: int
    stations: int


@dataclass(frozen=True, slots=True)
class _Term:
    """A sum of y and a sum of x over the same readings."""

    name: str
    measurement: str
    condition: str
    y: str
    x: str
    may_be_negative: bool = False


def bin_name(distribution: Distribution, bound: int) -> str:
    """Return the name of the sums of one bin."""
    return f"{distribution.name}_le_{bound}"


def _terms() -> Iterator[_Term]:
    for i in INDICATORS:
        sums = (i.numerator, i.denominator)
        # A power is a negative number of dBm.
        yield _Term(i.name, i.measurement, i.condition, *sums, i.unit == "dBm")
    for d in DISTRIBUTIONS:
        names = [*(f"{d.prefix}{bound}" for bound in d.bounds), d.total]
        rising = " AND ".join(f"{low} <= {high}" for low, high in pairwise(names))
        for bound in d.bounds:
            y = f"CASE WHEN {rising} THEN {d.prefix}{bound} ELSE -1 END"
            name = bin_name(d, bound)
            yield _Term(name, d.measurement, d.condition, y, d.total)


TERMS = tuple(_terms())


class ArchiveSums:
    """The sums of the chosen readings of an archive, in a DuckDB database."""

    def __init__(
        self,
        db: DuckDBPyConnection,
        folder: Path,
        manifest: Manifest,
        chosen: Selection,
    ) -> None:
        self._db = db
        self._folder = folder
        self._chosen = chosen
        self._files: dict[str, list[Path]] = {}
        for file in manifest.files:
            if not file.readings or not self._is_chosen(file.measurement):
                continue
            if fault := fault_of(folder, file):
                raise StorageError("cannot read", str(folder), fault)
            self._files.setdefault(file.measurement, []).append(folder / file.path)
        self._find_present()
        self._add_up()

    def groups(self) -> Iterator[GroupSums]:
        """Yield the sums of all terms in areas, with and without operator and phase."""
        for level, area in LEVELS.items():
            for tags in ((), ("operator",), ("phase",), _LINK):
                yield from self._grouped(level, area, tags)

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the slots by outcome, with the cause or the reason."""
        for measurement in self._files:
            # Heartbeats have counts of outcomes too, but no causes.
            if {"slots", "cause"} <= columns(READINGS[measurement]).keys():
                for level, area in LEVELS.items():
                    yield from self._outcomes(measurement, level, area)

    def _is_chosen(self, measurement: str) -> bool:
        """Return False for readings that have no operator, if one is chosen."""
        tags = READINGS[measurement].tags if measurement in READINGS else ()
        return self._chosen.operator is None or "operator" in tags

    def present(self) -> int:
        """Return the number of stations with any reading."""
        row = self._db.execute("SELECT count(DISTINCT station) FROM present").fetchone()
        return int(row[0]) if row else 0

    def without(self, name: str) -> list[tuple[str, str]]:
        """Return regency and name of stations without readings for an indicator."""
        return self._db.execute(
            "SELECT DISTINCT regency, station FROM present ANTI JOIN"
            f" (SELECT * FROM unit WHERE name = {text(name)} AND x > 0)"
            " USING (regency, station) ORDER BY regency, station"
        ).fetchall()

    def _source(self, measurement: str) -> str:
        """Return a query of the chosen readings, with NULL for later columns."""
        kinds = columns(READINGS[measurement]).items()
        typed = ", ".join(f"NULL::{kind} AS {quoted(name)}" for name, kind in kinds)
        listed = ", ".join(map(text, self._files[measurement]))
        files = f"read_parquet([{listed}], union_by_name = true)"
        return (
            f"(SELECT * FROM (SELECT {typed} WHERE false UNION ALL BY NAME"
            f" SELECT * FROM {files}) WHERE {self._chosen.condition()})"
        )

    def _find_present(self) -> None:
        names = ", ".join(_STATION)
        parts = [f"SELECT DISTINCT {names} FROM {self._source(m)}" for m in self._files]
        if parts:
            query = " UNION ".join(parts)
            self._db.execute(f"CREATE TEMP TABLE present AS {query}")
        if not parts or not self.present():
            raise OperatorError(
                f"{self._folder}: no readings in this period, area and operator. Fix:"
                " choose others."
            )

    def _add_up(self) -> None:
        """Fill the table `unit` with the sums of each station, operator and phase."""
        place = ", ".join(f"{name} VARCHAR" for name in (*_STATION, *_LINK))
        self._db.execute(
            f"CREATE TEMP TABLE unit (name VARCHAR, {place},"
            " y HUGEINT, x HUGEINT, readings BIGINT, excluded BIGINT)"
        )
        for measurement in self._files:
            terms = [term for term in TERMS if term.measurement == measurement]
            if terms:
                self._add_measurement(measurement, terms)

    def _add_measurement(self, measurement: str, terms: Sequence[_Term]) -> None:
        names = ", ".join((*_STATION, *_LINK))
        numbered = [*enumerate(terms)]
        given = ", ".join(_given(n, term) for n, term in numbered)
        sound = ", ".join(_sound(n, term) for n, term in numbered)
        sums = ", ".join(
            f"sum(y{n}) AS y{n}, sum(x{n}) AS x{n}, count(y{n}) AS n{n},"
            f" count(bad{n}) AS bad{n}"
            for n, _ in numbered
        )
        self._db.execute(
            f"CREATE OR REPLACE TEMP TABLE wide AS SELECT {names}, {sums} FROM"
            f" (SELECT {names}, {sound} FROM (SELECT {names}, {given}"
            f" FROM {self._source(measurement)})) GROUP BY {names}"
        )
        for n, term in numbered:
            self._db.execute(
                f"INSERT INTO unit SELECT {text(term.name)}, {names}, y{n}, x{n}, n{n},"
                f" bad{n} FROM wide WHERE n{n} + bad{n} > 0"
            )

    def _grouped(
        self, level: str, area: Sequence[str], tags: Sequence[str]
    ) -> Iterator[GroupSums]:
        keys = "".join(f", {name}" for name in (*area, *tags))
        known = "".join(f" AND {tag} IS NOT NULL" for tag in tags)
        found = self._db.execute(
            "SELECT name, count(*) FILTER (x > 0), sum(y), sum(x), sum(y * y),"
            f" sum(x * y), sum(x * x), sum(readings), sum(excluded){keys} FROM"
            f" (SELECT name, station{keys}, coalesce(sum(y), 0) AS y,"
            " coalesce(sum(x), 0) AS x, sum(readings) AS readings,"
            f" sum(excluded) AS excluded FROM unit WHERE true{known}"
            f" GROUP BY name, station{keys}) GROUP BY name{keys} ORDER BY name{keys}"
        ).fetchall()
        for name, stations, y, x, yy, xy, xx, readings, excluded, *values in found:
            named = dict(zip((*area, *tags), values, strict=True))
            place = named.get(area[-1]) if area else None
            group = Group(level, place, named.get("operator"), named.get("phase"))
            sums = Sums(stations, y, x, yy, xy, xx)
            yield GroupSums(name, group, sums, int(readings), int(excluded))

    def _outcomes(
        self, measurement: str, level: str, area: Sequence[str]
    ) -> Iterator[Outcome]:
        keys = "".join(f"{name}, " for name in area)
        codes = {
            "ok": "NULL::VARCHAR",
            "failed": _code("cause", CAUSES),
            "skipped": _code("reason", REASONS),
        }
        parts = (
            f"SELECT {keys}station, '{outcome}' AS outcome, {code} AS code,"
            f" {outcome} AS slots FROM {self._source(measurement)} WHERE {outcome} > 0"
            f" AND {outcome} <= {_VALUE_MAX}"
            for outcome, code in codes.items()
        )
        rows = self._db.execute(
            f"SELECT {keys}outcome, code, sum(slots), count(DISTINCT station)"
            f" FROM ({' UNION ALL '.join(parts)}) GROUP BY {keys}outcome, code"
            f" ORDER BY {keys}outcome, code"
        ).fetchall()
        for *place, outcome, code, slots, stations in rows:
            at = place[-1] if place else None
            found = (measurement, outcome, code, int(slots), int(stations))
            yield Outcome(level, at, *found)


def _code(field: str, known: Iterable[str]) -> str:
    """Return a code of the closed list, or `other`: a device may send any text."""
    listed = ", ".join(map(text, known))
    return f"CASE WHEN {field} IN ({listed}) THEN {field} ELSE 'other' END"


def _given(number: int, term: _Term) -> str:
    """Return the values of a term in a reading; they are missing in other readings.

    A float has every whole number below the limit, and it cannot overflow.
    """
    condition = f"CASE WHEN {term.condition} THEN"
    return (
        f"{condition} ({term.y})::DOUBLE END AS y{number},"
        f" {condition} ({term.x})::DOUBLE END AS x{number}"
    )


def _sound(number: int, term: _Term) -> str:
    """Return the values if both are possible, and a mark if one is not."""
    y, x = f"y{number}", f"x{number}"
    least = -_VALUE_MAX if term.may_be_negative else 0
    possible = (
        f"{y} BETWEEN {least} AND {_VALUE_MAX} AND {x} BETWEEN 0 AND {_VALUE_MAX}"
    )
    return (
        f"CASE WHEN {possible} THEN {y}::BIGINT END AS {y},"
        f" CASE WHEN {possible} THEN {x}::BIGINT END AS {x},"
        f" CASE WHEN {y} IS NOT NULL AND {x} IS NOT NULL AND NOT ({possible})"
        f" THEN 1 END AS bad{number}"
    )


@contextmanager
def archive_sums(folder: Path, chosen: Selection) -> Iterator[ArchiveSums]:
    """Add up an archive. Raises OperatorError, and StorageError for damaged files."""
    manifest = read_manifest(folder)
    with (
        tempfile.TemporaryDirectory(prefix="qos-agent-") as temporary,
        connected(None, Path(temporary)) as db,
    ):
        # Whole numbers have the same sum in any order.
        db.execute(f"SET threads = {min(os.cpu_count() or 1, _THREADS_MAX)}")
        yield ArchiveSums(db, folder, manifest, chosen)
