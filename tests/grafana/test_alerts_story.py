"""The rules over written roll-ups: every figure, its least, its window and its end.

Two hours and a half are written as the census and the sums would be, then every rule is
asked every minute. Regencies of Jakarta play parts; minutes count from the first one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from grafana.alerts.limits import LIMITS
from tests.grafana.evaluator import MINUTE_NS
from tests.grafana.watch import Watch, evaluate, rules_of
from tests.servers.database import Database

START_NS = int(datetime(2024, 2, 14, 3, 0, tzinfo=UTC).timestamp()) * 10**9
MINUTES = 165
BEGINS, ENDS, POLLS_CLOSE = 30, 105, 90
TROUBLED, WELL, SMALL = "3171", "3172", "3173"
FLICKERING, ONCE, FALLING_SILENT = "3174", "3175", "3101"
NEXT = "3601"
OPERATOR = "xl"
LINK_ALERTS = ("bad-share", "degraded-share", "loss", "rtt", "throughput", "upload")
PLACE_ALERTS = ("silent", "outage-place", "backlog", "unsent", "clock", "allowance",
                "late")  # fmt: skip
Fields = dict[str, Any]
LIMIT = {(limit.alert, limit.severity): limit for limit in LIMITS}


def _line(measurement: str, tags: str, minute: float, fields: Fields) -> bytes:
    """Integers but for the fields that the schema calls float."""
    floats = {"rate_bps", "upload_sum_ms", "behind_s"}
    told = ",".join(
        f"{name}={value}" + ("" if name in floats else "i")
        for name, value in fields.items()
    )
    time_ns = START_NS + int(minute * MINUTE_NS)
    return f"{measurement},{tags} {told} {time_ns}".encode()


def _area(regency: str, operator: str = OPERATOR) -> str:
    return f"operator={operator},province={regency[:2]},regency={regency}"


def _census(
    minute: int, regency: str, operator: str, expected: int, **fields: int
) -> bytes:
    well: Fields = {
        "expected": expected, "silent": 0, "never": 0, "maintenance": 0,
        "voting": int(minute < POLLS_CLOSE),
    }  # fmt: skip
    if operator == "all":
        well["operators_down"] = 0
    else:
        well |= {"links_good": expected, "links_degraded": 0, "links_bad": 0,
                 "down": 0, "down_alone": 0}  # fmt: skip
    return _line("census", _area(regency, operator) + ",zone=WIB", minute,
                 well | fields)  # fmt: skip


def _sums(minute: int, regency: str, bad: bool) -> Iterator[bytes]:
    """A minute's sums of twenty links, well or not."""
    area = _area(regency)
    lost = 80 if bad else 2
    got = 400 - lost
    yield _line("latency", area + ",layer=anchor,phase=voting,target=a", minute,
                {"sent": 400, "lost": lost, "received": got,
                 "rtt_sum_us": got * (250_000 if bad else 50_000)})  # fmt: skip
    yield _line("throughput", area + ",backend=http,direction=down,phase=voting",
                minute, {"tests": 4, "rate_ge_2": 0 if bad else 4,
                         "rate_bps": 9e6})  # fmt: skip
    yield _line("web", area + ",layer=application,phase=voting,target=forms", minute,
                {"uploads": 4, "upload_le_60": 1 if bad else 4,
                 "upload_sum_ms": 1e5})  # fmt: skip
    place = f"phase=voting,province={regency[:2]},regency={regency}"
    yield _line("agent", place, minute, {
        "beats": 20, "backlog_points": 50_000 if bad else 100,
        "unsent_old": 10 if bad else 0, "clock_poor": 10 if bad else 0,
        "allowance_low": 10 if bad else 0, "acked_le_2m": 10 if bad else 200,
        "acked_le_1h": 190 if bad else 0, "acked_le_1d": 0, "acked_older": 0,
    })  # fmt: skip


def _minute(minute: int) -> Iterator[bytes]:
    """What is written of a minute, of every part."""
    bad = BEGINS <= minute < ENDS
    for regency in (TROUBLED, WELL):
        ill = bad and regency == TROUBLED
        yield from _sums(minute, regency, ill)
        yield _census(minute, regency, "all", 40, silent=20 * ill,
                      operators_down=2 * ill)  # fmt: skip
        yield _census(minute, regency, OPERATOR, 20, links_good=20 - 19 * ill,
                      links_bad=17 * ill, links_degraded=2 * ill,
                      down=int(ill), down_alone=int(ill))  # fmt: skip
    yield from _sums(minute, SMALL, bad)
    yield _census(minute, SMALL, "all", 4, silent=4 * bad, operators_down=2 * bad)
    yield _census(minute, SMALL, OPERATOR, 4, links_good=0, links_bad=4 * bad,
                  down=int(bad), down_alone=int(bad))  # fmt: skip
    flickers = bad and minute % 4 == 0
    yield _census(minute, FLICKERING, OPERATOR, 10, links_good=10 - 4 * flickers,
                  links_bad=4 * flickers)  # fmt: skip
    once = minute in {BEGINS, BEGINS + 1}
    yield _census(minute, ONCE, OPERATOR, 10, links_good=10 - 10 * once,
                  links_bad=10 * once)  # fmt: skip
    gone = BEGINS + 25 <= minute < ENDS
    yield _census(minute, FALLING_SILENT, OPERATOR, 10,
                  links_good=0 if bad else 10,
                  links_bad=10 * (bad and not gone), silent=10 * gone)  # fmt: skip
    # The operator is down in two regencies of one province, in one of another.
    for regency in (FLICKERING, NEXT):
        yield _census(minute, regency, "indosat", 8, down=int(bad),
                      down_alone=int(bad))  # fmt: skip
    yield _census(minute, ONCE, "indosat", 8, down=int(bad), down_alone=int(bad))
    yield _line("pipeline", "collector=a", minute, {"failed": 0, "behind_s": 0.0})


def _baseline() -> Iterator[bytes]:
    for regency in (TROUBLED, WELL, SMALL):
        yield _line("baseline", _area(regency), 0,
                    {"received": 1000, "rtt_sum_us": 50_000_000})  # fmt: skip


@pytest.fixture(scope="session")
def story(influxdb_shared: Database) -> Iterator[Watch]:
    """The story told minute by minute."""
    database = influxdb_shared.fresh()
    lines = [*_baseline(), *(x for m in range(MINUTES) for x in _minute(m))]
    for start in range(0, len(lines), 5000):
        assert database.write(b"\n".join(lines[start : start + 5000])).status == 204
    watch = Watch(rules_of({"java-w"}))
    for minute in range(BEGINS - 2, MINUTES):
        evaluate(watch, minute, START_NS + minute * MINUTE_NS, database)
    yield watch
    database.drop()


@pytest.mark.parametrize("alert", [*LINK_ALERTS, *PLACE_ALERTS])
@pytest.mark.parametrize("severity", ["warning", "critical"])
def test_trouble_fires_in_time_stays_and_ends(
    story: Watch, alert: str, severity: str
) -> None:
    """One spell: within its minutes, to the end of trouble or of voting, no flap."""
    (spell,) = story.spells(alert, severity, regency=TROUBLED)
    begins, ends = spell
    assert BEGINS < begins <= BEGINS + LIMIT[alert, severity].within_min
    over = POLLS_CLOSE if severity == "critical" and alert != "upload" else ENDS
    assert over <= ends <= over + 40
    assert story.spells(alert, severity, regency=WELL) == []


@pytest.mark.parametrize("alert", [*LINK_ALERTS[:4], "silent", "outage-place"])
def test_too_few_stations_fire_nothing(story: Watch, alert: str) -> None:
    """The same trouble at four stations is those stations', not the area's."""
    assert story.spells(alert, "warning", regency=SMALL) == []


def test_one_operator_down_over_several_places_is_its_network(story: Watch) -> None:
    """Two regencies of a province fire; one of another does not."""
    (spell,) = story.spells("outage-operator", "warning", province="31",
                            operator="indosat")  # fmt: skip
    assert BEGINS < spell[0] <= BEGINS + 4
    assert ENDS <= spell[1] <= ENDS + 1
    assert story.spells("outage-operator", "warning", province="36") == []


def test_share_that_flickers_is_one_alert(story: Watch) -> None:
    """Bad every fourth minute: it fires once, and ends when the flicker has."""
    (spell,) = story.spells("bad-share", "warning", regency=FLICKERING)
    assert ENDS <= spell[1] <= ENDS + 12


def test_two_bad_minutes_are_no_alert(story: Watch) -> None:
    """What is over before `for` has passed is not told."""
    for severity in ("warning", "critical"):
        assert story.spells("bad-share", severity, regency=ONCE) == []


def test_links_that_fall_silent_have_not_got_well(story: Watch) -> None:
    """Bad links of stations that go silent keep the alert, for the hour they were."""
    (spell,) = story.spells("bad-share", "warning", regency=FALLING_SILENT)
    assert spell[1] >= ENDS
    (spell,) = story.spells("bad-share", "critical", regency=FALLING_SILENT)
    assert spell[1] == POLLS_CLOSE


@pytest.fixture
def asked(influxdb: Database) -> Any:
    """A database and a watch over it: `asked(lines)`, then minutes."""

    class Asked:
        def __init__(self) -> None:
            self.watch = Watch(rules_of({"java-w", "nation"}))

        def write(self, *lines: bytes) -> None:
            assert influxdb.write(b"\n".join(lines)).status == 204

        def pass_by(self, first: int, last: int) -> None:
            for minute in range(first, last):
                at_ns = START_NS + minute * MINUTE_NS
                evaluate(self.watch, minute, at_ns, influxdb)

    return Asked()


def test_what_arrives_late_fires_nothing(asked: Any) -> None:
    """Sums made again at ten minutes and an hour with dreadful late data: silence."""
    asked.write(*_baseline())
    for minute in range(61):
        asked.write(*_sums(minute, WELL, False),
                    _census(minute, WELL, "all", 40),
                    _census(minute, WELL, OPERATOR, 20))  # fmt: skip
    dreadful = partial(_sums, regency=WELL, bad=True)
    for minute in range(61, 130):
        asked.write(*_sums(minute, WELL, False),
                    _census(minute, WELL, "all", 40),
                    _census(minute, WELL, OPERATOR, 20))  # fmt: skip
        asked.write(*dreadful(minute - 61))  # an hour late
        asked.pass_by(minute, minute + 1)
    assert _told(asked.watch) == {"pipeline-dead", "heartbeat"}


def test_what_arrives_ten_minutes_late_fires_nothing_on_short_windows(
    asked: Any,
) -> None:
    """The sums of a minute that is ten minutes old may change as they like."""
    asked.write(*_baseline())
    slow = ("throughput", "late")
    for minute in range(60):
        asked.write(*_sums(minute, WELL, False),
                    _census(minute, WELL, "all", 40),
                    _census(minute, WELL, OPERATOR, 20))  # fmt: skip
        if minute >= 11:
            asked.write(*_sums(minute - 11, WELL, True))
        asked.pass_by(minute, minute + 1)
    assert _told(asked.watch) - set(slow) == {"pipeline-dead", "heartbeat"}


def _told(watch: Watch) -> set[str]:
    return {alert for alert, _ in watch.fired()}


def test_a_regency_that_is_counted_no_more_is_not_resolved(asked: Any) -> None:
    """Silence stays told for an hour after the census has ceased to name a place."""
    for minute in range(20):
        asked.write(_census(minute, WELL, "all", 40),
                    _census(minute, TROUBLED, "all", 40, silent=30))  # fmt: skip
    asked.pass_by(0, 75)
    (spell,) = asked.watch.spells("silent", "warning", regency=TROUBLED)
    assert spell == (5, 10**6)


def test_a_province_that_is_counted_no_more_is_told(asked: Any) -> None:
    """The other provinces go on; the one without a census fires by name and stays."""
    for minute in range(60):
        asked.write(_census(minute, WELL, "all", 40))
        if minute < 20:
            asked.write(_census(minute, NEXT, "all", 40))
    asked.pass_by(10, 60)
    (spell,) = asked.watch.spells("census-missing", "critical")
    assert 20 < spell[0] <= 20 + LIMIT["census-missing", "critical"].within_min
    assert asked.watch.spells("census-missing", "critical", province="36") == [spell]


def test_the_census_killed_is_told_and_the_heartbeat_goes_on(asked: Any) -> None:
    """No data at all is the alert itself; when it comes back, it ends."""
    for minute in (*range(20), *range(40, 60)):
        asked.write(_line("pipeline", "collector=a", minute,
                          {"failed": 0, "behind_s": 0.0}))  # fmt: skip
    asked.pass_by(0, 60)
    (spell,) = asked.watch.spells("pipeline-dead", "critical")
    within = LIMIT["pipeline-dead", "critical"].within_min
    assert 20 + 5 <= spell[0] <= 20 + 5 + within
    assert 40 <= spell[1] <= 42
    for minute in range(60):
        assert any(a <= minute < b for a, b in asked.watch.spells("heartbeat", "none"))


def test_a_collector_that_fails_or_lags_is_told_by_name(asked: Any) -> None:
    """Failing and being behind are told of the one collector that does."""
    for minute in range(60):
        ill = 20 <= minute < 40
        asked.write(
            _line("pipeline", "collector=a", minute, {"failed": 0, "behind_s": 0.0}),
            _line("pipeline", "collector=b", minute,
                  {"failed": int(ill), "behind_s": 600.0 * ill}),
        )  # fmt: skip
    asked.pass_by(0, 60)
    for alert, severity in (("pipeline-failed", "critical"),
                            ("pipeline-behind", "warning")):  # fmt: skip
        (spell,) = asked.watch.spells(alert, severity)
        assert 20 < spell[0] <= 20 + LIMIT[alert, severity].within_min
        assert 40 <= spell[1] <= 46
        assert asked.watch.spells(alert, severity, collector="b") == [spell]


def test_installation_is_not_silence_and_maintenance_excuses_none(asked: Any) -> None:
    """Before the vote those never heard are not silent; a note excuses no station.

    While votes are cast, a station that was never heard is silent. None leaves the
    denominator: 15 silent of 40 expected are 37 %, not 15 of the 20 ever heard.
    """
    for minute in range(15):
        asked.write(
            _census(minute, TROUBLED, "all", 40, silent=15, maintenance=15),
            _census(minute, WELL, "all", 40, silent=35, never=35),
            _census(minute, SMALL, "all", 40, silent=26, never=20, voting=0),
        )
    asked.pass_by(0, 15)
    (warned,) = asked.watch.spells("silent", "warning", regency=TROUBLED)
    assert warned[0] <= LIMIT["silent", "warning"].within_min
    assert len(asked.watch.spells("silent", "warning")) == 1
    assert len(asked.watch.spells("silent", "critical")) == 1
    assert asked.watch.spells("silent", "critical", regency=WELL)
