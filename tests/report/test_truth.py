"""A report of readings with known truth, calculated again without SQL.

The stations have what disturbs figures: a phase over midnight in two time zones, an
extra voting day, a wrong clock, doubled deliveries, and a move to another regency.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest

from qos_agent.model import Identity
from qos_agent.model.calendar import Calendar, Period
from qos_agent.report.comparisons import comparisons
from qos_agent.report.sums import Selection, archive_sums
from qos_agent.report.tables import Figure, figures
from qos_agent.report.types import Comparison
from tests.report.registers import register_of
from tests.report.support import archive_of, train

HOUR_NS = 3600 * 10**9
START_NS = int(datetime(2024, 2, 13, 17, tzinfo=UTC).timestamp()) * 10**9
END_NS = START_NS + 5 * 24 * HOUR_NS


def _local(day: int, hour: int) -> datetime:
    return datetime(2024, 2, day, hour)  # noqa: DTZ001  local times, as in a calendar


CALENDAR = Calendar(
    (
        Period("e", "voting", _local(14, 7), _local(14, 13)),
        # Counting goes on over midnight, and ends at another moment in each zone.
        Period("e", "counting", _local(14, 13), _local(15, 2)),
        Period("e", "post", _local(15, 2), _local(20, 0)),
        # A station votes again on an extra day.
        Period("e", "voting", _local(17, 7), _local(17, 13), "stations", ("again",)),
    )
)


@dataclass(frozen=True, slots=True)
class Train:
    """The truth about one train of packets."""

    station: str
    regency: str
    operator: str
    time_ns: int
    lost: int
    rtts: tuple[int, ...]
    zone: str = "Asia/Jakarta"

    @property
    def phase(self) -> str:
        """The phase at the station's place."""
        place = (self.station, self.regency[:2], self.regency)
        identity = Identity(*place, self.zone, "device")
        return CALENDAR.phase_at(self.time_ns, identity).value


def _trains() -> Iterator[Train]:
    chosen = random.Random(7)
    places = {"wib": "3171", "wit": "9171", "again": "3173", "moved": "3174"}
    for hour in range(100):
        time_ns = START_NS + hour * HOUR_NS
        for station, regency in places.items():
            for operator in ("telkomsel", "xl"):
                rtts = tuple(
                    chosen.randint(5, 400) for _ in range(chosen.randint(1, 20))
                )
                found = Train(station, regency, operator, time_ns, 20 - len(rtts), rtts)
                if station == "wit":
                    found = replace(found, zone="Asia/Jayapura")
                if station == "moved" and hour >= 50:
                    found = replace(found, regency="3201")
                yield found
        # Everything that this station sent was lost.
        yield Train("dead", "5171", "telkomsel", time_ns, 20, (), "Asia/Makassar")
    # One operator has one station, which has one sample.
    yield Train("alone", "3271", "smartfren", START_NS + HOUR_NS, 0, (33,))


TRAINS = [*_trains()]


def _lines() -> Iterator[bytes]:
    for seq, t in enumerate(TRAINS, start=1):
        place = {"station": t.station, "province": t.regency[:2], "regency": t.regency}
        line = train(
            seq,
            t.rtts,
            lost=t.lost,
            time_ns=t.time_ns,
            operator=t.operator,
            phase=t.phase,
            **place,
        )
        # Every third reading was delivered twice.
        yield from [line] * (1 + (seq % 3 == 0))
    # A device had no valid clock: its readings are in 1999 and in 2031.
    for seq, time_ns in ((9001, 946_000_000 * 10**9), (9002, 1_930_000_000 * 10**9)):
        yield train(seq, [1] * 20, time_ns=time_ns, station="wib")


@pytest.fixture(scope="module")
def found(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[list[Figure], list[Comparison]]:
    """Return the figures and comparisons of the archive."""
    folder = tmp_path_factory.mktemp("truth")
    names = ("wib", "wit", "again", "moved", "dead", "alone", "silent")
    regencies = ("3171", "9171", "3173", "3201", "5171", "3271", "9471")
    stations = [
        {"station": name, "regency": regency, "selection": "chosen"}
        for name, regency in zip(names, regencies, strict=True)
    ]
    with archive_sums(
        archive_of(folder, _lines()),
        Selection(START_NS, END_NS),
        register=register_of(folder, stations),
    ) as sums:
        return figures(sums.groups(), is_random=False), comparisons(sums, ("nation",))


def _matching(row: Figure) -> list[Train]:
    """Return the true trains of a figure's group."""
    return [
        t
        for t in TRAINS
        if (row.area is None or t.regency.startswith(row.area))
        and row.operator in (None, t.operator)
        and row.phase in (None, t.phase)
    ]


RATIOS: dict[str, Callable[[Sequence[Train]], tuple[int, int]]] = {
    "loss": lambda ts: (sum(t.lost for t in ts), sum(t.lost + len(t.rtts) for t in ts)),
    "delay_mean": lambda ts: (
        sum(1000 * sum(t.rtts) for t in ts),
        sum(len(t.rtts) for t in ts),
    ),
    "delay_within_100_ms": lambda ts: (
        sum(rtt <= 100 for t in ts for rtt in t.rtts),
        sum(len(t.rtts) for t in ts),
    ),
    "completeness_latency": lambda ts: (len(ts), len(ts)),
}


def test_all_groups_have_the_true_sums(
    found: tuple[list[Figure], list[Comparison]],
) -> None:
    """Every area, operator and phase has numerator and denominator of the truth."""
    compared = 0
    for row in found[0]:
        if row.indicator in RATIOS:
            expected = RATIOS[row.indicator](_matching(row))
            assert (row.numerator, row.denominator) == expected, row
            compared += 1
    assert compared > 200


def test_medians_are_in_the_bin_of_the_truth(
    found: tuple[list[Figure], list[Comparison]],
) -> None:
    """The exact median of all true round trips is above `low`, up to the value."""
    rows = [r for r in found[0] if r.indicator == "delay_p50" and r.value is not None]
    assert len(rows) > 20
    for row in rows:
        rtts = sorted(rtt for t in _matching(row) for rtt in t.rtts)
        median = rtts[math.ceil(len(rtts) / 2) - 1]
        assert row.low is not None
        assert row.value is not None
        assert row.low < median <= row.value


def _one(rows: Sequence[Figure], name: str, **place: str) -> Figure:
    level = {0: "nation", 2: "province", 4: "regency"}[len(place.get("area", ""))]
    return next(
        r
        for r in rows
        if r.indicator == name
        and r.level == level
        and (r.area, r.operator, r.phase)
        == (place.get("area"), place.get("operator"), place.get("phase"))
    )


def test_special_stations_have_the_expected_figures(
    found: tuple[list[Figure], list[Comparison]],
) -> None:
    """One sample is too little, everything lost is a loss of 1, silence is missing."""
    rows, _ = found
    alone = _one(rows, "loss", operator="smartfren")
    assert (alone.stations, alone.denominator, alone.value) == (1, 1, None)
    assert alone.status == "insufficient data"
    dead = _one(rows, "loss", area="5171")
    assert (dead.value, dead.all_good, dead.all_bad) == (1.0, 1.0, 1.0)
    assert _one(rows, "delay_mean", area="5171").value is None
    # The moved station is in two regencies, and once in the nation.
    moved = [_one(rows, "loss", area=area) for area in ("3174", "3201")]
    assert [row.stations for row in moved] == [1, 1]
    nation = _one(rows, "loss")
    assert (nation.stations, nation.missing_stations) == (6, 1)
    # Nobody reports from province 94, so it has no figure.
    assert not [row for row in rows if row.area in ("94", "9471")]
    # Voting takes six hours; the extra day gives six more to one station.
    voting = _one(rows, "completeness_latency", area="3173", phase="voting")
    assert voting.denominator == 2 * (6 + 6)
    counting = [
        _one(rows, "completeness_latency", area=area, phase="counting").denominator
        for area in ("3171", "9171")
    ]
    assert counting == [2 * 13, 2 * 13]


def test_pairs_are_those_of_the_same_stations_and_hours(
    found: tuple[list[Figure], list[Comparison]],
) -> None:
    """The difference of two operators is calculated again from the true trains."""
    row = next(
        c
        for c in found[1]
        if (c.indicator, c.first, c.second) == ("loss", "telkomsel", "xl")
    )
    assert row.status == "insufficient data"
    assert (row.stations, row.pairs) == (4, 400)
    phases = [c for c in found[1] if c.kind == "phase" and c.indicator == "loss"]
    row = next(c for c in phases if (c.first, c.second) == ("voting", "post"))
    assert row.stations == 5
    voting, post = (
        # The station that moved has readings of `voting` only in its old province.
        RATIOS["loss"](
            [
                t
                for t in TRAINS
                if t.phase == phase and _hour(t) in HOURS and t.regency != "3201"
            ]
        )
        for phase in ("voting", "post")
    )
    assert row.value_first == pytest.approx(voting[0] / voting[1], abs=1e-6)
    assert row.value_second == pytest.approx(post[0] / post[1], abs=1e-6)
    assert row.low is not None
    assert row.low_all is not None
    assert row.comparisons > 1
    assert row.low_all < row.low


# The hours of the day in which voting takes place.
HOURS = range(7, 13)


def _hour(t: Train) -> int:
    offset = {"Asia/Jakarta": 7, "Asia/Makassar": 8, "Asia/Jayapura": 9}[t.zone]
    return (t.time_ns // HOUR_NS + offset) % 24
