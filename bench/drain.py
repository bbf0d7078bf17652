"""Measures how fast a backlog drains: `python -m bench.drain [POINTS]`.

The backlog covers three days. The agent's uplink sends it without pauses to a real
InfluxDB, while a fresh point is stored five times a second. In the same round,
http.client posts the same prepared bodies to the same server, over one connection and
over two. The goal is the lower of 20,000 points a second and the better of these two
rates; the table shows which one applies. Server and clients share the processors of
this machine. The load is that of the last minute. All figures are medians of three.
"""

from __future__ import annotations

import http.client
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.journal import varied_train
from bench.table import show, spread
from qos_agent.config.settings import Settings
from qos_agent.influx.transport import pack
from qos_agent.journal import Journal, JournalLimits
from qos_agent.model import Phase
from qos_agent.system.clock import SystemClock
from qos_agent.system.link_lock import LinkLock
from qos_agent.uplink import Uplink
from tests.servers import influxd
from tests.servers.influxdb import InfluxDB
from tests.uplink.support import make_uplink

GOAL = 20_000
ROUNDS = 3
BATCHES = (500, 2000, 5000)
LIMITS = JournalLimits(disk_reserve_bytes=0, size_bytes=10**9)
HOUR_NS = 3600 * 10**9
FRESH_EVERY_S = 0.2
LIMIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Drained:
    """The rate of one drain, the delays of fresh points, memory and processor time."""

    rate: float
    fresh_p50_ms: float
    fresh_max_ms: float
    peak_mib: float
    cpu_us_per_point: float


def open_journal(folder: Path) -> Journal:
    """Open the journal of a folder with one collector."""
    identity = Settings.model_validate({}).identity()
    return Journal.open(folder, identity, ("collector",), lambda _: Phase.PRE, LIMITS)


def fill(folder: Path, points: int) -> list[bytes]:
    """Store a backlog of the last three days and return its lines."""
    clock = SystemClock(0)
    journal, state = open_journal(folder), clock.state()
    step_ns = 72 * HOUR_NS // points
    start_ns = clock.boot_ns() - 73 * HOUR_NS
    for first in range(0, points, 2000):
        rows = [
            varied_train(start_ns + n * step_ns, n % 5)
            for n in range(first, min(points, first + 2000))
        ]
        journal.put(rows, state, clock.boot_id)
    lines = [line for _, line in journal.lines()]
    journal.close()
    return lines


def drain(folder: Path, url: str, bucket: str, batch: int) -> Drained:
    """Deliver the backlog together with fresh points, in a separate process."""
    settings = Settings.model_validate(
        {
            "collector": {
                "url": url,
                "bucket": bucket,
                "token": "unused",
                "insecure": True,
            },
            "uplink": {"pause": "off", "batch": batch},
        }
    )
    clock, stop = SystemClock(0), threading.Event()
    journal = open_journal(folder)
    backlog = journal.counts().undelivered["collector"]
    uplink = make_uplink(journal, settings, clock, stop, LinkLock())
    loop = threading.Thread(target=uplink.run)
    delays_ms: list[float] = []
    # An agent has loaded this library long before its network returns.
    import influxdb_client  # noqa: F401

    started, cpu_s = time.perf_counter(), time.process_time()
    loop.start()
    fresh = threading.Thread(
        target=lambda: delays_ms.extend(_put_fresh(journal, uplink, clock, stop))
    )
    fresh.start()
    while _delivered_late(uplink) < backlog:
        if time.perf_counter() - started > LIMIT_S:
            raise RuntimeError("the drain did not end")
        time.sleep(0.005)
    rate = backlog / (time.perf_counter() - started)
    cpu_s = time.process_time() - cpu_s
    stop.set()
    uplink.wake()
    loop.join()
    fresh.join()
    uplink.close()
    journal.close()
    return Drained(
        rate,
        statistics.median(delays_ms),
        max(delays_ms),
        _peak_mib(),
        cpu_s / backlog * 1e6,
    )


def _put_fresh(
    journal: Journal, uplink: Uplink, clock: SystemClock, stop: threading.Event
) -> Iterator[float]:
    """Store fresh points until `stop`; yield milliseconds to the acknowledgement."""
    for number in itertools.count(1):
        point = varied_train(clock.boot_ns(), 9)
        journal.put([point], clock.state(), clock.boot_id)
        committed = time.perf_counter()
        uplink.wake()
        while uplink.status().acknowledged.le_2m < number:
            if stop.wait(0.002):
                return
        yield (time.perf_counter() - committed) * 1000
        if stop.wait(FRESH_EVERY_S):
            return


def _delivered_late(uplink: Uplink) -> int:
    acknowledged = uplink.status().acknowledged
    return acknowledged.all - acknowledged.le_2m


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def drained(folder: Path, server: InfluxDB, batch: int, points: int) -> Drained:
    """Drain a copy of the backlog in a separate process; the server must have all."""
    database = server.create_database(f"drain{time.time_ns()}")
    with tempfile.TemporaryDirectory() as parent:
        copy = shutil.copytree(folder, Path(parent) / "journal")
        child = [sys.executable, "-m", "bench.drain", "--child"]
        arguments = [str(copy), server.url, database.bucket, str(batch)]
        run = subprocess.run(
            [*child, *arguments], check=True, capture_output=True, text=True
        )
    backlog = f"SELECT COUNT(seq) AS held FROM latency WHERE seq <= {points}"
    (row,) = database.query(backlog)
    if row["held"] != points:
        raise RuntimeError(f"the server has {row['held']} of {points} points")
    database.drop()
    return Drained(**json.loads(run.stdout))


def post_all(server: InfluxDB, bodies: Sequence[bytes], connections: int) -> float:
    """Return the seconds to post packed bodies over a number of connections."""
    database = server.create_database(f"bare{time.time_ns()}")
    path = f"/api/v2/write?org=qos&bucket={database.bucket}&precision=ns"
    remaining, lock = iter(bodies), threading.Lock()

    def post() -> None:
        connection = http.client.HTTPConnection(server.address, server.port)
        headers = {"Authorization": "Token unused", "Content-Encoding": "gzip"}
        while True:
            with lock:
                body = next(remaining, None)
            if body is None:
                connection.close()
                return
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            response.read()
            if response.status != 204:
                raise RuntimeError(f"the server returned {response.status}")

    threads = [threading.Thread(target=post) for _ in range(connections)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s = time.perf_counter() - started
    database.drop()
    return took_s


def measured(
    server: InfluxDB, folder: Path, lines: Sequence[bytes], batch: int
) -> tuple[str, ...]:
    """Return a table row of alternate drains and direct posts."""
    bodies = [pack(lines[n : n + batch]) for n in range(0, len(lines), batch)]
    drains: list[Drained] = []
    posts: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        drains.append(drained(folder, server, batch, len(lines)))
        for connections, rates in posts.items():
            rates.append(len(lines) / post_all(server, bodies, connections))
    rate = statistics.median(d.rate for d in drains)
    single, double = (statistics.median(rates) for rates in posts.values())
    server_rate = max(single, double)
    goal = "20,000/s" if server_rate >= GOAL else f"server's {server_rate:.0f}/s"
    fresh_ms = statistics.median(d.fresh_p50_ms for d in drains)
    return (
        str(batch),
        spread([d.rate for d in drains], "/s", 0),
        spread(posts[1], "/s", 0),
        spread(posts[2], "/s", 0),
        f"{rate / single:.2f} / {rate / double:.2f}",
        f"{rate / min(GOAL, server_rate):.2f} of {goal}",
        f"{fresh_ms:.0f} / {max(d.fresh_max_ms for d in drains):.0f} ms",
        f"{max(d.peak_mib for d in drains):.1f} MiB",
        f"{statistics.median(d.cpu_us_per_point for d in drains):.1f} us",
        f"{os.getloadavg()[0]:.1f}",
    )


HEAD = (
    "batch",
    "drained",
    "direct posts, 1 connection",
    "2 connections",
    "ratio to 1 / 2",
    "share of the goal",
    "fresh p50 / max",
    "peak resident",
    "cpu per point",
    "load",
)


def main(arguments: Sequence[str] = ()) -> int:
    """Print the table."""
    if arguments and arguments[0] == "--child":
        folder, url, bucket, batch = arguments[1:]
        print(json.dumps(asdict(drain(Path(folder), url, bucket, int(batch)))))
        return 0
    points = int(arguments[0]) if arguments else 40_000
    program = influxd.find()
    if program is None:
        print(f"{influxd.MISSING}; {influxd.INSTALL}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as data, tempfile.TemporaryDirectory() as folder:
        server = InfluxDB(program, Path(data)).start()
        lines = fill(Path(folder), points)
        rows = [measured(server, Path(folder), lines, batch) for batch in BATCHES]
        server.stop()
    title = f"{points} points into InfluxDB {program.version}, n {ROUNDS}"
    show(title, HEAD, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
