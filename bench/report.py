"""Measures building an archive from line files, and its figures: `bench.report`.

`python -m bench.report 1000000 10000000 100000000` measures figures of these numbers of
readings alone. The goal for 100 million is 60 s and 4 GiB on two cores.

The lines are those of the simulator, repeated for other stations. The stages are
reading and parsing, inserting into DuckDB, and writing sorted Parquet files. The goal
is 200,000 points a second. Memory is the maximum of the whole process.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path

from bench.report_data import STATIONS as STATIONS_LARGE
from bench.report_data import write_archive
from bench.table import show
from qos_agent.archive.columns import Parser
from qos_agent.archive.manifest import read_manifest
from qos_agent.archive.sources import open_sources
from qos_agent.noc.simulator.run import Nation
from qos_agent.noc.simulator.scenario import load

SIZES = (50_000, 200_000)
STATIONS, MINUTES = 20, 15
GOAL_PER_S = 200_000


def lines(count: int) -> Iterator[bytes]:
    """Yield lines of readings; each repetition has journals of its own."""
    scenario = load("healthy", stations=STATIONS, minutes=MINUTES)
    nation = Nation(scenario, datetime.now(UTC), (1, 1))
    known = [
        line
        for batch in nation.parts()
        for lines in batch.lines.values()
        for line in lines
        if b'journal="' in line
    ]
    for number, line in enumerate(islice(cycle(known), count)):
        copy = b'journal="%d-' % (number // len(known))
        yield line.replace(b'journal="', copy, 1)


def parsing_rate(path: Path) -> float:
    """Return the lines that one core reads and parses in a second of its time."""
    parser = Parser()
    (source,) = open_sources(path)
    count, began_s = 0, time.process_time()
    for item in source.items():
        if item.line is not None:
            parser.row(item.line)
            count += 1
    return count / (time.process_time() - began_s)


def measured(*command: str, module: str = "qos_agent") -> tuple[float, float, float]:
    """Run a command in a process of its own; return seconds, CPU seconds and MiB.

    The memory is the maximum of all commands so far.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began_s = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", module, *command], check=True, capture_output=True
    )
    wall_s = time.monotonic() - began_s
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall_s, cpu_s, after.ru_maxrss / 1024


def built(path: Path, out: Path, count: int) -> tuple[str, ...]:
    """Build an archive; return a row of the table."""
    where = ("--source", str(path), "--out", str(out))
    wall_s, cpu_s, mib = measured("archive", "build", *where)
    size_bytes = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    return (
        f"{count:,}",
        f"{wall_s:.1f}",
        f"{count / wall_s:,.0f}",
        f"{cpu_s:.1f}",
        f"{count / cpu_s:,.0f}",
        f"{mib:.0f}",
        f"{size_bytes / count:.0f}",
    )


def calculated(archive: Path) -> tuple[str, ...]:
    """Calculate all figures of an archive; return a row of the table."""
    readings = sum(read_manifest(archive).readings.values())
    wall_s, cpu_s, mib = measured(str(archive), module="bench.report_data")
    size_bytes = sum(f.stat().st_size for f in archive.rglob("*") if f.is_file())
    return (
        f"{readings:,}",
        f"{wall_s:.1f}",
        f"{cpu_s:.1f}",
        f"{mib:.0f}",
        f"{size_bytes / 1e6:,.0f}",
        f"{os.getloadavg()[0]:.1f}",
    )


def figures_of(sizes: Sequence[int]) -> None:
    """Print the time and memory of figures, from the smallest archive on."""
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for size in sorted(sizes):
            folder = Path(temporary) / str(size)
            rows.append(calculated(write_archive(folder, size)))
            shutil.rmtree(folder)
    head = ("readings", "s", "CPU-s", "MiB", "MB", "load")
    show(f"figures of {STATIONS_LARGE:,} stations, {os.cpu_count()} cores", head, rows)


def main() -> None:
    """Print points a second, memory and size."""
    if sizes := [*map(int, sys.argv[1:])]:
        figures_of(sizes)
        return
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for count in SIZES:
            path = folder / f"{count}.lp"
            with path.open("wb") as file:
                file.writelines(line + b"\n" for line in lines(count))
            rows.append(built(path, folder / str(count), count))
            rate = parsing_rate(path)
        where = ("--source", str(folder / str(count)), "--out", str(folder / "report"))
        wall_s, cpu_s, _ = measured("report", *where)
    head = ("points", "s", "points/s", "CPU-s", "points/CPU-s", "MiB", "B/point")
    title = f"archive build from line files, {os.cpu_count()} cores"
    show(f"{title} (goal: {GOAL_PER_S:,} points/s)", head, rows)
    print(f"Report of {count:,} readings: {wall_s:.1f} s, {cpu_s:.1f} CPU-s.")
    print(f"Reading and parsing alone: {rate:,.0f} points per CPU-second.")


if __name__ == "__main__":
    main()
