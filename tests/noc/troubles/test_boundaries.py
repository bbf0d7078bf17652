"""Every cause over every change of phase: nothing that goes on is reported as ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from qos_agent.config.calendar_file import named
from qos_agent.model.line_protocol import decode
from qos_agent.noc.census.voting_window import VotingWindow
from qos_agent.noc.troubles.causes import CAUSES
from qos_agent.noc.troubles.decide import decide
from qos_agent.noc.troubles.signals import Key
from qos_agent.noc.troubles.standing import Trouble
from tests.noc.troubles.rising import Rising

FULL = os.environ.get("QOS_FAULTS") == "full"
# The first hour of the day on which polls close at 13:00, by zone in UTC.
ZONES = {"3171": 7, "7371": 8, "8171": 9}
ELECTIONS = {
    "2024-02-14": datetime(2024, 2, 14, tzinfo=UTC),
    "2024-11-27": datetime(2024, 11, 27, tzinfo=UTC),
}
# Hours of the local day: the polls close, and counting ends on the next day.
CLOSES, COUNTED = 13, 36
# Affected shares that cause this trouble only, and not a more fundamental one.
SHARES = {"silent": 0.28, "bad-share": 0.28}
STEP = 2


@dataclass(frozen=True)
class Boundary:
    """A change of phase at a place."""

    regency: str
    election: str
    hour: int

    @property
    def at_ns(self) -> int:
        """Return the moment of the change."""
        day = ELECTIONS[self.election].timestamp()
        return (int(day) + (self.hour - ZONES[self.regency]) * 3600) * 10**9


def _boundaries() -> Iterator[Boundary]:
    """Yield each zone once, or in full with both elections and both changes."""
    for number, regency in enumerate(ZONES):
        for index, election in enumerate(ELECTIONS):
            for hour in (CLOSES, COUNTED):
                if FULL or (number % 2 == index and (hour == CLOSES) is (index == 0)):
                    yield Boundary(regency, election, hour)


def _points(
    cause: str, boundary: Boundary, share: Callable[[int], float]
) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the points of a cause; minute 0 is the change of phase."""
    rising = Rising(cause, share, boundary.at_ns, boundary.regency)
    voting = VotingWindow(named(boundary.election))
    standing: Mapping[Key, Trouble] = {}
    found: list[tuple[int, Mapping[str, Any]]] = []
    for minute in range(-76, 90, STEP):
        decision = decide(rising.facts(minute), standing, voting)
        standing = decision.troubles
        for record in map(decode, decision.lines):
            if record.measurement == "trouble":
                assert record.tags["cause"] == cause
                severity = record.tags["severity"]
                found.append((minute, {**record.fields, "tag": severity}))
    return found


@pytest.mark.parametrize("cause", [cause.name for cause in CAUSES])
@pytest.mark.parametrize("boundary", list(_boundaries()), ids=str)
def test_what_goes_on_is_not_ended(cause: str, boundary: Boundary) -> None:
    """It is open from before the change until long after it, at one severity."""
    most = SHARES.get(cause, 1.0)
    points = _points(cause, boundary, lambda at: most if at >= -74 else 0.0)
    assert {fields["open"] for _, fields in points} <= {1, -1}
    after = {minute for minute, fields in points if fields["open"] == 1 and minute >= 0}
    assert after == set(range(0, 90, STEP))
    around = {fields["tag"] for minute, fields in points if abs(minute) < 8}
    assert len(around) == 1
    notified = {fields["notify"] for minute, fields in points if minute >= 0}
    assert notified == ({0} if boundary.hour == COUNTED else {1})


@pytest.mark.parametrize("cause", [cause.name for cause in CAUSES])
@pytest.mark.parametrize("boundary", list(_boundaries()), ids=str)
def test_what_ends_is_ended_once(cause: str, boundary: Boundary) -> None:
    """After the change the figure falls, and one end is written for its severity."""
    most = SHARES.get(cause, 1.0)
    points = _points(cause, boundary, lambda at: most if -74 <= at < 4 else 0.0)
    ends = [minute for minute, fields in points if fields["open"] == 0]
    assert len(ends) == 1
    assert ends[0] > 4
    assert max(minute for minute, _ in points) == ends[0]
