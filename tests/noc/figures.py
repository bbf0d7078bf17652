"""National figures, as a panel asks for them and as DuckDB has them from raw lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from qos_agent.model.line_protocol import decode
from tests.servers.database import Database


@dataclass(frozen=True, slots=True)
class Figure:
    """A ratio of sums of one measurement's additive fields."""

    name: str
    measurement: str
    above: str
    below: tuple[str, ...]
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
# By figure, then by province, and the nation under "".
Found = dict[str, dict[str, tuple[float, float]]]


def from_rollups(rollup: Database, from_ns: int, to_ns: int) -> Found:
    """By InfluxQL on the sums, as panels ask."""
    found: Found = {}
    for figure in FIGURES:
        below = ", ".join(f'SUM("{n}") AS "b{i}"' for i, n in enumerate(figure.below))
        only = "".join(f" AND \"{tag}\" = '{value}'" for tag, value in figure.where)
        for group in ("", ' GROUP BY "province"'):
            query = (
                f'SELECT SUM("{figure.above}") AS "a", {below} '
                f'FROM "{figure.measurement}" '
                f"WHERE time >= {from_ns} AND time < {to_ns}{only}{group}"
            )
            for row in rollup.query(query):
                whole = sum(row[f"b{i}"] or 0 for i in range(len(figure.below)))
                key = row.get("province", "")
                found.setdefault(figure.name, {})[key] = (row["a"] or 0, whole)
    return found


def from_raw(arrived: Iterable[bytes], from_ns: int, to_ns: int) -> Found:
    """By DuckDB on what was measured in a span, each point once."""
    import duckdb

    records = [r for r in map(decode, set(arrived)) if from_ns <= r.time_ns < to_ns]
    found: Found = {}
    with duckdb.connect() as db:
        for figure in FIGURES:
            names = (figure.above, *figure.below)
            columns = ", ".join(f"c{i} DOUBLE" for i in range(len(names)))
            db.execute(f"CREATE OR REPLACE TABLE raw (province TEXT, {columns})")
            _insert(db, [
                (r.tags["province"], *(r.fields.get(name) for name in names))
                for r in records
                if r.measurement == figure.measurement
                and all(r.tags[tag] == value for tag, value in figure.where)
            ])  # fmt: skip
            below = " + ".join(
                f"coalesce(sum(c{i + 1}), 0)" for i in range(len(names) - 1)
            )
            rows = db.execute(
                f"SELECT coalesce(province, ''), coalesce(sum(c0), 0), {below} "
                "FROM raw GROUP BY GROUPING SETS ((province), ())"
            ).fetchall()
            found[figure.name] = {key: (above, whole) for key, above, whole in rows}
    return found


def _insert(db: Any, rows: list[tuple[Any, ...]]) -> None:
    for start in range(0, len(rows), 500):
        part = rows[start : start + 500]
        mark = f"({', '.join('?' * len(part[0]))})"
        values = [value for row in part for value in row]
        db.execute(f"INSERT INTO raw VALUES {', '.join([mark] * len(part))}", values)
