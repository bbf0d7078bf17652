"""The census service: each minute the census and fresh sums, then what is owed.

What a server refuses is told with its mend and tried again; nothing that failed moves
a mark, so that the next minute, or the next start, takes it up.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from qos_agent.config.calendar_file import named
from qos_agent.config.places import provinces
from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import QueryError, Server, between, word
from qos_agent.influx.writer import WriteError, Writer
from qos_agent.model.units import duration_text
from qos_agent.noc.census.census import Census, Clerk
from qos_agent.noc.census.expected import Book
from qos_agent.noc.census.presence import Desk, Rolls
from qos_agent.noc.census.voting_window import VotingWindow
from qos_agent.noc.register.store import Register
from qos_agent.noc.rollup import cursors
from qos_agent.noc.rollup.baseline import baseline_lines
from qos_agent.noc.rollup.corrections import Rewriting
from qos_agent.noc.rollup.cursors import Stretch
from qos_agent.noc.rollup.recompute import Summer
from qos_agent.noc.rollup.retention import Retention
from qos_agent.noc.rollup.sums import MINUTE_NS
from qos_agent.noc.service.annotations import calendar_lines
from qos_agent.noc.service.heartbeat import Beat, Heartbeat, collector_name, reasons
from qos_agent.noc.settings import NocSettings
from qos_agent.noc.state import State

_log = logging.getLogger(__name__)
_HOUR_NS, _DAY_NS = 3600 * 10**9, 86400 * 10**9
# Of a question to a server: a minute must have room for all the others.
_PATIENCE_S = 30.0
Failed = dict[str, str]


@dataclass(slots=True)
class Report:
    """One minute's work, for the log and for `--once`.

    `failed` is by province; `late` the same of what was owed from before.
    """

    at_ns: int
    census_s: float = 0.0
    rollup_s: float = 0.0
    written: Counter[str] = field(default_factory=Counter)
    behind_s: float = 0.0
    failed: Failed = field(default_factory=dict)
    late: Failed = field(default_factory=dict)
    owed_s: float = 0.0

    @property
    def points(self) -> int:
        """Points written."""
        return self.written.total()

    def __str__(self) -> str:
        """One line."""
        said = (
            f"{_at(self.at_ns)}: census {self.census_s:.2f} s, "
            f"roll-ups {self.rollup_s:.2f} s, {self.points} points, "
            f"behind {duration_text(self.behind_s)}, "
            f"to be summed again {duration_text(self.owed_s)}"
        )
        return "; ".join([said, *_by_reason(self.failed)])

    def what_is_owed(self) -> str:
        """What could not be made good after the minute; empty where all could."""
        return "; ".join(_by_reason(self.late))


class Service:
    """The servers, the register and the marks, and what is done with them."""

    def __init__(
        self, settings: NocSettings, wait: Callable[[float], object] = time.sleep
    ) -> None:
        self.settings = settings
        self.register = Register(settings.folder / "register.sqlite3")
        self.state = State(settings.folder / "census.sqlite3")
        self.writer = Writer(settings.rollup, wait)
        self.rollups = _server(settings.rollup)
        by_shard = {shard: _server(shard) for shard in settings.collectors}
        self._servers = tuple(by_shard.values())
        self.servers = {
            province: by_shard[shard]
            for province in provinces()
            if (shard := settings.shard_of(province)) is not None
        }
        self.retention = Retention(self.state, settings.rollups)
        self.summer = Summer(
            self.servers,
            self.rollups,
            self.writer,
            self.retention,
            Rewriting(self.rollups),
        )
        desks = {
            province: Desk(server, self.register, self.state, settings.census)
            for province, server in self.servers.items()
        }
        self.calendar = named(settings.election.calendar)
        book, polls = Book(self.register), VotingWindow(self.calendar)
        self.clerk = Clerk(desks, self.register, self.state, book, polls)
        self.rolls = Rolls()
        self.heartbeat = Heartbeat(self.writer)
        self._done: dict[str, int] = {}  # what is done at the start, then in turn
        self._owed = Report(0)

    def close(self) -> None:
        """Close everything."""
        for server in (*self._servers, self.rollups):
            server.close()
        self.writer.close()
        self.register.close()
        self.state.close()

    def minute(self, at_ns: int) -> Report:
        """The census and the fresh sums of the minute that ended last."""
        at_ns = cursors.whole(at_ns)
        report = Report(at_ns)
        self.retention.forget()
        for server in (*self._servers, self.rollups):
            server.wake()
        self.writer.wake()
        began = time.monotonic()
        self._census(at_ns, report)
        counted = time.monotonic()
        for province in self.servers:
            cursors.begin(self.state, self.settings.rollups, province, at_ns)
            stretch = cursors.fresh(self.settings.rollups, province, at_ns)
            self._attempt(stretch, report, report.failed)
        report.census_s = counted - began
        report.rollup_s = time.monotonic() - counted
        report.behind_s = self.behind_s(at_ns)
        report.owed_s = sum(
            cursors.owed_s(self.state, self.settings.rollups, province, at_ns)
            for province in self.servers
        )
        self._annotate(at_ns)
        self._beat(report)
        return report

    def owed(self, at_ns: int, report: Report) -> Iterator[float]:
        """Do what is owed, a stretch at a time; the seconds that each one took."""
        self._owed = report
        while True:
            began = time.monotonic()
            stretch = self._next(at_ns, report)
            gap = stretch is not None and stretch.urgency == 0
            done = not gap and (
                self._missed_census(at_ns, report) or self._baseline(at_ns, report)
            )
            if not done and stretch is None:
                return
            if not done and stretch is not None:
                self._attempt(stretch, report, report.late)
            yield time.monotonic() - began

    def behind_s(self, at_ns: int, provinces: Iterable[str] | None = None) -> float:
        """How old the oldest minute is that was never summed, in any province."""
        settings = self.settings.rollups
        wanted = self.servers if provinces is None else provinces
        ages = (cursors.behind_s(self.state, settings, p, at_ns) for p in wanted)
        return max(ages, default=0.0)

    def recompute(self, from_ns: int, to_ns: int) -> Iterator[tuple[Stretch, int]]:
        """Sum each minute between two moments again: a stretch, and its points.

        Raises QueryError, WriteError.
        """
        from_ns, to_ns = cursors.whole(from_ns), cursors.whole(to_ns + MINUTE_NS - 1)
        step = cursors.whole(int(self.settings.rollups.span * 1e9))
        for province in self.servers:
            for start in range(from_ns, to_ns, step):
                end = min(to_ns, start + step)
                stretch = Stretch(province, start, end, "")
                yield stretch, self.summer.sum(stretch, time.time_ns())

    def expired(self, from_ns: int) -> Iterator[str]:
        """Of which collectors raw points since then are gone, and until when."""
        for server in self._servers:
            gone_ns = self.retention.of(server).from_ns(time.time_ns())
            if gone_ns > from_ns:
                yield (
                    f"{server.name}: raw points before {_at(gone_ns)} are gone; "
                    "sums of that time stay as they are"
                )

    def warnings(self) -> Iterator[str]:
        """What should be changed, though all goes on without it."""
        for _, words in self.retention.warnings(self._servers):
            yield words
        if missing := sorted(set(provinces()) - set(self.servers)):
            said = ", ".join(missing)
            yield f"provinces {said}: no collector here holds them; add them to one"
        if not self.register.expected(int(time.time())):
            yield (
                f"{self.settings.folder}: the register expects no station now; "
                "qos-agent noc register import stations.csv --apply"
            )

    def _census(self, at_ns: int, report: Report) -> None:
        for province in self.servers:
            cursors.census_begun(self.state, province, at_ns)
        found = self.clerk.take(self.rolls, at_ns)
        report.failed |= found.failed
        for province in self.servers:
            done = self._written(found, province, report, report.failed)
            cursors.census_taken(self.state, province, at_ns, done=done)

    def _written(
        self, found: Census, province: str, report: Report, failed: Failed
    ) -> bool:
        if province in found.failed:
            return False
        try:
            self.writer.write(found.lines.get(province, []))
        except WriteError as error:
            failed[province] = str(error)
            return False
        report.written[province] += len(found.lines.get(province, []))
        return True

    def _missed_census(self, at_ns: int, report: Report) -> bool:
        """Take the census of a minute that was missed; False where none was."""
        at_ns = cursors.whole(at_ns)
        earliest_ns = at_ns - int(self.settings.census.catch_up * 1e9)
        missed = {
            province: max(missing_ns, earliest_ns)
            for province in self.servers.keys()
            - report.failed.keys()
            - report.late.keys()
            if (missing_ns := cursors.census_missing(self.state, province, at_ns))
        }
        if not missed:
            return False
        moment = min(missed.values())
        if moment == earliest_ns:
            _log.warning(
                "what the census missed before %s is past "
                "census.catch_up and stays missed",
                _at(moment),
            )
        found = self.clerk.take(Rolls(version=self.rolls.version, past=True), moment)
        report.late |= {p: why for p, why in found.failed.items() if p in missed}
        for province in (p for p, first in missed.items() if first == moment):
            if self._written(found, province, report, report.late):
                cursors.census_made_good(self.state, province, moment)
        return True

    def _baseline(self, at_ns: int, report: Report) -> bool:
        """Write the hour's baseline of one province; False where none is due."""
        hour = at_ns // _HOUR_NS
        due = [
            province
            for province in self.servers
            if self._done.get(f"baseline/{province}") != hour
            and province not in report.late
        ]
        if not due:
            return False
        province, back_s = due[0], self.settings.census.baseline
        try:
            at_ns = cursors.whole(at_ns)
            found = baseline_lines(self.rollups, province, at_ns, back_s)
            self.writer.write(found)
        except (QueryError, WriteError) as error:
            report.late[province] = str(error)
        else:
            report.written[province] += len(found)
            self._done[f"baseline/{province}"] = hour
        return True

    def _annotate(self, at_ns: int) -> None:
        """Write the calendar, at the start and once a day."""
        day = at_ns // _DAY_NS
        if self._done.get("calendar") == day:
            return
        try:
            self.writer.write(calendar_lines(self.calendar))
            self._done["calendar"] = day
        except WriteError as error:
            _log.warning("calendar: %s", error)

    def _beat(self, report: Report) -> None:
        """Write how this minute went, and what was owed before it, by collector."""
        before = self._owed
        late = {p: why for p, why in before.late.items() if p not in before.failed}
        failed = late | report.failed
        warned = dict(self.retention.warnings(self._servers))
        beats = [
            Beat(
                collector_name(server.name),
                report.census_s,
                report.rollup_s,
                self.behind_s(report.at_ns, mine),
                sum(report.written[p] for p in mine),
                reasons(failed, mine),
                (warned[server.name],) if server.name in warned else (),
                self.retention.of(server).finite_s,
            )
            for server in self._servers
            if (mine := [p for p, s in self.servers.items() if s is server])
        ]
        error = self.heartbeat.write(beats, report.at_ns)
        if error is not None:
            _log.warning("heartbeat: %s; kept for the next minute", error)
        self._owed = Report(report.at_ns)

    def _next(self, at_ns: int, report: Report) -> Stretch | None:
        """The most urgent stretch of any province; of equals the oldest, in turn."""
        found: list[Stretch] = []
        for province in self.servers.keys() - report.late.keys():
            self._begin_day(province, at_ns)
            settings = self.settings.rollups
            found += cursors.due(self.state, settings, province, at_ns)
        return min(
            found, key=lambda s: (s.urgency, s.from_ns, s.province), default=None
        )

    def _begin_day(self, province: str, at_ns: int) -> None:
        if not cursors.day_is_due(self.state, province, at_ns):
            return
        settings = self.settings.rollups
        query = (
            'SELECT MAX("oldest_unsent_s") AS "oldest" FROM "agent" WHERE '  # noqa: S608
            f'"province" = {word(province)} AND '
            f"{between(at_ns - 86400 * 10**9, at_ns)}"
        )
        try:
            rows = list(self.servers[province].select(query))
        except QueryError:
            return  # tomorrow's pass, or the next try, asks again
        # What was so old at its heartbeat may be a day older by now.
        reported = [
            float(r.values["oldest"]) + _DAY_NS / 1e9
            for r in rows
            if "oldest" in r.values
        ]
        back_s = max([settings.back, *reported])
        cursors.begin_day(self.state, settings, province, at_ns, back_s)

    def _attempt(self, stretch: Stretch, report: Report, failed: Failed) -> None:
        """Sum a stretch and move its cursor; what failed moves nothing."""
        try:
            count = self.summer.sum(stretch, report.at_ns)
            report.written[stretch.province] += count
        except (QueryError, WriteError) as error:
            failed[stretch.province] = str(error)
            return
        before = self.state.mark(stretch.cursor)
        if before is not None and stretch.from_ns <= before < stretch.to_ns:
            self.state.set_mark(stretch.cursor, stretch.to_ns)


def _at(at_ns: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_ns // 10**9))


def _by_reason(failed: Failed) -> Iterator[str]:
    by_reason: dict[str, list[str]] = {}
    for province, reason in failed.items():
        by_reason.setdefault(reason, []).append(province)
    for reason, codes in by_reason.items():
        yield f"not in provinces {', '.join(sorted(codes))}: {reason}"


def _server(section: CollectorSection) -> Server:
    return Server(section, max(_PATIENCE_S, section.timeout))
