"""The stations of the register: strata, how they were selected, and who reports.

Without a register the stations with readings stand for themselves, and nothing is
known about their selection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from qos_agent.archive.database import text
from qos_agent.model.errors import OperatorError
from qos_agent.report.selection import Selection
from qos_agent.report.types import Coverage, Kind

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LEVELS: Mapping[str, tuple[str, ...]] = {
    "nation": (),
    "province": ("province",),
    "regency": ("province", "regency"),
}
REQUIRED = ("station", "province", "regency", "operator", "selection", "stratum")
_OPTIONAL = ("cluster", "operator_2", "operator_3", "operator_4")
_SELECTIONS = ("all", "random", "chosen", "none", "")
_MAX_BYTES = 2 * 10**9
_Area = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Stratum:
    """Stations and sampling units of a stratum: registered, selected and reporting."""

    selection: Kind
    registered: int
    selected: int
    reporting: int
    units_registered: int
    units_reporting: int

    @property
    def weight(self) -> Fraction | None:
        """Registered stations for each reporting one; None if they are not random."""
        if self.selection not in ("all", "random") or not self.reporting:
            return None
        return Fraction(self.registered, self.reporting)


@dataclass(frozen=True, slots=True)
class Frame:
    """All strata, and the stations of each area, operator and stratum.

    `areas` has (level, area), then the stratum, with registered, selected and reporting
    stations. `expected` has (level, area, operator), then the stratum, with the number
    of selected stations; the operator is None for all.
    """

    is_registered: bool
    has_clusters: bool
    strata: Mapping[str | None, Stratum]
    areas: Mapping[tuple[str, str | None], Mapping[str | None, tuple[int, int, int]]]
    expected: Mapping[tuple[str, str | None, str | None], Mapping[str | None, int]]

    @classmethod
    def of_present(cls, db: DuckDBPyConnection) -> Frame:
        """Return the frame of the stations with readings."""
        db.execute(
            "CREATE OR REPLACE TEMP TABLE frame AS SELECT DISTINCT station,"
            " NULL::VARCHAR AS stratum, NULL::VARCHAR AS cluster FROM present"
        )
        db.execute(
            "CREATE OR REPLACE TEMP TABLE place AS SELECT DISTINCT station, province,"
            " regency, NULL::VARCHAR AS stratum, '' AS selection, true AS reports"
            " FROM present"
        )
        db.execute(
            "CREATE OR REPLACE TEMP TABLE serves AS SELECT DISTINCT station, operator"
            " FROM present WHERE operator IS NOT NULL"
        )
        return cls._read(db, is_registered=False)

    @classmethod
    def of_register(
        cls, db: DuckDBPyConnection, path: Path, chosen: Selection
    ) -> Frame:
        """Return the frame of a file of `noc register export`. Raises OperatorError."""
        _load(db, path)
        area = ""
        if chosen.area is not None:
            area = f" WHERE {chosen.area_tag} = {text(chosen.area)}"
        db.execute(
            "CREATE OR REPLACE TEMP TABLE frame AS SELECT station, selection, province,"
            " regency, cluster, coalesce(stratum, regency) AS stratum"
            f" FROM registered{area}"
        )
        db.execute(
            "CREATE OR REPLACE TEMP TABLE place AS SELECT station, province, regency,"
            " stratum, selection, station IN (SELECT station FROM present) AS reports"
            " FROM frame"
        )
        operators = " UNION ".join(
            f"SELECT station, {name} AS operator FROM registered"
            for name in ("operator", *_OPTIONAL[1:])
        )
        db.execute(
            "CREATE OR REPLACE TEMP TABLE serves AS SELECT * FROM"
            f" ({operators}) WHERE operator IS NOT NULL"
        )
        return cls._read(db, is_registered=True)

    @classmethod
    def _read(cls, db: DuckDBPyConnection, *, is_registered: bool) -> Frame:
        row = db.execute("SELECT count(cluster) FROM frame").fetchone()
        areas: dict[_Area, dict[str | None, tuple[int, int, int]]] = {}
        expected: dict[tuple[str, str | None, str | None], dict[str | None, int]] = {}
        for level, keys in LEVELS.items():
            for area, stratum, *counts in _counts(db, keys):
                areas.setdefault((level, area), {})[stratum] = (
                    counts[0],
                    counts[1],
                    counts[2],
                )
                expected.setdefault((level, area, None), {})[stratum] = counts[1]
            for area, operator, stratum, count in _by_operator(db, keys):
                expected.setdefault((level, area, operator), {})[stratum] = count
        has_clusters = bool(row and row[0])
        return cls(is_registered, has_clusters, dict(_strata(db)), areas, expected)

    def coverage(self) -> Iterator[Coverage]:
        """Yield the stations of each area and stratum."""
        for (level, area), strata in self.areas.items():
            for name, (registered, selected, reporting) in sorted(
                strata.items(), key=lambda item: item[0] or ""
            ):
                stratum = self.strata[name]
                weight = stratum.weight
                yield Coverage(
                    level,
                    area,
                    name,
                    stratum.selection,
                    registered,
                    selected,
                    reporting,
                    max(0, selected - reporting),
                    None if weight is None else float(weight),
                )

    def describes_population(self, level: str, area: str | None) -> bool:
        """Return True if all strata of an area are random or complete, and report."""
        strata = self.areas.get((level, area), {})
        return (
            self.is_registered
            and bool(strata)
            and all(self.strata[name].weight is not None for name in strata)
        )


_SELECTED = "selection <> 'none'"


def _counts(
    db: DuckDBPyConnection, keys: tuple[str, ...]
) -> list[tuple[str | None, str | None, int, int, int]]:
    """Return area, stratum, and registered, selected and reporting stations."""
    area = keys[-1] if keys else "NULL::VARCHAR"
    return db.execute(
        f"SELECT {area} AS area, stratum, count(DISTINCT station),"
        f" count(DISTINCT station) FILTER ({_SELECTED}),"
        f" count(DISTINCT station) FILTER ({_SELECTED} AND reports)"
        " FROM place GROUP BY ALL ORDER BY ALL"
    ).fetchall()


def _by_operator(
    db: DuckDBPyConnection, keys: tuple[str, ...]
) -> list[tuple[str | None, str, str | None, int]]:
    """Return area, operator, stratum and the number of selected stations."""
    area = keys[-1] if keys else "NULL::VARCHAR"
    return db.execute(
        f"SELECT {area} AS area, operator, stratum, count(DISTINCT station)"
        f" FROM place JOIN serves USING (station) WHERE {_SELECTED}"
        " GROUP BY ALL ORDER BY ALL"
    ).fetchall()


def _strata(db: DuckDBPyConnection) -> Iterator[tuple[str | None, Stratum]]:
    unit = "coalesce('c' || cluster, 's' || station)"
    rows = db.execute(
        "SELECT stratum, list(DISTINCT selection ORDER BY selection),"
        " count(DISTINCT station),"
        f" count(DISTINCT station) FILTER ({_SELECTED}),"
        f" count(DISTINCT station) FILTER ({_SELECTED} AND reports),"
        f" count(DISTINCT {unit}),"
        f" count(DISTINCT {unit}) FILTER ({_SELECTED} AND reports)"
        " FROM place JOIN (SELECT station, cluster FROM frame) USING (station)"
        " GROUP BY stratum ORDER BY stratum"
    ).fetchall()
    for name, kinds, *counts in rows:
        yield name, Stratum(_kind({*kinds}), *counts)


def _kind(kinds: set[str]) -> Kind:
    """Return how a stratum was selected; stations chosen by hand decide it."""
    if kinds == {"all"}:
        return "all"
    if kinds <= {"random", "none"} and "random" in kinds:
        return "random"
    return "unknown" if kinds <= {"", "none"} else "chosen"


def _load(db: DuckDBPyConnection, path: Path) -> None:
    """Read a register into the table `registered`. Raises OperatorError."""
    import duckdb

    try:
        if path.stat().st_size > _MAX_BYTES:
            raise _error(path, f"has more than {_MAX_BYTES} bytes")
        source = (
            f"read_csv({text(path)}, header = true, all_varchar = true, delim = ',',"
            " quote = '\"', escape = '\"', auto_detect = false, skip = 0,"
            f" columns = {{{_head(path)}}})"
        )
        names = ", ".join(f"nullif(trim({name}), '') AS {name}" for name in REQUIRED)
        present = {row[0] for row in db.execute(f"DESCRIBE FROM {source}").fetchall()}
        others = ", ".join(
            f"nullif(trim({name}), '') AS {name}"
            if name in present
            else f"NULL::VARCHAR AS {name}"
            for name in _OPTIONAL
        )
        db.execute(
            "CREATE OR REPLACE TEMP TABLE registered AS SELECT * REPLACE"
            f" (coalesce(selection, '') AS selection) FROM (SELECT {names}, {others}"
            f" FROM {source})"
        )
    except OSError as error:
        raise _error(path, f"cannot be read: {error.strerror}") from error
    except duckdb.Error as error:
        problem = " ".join(str(error).split())[:200]
        raise _error(path, f"is not a CSV file: {problem}") from error
    _check(db, path)


def _head(path: Path) -> str:
    """Return the columns of a file for DuckDB. Raises OperatorError."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        line = file.readline(10_000)
    names = [name.strip().strip('"') for name in line.split(",")]
    missing = [name for name in REQUIRED if name not in names]
    if missing or not all(name.isidentifier() for name in names):
        raise _error(path, f"has no column {', '.join(missing) or 'names'}")
    return ", ".join(f"{text(name)}: 'VARCHAR'" for name in names)


def _check(db: DuckDBPyConnection, path: Path) -> None:
    """Raise OperatorError for stations that are wrong or twice in the register."""
    listed = ", ".join(map(text, _SELECTIONS))
    for query, problem in (
        ("SELECT count(*) FROM registered HAVING count(*) = 0", "has no stations"),
        ("SELECT 1 FROM registered WHERE station IS NULL", "a station has no code"),
        (
            "SELECT station FROM registered GROUP BY station HAVING count(*) > 1",
            "has a station twice",
        ),
        (
            "SELECT station FROM registered WHERE regency IS NULL OR province IS NULL",
            "a station has no regency or province",
        ),
        (
            f"SELECT selection FROM registered WHERE selection NOT IN ({listed})",
            "selection must be all, random, chosen or none",
        ),
    ):
        row = db.execute(f"{query} LIMIT 1").fetchone()
        if row is not None:
            raise _error(path, f"{problem} (found: {row[0]!r})")


def _error(path: Path, problem: str) -> OperatorError:
    fix = "export the register again with `qos-agent noc register export`"
    return OperatorError(f"{path}: {problem}. Fix: {fix}.")
