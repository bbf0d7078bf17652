"""The census service: builds its jobs, and runs them each minute and in between.

A rejected request is reported with a hint and tried again. Progress is recorded only
after a successful write, so the next minute or the next start continues from there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator
from functools import partial

from qos_agent.config.calendar_file import named
from qos_agent.config.places import provinces
from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import QueryError, Server
from qos_agent.influx.writer import WriteError, Writer
from qos_agent.model.errors import QosAgentError
from qos_agent.noc.census.census import Census
from qos_agent.noc.census.voting_window import VotingWindow
from qos_agent.noc.register.store import Register
from qos_agent.noc.rollup import cursors
from qos_agent.noc.rollup.corrections import OverwriteSupport
from qos_agent.noc.rollup.cursors import RollupSpan
from qos_agent.noc.rollup.recompute import RollupCalculator
from qos_agent.noc.rollup.retention import Retention
from qos_agent.noc.service.annotations import calendar_end_ns, calendar_lines
from qos_agent.noc.service.baseline_job import BaselineJob
from qos_agent.noc.service.census_job import CensusJob
from qos_agent.noc.service.directory_job import DirectoryJob
from qos_agent.noc.service.heartbeat import (
    CollectorHeartbeat,
    HeartbeatWriter,
    collector_name,
    reasons,
)
from qos_agent.noc.service.report import Priority, Report, Step, utc_text
from qos_agent.noc.service.rollout_job import RolloutJob
from qos_agent.noc.service.rollup_job import RollupJob
from qos_agent.noc.service.trouble_job import TroubleJob
from qos_agent.noc.service.watchdog import Watchdog
from qos_agent.noc.settings import NocSettings
from qos_agent.noc.state import State
from qos_agent.system.supervision import Supervisor

_log = logging.getLogger(__name__)
_DAY_NS = 86400 * 10**9
# Minimum duration of a query with its response: InfluxDB 1.8 needs seconds for a large
# province, and the names of its stations are megabytes.
_QUERY_TIMEOUT_S = 60.0


class Service:
    """The servers, the register and the state, with the jobs that use them."""

    def __init__(
        self, settings: NocSettings, wait: Callable[[float], object] = time.sleep
    ) -> None:
        self.settings = settings
        self._supervisor = Supervisor()
        self.watchdog = Watchdog(self._supervisor)
        self.register = Register(settings.folder / "register.sqlite3")
        self.state = State(settings.folder / "census.sqlite3")
        feed = self.watchdog.feed
        self.writer = Writer(settings.rollup, wait, feed)
        self.rollups = _server(settings.rollup, feed)
        by_shard = {shard: _server(shard, feed) for shard in settings.collectors}
        self._servers = tuple(by_shard.values())
        self.servers = {
            province: by_shard[shard]
            for province in provinces()
            if (shard := settings.shard_of(province)) is not None
        }
        self.retention = Retention(self.state, settings.rollups)
        self.calculator = RollupCalculator(
            self.servers,
            self.rollups,
            self.writer,
            self.retention,
            OverwriteSupport(self.rollups),
        )
        self.calendar = named(settings.election.calendar)
        self.census = Census(
            self.servers,
            self.register,
            self.state,
            settings.census,
            VotingWindow(self.calendar),
        )
        self._census_job = CensusJob(
            self.census, self.state, self.writer, settings.census.catch_up
        )
        self._rollup_job = RollupJob(self.calculator, self.state, settings.rollups)
        self._baseline_job = BaselineJob(
            self.rollups, self.writer, tuple(self.servers), settings.census.baseline
        )
        self._directory_job = DirectoryJob(
            self.register, self.writer, tuple(self.servers)
        )
        self._rollout_job = RolloutJob(self.servers, self.writer, settings.folder)
        self._trouble_job = TroubleJob(
            self.rollups, self.writer, self.register, self.state, self.census.voting
        )
        self._heartbeats = HeartbeatWriter(self.writer)
        self._calendar_day: int | None = None
        self._calendar_is_past = False
        self._last_pending = Report(0)

    def close(self) -> None:
        """Close connections and files."""
        for server in (*self._servers, self.rollups):
            server.close()
        self.writer.close()
        self.register.close()
        self.state.close()

    def minute(self, at_ns: int) -> Report:
        """Take the census and the fresh roll-ups of the minute that ended last."""
        report = Report(cursors.whole_minute(at_ns))
        self.retention.forget()
        for server in (*self._servers, self.rollups):
            server.wake()
        self.writer.wake()
        began_mono = time.monotonic()
        self._run("census", self._census_job, report)
        counted_mono = time.monotonic()
        self._run("roll-ups", self._rollup_job, report)
        report.census_s = counted_mono - began_mono
        report.rollup_s = time.monotonic() - counted_mono
        self._run("troubles", self._trouble_job, report)
        report.behind_s = self._rollup_job.behind_s(report.at_ns, self.servers)
        report.pending_s = self._rollup_job.pending_s(report.at_ns)
        self._write_calendar(report.at_ns)
        self._write_heartbeats(report)
        return report

    def pending(self, report: Report) -> Iterator[float]:
        """Do remaining work step by step; yield the seconds that each step took."""
        self._last_pending = report
        broken: set[Priority] = set()
        while True:
            began_mono = time.monotonic()
            step = self._next_step(report, broken)
            if step is None:
                return
            if self._supervisor.call("remaining work", step.run) is not None:
                broken.add(step.priority)
            yield time.monotonic() - began_mono

    def recompute(self, from_ns: int, to_ns: int) -> Iterator[tuple[RollupSpan, int]]:
        """Recalculate all roll-ups of a span; yield each part and its number of points.

        Raises QueryError, WriteError.
        """
        return self._rollup_job.recompute(from_ns, to_ns)

    def expired(self, from_ns: int) -> Iterator[str]:
        """Yield a notice for each collector that has deleted raw points since then."""
        for server in self._servers:
            kept_from_ns = self.retention.of(server).from_ns(time.time_ns())
            if kept_from_ns > from_ns:
                yield (
                    f"{server.name}: raw points before {utc_text(kept_from_ns)} are "
                    "deleted; the roll-ups of that time are left as they are"
                )

    def warnings(self) -> Iterator[str]:
        """Yield problems that should be fixed but do not stop the service."""
        for _, warning in self.retention.warnings(self._servers):
            yield warning
        if missing := sorted(set(provinces()) - set(self.servers)):
            yield (
                f"provinces without a collector: {', '.join(missing)}; add them to "
                "`provinces` of one"
            )
        if not self.register.expected(int(time.time())):
            yield (
                f"{self.settings.folder}: the register has no station now; run: "
                "qos-agent noc register import stations.csv --apply"
            )

    def _run(
        self, part: str, job: CensusJob | RollupJob | TroubleJob, report: Report
    ) -> None:
        """Run a job; an unexpected exception is the error of every province."""
        error = self._supervisor.call(part, partial(job.run, report))
        if error is not None:
            text = str(error)
            if not isinstance(error, QosAgentError):
                text = f"internal error (bug): {type(error).__name__}: {text}"
            report.failed |= dict.fromkeys(self.servers, text) | report.failed

    def _next_step(self, report: Report, broken: Collection[Priority]) -> Step | None:
        """Return the remaining step with the lowest priority number.

        Kinds of step that raised an unexpected exception wait for the next minute.
        """
        jobs = (
            self._rollup_job,
            self._census_job,
            self._baseline_job,
            self._directory_job,
            self._rollout_job,
        )
        due = [step for job in jobs if (step := job.due(report)) is not None]
        steps = [step for step in due if step.priority not in broken]
        return min(steps, key=lambda step: step.priority, default=None)

    def _write_calendar(self, at_ns: int) -> None:
        """Write the calendar at the start and once a day, unless it is a past one."""
        day = at_ns // _DAY_NS
        if self._calendar_day == day or self._calendar_is_past:
            return
        try:
            self.writer.write(calendar_lines(self.calendar))
            self._calendar_day = day
        except WriteError as error:
            self._calendar_is_past = self._keeps_no_day_of_the_calendar(at_ns)
            if self._calendar_is_past:
                _log.warning(
                    "census: the calendar is of a past election. "
                    "Fix: set election.calendar in noc.toml"
                )
            else:
                _log.warning("census: cannot write the calendar: %s", error)

    def _keeps_no_day_of_the_calendar(self, at_ns: int) -> bool:
        """Return True if the roll-up database has deleted every day of it."""
        try:
            keep_s = self.rollups.retention_s()
        except QueryError:
            return False
        if keep_s is None:
            return False
        return calendar_end_ns(self.calendar) < at_ns - keep_s * 1e9

    def _write_heartbeats(self, report: Report) -> None:
        """Write the figures of this minute and the last errors of remaining work."""
        last = self._last_pending
        pending = {p: e for p, e in last.pending_failed.items() if p not in last.failed}
        failed = pending | report.failed
        warnings = dict(self.retention.warnings(self._servers))
        heartbeats = [
            CollectorHeartbeat(
                collector_name(server.name),
                census_s=report.census_s,
                rollup_s=report.rollup_s,
                behind_s=self._rollup_job.behind_s(report.at_ns, codes),
                points=sum(report.written[province] for province in codes),
                failures=reasons(failed, codes),
                warnings=(warnings[server.name],) if server.name in warnings else (),
                keep_s=self.retention.of(server).finite_s,
            )
            for server in self._servers
            if (codes := [p for p, s in self.servers.items() if s is server])
        ]
        error = self._heartbeats.write(heartbeats, report.at_ns)
        if error is not None:
            _log.warning(
                "census: cannot write the heartbeat, will retry next minute: %s", error
            )
        self._last_pending = Report(report.at_ns)


def _server(section: CollectorSection, feed: Callable[[], None]) -> Server:
    return Server(section, max(_QUERY_TIMEOUT_S, section.timeout), feed)
