"""The census, calculated by DuckDB from the raw lines and the register only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qos_agent.config.places import regencies
from qos_agent.model import Record
from qos_agent.model.line_protocol import decode
from qos_agent.noc.register.store import Register

LATE_S, SILENT_S, VERDICT_S = 120, 300, 660
SHARE, OUTAGE_SHARE, OUTAGE_MIN = 0.05, 0.3, 3
BY_AREA = (
    "expected",
    "reporting",
    "late",
    "silent",
    "never",
    "mismatched",
    "wrong_clock",
    "stations_good",
    "stations_degraded",
    "stations_bad",
    "stations_unknown",
    "class_level",
    "operators_down",
)
BY_OPERATOR = (
    "links_good",
    "links_degraded",
    "links_bad",
    "links_unknown",
    "expected",
    "silent",
    "class_level",
    "down",
    "down_alone",
)
_CTE = """
WITH final AS (SELECT station, max(t) AS t, arg_max(off, t) AS off,
              arg_max(regency, t) AS place FROM beat WHERE t < {at} GROUP BY station),
last AS (SELECT station, place, off_time AS wrong, CASE WHEN off_time THEN {silent}
         ELSE t END AS t FROM (SELECT *, off IS NOT NULL AND t < {silent}
         AND t - off BETWEEN {silent} AND {at} AS off_time FROM final)),
links AS (SELECT station, regency, operator, link, arg_max(c, t) AS c,
          arg_max(kpi, t) AS kpi, arg_max(side, t) AS side FROM judged
          WHERE t >= {verdict} AND t < {at} GROUP BY ALL),
worst AS (SELECT station, min(CASE c WHEN 'bad' THEN 1 WHEN 'degraded' THEN 2
          WHEN 'good' THEN 3 ELSE 4 END) AS rank FROM links GROUP BY station),
each AS (SELECT home.station, home.regency, coalesce(t, -1) AS t, wrong,
         coalesce(rank, 4) AS rank, place IS DISTINCT FROM home.regency AS moved
         FROM home LEFT JOIN last USING (station) LEFT JOIN worst USING (station)),
area AS (SELECT regency, count(*) AS expected,
         count(*) FILTER (t >= {late}) AS reporting,
         count(*) FILTER (t >= {silent} AND t < {late}) AS late,
         count(*) FILTER (t < {silent}) AS silent, count(*) FILTER (t < 0) AS never,
         count(*) FILTER (t >= {silent} AND moved) AS mismatched,
         count(*) FILTER (wrong) AS wrong_clock,
         count(*) FILTER (t >= {silent} AND rank = 3) AS good,
         count(*) FILTER (t >= {silent} AND rank = 2) AS degraded,
         count(*) FILTER (t >= {silent} AND rank = 1) AS bad,
         count(*) FILTER (t >= {silent} AND rank = 4) AS unknown
         FROM each GROUP BY regency),
there AS (SELECT links.* FROM links JOIN last USING (station)
          WHERE t >= {silent} AND links.regency = place),
tagged AS (SELECT regency, operator, count(*) FILTER (c = 'good') AS good,
           count(*) FILTER (c = 'degraded') AS degraded,
           count(*) FILTER (c = 'bad') AS bad,
           count(*) FILTER (c = 'unknown') AS unknown
           FROM there GROUP BY ALL),
struck AS (SELECT s.regency, s.operator, count(*) AS expected,
           count(*) FILTER (t < {silent}) AS silent,
           count(*) FILTER (t < {silent} OR EXISTS (SELECT 1 FROM links WHERE
             links.station = s.station AND links.operator = s.operator
             AND c = 'bad')) AS hit
           FROM subscribed s JOIN each USING (station) GROUP BY ALL),
fallen AS (SELECT *, hit >= {outage_min} AND hit >= {outage} * expected AS down
           FROM struck),
standing AS (SELECT f.*, down AND EXISTS (SELECT 1 FROM fallen o
             WHERE o.regency = f.regency AND NOT o.down
             AND o.expected >= {outage_min}) AS alone FROM fallen f)
"""
_LEVEL = """CASE WHEN good + degraded + bad + silent = 0 THEN NULL
 WHEN silent > 0 AND silent >= {share} * whole THEN 3
 WHEN bad + silent > 0 AND bad + silent >= {share} * whole THEN 2
 WHEN degraded + bad + silent > 0 AND degraded + bad + silent >= {share} * whole THEN 1
 WHEN good > 0 THEN 0 WHEN silent > 0 THEN 3 WHEN bad > 0 THEN 2 ELSE 1 END"""
_AREAS = """SELECT regency, area.expected, reporting, late, silent, never, mismatched,
 wrong_clock, good, degraded, bad, unknown, LEVEL, downs
 FROM (SELECT *, expected AS whole FROM area) area LEFT JOIN
 (SELECT regency, count(*) FILTER (down) AS downs FROM fallen GROUP BY regency)
 USING (regency)"""
_OPERATORS = """SELECT regency, operator, good, degraded, bad, unknown, expected,
 silent, LEVEL, down::INT, alone::INT FROM (SELECT *, greatest(coalesce(expected, 0),
 good + degraded + bad + unknown + silent) AS whole FROM (SELECT regency, operator,
 coalesce(good, 0) AS good, coalesce(degraded, 0) AS degraded, coalesce(bad, 0) AS bad,
 coalesce(unknown, 0) AS unknown, expected, coalesce(silent, 0) AS silent, down, alone
 FROM standing FULL JOIN tagged USING (regency, operator)))"""
_REASONS = """SELECT regency, o, word FROM (SELECT regency, {operator} AS o,
 {name} AS word, count(*) AS n FROM there
 WHERE c IN ('bad', 'degraded') GROUP BY 1, 2, 3)
 QUALIFY n = max(n) OVER (PARTITION BY regency, o)"""


def _offset_ns(record: Record) -> int | None:
    offset_ms = record.fields.get("clock_offset_ms")
    return None if offset_ms is None else int(float(offset_ms) * 1e6)


class Tally:
    """Takes lines as they arrive, and counts as of a moment."""

    def __init__(self, register: Register, at_ns: int) -> None:
        import duckdb

        self._db = duckdb.connect()
        self._seen: set[bytes] = set()
        self._db.execute("CREATE TABLE home (station TEXT, regency TEXT)")
        self._db.execute(
            "CREATE TABLE subscribed (station TEXT, regency TEXT, operator TEXT)"
        )
        self._db.execute(
            "CREATE TABLE beat (station TEXT, regency TEXT, t BIGINT, off BIGINT)"
        )
        self._db.execute(
            "CREATE TABLE judged (station TEXT, regency TEXT, operator TEXT, "
            "link TEXT, t BIGINT, c TEXT, kpi TEXT, side TEXT)"
        )
        for code in regencies():
            entries = register.stations(code, at_ns // 10**9)
            self._insert("home", [(station, code) for station in entries])
            links = {(s, code, o) for s, e in entries.items() for o in e.operators}
            self._insert("subscribed", sorted(links))

    def add(self, lines: Iterable[bytes]) -> None:
        """Add lines; a line that was added before changes nothing."""
        new = set(lines) - self._seen
        self._seen |= new
        records = [decode(line) for line in new]
        beats = [r for r in records if r.measurement == "agent"]
        self._insert(
            "beat",
            [
                (r.tags["station"], r.tags["regency"], r.time_ns, _offset_ns(r))
                for r in beats
            ],
        )
        tags = ("station", "regency", "operator", "link")
        verdicts = [
            (
                *(r.tags[name] for name in tags),
                r.time_ns,
                r.fields["class"],
                r.fields.get("kpi"),
                r.fields.get("side"),
            )
            for r in records
            if r.measurement == "verdict"
        ]
        self._insert("judged", verdicts)

    def areas(self, at_ns: int) -> dict[str, dict[str, Any]]:
        """Return the counts of stations by regency."""
        rows = self._query(_AREAS, at_ns)
        return {code: dict(zip(BY_AREA, values, strict=True)) for code, *values in rows}

    def operators(self, at_ns: int) -> dict[tuple[str, str], dict[str, Any]]:
        """Return the counts by regency and operator."""
        rows = self._query(_OPERATORS, at_ns)
        return {
            (code, operator): dict(zip(BY_OPERATOR, values, strict=True))
            for code, operator, *values in rows
        }

    def reasons(self, at_ns: int) -> dict[tuple[str, str], set[tuple[str, str]]]:
        """Return the most frequent kpi and side by regency and operator or `all`.

        They are of degraded and bad links, as (name, value); equals are all there.
        """
        most_frequent: dict[tuple[str, str], set[tuple[str, str]]] = {}
        for name in ("kpi", "side"):
            for operator in ("operator", "'all'"):
                rows = self._query(_REASONS.format(name=name, operator=operator), at_ns)
                for *area, value in rows:
                    most_frequent.setdefault(tuple(area), set()).add((name, value))
        return most_frequent

    def _query(self, query: str, at_ns: int) -> list[Any]:
        text = (_CTE + query.replace("LEVEL", _LEVEL)).format(
            at=at_ns,
            late=at_ns - LATE_S * 10**9,
            silent=at_ns - SILENT_S * 10**9,
            verdict=at_ns - VERDICT_S * 10**9,
            share=SHARE,
            outage=OUTAGE_SHARE,
            outage_min=OUTAGE_MIN,
        )
        return self._db.execute(text).fetchall()

    def _insert(self, table: str, rows: list[Any]) -> None:
        for start in range(
            0, len(rows), 500
        ):  # one row per statement would take a minute
            part = rows[start : start + 500]
            marks = f"({', '.join('?' for _ in part[0])})"
            values = [value for row in part for value in row]
            marks = ", ".join([marks] * len(part))
            self._db.execute(f"INSERT INTO {table} VALUES {marks}", values)
