"""How a collector grows on disk: `python -m bench.growth [STATIONS] [HOURS]`.

A simulated nation's points, an hour at a time, into a real InfluxDB 1.8 (tsi1) that
writes out and compacts as soon as nothing comes: what a day-old shard is like. Polls
close in WIB half-way, so the series are all new twice: in the first hour, and in the
first of the second half. Kept on disk: data, index and log; counted when all is still.
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
    """Points that came in each hour, and bytes on disk after it."""
    writer = Writer(section(server))
    batches = Nation(scenario(stations, hours * _MINUTES), CLOSING).run()
    # What was late beyond the end comes in minutes of its own.
    for _, hour in itertools.groupby(batches, lambda b: max(0, b.minute) // _MINUTES):
        points = 0
        for batch in hour:
            lines = [line for some in batch.lines.values() for line in some]
            writer.write(lines)
            points += len(lines)
        yield points, still_bytes(server.folder)
    writer.close()


def still_bytes(folder: Path) -> int:
    """What lies on disk once it has not changed for a while."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < _STILL_S:
        time.sleep(1)
        size = on_disk(folder)
        if size != last:
            last, since = size, time.monotonic()
    return last


def on_disk(folder: Path) -> int:
    """Blocks that are taken, not lengths: files of the log are made longer at once."""
    total = 0
    for kind in ("data", "wal"):
        for where, _, names in os.walk(folder / kind):
            for name in names:
                try:
                    total += (Path(where) / name).stat().st_blocks * 512
                except FileNotFoundError:  # compacted meanwhile
                    continue
    return total


def rows(stations: int, seen: Sequence[tuple[int, int]]) -> Iterator[tuple[str, ...]]:
    """An hour each."""
    before = 0
    for hour, (points, after) in enumerate(seen, start=1):
        more = after - before
        of_100k = more / stations * 100_000
        yield (str(hour), f"{points:,}", f"{after / 2**20:.1f}", f"{more / 2**20:.1f}",
               f"{more / points:.1f}" if points else "-",
               f"{of_100k / 2**30:.2f}")  # fmt: skip
        before = after


def main(arguments: Sequence[str] = ()) -> int:
    """Print the table."""
    numbers = [int(word) for word in arguments]
    stations, hours = [*numbers, *(STATIONS, HOURS)[len(numbers) :]]
    program = influxd.find()
    if program is None:
        print(f"{influxd.MISSING}; {influxd.MEND}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        soon = Settings(snapshot_cold_s=1, compact_cold_s=1)
        server = InfluxDB(program, Path(folder), soon)
        server.start()
        try:
            seen = list(grown(server, stations, hours))
        finally:
            server.stop()
    head = ("hour", "points", "on disk MiB", "more MiB", "bytes a point",
            "GiB an hour, 100,000 stations")  # fmt: skip
    show(f"{stations:,} stations, InfluxDB {program.version}, compacted",
         head, list(rows(stations, seen)))  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
