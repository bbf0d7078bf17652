"""Sums of an archive: whole numbers for each station, and for groups of stations.

Only sums and counts are calculated in SQL, so that any engine gives the same numbers.
A reading whose value is missing for an indicator is not in its sums. One with an
impossible value is not either, and it is counted.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qos_agent.archive.columns import READINGS, columns
from qos_agent.archive.database import connected, quoted, text
from qos_agent.archive.manifest import Manifest, read_manifest
from qos_agent.archive.sources.parquet import fault_of
from qos_agent.model.errors import OperatorError, StorageError
from qos_agent.model.schema.codes import CAUSES, REASONS
from qos_agent.report.engines import (
    DuckDbEngine,
    Engine,
    SparkEngine,
    need_ibis,
    spark_session,
)
from qos_agent.report.estimates import NOTHING
from qos_agent.report.expressions import (
    KEYS,
    STATION,
    Term,
    numerator_name,
    outcome_sql,
    station_sql,
    terms_of,
    unit_sql,
)
from qos_agent.report.frame import LEVELS, Frame
from qos_agent.report.group_queries import group_query, parsed, width_of
from qos_agent.report.groups import Group, GroupSums, InStratum, Outcome
from qos_agent.report.indicators import INDICATORS
from qos_agent.report.selection import Selection

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

__all__ = [
    "LEVELS",
    "ArchiveSums",
    "Group",
    "GroupSums",
    "Outcome",
    "Selection",
    "archive_sums",
]
_THREADS_MAX = 4
# Sums of 800,000 stations take more memory than sorting a file of the archive.
_MEMORY_MB = 1536
_TAGS: tuple[tuple[str, ...], ...] = (
    (),
    ("operator",),
    ("phase",),
    ("operator", "phase"),
)


class ArchiveSums:
    """The sums of the chosen readings of an archive, in a DuckDB database."""

    def __init__(
        self,
        db: DuckDBPyConnection,
        engine: Engine,
        measurements: Iterable[str],
        chosen: Selection,
    ) -> None:
        self.db = db
        self.engine = engine
        self.chosen = chosen
        self.measurements = [
            name for name in measurements if _is_chosen(name, chosen.operator)
        ]
        self._terms: dict[str, tuple[Term, ...]] = {}
        self._add_up()
        self._find_present()
        self._find_outcomes()
        self.frame = Frame.of_present(db)

    def use(self, register: Path) -> None:
        """Compare the stations with a register. Raises OperatorError."""
        self.frame = Frame.of_register(self.db, register, self.chosen)

    def groups(self) -> Iterator[GroupSums]:
        """Yield the sums of all terms in areas, with and without operator and phase."""
        for measurement, wanted in self._terms.items():
            for level, area in LEVELS.items():
                for tags in _TAGS:
                    if "operator" in tags and not _has_operator(measurement):
                        continue
                    yield from self._grouped(measurement, wanted, level, (*area, *tags))

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the slots by outcome, with the cause or the reason."""
        for measurement in self.measurements:
            if _has_outcomes(measurement):
                for level, area in LEVELS.items():
                    yield from self._outcomes(measurement, level, area)

    def present(self) -> int:
        """Return the number of stations with any reading."""
        row = self.db.execute("SELECT count(DISTINCT station) FROM present").fetchone()
        return int(row[0]) if row else 0

    def without(self, name: str) -> list[tuple[str, str]]:
        """Return regency and name of stations without readings for an indicator."""
        found = "SELECT NULL::VARCHAR AS regency, NULL::VARCHAR AS station WHERE false"
        for measurement, wanted in self._terms.items():
            for number, term in enumerate(wanted):
                if term.name == name:
                    unit = quoted(f"unit_{measurement}")
                    found = f"SELECT regency, station FROM {unit} WHERE x{number} > 0"
        return self.db.execute(
            f"SELECT DISTINCT regency, station FROM present ANTI JOIN ({found})"
            " USING (regency, station) ORDER BY regency, station"
        ).fetchall()

    def silent(self) -> list[tuple[str, str]]:
        """Return regency and name of selected stations without any reading."""
        return self.db.execute(
            "SELECT regency, station FROM place WHERE selection <> 'none'"
            " AND NOT reports ORDER BY regency, station"
        ).fetchall()

    def _add_up(self) -> None:
        """Fill a table for each measurement: station, operator and phase with sums."""
        for measurement in self.measurements:
            if wanted := terms_of(measurement):
                self._terms[measurement] = wanted
        for measurement in self._terms:
            self.engine.fill(f"unit_{measurement}", unit_sql(measurement), measurement)
        for indicator in INDICATORS:
            if indicator.numerator_from is not None:
                name = numerator_name(indicator)
                self._join(indicator.name, name, indicator.measurement)

    def _join(self, name: str, numerator: str, measurement: str) -> None:
        """Take the numerator of a term from the table of another measurement."""
        place = self._place(numerator)
        target = self._place(name)
        if place is None or target is None:
            return
        source, number = place
        matches = " AND ".join(f"u.{k} IS NOT DISTINCT FROM o.{k}" for k in KEYS)
        self.db.execute(
            f"UPDATE {quoted(f'unit_{measurement}')} AS u SET y{target[1]}_0 ="
            f" o.y{number}_0 FROM {quoted(f'unit_{source}')} AS o WHERE {matches}"
        )

    def _place(self, name: str) -> tuple[str, int] | None:
        """Return the measurement of a term and its number."""
        for measurement, wanted in self._terms.items():
            for number, term in enumerate(wanted):
                if term.name == name:
                    return measurement, number
        return None

    def _find_present(self) -> None:
        """Find the stations with any reading, and the operators of their links."""
        parts = []
        for measurement in self.measurements:
            name = f"unit_{measurement}"
            if measurement not in self._terms:
                name = f"stations_{measurement}"
                self.engine.fill(name, station_sql(measurement), measurement)
            operator = "operator" if measurement in self._terms else "NULL::VARCHAR"
            found = f"{', '.join(STATION)}, {operator} AS operator"
            parts.append(f"SELECT DISTINCT {found} FROM {quoted(name)}")
        if parts:
            union = " UNION ".join(parts)
            self.db.execute(f"CREATE OR REPLACE TEMP TABLE present AS {union}")
        if not parts or not self.present():
            raise OperatorError(
                "the archive has no readings in this period, area and operator. Fix:"
                " choose others."
            )

    def _find_outcomes(self) -> None:
        for measurement in self.measurements:
            if _has_outcomes(measurement):
                sql = outcome_sql(measurement)
                self.engine.fill(f"outcomes_{measurement}", sql, measurement)

    def _grouped(
        self, measurement: str, wanted: Sequence[Term], level: str, keys: Sequence[str]
    ) -> Iterator[GroupSums]:
        """Yield the sums of a measurement's terms in all groups with these keys."""
        query = group_query(
            measurement, wanted, keys, has_clusters=self.frame.has_clusters
        )
        rows = self.db.execute(query).fetchall()
        area = LEVELS[level]
        width = len(keys)
        by_group: dict[Group, list[Sequence[Any]]] = {}
        for row in rows:
            named = dict(zip(keys, row[:width], strict=True))
            place = named.get(area[-1]) if area else None
            group = Group(level, place, named.get("operator"), named.get("phase"))
            by_group.setdefault(group, []).append(row[width:])
        for group, strata in by_group.items():
            yield from self._group_sums(wanted, group, strata)

    def _group_sums(
        self, wanted: Sequence[Term], group: Group, rows: Sequence[Sequence[Any]]
    ) -> Iterator[GroupSums]:
        """Yield the sums of the terms that have any reading in the group."""
        frame = self.frame
        expected = frame.expected.get((group.level, group.area, group.operator), {})
        is_population = frame.describes_population(group.level, group.area)
        start = 1
        for term in wanted:
            found = [parsed(row, start, len(term.numerators)) for row in rows]
            start += width_of(len(term.numerators))
            totals = [
                sum(counts) for counts in zip(*(f[2] for f in found), strict=True)
            ]
            has, readings, excluded, slots, without, flagged = totals
            if not readings + excluded + without:
                continue
            parts = [
                InStratum(
                    frame.strata.get(name),
                    bins,
                    max(0, expected.get(name, 0) - counts[0]),
                )
                for name, bins, counts in found
            ]
            none = tuple(NOTHING for _ in term.numerators)
            parts += [
                InStratum(frame.strata[name], none, count)
                for name, count in expected.items()
                if name not in {known for known, _, _ in found}
            ]
            is_known = all(part.stratum is not None for part in parts)
            yield GroupSums(
                term.name,
                group,
                tuple(parts),
                is_population and is_known,
                has,
                readings,
                excluded,
                slots,
                without,
                flagged,
            )

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
            f" {outcome} AS slots FROM {quoted(f'outcomes_{measurement}')}"
            f" WHERE {outcome} > 0"
            for outcome, code in codes.items()
        )
        rows = self.db.execute(
            f"SELECT {keys}outcome, code, sum(slots), count(DISTINCT station)"
            f" FROM ({' UNION ALL '.join(parts)}) GROUP BY {keys}outcome, code"
            f" ORDER BY {keys}outcome, code"
        ).fetchall()
        for *place, outcome, code, slots, count in rows:
            at = place[-1] if place else None
            found = (measurement, outcome, code, int(slots), int(count))
            yield Outcome(level, at, *found)


def _is_chosen(measurement: str, operator: str | None) -> bool:
    """Return False for readings that have no operator, if one is chosen."""
    return operator is None or _has_operator(measurement)


def _has_operator(measurement: str) -> bool:
    return "operator" in READINGS[measurement].tags


def _has_outcomes(measurement: str) -> bool:
    """Heartbeats have counts of outcomes too, but no causes."""
    return {"slots", "cause"} <= columns(READINGS[measurement]).keys()


def _code(name: str, known: Iterable[str]) -> str:
    """Return a code of the closed list, or `other`: a device may send any text."""
    listed = ", ".join(map(text, known))
    return f"CASE WHEN {name} IN ({listed}) THEN {name} ELSE 'other' END"


@contextmanager
def archive_sums(
    folder: Path,
    chosen: Selection,
    *,
    register: Path | None = None,
    spark: str | None = None,
) -> Iterator[ArchiveSums]:
    """Add up an archive. Raises OperatorError, and StorageError for damaged files.

    `register` is a file of `noc register export`. `spark` is a master or a server.
    """
    need_ibis()
    manifest = read_manifest(folder)
    files = _files(folder, manifest)
    with (
        tempfile.TemporaryDirectory(prefix="qos-agent-") as temporary,
        connected(None, Path(temporary), _MEMORY_MB) as db,
    ):
        # Whole numbers have the same sum in any order.
        db.execute(f"SET threads = {min(os.cpu_count() or 1, _THREADS_MAX)}")
        condition = chosen.condition()
        engine: Engine = DuckDbEngine(db, files, condition)
        if spark is not None:
            session = spark_session(spark)
            engine = SparkEngine(db, files, condition, session, Path(temporary))
        sums = ArchiveSums(db, engine, files, chosen)
        if register is not None:
            sums.use(register)
        yield sums


def _files(folder: Path, manifest: Manifest) -> dict[str, list[Path]]:
    """Return the Parquet files by measurement. Raises StorageError for damaged ones."""
    files: dict[str, list[Path]] = {}
    for file in manifest.files:
        if not file.readings or file.measurement not in READINGS:
            continue
        if fault := fault_of(folder, file):
            raise StorageError("cannot read", str(folder), fault)
        files.setdefault(file.measurement, []).append(folder / file.path)
    return files
