"""What the schedule will move on a link, at the worst, and whether the SIM bears it.

Pure. The expected number of slots of each job, each at its worst case: what really
happens is less, so that what fits here fits.
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
    """The jobs of each phase, and what a task of each probe moves at the worst."""

    jobs: Callable[[Phase], Iterable[Job]]
    worst_case_bytes: Mapping[str, int]

    def rate_bytes_s(self, link: str, phase: Phase) -> float:
        """Bytes a second on a link in a phase, in the mean of the worst cases."""
        return sum(
            self.worst_case_bytes.get(job.probe, 0) / job.interval_s
            for job in self.jobs(phase)
            if job.link is not None and job.link.name == link
        )


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes a link needs in a span, those of voting hours, and on its fullest day."""

    total_bytes: int
    voting_bytes: int
    day_bytes: int


def forecast(
    demand: Demand, link: str, station: StationCalendar, from_ns: int, until_ns: int
) -> Need:
    """What the schedule will need on a link from one moment to another."""
    rates = {phase: demand.rate_bytes_s(link, phase) for phase in Phase}
    total: Counter[Phase] = Counter()
    fullest = 0
    for day in station.days(from_ns, until_ns):
        moved = [_moved(s, rates) for s in phase_spans(station.timeline, *day)]
        fullest = max(fullest, sum(size for _, size in moved))
        for phase, size_bytes in moved:
            total[phase] += size_bytes
    return Need(sum(total.values()), total[Phase.VOTING], fullest)


def _moved(stretch: PhaseSpan, rates: Mapping[Phase, float]) -> tuple[Phase, int]:
    length_s = (stretch.until_ns - stretch.from_ns) / 1e9
    return stretch.phase, round(length_s * rates[stretch.phase])


def until_reset(
    demand: Demand,
    link: str,
    station: StationCalendar,
    allowance: Allowance,
    now_ns: int,
) -> Need:
    """What the schedule will need on a link from now until its month ends."""
    end = allowance.period(local_date(now_ns, station.zone))[1]
    return forecast(demand, link, station, now_ns, midnight_ns(end, station.zone))


def shortfalls(
    demand: Demand,
    link: str,
    station: StationCalendar,
    allowance: Allowance,
    now_ns: int,
) -> tuple[str, ...]:
    """A line for each way in which the schedule does not fit the allowance.

    Looked at: the month of now, and each month in which votes are cast.
    """
    days = {local_date(now_ns, station.zone), *station.voting_days()}
    lines: list[str] = []
    for start, end in sorted({allowance.period(day) for day in days}):
        span = midnight_ns(start, station.zone), midnight_ns(end, station.zone)
        need = forecast(demand, link, station, *span)
        lines += (f"{link}: {said}" for said in _short(need, allowance, start))
    return tuple(lines)


def _short(need: Need, allowance: Allowance, start: date) -> Iterator[str]:
    others = need.total_bytes - need.voting_bytes
    whole = allowance.month_bytes
    for what, needed, given in (
        ("the month needs", need.total_bytes, whole),
        ("a day needs", need.day_bytes, allowance.day_bytes),
        ("voting hours need", need.voting_bytes,
         allowance.reserve_bytes or None if whole is not None else None),
        ("all but voting hours need", others,
         None if whole is None else whole - allowance.reserve_bytes),
    ):  # fmt: skip
        if given is not None and needed > given:
            yield (
                f"from {start.isoformat()} {what} {size_text(needed)} "
                f"of {size_text(given)}"
            )
