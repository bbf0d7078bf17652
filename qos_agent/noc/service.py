"""The census service: each minute the census and fresh sums, then what is owed.

What a server refuses is told with its mend and tried again; nothing that failed moves
a mark, so that the next minute, or the next start, takes it up.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from qos_agent.election import named
from qos_agent.noc import passes
from qos_agent.noc.census.attendance import Desk, Rolls
from qos_agent.noc.census.cycle import Census, Clerk
from qos_agent.noc.influxql import QueryError, Server, between, word
from qos_agent.noc.passes import Stretch
from qos_agent.noc.places import provinces
from qos_agent.noc.register.store import Register
from qos_agent.noc.rollup import ALL_SUMS, MINUTE_NS, lines
from qos_agent.noc.settings import NocSettings
from qos_agent.noc.state import State
from qos_agent.noc.writing import WriteError, Writer
from qos_agent.units import duration_text

_log = logging.getLogger(__name__)
Failed = dict[str, str]


@dataclass(slots=True)
class Report:
    """One minute's work, for the log and for `--once`."""

    at_ns: int
    census_s: float = 0.0
    rollup_s: float = 0.0
    points: int = 0
    behind_s: float = 0.0
    failed: Failed = field(default_factory=dict)

    def __str__(self) -> str:
        """One line."""
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.at_ns // 10**9))
        said = (
            f"{at}: census {self.census_s:.2f} s, roll-ups {self.rollup_s:.2f} s, "
            f"{self.points} points, behind {duration_text(self.behind_s)}"
        )
        by_reason: dict[str, list[str]] = {}
        for province, reason in self.failed.items():
            by_reason.setdefault(reason, []).append(province)
        for reason, codes in by_reason.items():
            said += f"; not in provinces {', '.join(sorted(codes))}: {reason}"
        return said


class Service:
    """The servers, the register and the marks, and what is done with them."""

    def __init__(self, settings: NocSettings) -> None:
        self.settings = settings
        self.register = Register(settings.folder / "register.sqlite3")
        self.state = State(settings.folder / "census.sqlite3")
        self.writer = Writer(settings.rollup)
        self._servers = {
            shard: Server(shard, max(60.0, shard.timeout))
            for shard in settings.collectors
        }
        self.servers = {
            province: self._servers[shard]
            for province in provinces()
            if (shard := settings.shard_of(province)) is not None
        }
        desks = {
            province: Desk(server, self.register, self.state, settings.census)
            for province, server in self.servers.items()
        }
        self.clerk = Clerk(desks, self.register, named(settings.election.calendar))
        self.rolls = Rolls()
        self._kept_s: dict[str, float | None] = {}

    def close(self) -> None:
        """Close everything."""
        for server in self._servers.values():
            server.close()
        self.writer.close()
        self.register.close()
        self.state.close()

    def minute(self, at_ns: int) -> Report:
        """The census and the fresh sums of the minute that ended last."""
        at_ns = passes.whole(at_ns)
        report = Report(at_ns)
        self._kept_s.clear()  # asked once a minute: somebody may shorten it
        began = time.monotonic()
        self._census(at_ns, report)
        counted = time.monotonic()
        for province in self.servers:
            passes.begin(self.state, self.settings.rollups, province, at_ns)
            stretch = passes.fresh(self.settings.rollups, province, at_ns)
            self._attempt(stretch, report)
        report.census_s = counted - began
        report.rollup_s = time.monotonic() - counted
        report.behind_s = self.behind_s(at_ns)
        return report

    def owed(self, at_ns: int, report: Report) -> Iterator[float]:
        """Do what is owed, a stretch at a time; the seconds that each one took."""
        gave_up: set[str] = set()
        while True:
            began = time.monotonic()
            if self._missed_census(at_ns, report):
                yield time.monotonic() - began
                continue
            stretch = self._next(at_ns, gave_up)
            if stretch is None:
                return
            if not self._attempt(stretch, report):
                gave_up.add(stretch.province)
            yield time.monotonic() - began

    def behind_s(self, at_ns: int) -> float:
        """How old the oldest minute is that was never summed, in any province."""
        settings = self.settings.rollups
        ages = (passes.behind_s(self.state, settings, p, at_ns) for p in self.servers)
        return max(ages, default=0.0)

    def recompute(self, from_ns: int, to_ns: int) -> Iterator[Stretch]:
        """Sum again between two moments. Raises QueryError, WriteError."""
        from_ns, to_ns = passes.whole(from_ns), passes.whole(to_ns)
        step = passes.whole(int(self.settings.rollups.span * 1e9))
        for province in self.servers:
            for start in range(from_ns, to_ns, step):
                end = min(to_ns, start + step)
                stretch = Stretch(province, start, end, "")
                self._sum(stretch)
                yield stretch

    def kept_from_ns(self, province: str, now_ns: int) -> int:
        """From when raw points are whole: a sum over fewer must not replace one."""
        keep_s = self.keep_s(province)
        return 0 if keep_s is None else now_ns - int(keep_s * 1e9)

    def keep_s(self, province: str) -> float | None:
        """The retention of a province's raw points; None for ever or not known."""
        server = self.servers[province]
        if server.name not in self._kept_s:
            self._kept_s[server.name] = server.retention_s()
        return self._kept_s[server.name] or self.settings.rollups.raw_keep

    def warnings(self) -> Iterator[str]:
        """What should be changed, though all goes on without it."""
        wanted_s = self.settings.rollups.dispute
        for shard, server in self._servers.items():
            keep_s = server.retention_s() or self.settings.rollups.raw_keep
            if keep_s is not None and keep_s < wanted_s:
                yield (
                    f"{server.name}: raw points are kept for {duration_text(keep_s)}, "
                    f"less than the dispute period of {duration_text(wanted_s)}; "
                    f"raise the retention of {shard.bucket}"
                )
        for province in sorted(set(provinces()) - set(self.servers)):
            yield f"province {province}: no collector holds it; add it to one"

    def _census(self, at_ns: int, report: Report) -> None:
        found = self.clerk.take(self.rolls, at_ns)
        report.failed |= found.failed
        for province in self.servers:
            done = self._written(found, province, report)
            passes.census_taken(self.state, province, at_ns, done=done)

    def _written(self, found: Census, province: str, report: Report) -> bool:
        if province in found.failed:
            return False
        try:
            self.writer.write(found.lines.get(province, []))
        except WriteError as error:
            report.failed[province] = str(error)
            return False
        report.points += len(found.lines.get(province, []))
        return True

    def _missed_census(self, at_ns: int, report: Report) -> bool:
        """Take the census of a minute that was missed; False where none was."""
        at_ns = passes.whole(at_ns)
        earliest_ns = at_ns - int(self.settings.census.catch_up * 1e9)
        missed = {
            province: max(missing_ns, earliest_ns)
            for province in set(self.servers) - set(report.failed)
            if (missing_ns := passes.census_missing(self.state, province, at_ns))
        }
        if not missed:
            return False
        moment = min(missed.values())
        found = self.clerk.take(Rolls(version=self.rolls.version), moment)
        report.failed |= found.failed
        for province, first in missed.items():
            if first == moment and self._written(found, province, report):
                passes.census_made_good(self.state, province, moment)
        return True

    def _next(self, at_ns: int, gave_up: set[str]) -> Stretch | None:
        for province in self.servers:
            if province in gave_up:
                continue
            self._begin_day(province, at_ns)
            settings = self.settings.rollups
            owed = passes.due(self.state, settings, province, at_ns)
            if (stretch := next(owed, None)) is not None:
                return stretch
        return None

    def _begin_day(self, province: str, at_ns: int) -> None:
        if passes.day_has_begun(self.state, province, at_ns):
            return
        back_s = self.settings.rollups.back
        query = (
            'SELECT MAX("oldest_unsent_s") AS "oldest" FROM "agent" WHERE '  # noqa: S608
            f'"province" = {word(province)} AND '
            f"{between(at_ns - 86400 * 10**9, at_ns)}"
        )
        try:
            rows = list(self.servers[province].select(query))
        except QueryError:
            return  # tomorrow's pass, or the next try, asks again
        reported = [float(r.values["oldest"]) for r in rows if "oldest" in r.values]
        back_s = max([back_s, *reported])
        passes.begin_day(self.state, province, at_ns, back_s)

    def _attempt(self, stretch: Stretch, report: Report) -> bool:
        try:
            report.points += self._sum(stretch)
        except (QueryError, WriteError) as error:
            report.failed[stretch.province] = str(error)
            return False
        before = self.state.mark(stretch.cursor)
        if before is not None and stretch.from_ns <= before < stretch.to_ns:
            self.state.set_mark(stretch.cursor, stretch.to_ns)
        return True

    def _sum(self, stretch: Stretch) -> int:
        """Sum a stretch; how many points. What raw points no longer cover is left."""
        province = stretch.province
        kept_ns = self.kept_from_ns(province, time.time_ns())
        from_ns = max(stretch.from_ns, passes.whole(kept_ns + MINUTE_NS - 1))
        if from_ns >= stretch.to_ns:
            return 0
        server, count = self.servers[province], 0
        for sums in ALL_SUMS:
            found = list(lines(server, sums, province, from_ns, stretch.to_ns))
            self.writer.write(found)
            count += len(found)
        return count
