"""The nation lives: past hours at once, so that boards are full, then by the clock.

The simulator and the census go in step, minute by minute, in one process: a minute's
points are delivered, then counted. Each start is a new drill; what an earlier one left
in the two databases is dropped.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from deploy.demo.drill import RAW_DB, ROLLUP_DB, days_before, planned, prepare
from qos_agent.influx.query import Server
from qos_agent.influx.writer import Writer
from qos_agent.noc.register.importing import stage
from qos_agent.noc.register.store import Register
from qos_agent.noc.service.service import Service
from qos_agent.noc.settings import NocSettings
from qos_agent.noc.simulator.population import write_register
from qos_agent.noc.simulator.run import Batch, Nation
from qos_agent.noc.simulator.scenario import Scenario

_log = logging.getLogger(__name__)
Say = Callable[[str], object]
_MINUTE_NS = 60 * 10**9
_RETENTION = "365d"


class Drill:
    """One drill under way: who lives in it, where its points go, who counts them."""

    def __init__(
        self, folder: Path, url: str, plan: Scenario, now: datetime | None = None
    ) -> None:
        self._now = now or datetime.now(UTC)
        _forget(folder)
        self.scenario, self.settings = prepare(folder, url, plan, self._now)
        _empty(self.settings)
        self.nation = Nation(self.scenario, self._now)
        _register(folder, self.nation, days_before(self.scenario, self._now))
        self._writer = Writer(self.settings.collectors[0])
        self.service = Service(self.settings)

    def close(self) -> None:
        """Close connections and files."""
        self.service.close()
        self._writer.close()

    def before(self) -> None:
        """The days before, which give the baseline."""
        earlier = Nation(days_before(self.scenario, self._now), self._now)
        for batch in earlier.run():
            self._deliver(batch)
        end_ns = earlier.start_ns + earlier.scenario.minutes * _MINUTE_NS
        self._sum(earlier.start_ns, end_ns)

    def minutes(self, wait: Callable[[float], object]) -> Iterator[int]:
        """Each minute, delivered and counted; how many behind the clock it was.

        Past minutes get their census alone. Their sums are made at once, when the
        clock has been caught up with: that is a third of the work.
        """
        caught_up = False
        for batch in self.nation.run():
            wait(max(0.0, batch.ends_ns / 1e9 - time.time()))
            behind = (time.time_ns() - batch.ends_ns) // _MINUTE_NS
            self._deliver(batch)
            if behind > 1 and not caught_up:
                self._count(batch.ends_ns)
            elif not caught_up:
                self._sum(self.nation.start_ns, batch.ends_ns)
                caught_up = True
            if caught_up:
                self._serve(batch.ends_ns)
            yield behind

    def _count(self, at_ns: int) -> None:
        found = self.service.census.take(at_ns)
        for lines in found.lines.values():
            self.service.writer.write(lines)

    def _sum(self, from_ns: int, to_ns: int) -> None:
        for _ in self.service.recompute(from_ns, to_ns):
            pass

    def _serve(self, at_ns: int) -> None:
        """What the census service does each minute, and what is owed, till the next."""
        report = self.service.minute(at_ns)
        if report.failed:
            _log.warning("%s", report)
        for _ in self.service.pending(report):
            if time.time_ns() >= at_ns + _MINUTE_NS:
                return

    def _deliver(self, batch: Batch) -> None:
        self._writer.write([line for lines in batch.lines.values() for line in lines])


def live(
    folder: Path,
    url: str,
    say: Say,
    stop: threading.Event,
    plan: Scenario | None = None,
    now: datetime | None = None,
) -> None:
    """Hold a drill until told to stop; `ready` is written when the boards are full."""
    drill = Drill(folder, url, plan or planned(), now)
    say(f"{len(drill.nation.stations)} stations; the days before")
    drill.before()
    ready = folder / "ready"
    for behind in drill.minutes(stop.wait):
        if behind > 1 and not ready.exists():
            say(f"{behind} minutes behind the clock")
        elif not ready.exists():
            ready.touch()
            say("ready")
        if stop.is_set():
            break
    drill.close()


def _forget(folder: Path) -> None:
    for name in ("register.sqlite3", "census.sqlite3", "ready"):
        for path in folder.glob(f"{name}*"):
            path.unlink()


def _empty(settings: NocSettings) -> None:
    """Two empty databases. Raises QueryError."""
    server = Server(settings.collectors[0])
    for name in (RAW_DB, ROLLUP_DB):
        for statement in (
            f'DROP DATABASE "{name}"',
            f'CREATE DATABASE "{name}" WITH DURATION {_RETENTION}',
        ):
            list(server.select(statement))
    server.close()


def _register(folder: Path, nation: Nation, earliest: Scenario) -> None:
    """Enter every station, from the day before the first point on."""
    path = folder / "stations.csv"
    write_register(path, iter(nation.stations))
    register = Register(folder / "register.sqlite3")
    faults = stage(register, path, lambda _: None).faults
    if faults:
        raise ValueError(f"{path}: {faults[0]}")
    since = earliest.begins(datetime.now(UTC)).timestamp()
    register.apply(int(since) - 86400, close_missing=False)
    register.close()
