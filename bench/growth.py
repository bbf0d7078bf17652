"""Measures how a collector grows on disk: `python -m bench.growth [STATIONS] [HOURS]`.

The points of a simulated nation are written hour by hour into a real InfluxDB 1.8
(tsi1). It writes out and compacts as soon as no points arrive, so its files are like
those of a day-old shard. Polls close in WIB in the middle. So all series are new in
the first hour, and again in the first hour of the second half. The size on disk is
data, index and log, measured when it no longer changes.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.noc_stages import CLOSING, scenario, section
from bench.table import show
from qos_agent.influx.writer import Writer
from qos_agent.noc.simulator.run import Nation
from tests.servers import influxd
from tests.servers.influxdb import InfluxDB, Settings

STATIONS, HOURS = 300, 8
_STILL_S = 20.0
_MINUTES = 60


def grown(server: InfluxDB, stations: int, hours: int) -> Iterator[tuple[int, int]]:
    """Yield the points of each hour and the bytes on disk after it."""
    writer = Writer(section(server))
    batches = Nation(scenario(stations, hours * _MINUTES), CLOSING).run()
    # Points that are late beyond the end come in later minutes.
    for _, hour in itertools.groupby(batches, lambda b: max(0, b.minute) // _MINUTES):
        points = 0
        for batch in hour:
            lines = list(itertools.chain.from_iterable(batch.lines.values()))
            writer.write(lines)
            points += len(lines)
        yield points, still_bytes(server.folder)
    writer.close()


def still_bytes(folder: Path) -> int:
    """Return the size on disk once it has not changed for a while."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < _STILL_S:
        time.sleep(1)
        size = on_disk(folder)
        if size != last:
            last, since = size, time.monotonic()
    return last


def on_disk(folder: Path) -> int:
    """Return the size of used blocks; the log's files are created longer than used."""
    total = 0
    for kind in ("data", "wal"):
        for parent, _, names in os.walk(folder / kind):
            for name in names:
                try:
                    total += (Path(parent) / name).stat().st_blocks * 512
                except FileNotFoundError:  # compaction removed it
                    continue
    return total


def rows(stations: int, sizes: Sequence[tuple[int, int]]) -> Iterator[tuple[str, ...]]:
    """Yield a table row for each hour."""
    before = 0
    for hour, (points, after) in enumerate(sizes, start=1):
        growth = after - before
        of_100k = growth / stations * 100_000
        yield (
            str(hour),
            f"{points:,}",
            f"{after / 2**20:.1f}",
            f"{growth / 2**20:.1f}",
            f"{growth / points:.1f}" if points else "-",
            f"{of_100k / 2**30:.2f}",
        )
        before = after


def main(arguments: Sequence[str] = ()) -> int:
    """Print the table."""
    numbers = [int(word) for word in arguments]
    stations, hours = [*numbers, *(STATIONS, HOURS)[len(numbers) :]]
    program = influxd.find()
    if program is None:
        print(f"{influxd.MISSING}; {influxd.INSTALL}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(snapshot_cold_s=1, compact_cold_s=1)
        server = InfluxDB(program, Path(folder), settings)
        server.start()
        try:
            sizes = list(grown(server, stations, hours))
        finally:
            server.stop()
    head = (
        "hour",
        "points",
        "on disk MiB",
        "growth MiB",
        "bytes per point",
        "GiB per hour, 100,000 stations",
    )
    title = f"{stations:,} stations, InfluxDB {program.version}, compacted"
    show(title, head, list(rows(stations, sizes)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
