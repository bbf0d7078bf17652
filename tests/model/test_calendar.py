"""The calendar gives phases at local time in every zone, also on special days."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.config import calendar_file
from qos_agent.config.places import province_zones
from qos_agent.model import Identity, Phase
from qos_agent.model.calendar import PERIODS, ZONES, Calendar, Change, Period
from tests.support.calendars import VALID_CALENDAR, calendar_of

HOUR_NS = 3600 * 10**9
JAKARTA = Identity("3171011001001", "31", "3171", "Asia/Jakarta", "a")
MAKASSAR = Identity("7371011001001", "73", "7371", "Asia/Makassar", "b")
JAYAPURA = Identity("9171011001001", "91", "9171", "Asia/Jayapura", "c")
STATIONS = (JAKARTA, MAKASSAR, JAYAPURA)


def wall_ns(local: str, zone: str) -> int:
    """Return a local time in a zone as nanoseconds since 1970."""
    moment = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone))
    return int(moment.timestamp()) * 10**9


@pytest.mark.parametrize("name", ["2024-02-14", "2024-11-27"])
@pytest.mark.parametrize("who", STATIONS, ids=lambda who: who.time_zone)
@pytest.mark.parametrize(
    ("clock", "before", "after"),
    [
        ("07:00", Phase.PRE, Phase.VOTING),
        ("13:00", Phase.VOTING, Phase.COUNTING),
    ],
)
def test_phases_change_at_the_right_local_moment(
    name: str, who: Identity, clock: str, before: Phase, after: Phase
) -> None:
    """Phases change at 07:00 and 13:00 local time of each zone, to the nanosecond."""
    calendar = calendar_file.named(name)
    moment = wall_ns(f"{name}T{clock}", who.time_zone)
    assert calendar.phase_at(moment - 1, who) is before
    assert calendar.phase_at(moment, who) is after
    assert calendar.timeline(who).next_change(moment - 1) == (moment, after)


def test_voting_begins_in_the_east_first() -> None:
    """Voting begins at 13 February 22:00 and 23:00, and 14 February 00:00 UTC."""
    calendar = calendar_file.named("2024-02-14")
    starts = [
        next(
            entry.at_wall_ns
            for entry in calendar.timeline(who).entries
            if entry.phase is Phase.VOTING
        )
        for who in (JAYAPURA, MAKASSAR, JAKARTA)
    ]
    utc = [datetime.fromtimestamp(ns // 10**9, UTC).isoformat() for ns in starts]
    assert utc == [
        "2024-02-13T22:00:00+00:00",
        "2024-02-13T23:00:00+00:00",
        "2024-02-14T00:00:00+00:00",
    ]


@pytest.mark.parametrize(
    ("name", "moments"),
    [
        (
            "2024-02-14",
            {
                "2024-01-30T23:59": Phase.IDLE,
                "2024-01-31T00:00": Phase.PRE,
                "2024-02-15T11:59": Phase.COUNTING,
                "2024-02-15T12:00": Phase.POST,
                "2024-03-20T23:59": Phase.POST,
                "2024-04-03T23:59": Phase.POST,
                "2024-04-04T00:00": Phase.IDLE,
            },
        ),
        (
            "2024-11-27",
            {
                "2024-11-12T23:59": Phase.IDLE,
                "2024-11-13T00:00": Phase.PRE,
                "2024-11-28T11:59": Phase.COUNTING,
                "2024-11-28T12:00": Phase.POST,
                "2024-12-16T23:59": Phase.POST,
                "2024-12-31T00:00": Phase.IDLE,
            },
        ),
    ],
)
def test_the_shipped_calendars_match_their_sources(
    name: str, moments: dict[str, Phase]
) -> None:
    """Each period has the published start and end, or the one marked as chosen."""
    calendar = calendar_file.named(name)
    for local, phase in moments.items():
        for who in STATIONS:
            assert calendar.phase_at(wall_ns(local, who.time_zone), who) is phase


def test_without_a_calendar_the_phase_is_always_idle() -> None:
    """Without a file there is no phase but idle, no change and no hash."""
    calendar = calendar_file.named(None)
    assert calendar.phase_at(0, JAKARTA) is Phase.IDLE
    assert calendar.phase_at(2**62, JAKARTA) is Phase.IDLE
    assert calendar.timeline(JAKARTA).next_change(0) is None
    assert calendar.hash is None


def test_the_hash_is_that_of_the_file() -> None:
    """The hash in the heartbeat is the start of `sha256sum FILE`."""
    path = calendar_file.find("2024-02-14")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert calendar_file.load(path).hash == digest[:12]


def test_a_repeat_vote_overrides_the_national_calendar(tmp_path: Path) -> None:
    """The named station votes and counts again; its neighbour stays in post."""
    special = f"""
[[election.period]]
kind = "voting"
province = "31"
stations = ["{JAKARTA.station}"]
start = 2029-01-20T07:00:00
end = 2029-01-20T13:00:00
[[election.period]]
kind = "counting"
province = "31"
stations = ["{JAKARTA.station}"]
start = 2029-01-20T13:00:00
end = 2029-01-21T12:00:00
"""
    calendar = calendar_of(tmp_path, VALID_CALENDAR + special)
    neighbour = Identity("3171011001002", "31", "3171", "Asia/Jakarta", "d")
    for clock, phase in (
        ("2029-01-20T06:59", Phase.POST),
        ("2029-01-20T07:00", Phase.VOTING),
        ("2029-01-20T13:00", Phase.COUNTING),
        ("2029-01-21T12:00", Phase.POST),
    ):
        moment = wall_ns(clock, "Asia/Jakarta")
        assert calendar.phase_at(moment, JAKARTA) is phase
        assert calendar.phase_at(moment, neighbour) is Phase.POST


def test_a_postponed_vote_overrides_the_voting_day(tmp_path: Path) -> None:
    """The narrower scope applies: the station is still in phase pre."""
    special = f"""
[[election.period]]
kind = "pre"
province = "31"
stations = ["{JAKARTA.station}"]
start = 2029-01-01T00:00:00
end = 2029-01-20T07:00:00
"""
    calendar = calendar_of(tmp_path, VALID_CALENDAR + special)
    moment = wall_ns("2029-01-10T09:00", "Asia/Jakarta")
    assert calendar.phase_at(moment, JAKARTA) is Phase.PRE
    assert calendar.phase_at(moment, MAKASSAR) is Phase.VOTING


def test_a_province_overrides_its_zone_and_a_zone_the_nation(tmp_path: Path) -> None:
    """Voting begins an hour later in WIT and two hours later in province 94."""
    later = """
[[election.period]]
kind = "{kind}"
{scope}
start = 2029-01-10T{start}:00
end = 2029-01-10T{end}:00
"""
    zone = 'zones = ["WIT"]'
    province = 'provinces = ["94"]'
    text = VALID_CALENDAR + "".join(
        later.format(kind=kind, scope=scope, start=start, end=end)
        for kind, scope, start, end in (
            ("pre", zone, "07:00", "08:00"),
            ("voting", zone, "08:00", "14:00"),
            ("pre", province, "07:00", "09:00"),
            ("voting", province, "09:00", "15:00"),
        )
    )
    calendar = calendar_of(tmp_path, text)
    highland = Identity("x", "94", "9401", "Asia/Jayapura", "d")
    for who, opens in ((JAKARTA, "07"), (JAYAPURA, "08"), (highland, "09")):
        moment = wall_ns(f"2029-01-10T{opens}:00", who.time_zone)
        assert calendar.phase_at(moment - 1, who) is Phase.PRE
        assert calendar.phase_at(moment, who) is Phase.VOTING


def test_two_elections_in_one_file(tmp_path: Path) -> None:
    """A file may contain national and local elections on different days."""
    second = VALID_CALENDAR.replace("test", "local").replace("2029-", "2031-")
    calendar = calendar_of(tmp_path, VALID_CALENDAR + second)
    for year in ("2029", "2031"):
        moment = wall_ns(f"{year}-01-10T09:00", "Asia/Makassar")
        assert calendar.phase_at(moment, MAKASSAR) is Phase.VOTING
    between = wall_ns("2030-01-10T09:00", "Asia/Makassar")
    assert calendar.phase_at(between, MAKASSAR) is Phase.IDLE


EPOCH = datetime(2029, 1, 1)  # noqa: DTZ001  calendars are in local time
PHASES = st.sampled_from(sorted(PERIODS))
MINUTES = st.integers(min_value=1, max_value=3000)


@st.composite
def calendars(draw: st.DrawFn) -> Calendar:
    """Draw periods with gaps, and special days of one station."""
    periods = []
    for scope, names in (("", ()), ("stations", (JAKARTA.station,))):
        at = EPOCH
        for kind, gap, length in draw(
            st.lists(st.tuples(PHASES, st.integers(0, 500), MINUTES), max_size=6)
        ):
            start = at + timedelta(minutes=gap)
            at = start + timedelta(minutes=length)
            periods.append(Period("e", kind, start, at, scope, names))
    return Calendar(tuple(periods))


moments = st.integers(min_value=-10, max_value=500).map(
    lambda hours: wall_ns("2029-01-01T00:00", "Asia/Jakarta") + hours * HOUR_NS // 2
)


@given(calendars(), moments, st.sampled_from(STATIONS))
def test_the_next_change_is_a_change_of_phase(
    calendar: Calendar, now_ns: int, who: Identity
) -> None:
    """The phase stays until the next change, and then has the announced value."""
    change = calendar.timeline(who).next_change(now_ns)
    if change is None:
        assert calendar.phase_at(2**62, who) is calendar.phase_at(now_ns, who)
        return
    moment, phase = change
    assert moment > now_ns
    assert calendar.phase_at(moment - 1, who) is calendar.phase_at(now_ns, who)
    assert calendar.phase_at(moment, who) is phase
    assert phase is not calendar.phase_at(now_ns, who)


@given(calendars(), moments)
def test_zones_see_the_same_hours(calendar: Calendar, now_ns: int) -> None:
    """The phase depends on local time only: WIT is two hours ahead of WIB."""
    west = Identity("x", "31", "3171", "Asia/Jakarta", "d")
    east = Identity("x", "31", "3171", "Asia/Jayapura", "d")
    later_ns = now_ns + 2 * HOUR_NS
    assert calendar.phase_at(now_ns, east) is calendar.phase_at(later_ns, west)


@given(calendars(), moments)
def test_a_special_day_applies_to_no_other_station(
    calendar: Calendar, now_ns: int
) -> None:
    """A neighbour has the phases of the calendar without the special days."""
    plain = Calendar(tuple(p for p in calendar.periods if not p.scope))
    neighbour = Identity("other", "31", "3171", "Asia/Jakarta", "d")
    assert calendar.phase_at(now_ns, neighbour) is plain.phase_at(now_ns, neighbour)


@given(calendars(), moments, st.lists(st.integers(1, 10**15), max_size=8))
def test_changes_are_reported_once_at_any_polling_rate(
    calendar: Calendar, start_ns: int, naps_ns: list[int]
) -> None:
    """Frequent calls and one call after a long sleep return the same changes."""
    timeline = calendar.timeline(JAKARTA)
    before = timeline.phase_at(start_ns)
    at_once = timeline.changes(before, sum(naps_ns), start_ns + sum(naps_ns))
    reported, phase, now_ns = list[Change](), before, start_ns
    for nap_ns in naps_ns:
        now_ns += nap_ns
        seen = timeline.changes(phase, nap_ns, now_ns)
        reported += seen
        phase = seen[-1].phase if seen else phase
    assert tuple(reported) == at_once
    assert phase is timeline.phase_at(now_ns)


@pytest.mark.parametrize("years", [1, -1])
def test_a_stepped_clock_is_one_change(years: int) -> None:
    """A step of a year from pre to idle does not report voting and counting."""
    timeline = calendar_file.named("2024-02-14").timeline(JAKARTA)
    now_ns = wall_ns("2024-02-10T00:00", "Asia/Jakarta") + years * 8766 * HOUR_NS
    changes = timeline.changes(Phase.PRE, 10**9, now_ns)
    assert [change.phase for change in changes] == [Phase.IDLE]
    assert changes[0].at_wall_ns == now_ns - 10**9


def test_a_suspend_reports_the_phases_that_it_missed() -> None:
    """A device that was suspended from 06:00 to 14:00 reports voting and counting."""
    timeline = calendar_file.named("2024-02-14").timeline(MAKASSAR)
    now_ns = wall_ns("2024-02-14T14:00", "Asia/Makassar")
    changes = timeline.changes(Phase.PRE, 8 * HOUR_NS, now_ns)
    assert [(c.phase, c.at_wall_ns) for c in changes] == [
        (Phase.VOTING, now_ns - 7 * HOUR_NS),
        (Phase.COUNTING, now_ns - HOUR_NS),
    ]


@pytest.mark.parametrize("phase", list(Phase))
def test_the_configuration_is_frozen_while_votes_are_cast_or_counted(
    phase: Phase,
) -> None:
    """Only --now applies a changed configuration on the voting day."""
    assert calendar_file.may_reload(phase, now=True)
    assert calendar_file.may_reload(phase) is (
        phase not in {Phase.VOTING, Phase.COUNTING}
    )


def test_every_province_has_one_of_three_zones() -> None:
    """Each of the 38 provinces is in WIB, WITA or WIT."""
    zones = province_zones()
    assert len(zones) == 38
    assert set(zones.values()) == set(ZONES.values())
