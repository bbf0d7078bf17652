"""Queries of an archive for the pages that show single hours, stations and incidents.

Only whole numbers are added up here, as for the indicators.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from qos_agent.archive.columns import READINGS, columns
from qos_agent.archive.database import connected, quoted, text
from qos_agent.archive.manifest import Manifest, read_manifest
from qos_agent.config.places import province_zones
from qos_agent.model.calendar import local_date, midnight_ns
from qos_agent.report.selection import Selection

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_VALUE_MAX = 10**12
_HOUR_NS = 3600 * 10**9
_WIB = "Asia/Jakarta"
_ROWS_MAX = 200_000
_AGES = ("acked_le_2m", "acked_le_1h", "acked_le_1d", "acked_older")


@dataclass(frozen=True, slots=True)
class Hour:
    """Sums of an operator in one local hour, counted from the midnight of a day."""

    operator: str
    hour: int
    available: int
    seconds: int
    lost: int
    sent: int


@dataclass(frozen=True, slots=True)
class Slots:
    """Due slots of the latency measurement in one local hour, by outcome."""

    hour: int
    ok: int
    failed: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Station:
    """Sums of a station over one operator."""

    province: str
    regency: str
    station: str
    operator: str
    available: int
    seconds: int
    lost: int
    sent: int
    rtt_us: int
    received: int


@dataclass(frozen=True, slots=True)
class Outage:
    """An incident that a device recorded, from its opening and its closing."""

    name: str
    province: str
    regency: str
    station: str
    operator: str
    start_ns: int
    end_ns: int | None
    cause: str
    sign_1: str
    sign_2: str
    side: str
    journal: str
    seq: int


@dataclass(frozen=True, slots=True)
class Around:
    """Sums of the links of an incident in five minutes."""

    start_ns: int
    sent: int
    lost: int
    rsrp_dbm_thousandths: int
    rsrp_values: int


class Readings:
    """The chosen readings of an archive."""

    def __init__(
        self,
        db: DuckDBPyConnection,
        folder: Path,
        manifest: Manifest,
        chosen: Selection,
    ) -> None:
        self._db = db
        self._condition = chosen.condition()
        self._operator = chosen.operator
        self._files: dict[str, list[Path]] = {}
        for file in manifest.files:
            if file.readings and file.measurement in READINGS:
                self._files.setdefault(file.measurement, []).append(folder / file.path)

    def span(self) -> tuple[int, int] | None:
        """Return the times of the first and the last reading."""
        parts = [
            f"SELECT min(time_ns) AS a, max(time_ns) AS b FROM {self._source(name)}"
            for name in self._files
            if self._operator is None or "operator" in READINGS[name].tags
        ]
        query = f"SELECT min(a), max(b) FROM ({' UNION ALL '.join(parts)})"
        rows = self._db.execute(query).fetchall() if parts else []
        return (int(rows[0][0]), int(rows[0][1])) if rows and rows[0][0] else None

    def hours(self, day_ns: int) -> list[Hour]:
        """Return the sums of each operator and local hour of a day.

        `day_ns` is midnight of the day in WIB. Other zones have their own midnight.
        """
        rows = self._joined(
            f"operator, {_local_hour(day_ns)} AS hour",
            ("operator", "hour"),
            {"verdict": ("available", "seconds"), "latency": ("lost", "sent")},
            "hour BETWEEN 0 AND 23",
        )
        return [Hour(*row) for row in rows]

    def slots(self, day_ns: int) -> list[Slots]:
        """Return the due slots of each local hour of a day by outcome."""
        if "latency" not in self._files:
            return []
        sums = ", ".join(f"sum({_sane(name)})" for name in ("ok", "failed", "skipped"))
        rows = self._db.execute(
            f"SELECT {_local_hour(day_ns)} AS hour, {sums}"
            f" FROM {self._source('latency')} WHERE hour BETWEEN 0 AND 23"
            " GROUP BY hour ORDER BY hour"
        ).fetchall()
        return [Slots(*(int(value or 0) for value in row)) for row in rows]

    def stations(self) -> list[Station]:
        """Return the sums of each station over each operator."""
        keys = ("province", "regency", "station", "operator")
        rows = self._joined(
            ", ".join(keys),
            keys,
            {
                "verdict": ("available", "seconds"),
                "latency": ("lost", "sent", "rtt_sum_us", "received"),
            },
            "true",
        )
        return [Station(*row) for row in rows]

    def delivered(self) -> dict[str, int]:
        """Return the acknowledged points by age; empty for a single operator."""
        if "agent" not in self._files or self._operator is not None:
            return {}
        sums = ", ".join(f"sum({_sane(name)})" for name in _AGES)
        rows = self._db.execute(
            f"SELECT {sums} FROM {self._source('agent')}"
        ).fetchall()
        counts = [int(value or 0) for value in rows[0]]
        return dict(zip(_AGES, counts, strict=True)) if any(counts) else {}

    def outages(self) -> list[Outage]:
        """Return the incidents that devices recorded."""
        if "incident" not in self._files:
            return []
        rows = self._db.execute(
            "SELECT incident, any_value(province), any_value(regency),"
            " any_value(station), any_value(operator),"
            " min(coalesce(start_ns, time_ns)),"
            " max(CASE WHEN closed = 1 THEN time_ns END),"
            " min(cause), min(sign_1), min(sign_2), min(coalesce(side, '')),"
            " min(journal), min(seq)"
            f" FROM {self._source('incident')} WHERE incident IS NOT NULL"
            " GROUP BY incident, station ORDER BY 6, 1, 4"
            f" LIMIT {_ROWS_MAX}"
        ).fetchall()
        return [_outage(row) for row in rows]

    def around(
        self, stations: Sequence[str], operator: str, from_ns: int, to_ns: int
    ) -> list[Around]:
        """Return the sums of some links in steps of five minutes."""
        step_ns = 300 * 10**9
        listed = ", ".join(map(text, stations))
        where = (
            f"station IN ({listed}) AND operator = {text(operator)}"
            f" AND time_ns >= {from_ns} AND time_ns < {to_ns}"
        )
        sums: dict[int, list[int]] = {}
        parts = {
            "latency": (0, f"sum({_sane('sent')}), sum({_sane('lost')})"),
            "signal": (
                2,
                (
                    "sum(CASE WHEN abs(rsrp_sum_dbm) <= 1e9 THEN"
                    " round(rsrp_sum_dbm * 1000)::BIGINT END),"
                    f" sum({_sane('rsrp_samples')})"
                ),
            ),
        }
        for name, (first, selected) in parts.items():
            if name not in self._files:
                continue
            anchor = " AND layer = 'anchor'" if name == "latency" else ""
            rows = self._db.execute(
                f"SELECT time_ns // {step_ns} AS step, {selected}"
                f" FROM {self._source(name)} WHERE {where}{anchor} GROUP BY step"
            ).fetchall()
            for step, a, b in rows:
                entry = sums.setdefault(int(step), [0, 0, 0, 0])
                entry[first : first + 2] = int(a or 0), int(b or 0)
        return [Around(step * step_ns, *sums[step]) for step in sorted(sums)]

    def _joined(
        self,
        selected: str,
        keys: Sequence[str],
        sums: Mapping[str, Sequence[str]],
        condition: str,
    ) -> list[tuple[Any, ...]]:
        """Return the sums of several measurements by the same keys, 0 without any."""
        width = sum(map(len, sums.values()))
        found: dict[tuple[Any, ...], list[int]] = {}
        first = 0
        for name, fields in sums.items():
            if name in self._files:
                added = ", ".join(f"sum({_SUMS.get(f) or _sane(f)})" for f in fields)
                anchor = "layer = 'anchor'" if name == "latency" else "true"
                rows = self._db.execute(
                    f"SELECT {selected}, {added} FROM {self._source(name)}"
                    f" WHERE {anchor} AND {condition} AND operator IS NOT NULL"
                    f" GROUP BY {', '.join(keys)} LIMIT {_ROWS_MAX}"
                ).fetchall()
                for row in rows:
                    key = tuple(row[: len(keys)])
                    entry = found.setdefault(key, [0] * width)
                    values = [int(value or 0) for value in row[len(keys) :]]
                    entry[first : first + len(fields)] = values
            first += len(fields)
        ordered = sorted(found, key=lambda key: tuple(map(str, key)))
        return [
            (*(k if k is not None else "" for k in key), *found[key]) for key in ordered
        ]

    def _source(self, measurement: str) -> str:
        """Return a query of the chosen readings, with NULL for later columns."""
        kinds = columns(READINGS[measurement]).items()
        typed = ", ".join(f"NULL::{kind} AS {quoted(name)}" for name, kind in kinds)
        listed = ", ".join(map(text, self._files[measurement]))
        condition = self._condition
        if "operator" not in READINGS[measurement].tags:
            condition = condition.replace(
                f" AND operator = {text(self._operator or '')}", ""
            )
        return (
            f"(SELECT * FROM (SELECT {typed} WHERE false UNION ALL BY NAME SELECT *"
            f" FROM read_parquet([{listed}], union_by_name = true)) WHERE {condition})"
        )


# Names of sums that are not those of fields.
_SUMS = {"seconds": "(available::HUGEINT + unavailable)"}


def _sane(field: str) -> str:
    """Return a count, or NULL for a value that no device measures."""
    return f"CASE WHEN {field} BETWEEN 0 AND {_VALUE_MAX} THEN {field} END"


def _local_hour(day_ns: int) -> str:
    """Return the local hour since midnight of the day that begins then in WIB."""
    east: dict[int, list[str]] = {}
    for province, zone in province_zones().items():
        east.setdefault(_hours_east(zone, day_ns), []).append(province)
    cases = " ".join(
        f"WHEN province IN ({', '.join(map(text, codes))}) THEN {hours * _HOUR_NS}"
        for hours, codes in east.items()
        if hours
    )
    offset = f"CASE {cases} ELSE 0 END" if cases else "0"
    return f"((time_ns - {day_ns} + {offset}) // {_HOUR_NS})"


def _hours_east(zone: str, day_ns: int) -> int:
    """Return the hours by which a zone is ahead of WIB."""
    day = local_date(day_ns, ZoneInfo(_WIB))
    return (day_ns - midnight_ns(day, ZoneInfo(zone))) // _HOUR_NS


def _outage(row: Sequence[Any]) -> Outage:
    texts = [str(value or "") for value in (*row[:5], *row[7:12])]
    start_ns = int(row[5])
    return Outage(
        name=texts[0],
        province=texts[1],
        regency=texts[2],
        station=texts[3],
        operator=texts[4],
        start_ns=start_ns,
        end_ns=None if row[6] is None else max(int(row[6]), start_ns),
        cause=texts[5],
        sign_1=texts[6],
        sign_2=texts[7],
        side=texts[8],
        journal=texts[9],
        seq=int(row[12] or 0),
    )


@contextmanager
def open_readings(folder: Path, chosen: Selection) -> Iterator[Readings]:
    """Open an archive whose files were checked before."""
    with (
        TemporaryDirectory(prefix="qos-agent-") as temporary,
        connected(None, Path(temporary)) as db,
    ):
        yield Readings(db, folder, read_manifest(folder), chosen)
