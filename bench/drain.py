"""How fast a backlog of three days drains: `python -m bench.drain [POINTS]`.

Into a real InfluxDB, by the uplink as it runs in the agent without pauses, while a
live point is stored five times a second. Beside it, in the same round: what the same
server takes of the same bodies, packed beforehand and posted by http.client over one
connection and over two. The lesser of 20,000 points a second and the better of those
is the goal, and the table says which of them it was. Server and clients share this
machine's processors; the load is that of the last minute. Medians of three.
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
LIVE_EVERY_S = 0.2
LIMIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Drained:
    """One drain: points a second, the live points' delays, memory, processor time."""

    rate: float
    live_p50_ms: float
    live_max_ms: float
    peak_mib: float
    cpu_us_per_point: float


def open_journal(folder: Path) -> Journal:
    """The journal of a folder, owed to one collector."""
    identity = Settings.model_validate({}).identity()
    return Journal.open(folder, identity, ("collector",), lambda _: Phase.PRE, LIMITS)


def fill(folder: Path, points: int) -> list[bytes]:
    """Store a backlog of the last three days; its lines."""
    clock = SystemClock(0)
    journal, state = open_journal(folder), clock.state()
    step_ns = 72 * HOUR_NS // points
    start_ns = clock.boot_ns() - 73 * HOUR_NS
    for first in range(0, points, 2000):
        rows = [varied_train(start_ns + n * step_ns, n % 5)
                for n in range(first, min(points, first + 2000))]  # fmt: skip
        journal.put(rows, state, clock.boot_id)
    lines = [line for _, line in journal.lines()]
    journal.close()
    return lines


def drain(folder: Path, url: str, bucket: str, batch: int) -> Drained:
    """In a process of its own: deliver all of it beside live points."""
    settings = Settings.model_validate({
        "collector": {"url": url, "bucket": bucket, "token": "unused"},
        "uplink": {"pause": "off", "batch": batch},
    })  # fmt: skip
    clock, stop = SystemClock(0), threading.Event()
    journal = open_journal(folder)
    backlog = journal.counts().undelivered["collector"]
    uplink = make_uplink(journal, settings, clock, stop, LinkLock())
    loop = threading.Thread(target=uplink.run)
    delays_ms: list[float] = []
    # An agent whose network comes back has long loaded the library it sends with.
    import influxdb_client  # noqa: F401

    began, cpu_s = time.perf_counter(), time.process_time()
    loop.start()
    live = threading.Thread(
        target=lambda: delays_ms.extend(_live(journal, uplink, clock, stop))
    )
    live.start()
    while _delivered_late(uplink) < backlog:
        if time.perf_counter() - began > LIMIT_S:
            raise RuntimeError("the drain did not end")
        time.sleep(0.005)
    rate = backlog / (time.perf_counter() - began)
    cpu_s = time.process_time() - cpu_s
    stop.set()
    uplink.wake()
    loop.join()
    live.join()
    uplink.close()
    journal.close()
    return Drained(rate, statistics.median(delays_ms), max(delays_ms), _peak_mib(),
                   cpu_s / backlog * 1e6)  # fmt: skip


def _live(
    journal: Journal, uplink: Uplink, clock: SystemClock, stop: threading.Event
) -> Iterator[float]:
    """Store live points until told to stop; milliseconds from commit to word."""
    for number in itertools.count(1):
        point = varied_train(clock.boot_ns(), 9)
        journal.put([point], clock.state(), clock.boot_id)
        committed = time.perf_counter()
        uplink.wake()
        while uplink.status().acknowledged.le_2m < number:
            if stop.wait(0.002):
                return
        yield (time.perf_counter() - committed) * 1000
        if stop.wait(LIVE_EVERY_S):
            return


def _delivered_late(uplink: Uplink) -> int:
    acknowledged = uplink.status().acknowledged
    return acknowledged.all - acknowledged.le_2m


def _peak_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def drained(folder: Path, server: InfluxDB, batch: int, points: int) -> Drained:
    """Drain a copy of the backlog by a process of its own; the server must have all."""
    database = server.create_database(f"drain{time.time_ns()}")
    with tempfile.TemporaryDirectory() as own:
        copy = shutil.copytree(folder, Path(own) / "journal")
        command = [sys.executable, "-m", "bench.drain", "--child", str(copy),
                   server.url, database.bucket, str(batch)]  # fmt: skip
        said = subprocess.run(command, check=True, capture_output=True, text=True)
    backlog = f"SELECT COUNT(seq) AS held FROM latency WHERE seq <= {points}"
    (row,) = database.query(backlog)
    if row["held"] != points:
        raise RuntimeError(f"the server holds {row['held']} of {points} points")
    database.drop()
    return Drained(**json.loads(said.stdout))


def taken(server: InfluxDB, bodies: Sequence[bytes], connections: int) -> float:
    """Seconds for packed bodies, posted over so many connections."""
    database = server.create_database(f"bare{time.time_ns()}")
    path = f"/api/v2/write?org=qos&bucket={database.bucket}&precision=ns"
    left, turn = iter(bodies), threading.Lock()

    def post() -> None:
        connection = http.client.HTTPConnection(server.address, server.port)
        headers = {"Authorization": "Token unused", "Content-Encoding": "gzip"}
        while True:
            with turn:
                body = next(left, None)
            if body is None:
                connection.close()
                return
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 204:
                raise RuntimeError(f"the server says {answer.status}")

    threads = [threading.Thread(target=post) for _ in range(connections)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s = time.perf_counter() - began
    database.drop()
    return took_s


def measured(
    server: InfluxDB, folder: Path, lines: Sequence[bytes], batch: int
) -> tuple[str, ...]:
    """A row: rounds of drain and ceiling by turns."""
    bodies = [pack(lines[n : n + batch]) for n in range(0, len(lines), batch)]
    drains: list[Drained] = []
    takes: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(ROUNDS):
        drains.append(drained(folder, server, batch, len(lines)))
        for connections, rates in takes.items():
            rates.append(len(lines) / taken(server, bodies, connections))
    rate = statistics.median(d.rate for d in drains)
    single, double = (statistics.median(rates) for rates in takes.values())
    most = max(single, double)
    binds = "20,000/s" if most >= GOAL else f"server's {most:.0f}/s"
    live_ms = statistics.median(d.live_p50_ms for d in drains)
    return (
        str(batch),
        spread([d.rate for d in drains], "/s", 0),
        spread(takes[1], "/s", 0),
        spread(takes[2], "/s", 0),
        f"{rate / single:.2f} / {rate / double:.2f}",
        f"{rate / min(GOAL, most):.2f} of {binds}",
        f"{live_ms:.0f} / {max(d.live_max_ms for d in drains):.0f} ms",
        f"{max(d.peak_mib for d in drains):.1f} MiB",
        f"{statistics.median(d.cpu_us_per_point for d in drains):.1f} us",
        f"{os.getloadavg()[0]:.1f}",
    )


HEAD = ("batch", "drained", "server takes, 1 connection", "2 connections",
        "ratio to 1 / 2", "goal met", "live p50 / max", "peak resident", "cpu a point",
        "load")  # fmt: skip


def main(arguments: Sequence[str] = ()) -> int:
    """Print the table."""
    if arguments and arguments[0] == "--child":
        folder, url, bucket, batch = arguments[1:]
        print(json.dumps(asdict(drain(Path(folder), url, bucket, int(batch)))))
        return 0
    points = int(arguments[0]) if arguments else 40_000
    program = influxd.find()
    if program is None:
        print(f"{influxd.MISSING}; {influxd.MEND}", file=sys.stderr)
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
