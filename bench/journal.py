"""Measures what the journal writes to the card in a day: `python -m bench.journal`.

A day of commits runs in minutes on an ext4 file system on a loop device. The columns
are the bytes that the process passed to the kernel (/proc/self/io), the bytes that
reached the device, and the same with a sync of the file system after each commit. In
real time its timers write such records too, so the last column is an upper bound.
"""

from __future__ import annotations

import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from qos_agent.journal import Journal, JournalLimits, Lane
from qos_agent.journal.tables import FILE_NAME
from qos_agent.model import Identity, Phase, Point, Value
from qos_agent.system.clock import SystemClock

IDENTITY = Identity("3171010001001", "31", "3171", "Asia/Jakarta", "pi-1")
PLACE = {"station": IDENTITY.station, "province": "31", "regency": "3171"}
LINK = {"link": "main", "operator": "telkomsel"}
DAY_MINUTES = 1440
MB = 10**6


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The minutes between latency cycles, and the number of commits in a cycle."""

    name: str
    cycle_minutes: int
    commits_a_cycle: int


RHYTHMS = (
    Rhythm("pre, one commit a minute", 5, 1),
    Rhythm("pre, one commit a train", 5, 6),
    Rhythm("voting, one commit a minute", 1, 1),
    Rhythm("voting, one commit a train", 1, 6),
)


def heartbeat(boot_ns: int) -> Point:
    """Return a heartbeat of the usual length."""
    names = (
        "beats due ok failed skipped stored acked_le_2m acked_le_1h acked_le_1d"
        " acked_older evicted uplink_bytes uplink_failures backlog_points"
        " pending_points journal_bytes quarantined_points in_memory"
    )
    fields: dict[str, Value] = dict.fromkeys(names.split(), 123)
    fields |= {
        "version": "0.1.0",
        "config_hash": "0123456789ab",
        "uptime_s": 86399.123,
        "boot_s": 90000.456,
        "clock_offset_ms": 12.345678,
    }
    return Point("agent", PLACE, fields, boot_ns)


def train(boot_ns: int, number: int) -> Point:
    """Return a latency point with its histograms."""
    fields: dict[str, Value] = {f"rtt_le_{b}": 20 for b in (20, 30, 50, 75, 100, 150)}
    fields |= {f"pdv_le_{b}": 20 for b in (1, 2, 5, 10, 20, 30, 50, 100, 200, 500)}
    fields |= {
        "sent": 20,
        "received": 20,
        "lost": 0,
        "rtt_sum_us": 412345,
        "slots": 1,
        "ok": 1,
        "failed": 0,
        "skipped": 0,
        "rtt_min_ms": 18.123456,
        "rtt_p50_ms": 20.123456,
        "rtt_p95_ms": 25.123456,
        "method": "icmp",
        "late_ms": 1.234567,
        "duration_ms": 4012.345,
        "stamps": "kernel",
        "address": "203.0.113.7",
        "data_bytes": 3360,
    }
    tags = {**PLACE, **LINK, "target": f"anchor{number}", "layer": "anchor"}
    return Point("latency", tags, fields, boot_ns)


def varied_train(boot_ns: int, number: int) -> Point:
    """Return a latency point with random values, as a radio link gives them."""
    chance = random.Random(boot_ns)
    path_ms = chance.uniform(18.0, 60.0)
    rtts_ms = sorted(path_ms + chance.expovariate(1 / 8) for _ in range(20))
    lost = int(chance.random() < 0.1)
    plain = train(boot_ns, number)
    fields = dict(plain.fields)
    for name in fields:
        kind, _, bound = name.partition("_le_")
        if bound:
            base_ms = rtts_ms[0] if kind == "pdv" else 0.0
            fields[name] = sum(rtt - base_ms <= int(bound) for rtt in rtts_ms)
    fields |= {
        "received": 20 - lost,
        "lost": lost,
        "rtt_sum_us": int(sum(rtts_ms) * 1000),
        "rtt_min_ms": rtts_ms[0],
        "rtt_p50_ms": rtts_ms[10],
        "rtt_p95_ms": rtts_ms[18],
        "late_ms": chance.random() * 5,
        "duration_ms": 4000 + chance.random() * 50,
    }
    return replace(plain, fields=fields)


def commits(rhythm: Rhythm, minute: int, boot_ns: int) -> Iterator[list[Point]]:
    """Yield the points of each commit of one minute."""
    points = [heartbeat(boot_ns)]
    if minute % rhythm.cycle_minutes == 0:
        points += [varied_train(boot_ns + n, n) for n in range(5)]
        points.append(Point("host", PLACE, {"cpu_share": 0.12}, boot_ns))
        points.append(Point("verdict", {**PLACE, **LINK}, {"good": 1}, boot_ns))
    size = len(points) if rhythm.commits_a_cycle == 1 else 1
    for start in range(0, len(points), size):
        yield points[start : start + size]


@contextmanager
def disk() -> Iterator[tuple[Path, Path]]:
    """Mount an ext4 on a loop device; yield the folder and the device's counters."""
    with tempfile.TemporaryDirectory() as folder:
        image, mount = Path(folder) / "image", Path(folder) / "mount"
        mount.mkdir()
        with image.open("wb") as file:
            file.truncate(200 * MB)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
        subprocess.run(
            ["mount", "-o", "loop,noatime", str(image), str(mount)], check=True
        )
        try:
            source = subprocess.check_output(
                ["findmnt", "-n", "-o", "SOURCE", str(mount)], text=True
            )
            yield mount, Path("/sys/block") / Path(source.strip()).name / "stat"
        finally:
            subprocess.run(["umount", "-l", str(mount)], check=True)


def prepare(folder: Path, page_bytes: int) -> None:
    """Create a file with a page size, which the journal then keeps."""
    folder.mkdir()
    with closing(sqlite3.connect(folder / FILE_NAME)) as db:
        db.execute(f"PRAGMA page_size = {page_bytes:d}")
        db.execute("PRAGMA application_id = 1")


def device_bytes(counters: Path) -> int:
    """Return the bytes written to the device since it was created."""
    return int(counters.read_text().split()[6]) * 512


def process_bytes() -> int:
    """Return the bytes that this process has passed to the kernel for writing."""
    text = Path("/proc/self/io").read_text()
    return int(text.split("\nwrite_bytes: ")[1].split()[0])


def day(
    rhythm: Rhythm, page_bytes: int, minutes: int, *, settle_disk: bool
) -> tuple[float, float, float]:
    """Return MB per day of process and device, and the median commit in ms."""
    clock, took_ms = SystemClock(0), []
    with disk() as (mount, counters):
        prepare(mount / "journal", page_bytes)
        journal = Journal.open(
            mount / "journal",
            IDENTITY,
            ("collector",),
            lambda _: Phase.PRE,
            JournalLimits(disk_reserve_bytes=0),
        )
        os.sync()
        before = process_bytes(), device_bytes(counters)
        for minute in range(minutes):
            for points in commits(rhythm, minute, minute * 60 * 10**9):
                started = time.perf_counter()
                journal.put(points, clock.state(), clock.boot_id)
                took_ms.append((time.perf_counter() - started) * 1000)
                journal.settle(journal.claim("collector", 100, Lane.FRESH))
                if settle_disk:
                    subprocess.run(["sync", "-f", str(mount)], check=True)
        journal.close()
        os.sync()
        after = process_bytes(), device_bytes(counters)
    scale = DAY_MINUTES / minutes / MB
    passed, reached = ((a - b) * scale for a, b in zip(after, before, strict=True))
    return passed, reached, statistics.median(took_ms)


def main(arguments: Sequence[str] = ()) -> int:
    """Print the table; an argument shortens the day to a number of minutes."""
    minutes = int(arguments[0]) if arguments else DAY_MINUTES
    form = "{:<30} {:>6} {:>9} {:>9} {:>9} {:>9}"
    print(form.format("MB per day", "page", "process", "device", "+ sync", "ms/commit"))
    for rhythm in RHYTHMS:
        for page_bytes in (1024, 2048, 4096):
            passed, reached, took_ms = day(
                rhythm, page_bytes, minutes, settle_disk=False
            )
            _, bound, _ = day(rhythm, page_bytes, minutes, settle_disk=True)
            figures = [f"{x:.1f}" for x in (passed, reached, bound)]
            row = form.format(rhythm.name, page_bytes, *figures, f"{took_ms:.2f}")
            print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
