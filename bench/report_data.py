"""An archive of generated readings for `bench.report`, written by DuckDB alone.

Building it from lines would take ten times as long and would measure the build. The
readings have the columns and the sizes of real ones, and the values come from a hash,
so that the same number of readings gives the same figures.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from qos_agent.archive.columns import READINGS, columns
from qos_agent.archive.database import quoted, text
from qos_agent.archive.manifest import FILE_NAME, ArchiveFile, Manifest, sha256_of
from qos_agent.config.places import regencies
from qos_agent.model.schema import PDV_BOUNDS_MS, RTT_BOUNDS_MS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

STATIONS = 20_000
# 12 February 2024, 00:00 in Jakarta, is the start of the first of four days.
_START_NS, _DAY_NS = 1_707_670_800 * 10**9, 86_400 * 10**9
_DAYS = 4
# Of 100 readings of a device so many are of each measurement.
_SHARES = {
    "latency": 76,
    "verdict": 10,
    "agent": 8,
    "signal": 3,
    "web": 2,
    "throughput": 1,
}
_OPERATORS = ("telkomsel", "indosat", "xl", "smartfren")
_SLOT = {"slots": "1", "ok": "(u > 20)::BIGINT", "failed": "(u <= 20)::BIGINT"}
_LINK = ("operator", "link")


def _rtt_ms() -> str:
    """Return a round-trip time that depends on the station and on the reading."""
    return "(20 + sid % 37 + u // 25)"


def _latency() -> dict[str, str]:
    rtt, received = _rtt_ms(), "(20 - lost)"
    bins = {
        f"rtt_le_{bound}": f"{received} * ({rtt} <= {bound})::BIGINT"
        for bound in RTT_BOUNDS_MS
    }
    variation = {
        f"pdv_le_{bound}": f"{received} * (u // 20 <= {bound})::BIGINT"
        for bound in PDV_BOUNDS_MS
    }
    return {
        **_SLOT,
        "target": "'anchor-' || (u % 2)",
        "layer": "CASE WHEN u % 5 = 0 THEN 'gateway' ELSE 'anchor' END",
        "sent": "20",
        "received": received,
        "lost": "lost",
        "rtt_sum_us": f"{received} * {rtt} * 1000 + u",
        "loss_burst_max": "lost",
        **bins,
        **variation,
    }


def _fields(measurement: str) -> dict[str, str]:
    """Return the expressions of a measurement's columns, over u from 0 to 999."""
    rate = "(1e6 + 1e4 * u + sid)"
    known = {
        "latency": _latency(),
        "verdict": {
            "good": "(u >= 50)::BIGINT",
            "degraded": "0",
            "bad": "(u < 50)::BIGINT",
            "unknown": "0",
            "available": "60 * (u >= 30)::BIGINT",
            "unavailable": "60 * (u < 30)::BIGINT",
        },
        "agent": {
            "beats": "1",
            "acked_le_2m": "8",
            "acked_le_1h": "(u < 100)::BIGINT",
            "acked_le_1d": "(u < 10)::BIGINT",
            "acked_older": "0",
        },
        "signal": {
            **_SLOT,
            "technology": "'lte'",
            "rsrp_sum_dbm": "-80.0 - u / 25.0",
            "rsrp_samples": "1",
            "rsrp_weak": "(u > 750)::BIGINT",
        },
        "web": {
            **_SLOT,
            "target": "'page'",
            "layer": "'application'",
            "pages": "1",
            "page_sum_ms": "300.0 + u * 1.5",
        },
        "throughput": {
            **_SLOT,
            "backend": "'http'",
            "direction": "CASE WHEN u % 2 = 0 THEN 'down' ELSE 'up' END",
            "tests": "1",
            "rate_bps": rate,
            "rate_ge_5": f"({rate} >= 5e6)::BIGINT",
            "cross_flagged": "(u < 40)::BIGINT",
            "loaded_received": "20",
            "loaded_rtt_sum_us": "20 * (50000 + u * 100)",
        },
    }
    return known[measurement]


@dataclass(frozen=True, slots=True)
class _Part:
    """The readings of one file: a measurement, a day, and the stations of a province.

    Each station has `count` readings a day.
    """

    measurement: str
    day: int
    province: str
    count: int

    @property
    def start_ns(self) -> int:
        """The start of the day."""
        return _START_NS + self.day * _DAY_NS


def write_archive(folder: Path, readings: int, stations: int = STATIONS) -> Path:
    """Write an archive of about this many readings; return its folder."""
    folder.mkdir(parents=True)
    with duckdb.connect() as db:
        db.execute("SET threads = 2; SET memory_limit = '2GB'")
        db.execute("SET enable_progress_bar = false")
        _stations(db, stations)
        daily = max(8, readings // (stations * _DAYS))
        files = [_written(db, folder, part) for part in _parts(db, daily)]
    counts: dict[str, int] = {}
    for file in files:
        counts[file.measurement] = counts.get(file.measurement, 0) + file.readings
    manifest = Manifest(tuple(files), readings=counts)
    (folder / FILE_NAME).write_text(manifest.to_text(), encoding="utf-8")
    return folder


def _stations(db: DuckDBPyConnection, count: int) -> None:
    places = [*regencies().values()]
    rows = [
        (number, f"{place.code}{number:09d}", place.province, place.code)
        for number in range(count)
        for place in (places[number % len(places)],)
    ]
    db.execute("CREATE TABLE known (sid BIGINT, station TEXT, area TEXT, place TEXT)")
    values = ", ".join(f"({n}, '{s}', '{a}', '{p}')" for n, s, a, p in rows)
    db.execute(f"INSERT INTO known VALUES {values}")


def _parts(db: DuckDBPyConnection, daily: int) -> Iterator[_Part]:
    found = db.execute("SELECT DISTINCT area FROM known ORDER BY area").fetchall()
    for measurement, share in _SHARES.items():
        for day in range(_DAYS):
            for (province,) in found:
                yield _Part(measurement, day, province, max(1, daily * share // 100))


def _written(db: DuckDBPyConnection, folder: Path, part: _Part) -> ArchiveFile:
    """Write one file of the archive."""
    path = f"{part.measurement}/2024-02-{12 + part.day}/{part.province}/a.parquet"
    target = folder / path
    target.parent.mkdir(parents=True)
    (written,) = db.execute(
        f"COPY ({_query(part)}) TO {text(target)}"
        " (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 40960)"
    ).fetchall()[0]
    size_bytes = target.stat().st_size
    return ArchiveFile(path, int(written), size_bytes, sha256_of(target))


def _query(part: _Part) -> str:
    """Return the query of a file: every column of the archive, most of them empty."""
    step_ns = _DAY_NS // part.count
    listed = ", ".join(map(text, _OPERATORS))
    values = {
        "time_ns": f"{part.start_ns} + n * {step_ns} + sid",
        "station": "station",
        "province": text(part.province),
        "regency": "place",
        "phase": f"CASE WHEN n < {part.count} // 2 THEN 'voting' ELSE 'counting' END"
        if part.day == _DAYS - 2
        else text("pre" if part.day < _DAYS - 2 else "post"),
        "link": "'main'",
        "operator": f"([{listed}])[1 + sid % {len(_OPERATORS)}]",
        "journal": "'j' || sid",
        "seq": f"{part.day} * 1000000 + n",
        **_fields(part.measurement),
    }
    kinds = columns(READINGS[part.measurement])
    chosen = ", ".join(
        f"({values.get(name, 'NULL')})::{kind} AS {quoted(name)}"
        for name, kind in kinds.items()
    )
    salt = f"{part.day} * 7919 + {len(part.measurement)}"
    return (
        f"SELECT {chosen} FROM (SELECT *, (u < 300)::BIGINT * (u % 4) AS lost FROM"
        f" (SELECT *, (hash(sid * 100003 + n + {salt}) % 1000)::BIGINT AS u FROM known,"
        f" range({part.count}) AS r(n) WHERE area = {text(part.province)}))"
        " ORDER BY station, time_ns"
    )


def main(archive: str) -> None:
    """Calculate all figures of an archive, and print their number."""
    from qos_agent.report.sums import Selection, archive_sums
    from qos_agent.report.tables import figures

    began_s = time.monotonic()
    with archive_sums(Path(archive), Selection()) as sums:
        print(f"sums after {time.monotonic() - began_s:.1f} s")
        rows = figures(sums.groups(), is_random=True)
        print(f"{len(rows)} figures after {time.monotonic() - began_s:.1f} s")
        outcomes = [*sums.outcomes()]
    print(f"{len(outcomes)} outcomes after {time.monotonic() - began_s:.1f} s")
    memory_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{time.process_time():.1f} CPU-s, {memory_mib:.0f} MiB")


if __name__ == "__main__":
    main(*sys.argv[1:])
