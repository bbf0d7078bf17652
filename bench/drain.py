"""How fast a backlog drains into a real InfluxDB: `python -m bench.drain [POINTS]`.

Beside it, in the same run: what the same server takes of the same lines from one
connection with nothing else to do. The lesser of 20,000 points a second and that is
the goal. Medians of three.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from bench.journal import train
from bench.table import show, spread
from qos_agent.clock import SystemClock
from qos_agent.gate import LinkGate
from qos_agent.journal import Journal, JournalLimits
from qos_agent.model import Phase
from qos_agent.settings import CollectorSection, Settings
from qos_agent.uplink import Uplink
from qos_agent.uplink.transport import InfluxTransport
from tests.servers import influxd
from tests.servers.influxdb import InfluxDB

GOAL = 20_000
ROUNDS = 3
BATCHES = (500, 2000, 5000)


def fill(folder: Path, settings: Settings, points: int) -> tuple[Journal, float]:
    """A journal with a backlog, and how fast it was stored."""
    clock = SystemClock(0)
    limits = JournalLimits(disk_reserve_bytes=0, size_bytes=10**9)
    journal = Journal.open(
        folder, settings.identity(), ("collector",), lambda _: Phase.PRE, limits
    )
    began, start_ns = time.perf_counter(), clock.boot_ns() - 72 * 3600 * 10**9
    for first in range(0, points, 500):
        rows = [train(start_ns + first + n, n % 5) for n in range(500)]
        journal.put(rows, clock.state(), clock.boot_id)
    rate = points / (time.perf_counter() - began)
    journal.close()
    return Journal.open(
        folder, settings.identity(), ("collector",), lambda _: Phase.PRE, limits
    ), rate


def drained(server: InfluxDB, batch: int, points: int) -> tuple[float, float, float]:
    """Points a second: stored, drained, and taken by the server from a bare loop."""
    database = server.create_database(f"drain{time.time_ns()}")
    settings = Settings.model_validate({
        "collector": {"url": server.url, "bucket": database.bucket, "token": "unused"},
        "uplink": {"pause": "off", "batch": batch},
    })  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        journal, stored = fill(Path(folder), settings, points)
        lines = [line for _, line in journal.lines()]
        uplink = Uplink(
            journal, settings, SystemClock(0), threading.Event(), LinkGate()
        )
        began = time.perf_counter()
        whole = uplink.drain(300)
        rate = points / (time.perf_counter() - began)
        uplink.close()
        journal.close()
    if not whole or database.count("latency", "seq") != points:
        raise RuntimeError("the drain was not whole")
    bare = taken(server, lines, batch)
    database.drop()
    return stored, rate, bare


def taken(server: InfluxDB, lines: Sequence[bytes], batch: int) -> float:
    """Points a second of the bare loop: the same requests, no journal."""
    database = server.create_database(f"bare{time.time_ns()}")
    transport = InfluxTransport(
        CollectorSection.model_validate(
            {"url": server.url, "bucket": database.bucket, "token": "unused"}
        )
    )
    began = time.perf_counter()
    for first in range(0, len(lines), batch):
        transport.post(lines[first : first + batch], 60.0)
    rate = len(lines) / (time.perf_counter() - began)
    transport.close()
    database.drop()
    return rate


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    points = int(arguments[0]) if arguments else 40_000
    program = influxd.find()
    if program is None:
        print(f"{influxd.MISSING}; {influxd.MEND}", file=sys.stderr)
        return 1
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        server = InfluxDB(program, Path(folder)).start()
        for batch in BATCHES:
            found = [drained(server, batch, points) for _ in range(ROUNDS)]
            stored, rate, bare = zip(*found, strict=True)
            goal = min(GOAL, statistics.median(bare))
            met = statistics.median(rate) / goal
            rows.append((str(batch), spread(stored, "/s", 0), spread(rate, "/s", 0),
                         spread(bare, "/s", 0), f"{met:.2f}"))  # fmt: skip
        server.stop()
    head = ("batch", "stored", "drained", "server takes (1 connection)", "of the goal")
    show(f"{points} points into InfluxDB {program.version}", head, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
