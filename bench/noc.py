"""Measures the operations centre by size.

Usage: `python -m bench.noc [--stations 1000 20000 100000]`.

For each size, the points of a simulated nation are written to a real InfluxDB 1.8
(tsi1). The minutes are around the close of polls in WIB, so that there are two phases.
The census and the roll-ups of each minute are calculated and timed, and written to a
second server. Then every query of the national dashboards runs on the roll-ups and on
raw points. Before, the roll-ups of the last minute are copied back over an hour,
because roll-ups grow with time, not with stations. A query without an answer within
`--patience` is printed as "> N s".

Every finished step is kept in `--folder`. A run that was stopped, or whose `--limit`
was over (status 75), is continued by the same command. `--again cycle` repeats that
stage on the same data. 100,000 stations need 12 GB on disk.

`--shards` splits the provinces into parts for sizes that do not fit the machine. Each
part has its own collector, one after the other, and all write to one roll-up database.
The raw points of a part are removed after its measurement, so no query runs on them.
The whole nation: `--stations 823220 --minutes 1 --shards 10`.

As ground truth, the table has the expected stations and points counted by the server.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from bench import noc_stages
from bench.noc_progress import Progress, Result, TimeUpError
from bench.noc_queries import ROUNDS, panel_queries
from bench.noc_stages import ROLLED_MINUTES, STAGES, Shard, ask_name
from bench.table import show
from tests.servers import influxd
from tests.servers.database import Database
from tests.servers.influxdb import InfluxDB, Settings

SIZES = (1_000, 20_000, 100_000)
GOAL_S = 2.0
UNFINISHED = os.EX_TEMPFAIL
SLOWLY_S = 600.0


class PatientInfluxDB(InfluxDB):
    """A server with long time limits, for its start and for its answers."""

    patience_s = SLOWLY_S

    @property
    def view(self) -> Database:
        """The server's database with a longer timeout."""
        return replace(super().view, answer_limit_s=self.patience_s)


@dataclass(frozen=True, slots=True)
class Size:
    """The measurement of one size."""

    program: influxd.Influxd
    folder: Path
    stations: int
    options: argparse.Namespace
    progress: Progress

    def shards(self) -> list[Shard]:
        """Return its parts; with `--shards 1` the whole nation."""
        minutes, count = self.options.minutes, self.options.shards
        if count == 1:
            scenario = noc_stages.scenario(self.stations, minutes)
            return [Shard(self.folder, self.progress, scenario)]
        shards = []
        for number, provinces in enumerate(noc_stages.shards(count), start=1):
            folder = self.folder / f"shard-{number:02}"
            folder.mkdir(exist_ok=True)
            progress = Progress(folder / "progress.jsonl", self.progress.ends_mono)
            stations = noc_stages.stations_of(provinces, self.stations)
            scenario = noc_stages.scenario(stations, minutes, provinces)
            shards.append(Shard(folder, progress, scenario))
        return shards

    @contextmanager
    def server(self, folder: Path) -> Iterator[PatientInfluxDB]:
        """Start a server on its earlier data, and stop it however the bench ends."""
        settings = Settings(
            start_limit_s=SLOWLY_S,
            cache_snapshot_bytes=self.options.snapshot * 2**20,
        )
        server = PatientInfluxDB(self.program, folder, settings)
        try:
            server.start()
            yield server
        finally:
            server.stop()

    def wants(self, stage: str) -> bool:
        """Return True if the options include a stage."""
        return STAGES.index(stage) <= STAGES.index(self.options.until)

    def measure(self) -> None:
        """Run all steps that are missing, then print the tables."""
        shards = self.shards()
        with self.server(self.folder / "rollups") as rollup:
            for shard in shards:
                self.measure_shard(shard, rollup)
            if self.wants("repeat"):
                whole = shards[0]
                span = (whole.start_ns, whole.to_ns)
                noc_stages.repeat(
                    self.progress, rollup, self.options.minutes, whole.to_ns
                )
            if self.wants("ask"):
                one = len(shards) == 1
                raw = self.server(self.folder / "influxdb") if one else nullcontext()
                with raw as server:
                    for running in (rollup, server):
                        if running is not None:
                            running.patience_s = self.options.patience
                    noc_stages.ask(self.progress, rollup, server, span)
        for shard in shards:
            if rows := shard.progress.of("summary").get("table"):
                show(*title(shard), rows["rows"])
        if self.wants("ask"):
            of_queries(self)

    def measure_shard(self, shard: Shard, rollup: InfluxDB) -> None:
        """Simulate, load, count and sum one shard, and keep its table."""
        if shard.progress.is_done("summary", "table"):
            return
        shard.simulate()
        with self.server(shard.folder / "influxdb") as server:
            if self.wants("load"):
                shard.load(server)
            if self.wants("cycle"):
                shard.cycle(server, rollup)
                shard.progress.do(
                    "summary",
                    "table",
                    lambda: {"rows": list(of_size(shard, server, rollup))},
                )
        if self.options.shards > 1 and self.wants("cycle"):
            for name in ("influxdb", "lines"):
                shutil.rmtree(shard.folder / name)


def title(shard: Shard) -> tuple[str, tuple[str, str]]:
    """Return the title and the head of one shard's table."""
    provinces = ", ".join(shard.scenario.provinces)
    size = f"{shard.scenario.stations:,} stations, {shard.scenario.minutes} minutes"
    text = f"{size}, provinces {provinces}" if provinces else size
    return text, ("figure", "value")


def of_size(
    shard: Shard, server: InfluxDB, rollup: InfluxDB
) -> Iterator[tuple[str, str]]:
    """Yield the cost of the minutes and the size of the data."""
    progress = shard.progress
    parts, cycles = progress.of("simulate").values(), progress.of("cycle").values()
    points = _sum(parts, "points")
    size = sum(path.stat().st_size for path in _files(server))
    failed = sorted({province for cycle in cycles for province in cycle["failed"]})
    stations = f"{expected(shard, rollup):,} of {shard.scenario.stations:,}"
    yield "stations expected by the last census", stations
    yield "points", f"{points:,}, {points / shard.scenario.minutes:,.0f} per minute"
    for stage in STAGES[:3]:
        yield f"stage {stage}", f"{progress.total_s(stage):,.0f} s"
    yield "simulated", _rate(progress, "simulate", f"{os.cpu_count()} processes")
    yield "loaded", _rate(progress, "load", "one writer")
    yield "census, first after a start", _times(cycles, "census_s", new=True)
    yield "census, then", _times(cycles, "census_s", new=False)
    yield "roll-ups of 3 minutes", _times(cycles, "rollup_s", new=None)
    yield "processor time of the server", _times(cycles, "server_cpu_s", new=None)
    yield "queries per minute", f"{median(c['queries'] for c in cycles):,.0f}"
    yield "queries at the same time", f"at most {max(c['at_once'] for c in cycles)}"
    yield "points written per minute", f"{median(c['points'] for c in cycles):,.0f}"
    yield "provinces that failed", ", ".join(failed) or "none"
    yield "series, by the server", f"{_series(server):,}"
    yield "series with `phase`, by the lines", f"{_sum(parts, 'with_phase'):,}"
    yield "series without `phase`", f"{_sum(parts, 'without'):,}"
    yield "raw on disk", f"{size / 2**30:.2f} GiB, {size / points:,.0f} bytes per point"
    yield "influxd resident", f"{_resident_mib(server):,.0f} MiB"
    yield "census service resident", f"{max(c['own_mib'] for c in cycles):,} MiB"


def expected(shard: Shard, rollup: InfluxDB) -> int:
    """Return the number of stations expected by the last census."""
    codes = shard.scenario.provinces
    only = " OR ".join(f"\"province\" = '{code}'" for code in codes)
    rows = rollup.query(
        'SELECT SUM("expected") AS "n" FROM "census" WHERE "operator" = \'all\' '
        f"AND time = {shard.to_ns}{f' AND ({only})' if only else ''}"
    )
    return int(rows[0]["n"]) if rows else 0


def _sum(steps: Iterable[Result], name: str) -> int:
    return sum(int(step[name]) for step in steps)


def _rate(progress: Progress, stage: str, by: str) -> str:
    points = _sum(progress.of(stage).values(), "points")
    return f"{points / progress.total_s(stage):,.0f} points/s, {by}"


def _times(cycles: Iterable[Result], name: str, *, new: bool | None) -> str:
    times = [c[name] for c in cycles if new is None or c["new"] is new]
    if not times:
        return "-"
    return f"{median(times):.2f} s (n {len(times)}, at most {max(times):.2f})"


def _series(server: InfluxDB) -> int:
    rows = server.query("SHOW SERIES EXACT CARDINALITY")
    return sum(int(row["count"]) for row in rows)


def _files(server: InfluxDB) -> Iterator[Path]:
    for kind in ("data", "wal"):
        folder = server.folder / kind / server.database
        yield from (path for path in folder.rglob("*") if path.is_file())


def _resident_mib(server: InfluxDB) -> float:
    return float(noc_stages.process(server).memory_info().rss / 2**20)


def of_queries(size: Size) -> None:
    """Print the table of the national queries."""
    steps = size.progress.of("ask")
    rows = []
    for panel in {p.query: p for p in panel_queries()}.values():
        results = [steps.get(ask_name(panel, raw=raw)) for raw in (True, False)]
        times = [_time_text(result, size.options.patience) for result in results]
        count = next((result["rows"] for result in reversed(results) if result), 0)
        rows.append((panel.board, panel.panel[:40], *times, f"{count:,}"))
    raw_head = f"raw {size.options.minutes} min s"
    head = ("board", "panel", raw_head, f"roll-ups {ROLLED_MINUTES} min s", "rows")
    title = f"{size.stations:,} stations: national queries, median of up to {ROUNDS}"
    show(title, head, rows)
    for name in ("roll-ups", "raw"):
        rounds = [v["times_s"] for k, v in steps.items() if k.startswith(f"{name}:")]
        times_s = [median(times) if times else float("inf") for times in rounds]
        late = sum(time_s > GOAL_S for time_s in times_s)
        if times_s:
            print(
                f"on {name}: median {median(times_s):.3f} s, slowest "
                f"{max(times_s):.3f} s, {late} of {len(times_s)} over {GOAL_S:.0f} s"
            )


def _time_text(result: Result | None, patience_s: float) -> str:
    if result is None:
        return "-"
    times_s = result["times_s"]
    return f"{median(times_s):.3f}" if times_s else f"> {patience_s:.0f}"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.noc")
    parser.add_argument("--stations", type=int, nargs="+", default=SIZES)
    parser.add_argument("--minutes", type=int, default=4)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument(
        "--snapshot",
        type=int,
        default=25,
        metavar="MIB",
        help="cache-snapshot-memory-size of the server",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "qos-bench-noc",
        help="folder of data and results; not removed at the end",
    )
    parser.add_argument(
        "--limit",
        type=float,
        default=float("inf"),
        help="seconds after which to stop between two steps",
    )
    parser.add_argument("--again", nargs="+", choices=STAGES, default=())
    parser.add_argument("--until", choices=STAGES, default=STAGES[-1])
    parser.add_argument(
        "--patience", type=float, default=60.0, help="timeout of a query in seconds"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] = ()) -> int:
    """Measure each size and print its tables; return the exit status."""
    options = parse(arguments)
    program = influxd.find()
    if program is None:
        print(f"{influxd.MISSING}; {influxd.INSTALL}", file=sys.stderr)
        return 1
    # Without an exception, SIGTERM would end the bench and leave its servers running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    ends_mono = time.monotonic() + options.limit
    print(f"InfluxDB {program.version}, tsi1; results in {options.folder}", flush=True)
    for stations in options.stations:
        folder = options.folder / f"{stations}-{options.minutes}"
        folder.mkdir(parents=True, exist_ok=True)
        progress = Progress(folder / "progress.jsonl", ends_mono)
        progress.forget([*options.again, "summary"] if options.again else ())
        try:
            Size(program, folder, stations, options, progress).measure()
        except TimeUpError:
            message = "not finished; run it again without --again to continue"
            print(message, file=sys.stderr)
            return UNFINISHED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
