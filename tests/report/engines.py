"""Compares engines on the same archive: `python -m tests.report.engines sail|local[1]`.

Every whole number of every station and group must be equal. It runs in a process of its
own, because Spark and its client are large and give warnings of their own.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from qos_agent.report.comparisons import comparisons
from qos_agent.report.sums import Selection, archive_sums
from tests.archive.support import VOTING_NS
from tests.report.support import archive_of, reading, train

HOUR_NS = 3600 * 10**9


def lines() -> Iterator[bytes]:
    """Yield readings with ordinary, missing, halved and impossible values."""
    great = 2**63 - 1
    for n in range(120):
        place = {"station": f"s{n % 7}", "operator": ("xl", "telkomsel")[n % 2]}
        where = {**place, "phase": ("pre", "voting")[n // 60]}
        time_ns = VOTING_NS + (n // 7) * HOUR_NS
        yield train(n, [10 + n, 40, 90][: n % 4], lost=n % 3, time_ns=time_ns, **where)
        rate = {"rate_bps": 1e6 * n + 0.5, "tests": 1, "cpu_share": n / 100}
        yield reading("throughput", 200 + n, **rate, **where)
        seconds = {"available": n, "unavailable": n % 5}
        yield reading("verdict", 400 + n, **seconds, **where)
    yield reading("throughput", 600, tests=1, rate_bps=1e300, direction="up")
    yield reading("throughput", 601, tests=1, rate_bps=2e6, cross_flagged=1)
    yield reading("verdict", 602, available=great, unavailable=great)
    yield reading("latency", 603, slots=3, skipped=3, ok=0, failed=0, reason="paused")
    yield reading("latency", 604, slots=1, failed=1, ok=0, cause="=1+1")
    yield reading("agent", 605, beats=1, acked_le_2m=9, acked_le_1h=1)


def found(archive: Path, spark: str | None) -> list[list[Any]]:
    """Return all rows that an engine gives for an archive."""
    with archive_sums(archive, Selection(), spark=spark) as sums:
        tables = [
            sums.db.execute(f'SELECT * FROM "unit_{name}" ORDER BY ALL').fetchall()
            for name in sums.measurements
            if name in ("latency", "throughput", "verdict", "agent")
        ]
        rest: list[list[Any]] = [
            [*sums.groups()],
            [*sums.outcomes()],
            comparisons(sums, ("nation",)),
        ]
    return [*tables, *rest]


def integers(rows: Iterable[Iterable[Any]]) -> int:
    """Return the number of whole numbers in rows."""
    return sum(isinstance(value, int) for row in rows for value in row)


@contextlib.contextmanager
def address_of(engine: str) -> Iterator[str]:
    """Start Sail, which needs no Java, or return the address of Spark itself."""
    if engine != "sail":
        yield engine
        return
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer()
    server.start()
    _, port = server.listening_address
    try:
        yield f"sc://127.0.0.1:{port}"
    finally:
        server.stop()


def main(engine: str) -> int:
    """Print the number of equal integers; return 1 if anything differs."""
    with tempfile.TemporaryDirectory() as temporary, address_of(engine) as address:
        archive = archive_of(Path(temporary), lines())
        expected, got = found(archive, None), found(archive, address)
        if expected != got:
            for one, other in zip(expected, got, strict=True):
                for a, b in zip(one, other, strict=True):
                    if a != b:
                        print(f"DuckDB {a}\n{engine} {b}")
            return 1
    print(f"{engine}: {sum(map(integers, expected[:4]))} integers are equal")
    return 0


if __name__ == "__main__":
    status = main(*sys.argv[1:])
    sys.stdout.flush()
    # Threads of a client that waits for its server would keep the process alive.
    os._exit(status)
