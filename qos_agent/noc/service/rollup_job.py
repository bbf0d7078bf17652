"""The roll-ups as a job: fresh minutes, then gaps, then what must be recalculated."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from qos_agent.influx.query import QueryError, between, word
from qos_agent.influx.writer import WriteError
from qos_agent.noc.rollup import cursors
from qos_agent.noc.rollup.cursors import GAP, RollupSpan
from qos_agent.noc.rollup.recompute import RollupCalculator
from qos_agent.noc.rollup.sums import MINUTE_NS
from qos_agent.noc.service.report import Priority, Report, Step
from qos_agent.noc.settings import RollupsSection
from qos_agent.noc.state import State

_DAY_NS = 86400 * 10**9
# A device whose clock was wrong may report points of 1970.
_OLDEST_S = 366 * 86400.0


@dataclass(frozen=True, slots=True)
class RollupJob:
    """Recalculates spans of each province; a cursor moves after a successful write."""

    calculator: RollupCalculator
    state: State
    settings: RollupsSection

    def run(self, report: Report) -> None:
        """Recalculate the fresh minutes of every province."""
        for province in self.calculator.servers:
            cursors.begin(self.state, self.settings, province, report.at_ns)
            span = cursors.fresh(self.settings, province, report.at_ns)
            self._update(span, report, report.failed)

    def due(self, report: Report) -> Step | None:
        """Return the most urgent span of any province; of equals, the oldest.

        Provinces with an error since the last whole minute wait for the next one.
        """
        spans: list[RollupSpan] = []
        for province in self.calculator.servers.keys() - report.pending_failed.keys():
            self._begin_day(province, report.at_ns)
            spans += cursors.due(self.state, self.settings, province, report.at_ns)
        if not spans:
            return None
        span = min(spans, key=lambda s: (s.urgency, s.from_ns, s.province))
        is_gap = span.urgency == GAP
        priority = Priority.GAP if is_gap else Priority.RECALCULATION
        update = partial(self._update, span, report, report.pending_failed)
        return Step(priority, update)

    def behind_s(self, at_ns: int, provinces: Iterable[str]) -> float:
        """Return the age of the oldest minute without sums in some provinces."""
        ages = (
            cursors.behind_s(self.state, self.settings, province, at_ns)
            for province in provinces
        )
        return max(ages, default=0.0)

    def pending_s(self, at_ns: int) -> float:
        """Return how much time is still to recalculate, all provinces together."""
        return sum(
            cursors.pending_s(self.state, self.settings, province, at_ns)
            for province in self.calculator.servers
        )

    def recompute(self, from_ns: int, to_ns: int) -> Iterator[tuple[RollupSpan, int]]:
        """Recalculate all minutes of a span; yield each part and its number of points.

        Raises QueryError, WriteError.
        """
        from_ns = cursors.whole_minute(from_ns)
        to_ns = cursors.whole_minute(to_ns + MINUTE_NS - 1)
        step_ns = cursors.whole_minute(int(self.settings.span * 1e9))
        for province in self.calculator.servers:
            for start_ns in range(from_ns, to_ns, step_ns):
                span = RollupSpan(
                    province, start_ns, min(to_ns, start_ns + step_ns), ""
                )
                yield span, self.calculator.update(span, time.time_ns())

    def _update(self, span: RollupSpan, report: Report, failed: dict[str, str]) -> None:
        """Recalculate a span and move its cursor; an error moves nothing."""
        try:
            count = self.calculator.update(span, report.at_ns)
            report.written[span.province] += count
        except (QueryError, WriteError) as error:
            failed[span.province] = str(error)
            return
        before_ns = self.state.mark(span.cursor)
        if before_ns is not None and span.from_ns <= before_ns < span.to_ns:
            self.state.set_mark(span.cursor, span.to_ns)

    def _begin_day(self, province: str, at_ns: int) -> None:
        """Start the daily pass, as far back as agents report undelivered points."""
        if not cursors.day_is_due(self.state, province, at_ns):
            return
        query = (
            'SELECT MAX("oldest_unsent_s") AS "oldest" FROM "agent" WHERE '
            f'"province" = {word(province)} AND {between(at_ns - _DAY_NS, at_ns)}'
        )
        try:
            # A point that was this old at its heartbeat may be a day older by now.
            reported = [
                min(row.amount("oldest"), _OLDEST_S) + _DAY_NS / 1e9
                for row in self.calculator.servers[province].select(query)
                if "oldest" in row.values
            ]
        except QueryError:
            return  # the next call tries again
        back_s = max([self.settings.back, *reported])
        cursors.begin_day(self.state, self.settings, province, at_ns, back_s)
