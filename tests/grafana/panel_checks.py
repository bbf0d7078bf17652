"""Checks of panels against counts by DuckDB, the register and the injected faults."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import pytest

from qos_agent.config.places import regencies
from qos_agent.model.line_protocol import decode
from qos_agent.model.schema import RTT_BOUNDS_MS
from qos_agent.noc.troubles.causes import CAUSES
from tests.grafana import panel_checks_census as census
from tests.grafana import panel_checks_stations as stations
from tests.grafana.counts import areas, inside, operators, tally
from tests.grafana.day import Day
from tests.grafana.expected_values import chosen, last, ratio
from tests.grafana.panel_checks_operators import (
    collectors,
    compared,
    links,
    never,
    parts,
    phases,
    pipeline,
    power,
    seals,
    usual,
)
from tests.grafana.panel_figures import ANCHOR, DELAY, LOSS, pair
from tests.grafana.panel_queries import PanelResult, Place
from tests.noc.nation import MINUTE_NS


def _counted(field: str) -> Callable[[PanelResult], None]:
    def check(result: PanelResult) -> None:
        want = sum(
            counts[field]
            for code, counts in areas(result.day).items()
            if inside(result, code)
        )
        assert [row["value"] for row in result.rows] == [want]

    return check


def _none_maintained(result: PanelResult) -> None:
    assert [row["value"] for row in result.rows] == [0]


def _data_late(result: PanelResult) -> None:
    """Compare with the median age of the newest heartbeats of living regencies."""
    newest: dict[str, int] = {}
    for record in chosen(result.day, "agent", {}, 300):
        code = record.tags["regency"]
        newest[code] = max(newest.get(code, 0), record.time_ns)
    alive = {c for c, n in areas(result.day).items() if n["silent"] < n["expected"]}
    ages = [(result.day.end_ns - ns) / 1e9 for c, ns in newest.items() if c in alive]
    assert result.rows[-1]["value"] == pytest.approx(median(ages))


def _dead(result: PanelResult) -> None:
    """Compare with the regencies in which all expected stations are silent."""
    counts = areas(result.day).values()
    want = sum(n["silent"] == n["expected"] for n in counts)
    assert [row["value"] for row in result.rows] == [want]


def _complete(result: PanelResult) -> None:
    """The newest minute of the day has a complete census."""
    assert result.rows[-1]["value"] == result.day.end_ns // 10**6


def _fresh(result: PanelResult) -> None:
    """The newest minutes have a complete census."""
    assert result.rows[-1]["value"] > 0


def _troubles(result: PanelResult) -> None:
    """Each row is a trouble that lasts, with affected stations and a cause."""
    assert all(row["open"] == 1 for row in result.rows)
    assert all(0 < row["affected"] <= row["stations"] for row in result.rows)
    assert {row["cause"] for row in result.rows} <= {cause.name for cause in CAUSES}


def _needs(result: PanelResult) -> None:
    """Exactly the operators with problems are listed, with counts, cause and ticket."""
    want = {key: n for key, n in operators(result.day).items() if n["class_level"]}
    got = result.by("regency", "operator")
    assert got.keys() == want.keys()
    reasons = tally(result.day).reasons(result.day.end_ns)
    for key, counts in want.items():
        row = got[key]
        hit = counts["silent"] + counts["links_bad"]
        worse = hit + counts["links_degraded"]
        assert row["class_level"] == counts["class_level"]
        assert row["hit"] == hit
        assert row["share"] == pytest.approx(100.0 * worse / counts["expected"])
        assert row["expected"] == counts["expected"]
        assert row["province"] == key[0][:2]
        assert row["ticket"] == f"noc@{key[1]}.example.id"
        if row["kpi"] is not None:
            assert ("kpi", row["kpi"]) in reasons[key]
            assert ("side", row["side"]) in reasons[key]


def _map(result: PanelResult) -> None:
    """Each regency is at its coordinates, with its class and counts."""
    got = result.by("regency")
    want = areas(result.day)
    assert got.keys() == want.keys()
    for code, counts in want.items():
        place, row = regencies()[code], got[code]
        assert (row["latitude"], row["longitude"]) == (place.latitude, place.longitude)
        for field in ("class_level", "expected", "silent", "stations_bad"):
            assert row[field] == counts[field]
        assert row["hit"] == counts["silent"] + counts["stations_bad"]
        assert row["operators_down"] == (counts["operators_down"] or 0)
    labelled = [code for code, row in got.items() if row["label"]]
    assert labelled
    assert len(labelled) == len({code[:2] for code in labelled})
    for code in labelled:
        assert got[code]["label"] == regencies()[code].name
        assert got[code]["class_level"] in {2, 3}
        others = [n for c, n in got.items() if c[:2] == code[:2]]
        worst = max(n["hit"] for n in others if n["class_level"] in {2, 3})
        assert got[code]["hit"] == worst


def _trend(figure: tuple[str, str, float]) -> Callable[[PanelResult], None]:
    """The current values are per minute; the baseline is the sum of phase `pre`."""
    now, samples = pair("latency", figure, (), **ANCHOR)

    def check(result: PanelResult) -> None:
        current, usual, counts = result.answers
        assert now.holds(current, result.day, {})
        assert samples.holds(counts, result.day, {})
        before = [
            r
            for r in result.day.of("latency", layer="anchor")
            if r.tags["phase"] == "pre"
        ]
        assert usual
        want = pytest.approx(ratio(*figure)(before), rel=1e-9)
        assert all(row["value"] == want for row in usual)

    return check


def _voting(result: PanelResult) -> None:
    """Voting lasts six hours from 07:00: in progress in Jakarta, over in Ambon."""
    passed_s = result.day.end_ns / 1e9 - 1707868800  # 07:00 in Jakarta
    got = {zone: row["value"] for zone, row in result.by("zone").items()}
    assert got == {"WIB": pytest.approx(passed_s / 21600), "WIT": 1.0}


def _states(result: PanelResult) -> None:
    """The newest minute equals the census; during the power cut more were silent."""
    fields = ("silent", "stations_bad", "stations_degraded", "expected")
    cut = {s for s in result.day.hit("power_cut", "3171") if inside(result, s[:4])}
    for rows, field in zip(result.answers, fields, strict=False):
        want = sum(
            n[field] for code, n in areas(result.day).items() if inside(result, code)
        )
        assert rows[-1]["time"] == result.day.end_ns
        assert rows[-1]["value"] == want
        if field == "silent" and cut:
            out = result.day.start_ns + 30 * MINUTE_NS
            (then,) = (row["value"] for row in rows if row["time"] == out)
            assert then >= want + len(cut)


def _silenced(result: PanelResult) -> set[str]:
    """Return the selected stations that an injected fault makes silent."""
    day = result.day
    silent = day.hit("never") | day.hit("power_cut", "3175")
    return {s for s in silent if inside(result, s[:4])}


def _clocks(result: PanelResult) -> set[str]:
    """Return the selected stations with a wrong clock."""
    return {s for s in result.day.hit("wrong_clock") if inside(result, s[:4])}


def _last_listed(day: Day) -> dict[str, tuple[int, int]]:
    """Return when the census last listed each station, and its class level."""
    listed: dict[str, tuple[int, int]] = {}
    for line in day.written:
        if line.startswith(b"station,"):
            record = decode(line)
            level = int(record.fields["class_level"])
            newest = (record.time_ns, level)
            station = record.tags["station"]
            listed[station] = max(newest, listed.get(station, newest))
    return listed


def _named(result: PanelResult) -> None:
    """Silent stations are listed with contact, bad ones with the deciding KPI."""
    got = result.by("station")
    entries = {
        code: entry
        for regency in areas(result.day)
        for code, entry in result.day.register.stations(
            regency, result.day.end_ns // 10**9
        ).items()
    }
    silent = {code for code, row in got.items() if row["class_level"] == 3}
    assert silent == _silenced(result)
    counts = [n for code, n in areas(result.day).items() if inside(result, code)]
    before = _last_listed(result.day)
    for level, field in ((2, "stations_bad"), (1, "stations_degraded")):
        named = {s: row for s, row in got.items() if row["class_level"] == level}
        now = {s for s in named if before[s][0] == result.day.end_ns}
        clocks = {s for s in named if named[s]["kpi"] == "clock"}
        assert clocks == (_clocks(result) if level == 1 else set())
        assert len(now - clocks) == sum(n[field] for n in counts)
        assert all(row["kpi"] in {"loss", "delay", "clock"} for row in named.values())
        # A recovered station stays for the five minutes that the panel shows.
        assert {before[s] for s in named.keys() - now} <= {
            (result.day.end_ns - m * MINUTE_NS, level) for m in range(1, 6)
        }
    for code, row in got.items():
        assert row["name"] == entries[code].name
        if "contact" in row:
            assert row["contact"] == entries[code].contact
            assert row["never"] == int(code in result.day.hit("never"))
            assert row["ticket"] == f"noc@{row['operator']}.example.id"
        else:
            place = entries[code].latitude, entries[code].longitude
            assert (row["latitude"], row["longitude"]) == place


def _levels(result: PanelResult) -> None:
    """Levels equal those of the census; only bad and silent regencies are shown."""
    got: dict[str, dict[int, int]] = {}
    for row in result.rows:
        assert row["value"] >= 2
        got.setdefault(row["regency"], {})[row["time"]] = row["value"]
    for code, counts in areas(result.day).items():
        if inside(result, code):
            level = counts["class_level"]
            last = got.get(code, {}).get(result.day.end_ns)
            assert last == (level if level >= 2 else None)
    if inside(result, "3171"):
        start_ns = result.day.start_ns
        states = [got["3171"].get(start_ns + m * MINUTE_NS, 0) for m in (15, 28, 36)]
        assert states[1] == 3
        assert states[0] < 3
        assert states[2] < 3


def _bins(result: PanelResult) -> None:
    """Each answered packet is in one bin, and the bins add up to all of them."""
    got = {row["time"]: row for row in result.rows}
    received: dict[int, dict[str, int]] = {}
    titles = [*map(str, RTT_BOUNDS_MS), "more"]
    for r in chosen(result.day, "latency", {**result.only, **ANCHOR}):
        if "rtt_le_5" not in r.fields:
            continue
        minute = r.time_ns // MINUTE_NS * MINUTE_NS
        at_most = [int(r.fields[f"rtt_le_{b}"]) for b in RTT_BOUNDS_MS]
        upto = [*at_most, int(r.fields["received"])]
        bins = received.setdefault(minute, dict.fromkeys(titles, 0))
        for title, high, low in zip(titles, upto, [0, *upto], strict=False):
            bins[title] += high - low
    filled = {time for time, row in got.items() if row["5"] is not None}
    assert filled == received.keys()
    for minute, bins in received.items():
        assert {title: got[minute][title] for title in titles} == bins
    assert sum(len({t for t in b if b[t]}) > 2 for b in received.values())


def _beats(result: PanelResult) -> None:
    """One heartbeat in each minute of running, 0 otherwise, so gaps are visible."""
    got = {row["time"]: row["value"] for row in result.rows}
    beats = {
        r.time_ns // MINUTE_NS * MINUTE_NS
        for r in chosen(result.day, "agent", {"station": result.only["station"]})
    }
    assert {time for time, value in got.items() if value} == beats
    silent = [
        minute
        for minute in range(result.day.scenario.minutes)
        if not got[result.day.start_ns + minute * MINUTE_NS]
    ]
    returned = result.only["station"] in result.day.hit("power_cut", "3171")
    assert silent == (list(range(20, 32)) if returned else [])


def _device(result: PanelResult) -> None:
    """The values are those of the newest heartbeat."""
    rows = result.rows
    if "station" in result.only:
        codes = {result.only["station"]}
    else:
        codes = {
            r.tags["station"]
            for r in chosen(result.day, "agent", {"regency": "3173"}, 900)
        }
    assert {row["station"] for row in rows} == codes
    for row in rows:
        tags = {"station": row["station"]}
        if "phase" in row:
            tags["phase"] = row["phase"]
        own = list(chosen(result.day, "agent", tags, 900))
        for name in (
            "version",
            "config_hash",
            "quarantined_points",
            "allowance_left_share",
        ):
            assert row[name] == last(name)(own)


def _points(measurement: str, fields: tuple[str, ...]) -> Callable[[PanelResult], None]:
    def check(result: PanelResult) -> None:
        """The points are unchanged, newest first."""
        own = chosen(result.day, measurement, {"station": result.only["station"]})
        want = sorted(
            (r.time_ns, [r.fields.get(f, r.tags.get(f)) for f in fields]) for r in own
        )
        got = [(row["time"], [row[f] for f in fields]) for row in result.rows]
        assert got == want[::-1]
        if measurement == "incident" and result.only["station"] in result.day.hit(
            "core_failure"
        ):
            assert any(row["opened"] for row in result.rows)

    return check


OTHERS: dict[Place, Callable[[PanelResult], None]] = {
    ("overview", 1): _counted("expected"),
    ("overview", 2): _counted("reporting"),
    ("overview", 3): _counted("silent"),
    ("overview", 4): _counted("stations_degraded"),
    ("overview", 5): _counted("stations_bad"),
    ("overview", 6): _complete,
    ("overview", 18): census.changes,
    ("overview", 14): _troubles,
    ("overview", 15): _fresh,
    ("overview", 16): _data_late,
    ("overview", 17): _dead,
    ("overview", 7): _needs,
    ("overview", 8): _map,
    ("overview", 9): _trend(LOSS),
    ("overview", 10): _voting,
    ("overview", 11): _trend(DELAY),
    ("overview", 13): _states,
    ("region", 1): _named,
    ("region", 2): _named,
    ("region", 3): _levels,
    ("region", 5): _bins,
    ("region", 9): census.regencies,
    ("region", 7): _states,
    ("station", 8): _beats,
    ("station", 10): _points(
        "incident", ("link", "operator", "opened", "closed", "cause", "side")
    ),
    ("station", 19): _device,
    ("station", 20): _points(
        "event", ("kind", "count", "before", "after", "amount", "detail")
    ),
    ("operators", 1): phases("latency", LOSS, **ANCHOR),
    ("operators", 2): phases("latency", DELAY, **ANCHOR),
    ("operators", 3): phases(
        "throughput", ("rate_bps", "tests", 1.0), direction="down"
    ),
    ("operators", 4): phases("web", ("upload_sum_ms", "uploads", 1.0)),
    ("operators", 8): compared(8, "latency", LOSS, **ANCHOR),
    ("operators", 9): compared(9, "latency", DELAY, **ANCHOR),
    ("operators", 10): compared(
        10, "throughput", ("rate_bps", "tests", 1.0), direction="down"
    ),
    ("operators", 11): compared(11, "web", ("upload_sum_ms", "uploads", 1.0)),
    ("operators", 5): usual,
    ("operators", 7): links,
    ("agents", 7): pipeline,
    ("agents", 8): _counted("never"),
    ("agents", 9): _counted("mismatched"),
    ("agents", 11): _device,
    ("agents", 12): _device,
    ("agents", 23): power,
    ("agents", 13): never,
    ("agents", 24): parts,
    ("agents", 14): collectors,
    ("agents", 17): _counted("expected"),
    ("agents", 18): _counted("late"),
    ("agents", 19): seals,
    ("agents", 20): _counted("wrong_clock"),
    ("agents", 21): _none_maintained,
    ("find", 1): stations.found,
    ("rollout", 1): stations.rollout,
    ("rollout", 2): stations.rollout_by_day,
    ("station", 21): stations.heard,
    ("station", 22): stations.listed,
    ("station", 23): stations.last_heard,
    ("station", 24): stations.problem,
}
