"""The simulated stations and the census of the demonstration, minute by minute.

Past hours are simulated at once, so that the boards have data, and then the clock is
followed. One process delivers the points of a minute and then counts them. Each start
drops the databases of an earlier demonstration.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from deploy.demo.drill import RAW_DB, ROLLUP_DB, days_before, planned, prepare
from grafana.titles import CAUSE_TITLES
from qos_agent.influx.query import Server
from qos_agent.influx.writer import WriteError, Writer
from qos_agent.noc.register.importing import stage
from qos_agent.noc.register.store import Register
from qos_agent.noc.service.service import Service
from qos_agent.noc.settings import NocSettings
from qos_agent.noc.simulator.population import write_register
from qos_agent.noc.simulator.run import Batch, Nation
from qos_agent.noc.simulator.scenario import Scenario
from qos_agent.noc.troubles.places import place_names
from qos_agent.noc.troubles.points import from_text
from qos_agent.noc.troubles.signals import ALL_OPERATORS, Key
from qos_agent.noc.troubles.standing import Trouble

_log = logging.getLogger(__name__)
Report = Callable[[str], object]
_MINUTE_NS = 60 * 10**9
_RETENTION = "365d"
# Lines that are kept while the database is down: about half an hour.
_MOST_WAITING = 100_000


class Drill:
    """A running demonstration: its stations, its writer and its census."""

    def __init__(
        self, folder: Path, url: str, plan: Scenario, now: datetime | None = None
    ) -> None:
        self._now = now or datetime.now(UTC)
        _delete_files(folder)
        self.scenario, self.settings = prepare(folder, url, plan, self._now)
        _create_databases(self.settings)
        self.nation = Nation(self.scenario, self._now)
        _register(folder, self.nation, days_before(self.scenario, self._now))
        self._writer = Writer(self.settings.collectors[0])
        self.service = Service(self.settings)
        self._shown: set[Key] = set()
        self._waiting: list[bytes] = []

    def close(self) -> None:
        """Close connections and files."""
        self.service.close()
        self._writer.close()

    def simulate_baseline(self) -> None:
        """Simulate two days earlier, which gives the baseline."""
        earlier = Nation(days_before(self.scenario, self._now), self._now)
        for batch in earlier.run():
            self._deliver(batch)
        end_ns = earlier.start_ns + earlier.scenario.minutes * _MINUTE_NS
        self._sum(earlier.start_ns, end_ns)

    def minutes(self, wait: Callable[[float], object]) -> Iterator[int]:
        """Deliver and count each minute; yield how many minutes it is behind the clock.

        Past minutes get only their census. Their roll-ups are calculated together at
        the end, which takes a third of the time.
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

    def new_troubles(self) -> Iterator[str]:
        """Yield a line for each trouble that was reported since the last call."""
        for trouble in map(from_text, self.service.state.troubles()):
            if trouble.reported and trouble.key not in self._shown:
                self._shown.add(trouble.key)
                yield described(trouble)

    def _count(self, at_ns: int) -> None:
        census = self.service.census.take(at_ns)
        for lines in census.lines.values():
            self.service.writer.write(lines)

    def _sum(self, from_ns: int, to_ns: int) -> None:
        for _ in self.service.recompute(from_ns, to_ns):
            pass

    def _serve(self, at_ns: int) -> None:
        """Run the census service for a minute, with remaining work until the next."""
        report = self.service.minute(at_ns)
        if report.failed:
            _log.warning("%s", report)
        for _ in self.service.pending(report):
            if time.time_ns() >= at_ns + _MINUTE_NS:
                return

    def _deliver(self, batch: Batch) -> None:
        """Write the lines of a minute; keep them while the database is down."""
        self._waiting += (line for lines in batch.lines.values() for line in lines)
        self._writer.wake()
        try:
            self._writer.write(self._waiting)
        except WriteError as error:
            _log.warning("%s; will retry next minute", error)
            del self._waiting[:-_MOST_WAITING]
            return
        self._waiting.clear()


def live(
    folder: Path,
    url: str,
    report: Report,
    stop: threading.Event,
    plan: Scenario | None = None,
    now: datetime | None = None,
) -> None:
    """Run until `stop` is set; write the file `ready` when the boards have data."""
    drill = Drill(folder, url, plan or planned(), now)
    report(f"{len(drill.nation.stations)} stations: simulating the days before")
    drill.simulate_baseline()
    ready = folder / "ready"
    for behind in drill.minutes(stop.wait):
        if behind > 1 and not ready.exists():
            report(f"{behind} minutes behind the clock")
        elif not ready.exists():
            ready.touch()
            report("ready")
        for line in drill.new_troubles():
            report(line)
        if stop.is_set():
            break
    drill.close()


def described(trouble: Trouble) -> str:
    """Return the line of a trouble that can be seen on the boards now."""
    key, signal = trouble.key, trouble.signal
    operator = "" if key.operator == ALL_OPERATORS else f" of {key.operator}"
    return (
        f"to be seen on the boards: {CAUSE_TITLES[key.cause][0]}{operator}, "
        f"{place_names(0)[key.place]}: {signal.affected} / {signal.stations}"
    )


def _delete_files(folder: Path) -> None:
    for name in ("register.sqlite3", "census.sqlite3", "ready"):
        for path in folder.glob(f"{name}*"):
            path.unlink()


def _create_databases(settings: NocSettings) -> None:
    """Create two empty databases. Raises QueryError."""
    server = Server(settings.collectors[0])
    for name in (RAW_DB, ROLLUP_DB):
        for statement in (
            f'DROP DATABASE "{name}"',
            f'CREATE DATABASE "{name}" WITH DURATION {_RETENTION}',
        ):
            list(server.select(statement))
    server.close()


def _register(folder: Path, nation: Nation, earliest: Scenario) -> None:
    """Register every station from the day before the first point."""
    path = folder / "stations.csv"
    write_register(path, iter(nation.stations))
    register = Register(folder / "register.sqlite3")
    faults = stage(register, path, lambda _: None).faults
    if faults:
        raise ValueError(f"{path}: {faults[0]}")
    since = earliest.begins(datetime.now(UTC)).timestamp()
    register.apply(int(since) - 86400, close_missing=False)
    register.close()
