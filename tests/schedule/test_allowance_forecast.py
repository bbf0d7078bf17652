"""The forecast of the data that a schedule needs, before it is deployed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qos_agent.config.calendar_file import named
from qos_agent.model import Phase
from qos_agent.model.calendar import StationCalendar, Timeline, phase_spans
from qos_agent.schedule.allowance import Allowance
from qos_agent.schedule.allowance_forecast import (
    Demand,
    forecast,
    shortfalls,
    until_reset,
)
from qos_agent.schedule.slots import Job
from tests.support.clocks import ELECTION_MORNING_NS
from tests.support.ledgers import ELECTION, HOUR_NS, JAKARTA, MAIN
from tests.support.readings import IDENTITY

MB = 1_000_000
DAY_NS = 24 * HOUR_NS
STATION = StationCalendar(ELECTION, JAKARTA)


def _jobs(phase: Phase) -> list[Job]:
    hours = 1 if phase is Phase.VOTING else 6
    return [Job("throughput", MAIN, None, hours * 3600.0)]


DEMAND = Demand(_jobs, {"throughput": 10 * MB})


def test_a_day_of_voting_needs_its_phases() -> None:
    """7 h of pre, 6 h of voting and 11 h of counting need 11.7, 60 and 18.3 MB."""
    start_ns = ELECTION_MORNING_NS - 7 * HOUR_NS
    need = forecast(DEMAND, "main", STATION, start_ns, start_ns + DAY_NS)
    assert need.voting_bytes == 60 * MB
    assert need.total_bytes == 60 * MB + 18 * 10 * MB / 6
    assert need.day_bytes == need.total_bytes


def test_a_known_cost_replaces_the_worst_case() -> None:
    """A task counts with what it usually moves on this link, if that is known."""
    costs = {("throughput", "main"): 2 * MB}
    demand = Demand(_jobs, {"throughput": 10 * MB}, lambda *key: costs.get(key))
    assert demand.task_bytes("throughput", "main") == 2 * MB
    assert demand.task_bytes("throughput", "spare") == 10 * MB
    start_ns = ELECTION_MORNING_NS - 7 * HOUR_NS
    need = forecast(demand, "main", STATION, start_ns, start_ns + DAY_NS)
    assert need.voting_bytes == 12 * MB


def test_another_link_needs_nothing() -> None:
    """Only the jobs of the link itself count."""
    span = (ELECTION_MORNING_NS, ELECTION_MORNING_NS + DAY_NS)
    assert forecast(DEMAND, "spare", STATION, *span).total_bytes == 0


def test_the_need_until_the_reset_ends_with_the_month() -> None:
    """13 February, 07:00, is 17 days minus 7 hours before 1 March."""
    now_ns = ELECTION_MORNING_NS - DAY_NS
    demand = Demand(lambda _: [_jobs(Phase.PRE)[0]], {"throughput": 6 * MB})
    need = until_reset(demand, "main", STATION, Allowance(), now_ns)
    assert need.total_bytes == (17 * 24 - 7) * MB


def test_each_exceeded_limit_gives_a_line() -> None:
    """A schedule that fits gives none; each limit exceeded in a month gives one."""
    now_ns = ELECTION_MORNING_NS - 60 * DAY_NS
    roomy = Allowance(2000 * MB, 200 * MB, reserve_bytes=100 * MB)
    assert shortfalls(DEMAND, "main", STATION, roomy, now_ns) == ()
    tight = Allowance(1000 * MB, 80 * MB, reserve_bytes=50 * MB)
    assert shortfalls(DEMAND, "main", STATION, tight, now_ns) == (
        "main: from 2023-12-01 the month needs 1.2 GB of 1.0 GB",
        "main: from 2023-12-01 all but voting hours need 1.2 GB of 950.0 MB",
        "main: from 2024-02-01 the month needs 1.2 GB of 1.0 GB",
        "main: from 2024-02-01 a day needs 90.0 MB of 80.0 MB",
        "main: from 2024-02-01 voting hours need 60.0 MB of 50.0 MB",
        "main: from 2024-02-01 all but voting hours need 1.1 GB of 950.0 MB",
    )


def test_every_shipped_calendar_can_be_forecast() -> None:
    """A real calendar has six voting hours."""
    timeline = named("2024-02-14").timeline(IDENTITY)
    span = (ELECTION_MORNING_NS - DAY_NS, ELECTION_MORNING_NS + DAY_NS)
    need = forecast(DEMAND, "main", StationCalendar(timeline, JAKARTA), *span)
    assert need.voting_bytes == 60 * MB


@given(st.integers(-40 * 24, 40 * 24), st.integers(0, 80 * 24))
def test_phase_spans_cover_their_span(start_h: int, length_h: int) -> None:
    """Every moment is in exactly one phase span, and the span has its phase."""
    from_ns = ELECTION_MORNING_NS + start_h * HOUR_NS
    until_ns = from_ns + length_h * HOUR_NS
    at_ns = from_ns
    for span in phase_spans(ELECTION, from_ns, until_ns):
        assert span.from_ns == at_ns < span.until_ns
        assert ELECTION.phase_at(span.until_ns - 1) is span.phase
        at_ns = span.until_ns
    assert at_ns == max(from_ns, until_ns)


def test_without_a_calendar_every_moment_is_idle() -> None:
    """There is one span, as long as the requested one."""
    (only,) = phase_spans(Timeline(()), 0, DAY_NS)
    assert (only.phase, only.until_ns) == (Phase.IDLE, DAY_NS)
