"""The stages of `bench.noc`, each a row of steps that can be stopped between any two.

simulate: the nation's lines into files, some regencies at a time, on every core.
load: the files into the raw database, a minute at a time, and the register.
cycle: the census and the roll-ups of each minute, by a service that begins anew.
repeat: the last minute's roll-ups back over an hour.
ask: each national query.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import psutil

from bench.noc_progress import Progress, Seen
from bench.noc_queries import Question, questions, took_s
from qos_agent.line_protocol import encode, from_row
from qos_agent.noc.register.importing import stage
from qos_agent.noc.register.store import Register
from qos_agent.noc.service import Service
from qos_agent.noc.settings import NocSettings
from qos_agent.noc.simulator.population import nation, write_register
from qos_agent.noc.simulator.run import Nation
from qos_agent.noc.simulator.scenario import Scenario
from qos_agent.noc.writing import Writer
from tests.servers.database import Database
from tests.servers.influxdb import InfluxDB

STAGES = ("simulate", "load", "cycle", "repeat", "ask")
MINUTE_NS = 60 * 10**9
CLOSING = datetime.fromisoformat("2024-02-14T13:00:00+07:00")
ROLLED_MINUTES = 60
ROLLUP = "rollup"
_STATIONS_A_PART = 5_000
_PHASE = re.compile(rb",phase=[a-z]+")


def scenario(stations: int, minutes: int) -> Scenario:
    """A nation with some of each trouble, half of its minutes after polls close."""
    start = CLOSING.timestamp() - 60 * (minutes // 2)
    trouble = [
        {"kind": "core_failure", "province": "35", "operator": "telkomsel"},
        {"kind": "power_cut", "from": 1, "province": "33", "share": 0.1},
        {"kind": "never", "share": 0.01},
        {"kind": "slow_uplink", "share": 0.02, "amount": 2.0},
    ]
    return Scenario.model_validate({
        "name": "bench", "stations": stations, "minutes": minutes,
        "start": datetime.fromtimestamp(start, CLOSING.tzinfo),
        "calendar": "2024-02-14", "trouble": trouble,
    })  # fmt: skip


def simulated(wanted: Scenario, part: tuple[int, int], folder: Path) -> Seen:
    """One part's lines, a file a minute; what is late beyond the end has its own."""
    points = 0
    with_phase: set[int] = set()
    without: set[int] = set()
    for batch in Nation(wanted, CLOSING, part).run():
        path = folder / f"{batch.minute:04}-{part[0]:04}.lp.gz"
        with gzip.open(path.with_suffix(".new"), "wb", compresslevel=1) as file:
            for line in (line for some in batch.lines.values() for line in some):
                file.write(line + b"\n")
                points += 1
                series = line[: line.index(b" ")]
                with_phase.add(hash(series))
                without.add(hash(_PHASE.sub(b"", series)))
        path.with_suffix(".new").replace(path)
    return {
        "points": points, "with_phase": len(with_phase), "without": len(without),
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bench:
    """One size: its folder, what was done in it, its scenario."""

    folder: Path
    progress: Progress
    wanted: Scenario

    @property
    def start_ns(self) -> int:
        """The first minute."""
        return int(self.wanted.begins(CLOSING).timestamp()) * 10**9

    @property
    def to_ns(self) -> int:
        """The last minute's end."""
        return self.start_ns + self.wanted.minutes * MINUTE_NS

    def simulate(self) -> None:
        """All parts that are missing, on every core."""
        lines = self.folder / "lines"
        lines.mkdir(parents=True, exist_ok=True)
        of = min(514, -(-self.wanted.stations // _STATIONS_A_PART))
        missing = [
            number
            for number in range(1, of + 1)
            if not self.progress.is_done("simulate", f"{number} of {of}")
        ]
        workers = min(os.cpu_count() or 1, len(missing) or 1)
        with ProcessPoolExecutor(workers) as pool:
            began, under_way = time.monotonic(), {}
            for number in missing:
                task = pool.submit(simulated, self.wanted, (number, of), lines)
                under_way[task] = number
            try:
                for task in as_completed(under_way):
                    took = time.monotonic() - began
                    began = time.monotonic()
                    seen = task.result() | {"took_s": took}
                    name = f"{under_way[task]} of {of}"
                    self.progress.note("simulate", name, seen)
                    if len(under_way) > workers:
                        self.progress.check()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)

    def settings(self, server: InfluxDB) -> NocSettings:
        """One collector for all, and the roll-ups on the same server."""
        address = {"url": server.url, "token": "unused", "timeout": "60s"}
        return NocSettings.model_validate({
            "folder": self.folder / "noc",
            "collectors": [address | {"bucket": server.database}],
            "rollup": address | {"bucket": ROLLUP},
            "election": {"calendar": "2024-02-14"},
        })  # fmt: skip

    def load(self, server: InfluxDB) -> None:
        """The register, then each file; writing one twice changes nothing."""
        self.progress.do("load", "register", self._register)
        writer = Writer(self.settings(server).collectors[0])
        for path in sorted((self.folder / "lines").glob("*.lp.gz")):
            self.progress.do("load", path.name, partial(_loaded, writer, path))
        writer.close()

    def _register(self) -> Seen:
        shutil.rmtree(self.folder / "noc", ignore_errors=True)
        (self.folder / "noc").mkdir(parents=True)
        stations = self.folder / "noc" / "stations.csv"
        write_register(stations, nation(self.wanted))
        register = Register(self.folder / "noc" / "register.sqlite3")
        stage(register, stations, lambda _: None)
        register.apply(self.start_ns // 10**9 - 86400, close_missing=False)
        register.close()
        return {"points": 0}

    def cycle(self, server: InfluxDB) -> None:
        """The centre's work after each minute."""
        if not self.progress.of("cycle"):
            for path in (self.folder / "noc").glob("census.sqlite3*"):
                path.unlink()
            server.query(f'DROP DATABASE "{ROLLUP}"')
        server.create_database(ROLLUP)
        service = Service(self.settings(server))
        first = True
        for minute in range(1, self.wanted.minutes + 1):
            if not self.progress.is_done("cycle", str(minute)):
                at_ns = self.start_ns + minute * MINUTE_NS
                self.progress.do(
                    "cycle", str(minute),
                    partial(_cycled, service, at_ns, new=first),
                )  # fmt: skip
                first = False
        service.close()

    def repeat(self, server: InfluxDB) -> None:
        """The last minute's roll-ups and census, back over an hour."""
        rollup = server.create_database(ROLLUP)
        rows = rollup.query(
            f"SELECT * FROM /.*/ WHERE time >= {self.to_ns - MINUTE_NS} "
            f"AND time <= {self.to_ns}"
        )
        lines = [
            encode(from_row(row.pop("measurement"), row)) for row in rows if row["time"]
        ]
        writer = Writer(self.settings(server).rollup)
        for back in range(self.wanted.minutes, ROLLED_MINUTES):
            self.progress.do(
                "repeat", str(back), partial(_repeated, writer, lines, back)
            )
        writer.close()

    def ask(self, server: InfluxDB, patience_s: float) -> None:
        """Each question on each database; one that takes too long ends the server's."""
        for question, raw in self.asked():
            database = server.view if raw else server.create_database(ROLLUP)
            minutes = self.wanted.minutes if raw else ROLLED_MINUTES
            end_ns = self.to_ns + (not raw)
            query = question.about(self.to_ns - minutes * MINUTE_NS, end_ns)

            work = partial(_answered, server, database, query, patience_s)
            self.progress.do("ask", ask_name(question, raw=raw), work)

    def asked(self) -> Iterator[tuple[Question, bool]]:
        """Each question, and whether it is of raw points: roll-ups come first."""
        all_of_them = list(questions())
        yield from ((question, False) for question in all_of_them if question.rollup)
        yield from ((question, True) for question in all_of_them if question.raw)


def ask_name(question: Question, *, raw: bool) -> str:
    """How the progress calls a question."""
    return f"{'raw' if raw else 'roll-ups'}: {question.query}"


def _loaded(writer: Writer, path: Path) -> Seen:
    with gzip.open(path, "rb") as file:
        lines = file.read().splitlines()
    writer.write(lines)
    return {"points": len(lines)}


def _cycled(service: Service, at_ns: int, *, new: bool) -> Seen:
    report = service.minute(at_ns)
    return {
        "new": new, "census_s": report.census_s, "rollup_s": report.rollup_s,
        "points": report.points, "failed": report.failed,
        "own_mib": psutil.Process().memory_info().rss >> 20,
    }  # fmt: skip


def _repeated(writer: Writer, lines: list[bytes], back: int) -> Seen:
    writer.write([_earlier(line, back) for line in lines])
    return {"points": len(lines)}


def _answered(
    server: InfluxDB, database: Database, query: str, patience_s: float
) -> Seen:
    times, rows = took_s(database, query, patience_s)
    if not times:
        server.restart()  # it would go on with the question
    return {"times_s": times, "rows": rows}


def _earlier(line: bytes, minutes: int) -> bytes:
    head, _, at = line.rpartition(b" ")
    return b"%b %d" % (head, int(at) - minutes * MINUTE_NS)
