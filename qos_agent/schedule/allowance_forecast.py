"""Forecast of the data a schedule moves on a link, compared with the allowance.

Pure. It counts the expected number of slots of each job. A task counts with the data
that such tasks have moved on this link, or with its worst case until that is known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from qos_agent.model import Phase
from qos_agent.model.calendar import (
    PhaseSpan,
    StationCalendar,
    local_date,
    midnight_ns,
    phase_spans,
)
from qos_agent.model.units import size_text
from qos_agent.schedule.allowance import Allowance
from qos_agent.schedule.slots import Job


@dataclass(frozen=True, slots=True)
class Demand:
    """The jobs of each phase, and the data of one task of each probe.

    `usual_bytes` returns what a task of a probe has moved on a link on average, or None
    if that is not known. The worst case counts then.
    """

    jobs: Callable[[Phase], Iterable[Job]]
    worst_case_bytes: Mapping[str, int]
    usual_bytes: Callable[[str, str], int | None] = lambda _probe, _link: None

    def task_bytes(self, probe: str, link: str) -> int:
        """Return the data of one task of a probe on a link."""
        usual = self.usual_bytes(probe, link)
        return self.worst_case_bytes.get(probe, 0) if usual is None else usual

    def rate_bytes_s(self, link: str, phase: Phase) -> float:
        """Return the mean bytes per second on a link in a phase."""
        return sum(
            self.task_bytes(job.probe, link) / job.interval_s
            for job in self.jobs(phase)
            if job.link is not None and job.link.name == link
        )


@dataclass(frozen=True, slots=True)
class Need:
    """The bytes a link needs: in total, in voting hours and on the busiest day."""

    total_bytes: int
    voting_bytes: int
    day_bytes: int


def forecast(
    demand: Demand, link: str, station: StationCalendar, from_ns: int, until_ns: int
) -> Need:
    """Return the bytes that the schedule needs on a link in a span of wall time."""
    rates = {phase: demand.rate_bytes_s(link, phase) for phase in Phase}
    total: Counter[Phase] = Counter()
    busiest_day_bytes = 0
    for day in station.days(from_ns, until_ns):
        spans = [_phase_bytes(s, rates) for s in phase_spans(station.timeline, *day)]
        day_bytes = sum(size_bytes for _, size_bytes in spans)
        busiest_day_bytes = max(busiest_day_bytes, day_bytes)
        for phase, size_bytes in spans:
            total[phase] += size_bytes
    return Need(sum(total.values()), total[Phase.VOTING], busiest_day_bytes)


def _phase_bytes(span: PhaseSpan, rates: Mapping[Phase, float]) -> tuple[Phase, int]:
    length_s = (span.until_ns - span.from_ns) / 1e9
    return span.phase, round(length_s * rates[span.phase])


def until_reset(
    demand: Demand,
    link: str,
    station: StationCalendar,
    allowance: Allowance,
    now_ns: int,
) -> Need:
    """Return the bytes that the schedule needs on a link until the month ends."""
    end = allowance.period(local_date(now_ns, station.zone))[1]
    return forecast(demand, link, station, now_ns, midnight_ns(end, station.zone))


def shortfalls(
    demand: Demand,
    link: str,
    station: StationCalendar,
    allowance: Allowance,
    now_ns: int,
) -> tuple[str, ...]:
    """Return a line for each limit that the schedule exceeds.

    This checks the present month and each month with voting hours.
    """
    days = {local_date(now_ns, station.zone), *station.voting_days()}
    lines: list[str] = []
    for start, end in sorted({allowance.period(day) for day in days}):
        span = midnight_ns(start, station.zone), midnight_ns(end, station.zone)
        need = forecast(demand, link, station, *span)
        lines += (f"{link}: {text}" for text in _shortfalls(need, allowance, start))
    return tuple(lines)


def _shortfalls(need: Need, allowance: Allowance, start: date) -> Iterator[str]:
    month, reserve = allowance.month_bytes, allowance.reserve_bytes
    comparisons: list[tuple[str, int, int | None]] = [
        ("a day needs", need.day_bytes, allowance.day_bytes)
    ]
    if month is not None:
        other_bytes = need.total_bytes - need.voting_bytes
        comparisons = [
            ("the month needs", need.total_bytes, month),
            *comparisons,
            ("voting hours need", need.voting_bytes, reserve or None),
            ("all but voting hours need", other_bytes, month - reserve),
        ]
    for subject, needed, limit in comparisons:
        if limit is not None and needed > limit:
            yield (
                f"from {start.isoformat()} {subject} {size_text(needed)} "
                f"of {size_text(limit)}"
            )
