"""The operations centre by size: `python -m bench.noc [--stations 1000 20000 100000]`.

For each size a simulated nation, over the moment at which polls close in WIB so that
two phases are seen, goes into a real InfluxDB 1.8 (tsi1). The census and the roll-ups
of each minute are made, and timed; then every query of the national boards is asked, on
raw points and on roll-ups. The roll-ups of the last minute are first repeated back over
an hour: roll-ups grow with time, not with stations. A query that is not answered within
`--patience` is printed as "> N s".

All is kept in `--folder`, step by step: a run that was stopped, or whose `--limit` was
over (status 75), is taken up by the same command. `--again cycle ask` makes these
stages anew on the same data. With all sizes it needs 12 GB on disk.

Ground truth beside: expected stations and points counted by the server.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psutil

from bench.noc_progress import Progress, Seen, TimeUpError
from bench.noc_queries import ROUNDS
from bench.noc_stages import ROLLED_MINUTES, ROLLUP, STAGES, Bench, ask_name
from bench.noc_stages import scenario as scenario_of
from bench.table import show
from tests.servers import influxd
from tests.servers.influxdb import InfluxDB

SIZES = (1_000, 20_000, 100_000)
GOAL_S = 2.0
UNFINISHED = os.EX_TEMPFAIL


def wanted(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.noc")
    parser.add_argument("--stations", type=int, nargs="+", default=SIZES)
    parser.add_argument("--minutes", type=int, default=4)
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


@contextmanager
def running(program: influxd.Influxd, folder: Path) -> Iterator[InfluxDB]:
    """The server on what it had before; it ends with the bench, however that ends."""
    server = InfluxDB(program, folder / "influxdb")
    try:
        yield server.start()
    finally:
        server.stop()


def measured(
    program: influxd.Influxd, bench: Bench, options: argparse.Namespace
) -> None:
    """All that is missing of one size, then its tables."""
    progress, at = bench.progress, STAGES.index(options.until)
    bench.simulate()
    with running(program, bench.folder) as server:
        work: dict[str, Callable[[], None]] = {
            "load": lambda: bench.load(server),
            "cycle": lambda: bench.cycle(server),
            "repeat": lambda: bench.repeat(server),
            "ask": lambda: bench.ask(server, options.patience),
        }
        for stage in STAGES[1 : at + 1]:
            work[stage]()
        if progress.of("cycle"):
            of_size(bench, server)
    if progress.of("ask"):
        of_queries(bench, options.patience)


def of_size(bench: Bench, server: InfluxDB) -> None:
    """What the minutes cost, and how it grows."""
    made = bench.progress.of("simulate").values()
    cycles = list(bench.progress.of("cycle").values())
    points, minutes = _sum(made, "points"), bench.wanted.minutes
    size = sum(p.stat().st_size for p in _files(server))
    rows = (
        ("stations expected by the last census",
         f"{expected(bench, server):,} of {bench.wanted.stations:,}"),
        ("points", f"{points:,}, {points / minutes:,.0f} a minute"),
        *((f"stage {stage}", f"{bench.progress.total_s(stage):,.0f} s")
          for stage in STAGES),
        ("simulated", _rate(bench, "simulate", f"{os.cpu_count()} processes")),
        ("loaded", _rate(bench, "load", "one writer")),
        ("census, first after a start", _times(cycles, "census_s", new=True)),
        ("census, then", _times(cycles, "census_s", new=False)),
        ("roll-ups of 3 minutes", _times(cycles, "rollup_s", new=None)),
        ("points written a minute", f"{median(c['points'] for c in cycles):,.0f}"),
        ("provinces that failed",
         ", ".join(sorted({p for c in cycles for p in c["failed"]})) or "none"),
        ("series, by the server", f"{_series(server):,}"),
        ("series with `phase`, by the lines", f"{_sum(made, 'with_phase'):,}"),
        ("series without `phase`", f"{_sum(made, 'without'):,}"),
        ("bytes a point on disk", f"{size / points:.0f}"),
        ("growth at this size", f"{size / minutes * 60 / 2**30:.2f} GiB an hour"),
        ("influxd resident", f"{_resident_mib(server):,.0f} MiB"),
        ("census service resident", f"{max(c['own_mib'] for c in cycles):,} MiB"),
    )  # fmt: skip
    title = f"{bench.wanted.stations:,} stations, {minutes} minutes"
    show(title, ("what", "seen"), rows)


def expected(bench: Bench, server: InfluxDB) -> int:
    """Stations by the last census."""
    found = server.create_database(ROLLUP).query(
        'SELECT SUM("expected") AS "n" FROM "census" '
        f"WHERE \"operator\" = 'all' AND time = {bench.to_ns}"
    )
    return int(found[0]["n"]) if found else 0


def _sum(steps: Iterable[Seen], name: str) -> int:
    return sum(int(step[name]) for step in steps)


def _rate(bench: Bench, stage: str, by: str) -> str:
    steps = bench.progress.of(stage).values()
    return (
        f"{_sum(steps, 'points') / bench.progress.total_s(stage):,.0f} points/s, {by}"
    )


def _times(cycles: Sequence[Seen], name: str, *, new: bool | None) -> str:
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
    children = psutil.Process().children()
    mine = [p for p in children if str(server.folder) in " ".join(p.cmdline())]
    return float(mine[0].memory_info().rss / 2**20)


def of_queries(bench: Bench, patience_s: float) -> None:
    """The national queries."""
    seen = bench.progress.of("ask")
    questions = {q.query: q for q, _ in bench.asked()}
    rows = []
    for question in questions.values():
        found = [seen.get(ask_name(question, raw=raw)) for raw in (True, False)]
        said = [_said(each, patience_s) for each in found]
        count = next((each["rows"] for each in reversed(found) if each), 0)
        rows.append((question.board, question.panel[:40], *said, f"{count:,}"))
    head = ("board", "panel", f"raw {bench.wanted.minutes} min s",
            f"roll-ups {ROLLED_MINUTES} min s", "rows")  # fmt: skip
    title = f"{bench.wanted.stations:,} stations: national queries"
    show(f"{title}, median of up to {ROUNDS}", head, rows)
    for name in ("roll-ups", "raw"):
        mine = [v["times_s"] for k, v in seen.items() if k.startswith(f"{name}:")]
        times = [median(some) if some else float("inf") for some in mine]
        late = sum(time_s > GOAL_S for time_s in times)
        print(f"on {name}: median {median(times):.3f} s, slowest {max(times):.3f} s, "
              f"{late} of {len(times)} over {GOAL_S:.0f} s")  # fmt: skip


def _said(seen: Seen | None, patience_s: float) -> str:
    if seen is None:
        return "-"
    return (
        f"{median(seen['times_s']):.3f}" if seen["times_s"] else f"> {patience_s:.0f}"
    )


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
        progress.forget(options.again)
        bench = Bench(folder, progress, scenario_of(stations, options.minutes))
        try:
            measured(program, bench, options)
        except TimeUpError:
            print("not finished; the same command without --again goes on",
                  file=sys.stderr)  # fmt: skip
            return UNFINISHED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
