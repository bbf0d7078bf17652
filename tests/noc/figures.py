"""National figures, from the roll-ups and calculated by DuckDB from raw lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from qos_agent.model.line_protocol import decode
from tests.noc.nation import MINUTE_NS
from tests.servers.database import Database


@dataclass(frozen=True, slots=True)
class Figure:
    """A ratio of sums of one measurement's additive fields."""

    name: str
    measurement: str
    numerator: str
    denominator: tuple[str, ...]
    where: tuple[tuple[str, str], ...] = ()


CLASSES = ("good", "degraded", "bad", "unknown")
ANCHOR, DOWN = (("layer", "anchor"),), (("direction", "down"),)
FIGURES = (
    Figure("loss", "latency", "lost", ("sent",), ANCHOR),
    Figure("delay", "latency", "rtt_sum_us", ("received",), ANCHOR),
    Figure("delay within 100 ms", "latency", "rtt_le_100", ("received",), ANCHOR),
    Figure("failed trains", "latency", "failed", ("slots",)),
    Figure("rate", "throughput", "rate_bps", ("tests",), DOWN),
    Figure("rate over 5 Mbit/s", "throughput", "rate_ge_5", ("tests",), DOWN),
    Figure("upload", "web", "upload_sum_ms", ("uploads",)),
    Figure("upload within 30 s", "web", "upload_le_30", ("uploads",)),
    Figure("page", "web", "page_sum_ms", ("pages",)),
    Figure("signal", "signal", "rsrp_sum_dbm", ("rsrp_samples",)),
    *(Figure(f"verdict {name}", "verdict", name, CLASSES) for name in CLASSES),
)
# By figure, then by place: "" is the nation, "19" a province, "19 +3 min" one of its
# minutes. The minutes show where a sum differs.
Ratios = dict[str, dict[str, tuple[float, float]]]
_GROUPS = ("", ' GROUP BY "province"', ' GROUP BY "province", time(1m) fill(none)')


def from_rollups(rollup: Database, from_ns: int, to_ns: int) -> Ratios:
    """Query the sums in InfluxQL, as panels do."""
    ratios: Ratios = {}
    for figure in FIGURES:
        names = enumerate(figure.denominator)
        below = ", ".join(f'SUM("{name}") AS "b{i}"' for i, name in names)
        only = "".join(f" AND \"{tag}\" = '{value}'" for tag, value in figure.where)
        for group in _GROUPS:
            query = (
                f'SELECT SUM("{figure.numerator}") AS "a", {below} '
                f'FROM "{figure.measurement}" '
                f"WHERE time >= {from_ns} AND time < {to_ns}{only}{group}"
            )
            for row in rollup.query(query):
                columns = range(len(figure.denominator))
                whole = sum(row[f"b{i}"] or 0 for i in columns)
                place = row.get("province", "")
                if "time(" in group:
                    place = _minute(place, row["time"], from_ns)
                ratios.setdefault(figure.name, {})[place] = (row["a"] or 0, whole)
    return ratios


def from_raw(arrived: Iterable[bytes], from_ns: int, to_ns: int) -> Ratios:
    """Calculate the ratios of a span in DuckDB, with each point once."""
    import duckdb

    records = [r for r in map(decode, set(arrived)) if from_ns <= r.time_ns < to_ns]
    ratios: Ratios = {}
    with duckdb.connect() as db:
        for figure in FIGURES:
            names = (figure.numerator, *figure.denominator)
            columns = ", ".join(f"c{i} DOUBLE" for i in range(len(names)))
            db.execute(
                f"CREATE OR REPLACE TABLE raw (province TEXT, minute TEXT, {columns})"
            )
            rows = [
                (
                    r.tags["province"],
                    _minute(r.tags["province"], r.time_ns, from_ns),
                    *(r.fields.get(name) for name in names),
                )
                for r in records
                if r.measurement == figure.measurement
                and all(r.tags[tag] == value for tag, value in figure.where)
            ]
            _insert(db, rows)
            below = " + ".join(
                f"coalesce(sum(c{i + 1}), 0)" for i in range(len(names) - 1)
            )
            totals = db.execute(
                "SELECT coalesce(minute, province, ''), coalesce(sum(c0), 0), "
                f"{below} FROM raw GROUP BY GROUPING SETS ((minute), (province), ())"
            ).fetchall()
            ratios[figure.name] = {key: (above, whole) for key, above, whole in totals}
    return ratios


def _minute(province: str, time_ns: int, from_ns: int) -> str:
    return f"{province} +{(time_ns - from_ns) // MINUTE_NS} min"


def _insert(db: Any, rows: list[tuple[Any, ...]]) -> None:
    for start in range(0, len(rows), 500):
        part = rows[start : start + 500]
        marks = f"({', '.join('?' * len(part[0]))})"
        values = [value for row in part for value in row]
        db.execute(f"INSERT INTO raw VALUES {', '.join([marks] * len(part))}", values)
