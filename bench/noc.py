"""The operations centre by size: `python -m bench.noc [--stations 1000 20000 100000]`.

For each size a simulated nation, over the moment at which polls close in WIB so that
two phases are seen, goes into a real InfluxDB 1.8 (tsi1). The census and the roll-ups
of each minute are made, and timed, into a second one; then every query of the national
boards is asked, on roll-ups and on raw points. The roll-ups of the last minute are
first repeated back over an hour: roll-ups grow with time, not with stations. A query
that is not answered within `--patience` is printed as "> N s".

All is kept in `--folder`, step by step: a run that was stopped, or whose `--limit` was
over (status 75), is taken up by the same command. `--again cycle` makes that stage anew
on the same data. 100,000 stations need 12 GB on disk.

What a machine cannot hold at once is done by `--shards`: the provinces in so many
parts, each with a collector of its own, one after the other, all into one database of
roll-ups; a shard's raw points are removed when it was measured, and no query is asked
on them. The nation: `--stations 823220 --minutes 1 --shards 10`.

Ground truth beside: expected stations and points counted by the server.
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
from bench.noc_progress import Progress, Seen, TimeUpError
from bench.noc_queries import ROUNDS, questions
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
    """A server that is waited for: it has a lot to open, and to answer."""

    patience_s = SLOWLY_S

    @property
    def view(self) -> Database:
        """Its database, with more patience."""
        return replace(super().view, answer_limit_s=self.patience_s)


@dataclass(frozen=True, slots=True)
class Size:
    """One size under way."""

    program: influxd.Influxd
    folder: Path
    stations: int
    options: argparse.Namespace
    progress: Progress

    def shards(self) -> list[Shard]:
        """Its parts; where there is but one, that is the whole."""
        minutes, count = self.options.minutes, self.options.shards
        if count == 1:
            wanted = noc_stages.scenario(self.stations, minutes)
            return [Shard(self.folder, self.progress, wanted)]
        found = []
        for number, provinces in enumerate(noc_stages.shards(count), start=1):
            folder = self.folder / f"shard-{number:02}"
            folder.mkdir(exist_ok=True)
            progress = Progress(folder / "progress.jsonl", self.progress.ends_mono)
            stations = noc_stages.stations_of(provinces, self.stations)
            wanted = noc_stages.scenario(stations, minutes, provinces)
            found.append(Shard(folder, progress, wanted))
        return found

    @contextmanager
    def server(self, folder: Path) -> Iterator[PatientInfluxDB]:
        """A server on what it had before; it ends with the bench, however that ends."""
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
        """Whether to go as far as that."""
        return STAGES.index(stage) <= STAGES.index(self.options.until)

    def measure(self) -> None:
        """All that is missing, then the tables."""
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
                    for each in (rollup, server):
                        if each is not None:
                            each.patience_s = self.options.patience
                    noc_stages.ask(self.progress, rollup, server, span)
        for shard in shards:
            if rows := shard.progress.of("seen").get("table"):
                show(*title(shard), rows["rows"])
        if self.wants("ask"):
            of_queries(self)

    def measure_shard(self, shard: Shard, rollup: InfluxDB) -> None:
        """Simulate, load, count and sum; and see what it took."""
        if shard.progress.is_done("seen", "table"):
            return
        shard.simulate()
        with self.server(shard.folder / "influxdb") as server:
            if self.wants("load"):
                shard.load(server)
            if self.wants("cycle"):
                shard.cycle(server, rollup)
                shard.progress.do(
                    "seen",
                    "table",
                    lambda: {"rows": list(of_size(shard, server, rollup))},
                )
        if self.options.shards > 1 and self.wants("cycle"):
            for name in ("influxdb", "lines"):
                shutil.rmtree(shard.folder / name)


def title(shard: Shard) -> tuple[str, tuple[str, str]]:
    """Above a table of one shard."""
    where = ", ".join(shard.wanted.provinces)
    said = f"{shard.wanted.stations:,} stations, {shard.wanted.minutes} minutes"
    return (f"{said}, provinces {where}" if where else said), ("what", "seen")


def of_size(
    shard: Shard, server: InfluxDB, rollup: InfluxDB
) -> Iterator[tuple[str, str]]:
    """What the minutes cost, and how it grows."""
    progress = shard.progress
    made, cycles = progress.of("simulate").values(), progress.of("cycle").values()
    points = _sum(made, "points")
    size = sum(path.stat().st_size for path in _files(server))
    failed = sorted({province for cycle in cycles for province in cycle["failed"]})
    yield ("stations expected by the last census",
           f"{expected(shard, rollup):,} of {shard.wanted.stations:,}")  # fmt: skip
    yield "points", f"{points:,}, {points / shard.wanted.minutes:,.0f} a minute"
    for stage in STAGES[:3]:
        yield f"stage {stage}", f"{progress.total_s(stage):,.0f} s"
    yield "simulated", _rate(progress, "simulate", f"{os.cpu_count()} processes")
    yield "loaded", _rate(progress, "load", "one writer")
    yield "census, first after a start", _times(cycles, "census_s", new=True)
    yield "census, then", _times(cycles, "census_s", new=False)
    yield "roll-ups of 3 minutes", _times(cycles, "rollup_s", new=None)
    yield "processor time of the server", _times(cycles, "server_cpu_s", new=None)
    yield "questions a minute", f"{median(c['questions'] for c in cycles):,.0f}"
    yield "of these under way at once", f"at most {max(c['at_once'] for c in cycles)}"
    yield "points written a minute", f"{median(c['points'] for c in cycles):,.0f}"
    yield "provinces that failed", ", ".join(failed) or "none"
    yield "series, by the server", f"{_series(server):,}"
    yield "series with `phase`, by the lines", f"{_sum(made, 'with_phase'):,}"
    yield "series without `phase`", f"{_sum(made, 'without'):,}"
    yield "raw on disk", f"{size / 2**30:.2f} GiB, {size / points:,.0f} bytes a point"
    yield "influxd resident", f"{_resident_mib(server):,.0f} MiB"
    yield "census service resident", f"{max(c['own_mib'] for c in cycles):,} MiB"


def expected(shard: Shard, rollup: InfluxDB) -> int:
    """Stations by the last census."""
    mine = " OR ".join(f"\"province\" = '{p}'" for p in shard.wanted.provinces)
    found = rollup.query(
        'SELECT SUM("expected") AS "n" FROM "census" WHERE "operator" = \'all\' '
        f"AND time = {shard.to_ns}{f' AND ({mine})' if mine else ''}"
    )
    return int(found[0]["n"]) if found else 0


def _sum(steps: Iterable[Seen], name: str) -> int:
    return sum(int(step[name]) for step in steps)


def _rate(progress: Progress, stage: str, by: str) -> str:
    points = _sum(progress.of(stage).values(), "points")
    return f"{points / progress.total_s(stage):,.0f} points/s, {by}"


def _times(cycles: Iterable[Seen], name: str, *, new: bool | None) -> str:
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
    """The national queries."""
    seen = size.progress.of("ask")
    rows = []
    for question in {q.query: q for q in questions()}.values():
        found = [seen.get(ask_name(question, raw=raw)) for raw in (True, False)]
        said = [_said(each, size.options.patience) for each in found]
        count = next((each["rows"] for each in reversed(found) if each), 0)
        rows.append((question.board, question.panel[:40], *said, f"{count:,}"))
    head = ("board", "panel", f"raw {size.options.minutes} min s",
            f"roll-ups {ROLLED_MINUTES} min s", "rows")  # fmt: skip
    show(f"{size.stations:,} stations: national queries, median of up to {ROUNDS}",
         head, rows)  # fmt: skip
    for name in ("roll-ups", "raw"):
        mine = [v["times_s"] for k, v in seen.items() if k.startswith(f"{name}:")]
        times = [median(some) if some else float("inf") for some in mine]
        late = sum(time_s > GOAL_S for time_s in times)
        if times:
            print(
                f"on {name}: median {median(times):.3f} s, slowest "
                f"{max(times):.3f} s, {late} of {len(times)} over {GOAL_S:.0f} s"
            )


def _said(seen: Seen | None, patience_s: float) -> str:
    if seen is None:
        return "-"
    return (
        f"{median(seen['times_s']):.3f}" if seen["times_s"] else f"> {patience_s:.0f}"
    )


def wanted(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.noc")
    parser.add_argument("--stations", type=int, nargs="+", default=SIZES)
    parser.add_argument("--minutes", type=int, default=4)
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--snapshot", type=int, default=25, metavar="MIB",
                        help="the server's cache-snapshot-memory-size")  # fmt: skip
    parser.add_argument("--folder", type=Path,
                        default=Path(tempfile.gettempdir()) / "qos-bench-noc",
                        help="kept; remove it when all is done")  # fmt: skip
    parser.add_argument("--limit", type=float, default=float("inf"),
                        help="seconds, then stop between two steps")  # fmt: skip
    parser.add_argument("--again", nargs="+", choices=STAGES, default=())
    parser.add_argument("--until", choices=STAGES, default=STAGES[-1])
    parser.add_argument("--patience", type=float, default=60.0,
                        help="seconds for an answer to a query")  # fmt: skip
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] = ()) -> int:
    """Print the tables of each size."""
    options = wanted(arguments)
    program = influxd.find()
    if program is None:
        print(f"{influxd.MISSING}; {influxd.MEND}", file=sys.stderr)
        return 1
    # A server outlives a bench that is told to end, unless that ends as by an error.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    ends_mono = time.monotonic() + options.limit
    print(f"InfluxDB {program.version}, tsi1; kept in {options.folder}", flush=True)
    for stations in options.stations:
        folder = options.folder / f"{stations}-{options.minutes}"
        folder.mkdir(parents=True, exist_ok=True)
        progress = Progress(folder / "progress.jsonl", ends_mono)
        progress.forget([*options.again, "seen"] if options.again else ())
        try:
            Size(program, folder, stations, options, progress).measure()
        except TimeUpError:
            print("not finished; the same command without --again goes on",
                  file=sys.stderr)  # fmt: skip
            return UNFINISHED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
