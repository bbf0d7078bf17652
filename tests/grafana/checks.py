"""What each other panel must show: as DuckDB counts, by the register and answer key."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from qos_agent.config.places import regencies
from qos_agent.model.line_protocol import decode
from qos_agent.model.schema import RTT_BOUNDS_MS
from tests.grafana.asked import Place, Seen
from tests.grafana.day import Day
from tests.grafana.figures import ANCHOR, DELAY, LOSS, pair
from tests.grafana.truth import chosen, last, ratio, total
from tests.noc.nation import MINUTE_NS
from tests.noc.tally import Tally


@cache
def tally(day: Day) -> Tally:
    made = Tally(day.register, day.start_ns)
    made.add(day.lines)
    return made


def areas(day: Day) -> dict[str, dict[str, Any]]:
    """The census of now by DuckDB, by regency."""
    found = tally(day).areas(day.end_ns)
    return {code: counts for code, counts in found.items() if counts["expected"]}


def operators(day: Day) -> dict[tuple[str, str], dict[str, Any]]:
    """The census of now by DuckDB, by regency and operator."""
    return tally(day).operators(day.end_ns)


def inside(seen: Seen, code: str) -> bool:
    """Whether a regency is among those chosen."""
    provinces, codes = seen.only.get("province"), seen.only.get("regency")
    return (provinces is None or code[:2] in provinces) and (
        codes is None or code in codes
    )


def _counted(field: str) -> Callable[[Seen], None]:
    def check(seen: Seen) -> None:
        want = sum(
            counts[field] for code, counts in areas(seen.day).items()
            if inside(seen, code)
        )  # fmt: skip
        assert [row["value"] for row in seen.rows] == [want]

    return check


def _data_age(seen: Seen) -> None:
    """The ninetieth percentile, nearest rank, of the regencies' newest heartbeats."""
    newest: dict[str, int] = {}
    for record in chosen(seen.day, "agent", {}, 300):
        code = record.tags["regency"]
        newest[code] = max(newest.get(code, 0), record.time_ns)
    ages = sorted((seen.day.end_ns - ns) / 1e9 for ns in newest.values())
    rank = math.floor(len(ages) * 0.9 + 0.5)
    assert [row["value"] for row in seen.rows] == [pytest.approx(ages[rank - 1])]


def _needs(seen: Seen) -> None:
    """All that are not well, no other; how many of how many; why; whom to call."""
    want = {key: n for key, n in operators(seen.day).items() if n["class_level"]}
    got = seen.by("regency", "operator")
    assert got.keys() == want.keys()
    reasons = tally(seen.day).reasons(seen.day.end_ns)
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


def _map(seen: Seen) -> None:
    """Each regency at its place, with its class and the size of its register."""
    got = seen.by("regency")
    want = areas(seen.day)
    assert got.keys() == want.keys()
    for code, counts in want.items():
        place, row = regencies()[code], got[code]
        assert (row["latitude"], row["longitude"]) == (place.latitude, place.longitude)
        for field in ("class_level", "expected", "silent", "stations_bad"):
            assert row[field] == counts[field]
        assert row["operators_down"] == (counts["operators_down"] or 0)


def _trend(figure: tuple[str, str, float]) -> Callable[[Seen], None]:
    """Now by minute, and before the election as the points of `pre` sum up."""
    now, samples = pair("latency", figure, (), **ANCHOR)

    def check(seen: Seen) -> None:
        current, usual, counts = seen.answers
        assert now.holds(current, seen.day, {})
        assert samples.holds(counts, seen.day, {})
        before = [
            r for r in seen.day.of("latency", layer="anchor")
            if r.tags["phase"] == "pre"
        ]  # fmt: skip
        assert usual
        want = pytest.approx(ratio(*figure)(before), rel=1e-9)
        assert all(row["value"] == want for row in usual)

    return check


def _voting(seen: Seen) -> None:
    """Of six hours from seven local time: Jakarta is within, Ambon is through."""
    passed_s = seen.day.end_ns / 1e9 - 1707868800  # 07:00 in Jakarta
    got = {zone: row["value"] for zone, row in seen.by("zone").items()}
    assert got == {"WIB": pytest.approx(passed_s / 21600), "WIT": 1.0}


def _states(seen: Seen) -> None:
    """The newest minute is the census of now; while the power was out, more."""
    fields = ("silent", "stations_bad", "stations_degraded", "expected")
    cut = {s for s in seen.day.hit("power_cut", "3171") if inside(seen, s[:4])}
    for rows, field in zip(seen.answers, fields, strict=False):
        want = sum(n[field] for code, n in areas(seen.day).items()
                   if inside(seen, code))  # fmt: skip
        assert rows[-1]["time"] == seen.day.end_ns
        assert rows[-1]["value"] == want
        if field == "silent" and cut:
            out = seen.day.start_ns + 30 * MINUTE_NS
            (then,) = (row["value"] for row in rows if row["time"] == out)
            assert then >= want + len(cut)


def _in_trouble(seen: Seen) -> set[str]:
    """The stations that the answer key and the verdicts say are in trouble."""
    day = seen.day
    silent = day.hit("never") | day.hit("power_cut", "3175") | day.hit("wrong_clock")
    return {s for s in silent if inside(seen, s[:4])}


def _was_named(day: Day) -> dict[str, tuple[int, int]]:
    """When the census named a station last, and as what."""
    found: dict[str, tuple[int, int]] = {}
    for line in day.written:
        if line.startswith(b"station,"):
            record = decode(line)
            level = int(record.fields["class_level"])
            newest = (record.time_ns, level)
            station = record.tags["station"]
            found[station] = max(newest, found.get(station, newest))
    return found


def _named(seen: Seen) -> None:
    """The silent by name, with who is on site; the bad with the figure that decided."""
    got = seen.by("station")
    entries = {
        code: entry
        for regency in areas(seen.day)
        for code, entry in seen.day.register.stations(
            regency, seen.day.end_ns // 10**9
        ).items()
    }
    silent = {code for code, row in got.items() if row["class_level"] == 3}
    assert silent == _in_trouble(seen)
    counts = [n for code, n in areas(seen.day).items() if inside(seen, code)]
    before = _was_named(seen.day)
    for level, field in ((2, "stations_bad"), (1, "stations_degraded")):
        named = {s: row for s, row in got.items() if row["class_level"] == level}
        now = {s for s in named if before[s][0] == seen.day.end_ns}
        assert len(now) == sum(n[field] for n in counts)
        assert all(row["kpi"] in {"loss", "delay"} for row in named.values())
        # Who has just recovered stays for the two minutes that are shown.
        assert {before[s] for s in named.keys() - now} <= {
            (seen.day.end_ns - m * MINUTE_NS, level) for m in (1, 2)
        }
    for code, row in got.items():
        assert row["name"] == entries[code].name
        if "contact" in row:
            assert row["contact"] == entries[code].contact
            assert row["never"] == int(code in seen.day.hit("never"))
            assert row["ticket"] == f"noc@{row['operator']}.example.id"
        else:
            place = entries[code].latitude, entries[code].longitude
            assert (row["latitude"], row["longitude"]) == place


def _levels(seen: Seen) -> None:
    """Bad or silent as the census has it, and only that; the cut regency was silent."""
    got: dict[str, dict[int, int]] = {}
    for row in seen.rows:
        assert row["value"] >= 2
        got.setdefault(row["regency"], {})[row["time"]] = row["value"]
    for code, counts in areas(seen.day).items():
        if inside(seen, code):
            level = counts["class_level"]
            last = got.get(code, {}).get(seen.day.end_ns)
            assert last == (level if level >= 2 else None)
    if inside(seen, "3171"):
        start_ns = seen.day.start_ns
        states = [got["3171"].get(start_ns + m * MINUTE_NS, 0) for m in (15, 28, 36)]
        assert states[1] == 3
        assert states[0] < 3
        assert states[2] < 3


def _bins(seen: Seen) -> None:
    """Counts fall into their bins, none twice: together they are all that came back."""
    got = {row["time"]: row for row in seen.rows}
    received: dict[int, dict[str, int]] = {}
    titles = [*map(str, RTT_BOUNDS_MS), "more"]
    for r in chosen(seen.day, "latency", {**seen.only, **ANCHOR}):
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


def _beats(seen: Seen) -> None:
    """One in each minute in which it ran, nought in between: a gap is seen."""
    got = {row["time"]: row["value"] for row in seen.rows}
    beats = {
        r.time_ns // MINUTE_NS * MINUTE_NS
        for r in chosen(seen.day, "agent", {"station": seen.only["station"]})
    }
    assert {time for time, value in got.items() if value} == beats
    silent = [
        minute
        for minute in range(seen.day.scenario.minutes)
        if not got[seen.day.start_ns + minute * MINUTE_NS]
    ]
    returned = seen.only["station"] in seen.day.hit("power_cut", "3171")
    assert silent == (list(range(20, 32)) if returned else [])


def _device(seen: Seen) -> None:
    """The newest heartbeat, as it was."""
    rows = seen.rows
    if "station" in seen.only:
        codes = {seen.only["station"]}
    else:
        codes = {r.tags["station"] for r in chosen(
            seen.day, "agent", {"regency": "3173"}, 300)}  # fmt: skip
    assert {row["station"] for row in rows} == codes
    for row in rows:
        mine = {"station": row["station"]}
        if "phase" in row:
            mine["phase"] = row["phase"]
        own = list(chosen(seen.day, "agent", mine, 300))
        for name in ("version", "config_hash", "quarantined_points",
                     "allowance_left_share"):  # fmt: skip
            assert row[name] == last(name)(own)


def _points(measurement: str, fields: tuple[str, ...]) -> Callable[[Seen], None]:
    def check(seen: Seen) -> None:
        """The points as they were, the newest first."""
        own = chosen(seen.day, measurement, {"station": seen.only["station"]})
        want = sorted((r.time_ns, [r.fields.get(f, r.tags.get(f)) for f in fields])
                      for r in own)  # fmt: skip
        got = [(row["time"], [row[f] for f in fields]) for row in seen.rows]
        assert got == want[::-1]
        if measurement == "incident" and seen.only["station"] in seen.day.hit(
            "core_failure"
        ):
            assert any(row["opened"] for row in seen.rows)

    return check


def _phases(measurement: str, figure: tuple[str, str, float], **where: str) -> Any:
    def check(seen: Seen) -> None:
        """Each phase's ratio and count, by operator; `pre` lies before the range."""
        _, divisor, _ = figure
        found = 0
        for phase, rows in zip(("pre", "voting", "counting", "post"), seen.answers,
                               strict=True):  # fmt: skip
            only = {**seen.only, **where, "phase": phase}
            groups: dict[str, list[Any]] = {}
            for record in chosen(seen.day, measurement, only):
                groups.setdefault(record.tags["operator"], []).append(record)
            got = {row["operator"]: row for row in rows if row[phase] is not None}
            want = {o: v for o, g in groups.items()
                    if (v := ratio(*figure)(g)) is not None}  # fmt: skip
            assert {o: row[phase] for o, row in got.items()} == pytest.approx(want)
            for operator, row in got.items():
                assert row[f"n_{phase}"] == total(divisor)(groups[operator])
            found += len(got)
        assert found >= 3

    return check


def _usual(seen: Seen) -> None:
    """What the links gave in `pre`, by operator, with the counts it rests on."""
    got = seen.by("operator")
    groups: dict[str, list[Any]] = {}
    for record in seen.day.of("latency", layer="anchor"):
        if record.tags["phase"] == "pre" and inside(seen, record.tags["regency"]):
            groups.setdefault(record.tags["operator"], []).append(record)
    assert got.keys() == groups.keys()
    for operator, records in groups.items():
        row = got[operator]
        assert row["loss"] == pytest.approx(ratio(*LOSS)(records))
        assert row["delay"] == pytest.approx(ratio(*DELAY)(records))
        assert row["sent"] == total("sent")(records)
        assert row["received"] == total("received")(records)


def _links(seen: Seen) -> None:
    """Links by class and places down, summed over regencies, never over operators."""
    fields = ("links_good", "links_degraded", "links_bad", "links_unknown", "down")
    want: dict[str, dict[str, int]] = {}
    for (code, operator), counts in operators(seen.day).items():
        if inside(seen, code):
            sums = want.setdefault(operator, dict.fromkeys(fields, 0))
            for field in fields:
                sums[field] += counts[field] or 0
    got = {
        o: {f: row[f] or 0 for f in fields} for o, row in seen.by("operator").items()
    }
    assert got == want
    if inside(seen, "3173"):
        worst = max(want, key=lambda o: (want[o]["links_bad"], want[o]["down"]))
        assert worst == "telkomsel"
        assert want["telkomsel"]["down"] >= 1


def _pipeline(seen: Seen) -> None:
    """One collector, a beat for each minute of the day, nothing failed."""
    (collector,) = {row["collector"] for row in seen.rows}
    assert collector
    times = [row["time"] for row in seen.rows]
    assert times[-1] == seen.day.end_ns
    assert len(times) == seen.day.scenario.minutes


def _collectors(seen: Seen) -> None:
    """It did not fail; it wrote points; its times are not nought."""
    (row,) = seen.rows
    assert row["failed"] == 0
    assert row["points"] > 0
    assert row["census_s"] > 0
    assert row["rollup_s"] > 0


def _never(seen: Seen) -> None:
    """Those that the answer key never lets speak, by name, with whom to call."""
    got = seen.by("station")
    assert got.keys() == {s for s in seen.day.hit("never") if inside(seen, s[:4])}
    assert all(row["never"] == 1 and row["name"] for row in got.values())


OTHERS: dict[Place, Callable[[Seen], None]] = {
    ("overview", 1): _counted("expected"),
    ("overview", 2): _counted("reporting"),
    ("overview", 3): _counted("silent"),
    ("overview", 4): _counted("stations_degraded"),
    ("overview", 5): _counted("stations_bad"),
    ("overview", 6): _data_age,
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
    ("region", 7): _states,
    ("station", 8): _beats,
    ("station", 10): _points(
        "incident", ("link", "operator", "opened", "closed", "cause", "side")
    ),
    ("station", 19): _device,
    ("station", 20): _points(
        "event", ("kind", "count", "before", "after", "amount", "detail")
    ),
    ("operators", 1): _phases("latency", LOSS, **ANCHOR),
    ("operators", 2): _phases("latency", DELAY, **ANCHOR),
    ("operators", 3): _phases(
        "throughput", ("rate_bps", "tests", 1.0), direction="down"
    ),
    ("operators", 4): _phases("web", ("upload_sum_ms", "uploads", 1.0)),
    ("operators", 5): _usual,
    ("operators", 7): _links,
    ("agents", 7): _pipeline,
    ("agents", 8): _counted("never"),
    ("agents", 9): _counted("mismatched"),
    ("agents", 11): _device,
    ("agents", 12): _device,
    ("agents", 13): _never,
    ("agents", 14): _collectors,
    ("agents", 17): _counted("expected"),
    ("agents", 18): _counted("late"),
}
