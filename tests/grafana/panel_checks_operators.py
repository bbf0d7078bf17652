"""Checks of the panels of the dashboards on operators and agents."""

from __future__ import annotations

import operator as arithmetic
from collections.abc import Callable
from math import inf, nan, sqrt
from typing import Any

import pytest

from tests.grafana.counts import inside, operators
from tests.grafana.expected_values import chosen, ratio, total
from tests.grafana.panel_figures import DELAY, LOSS
from tests.grafana.panel_queries import PANELS, PanelResult
from tests.noc.nation import MINUTE_NS


def phases(measurement: str, figure: tuple[str, str, float], **where: str) -> Any:
    def check(result: PanelResult) -> None:
        """Ratio and count are correct for each phase and operator."""
        _, divisor, _ = figure
        count = 0
        for phase, rows in zip(
            ("pre", "voting", "counting", "post"), result.answers, strict=True
        ):
            only = {**result.only, **where, "phase": phase}
            groups: dict[str, list[Any]] = {}
            for record in chosen(result.day, measurement, only):
                groups.setdefault(record.tags["operator"], []).append(record)
            got = {row["operator"]: row for row in rows if row[phase] is not None}
            want = {
                o: v for o, g in groups.items() if (v := ratio(*figure)(g)) is not None
            }
            assert {o: row[phase] for o, row in got.items()} == pytest.approx(want)
            for operator, row in got.items():
                assert row[f"n_{phase}"] == total(divisor)(groups[operator])
                width = half_width(figure, groups[operator])
                assert row[f"pm_{phase}"] == pytest.approx(width, abs=1e-6)
            count += len(got)
        assert count >= 3

    return check


def half_width(figure: tuple[str, str, float], records: list[Any]) -> float:
    """Return half the width of the 95 % interval over regencies and hours."""
    top, bottom, scale = figure
    clusters: dict[tuple[str, int], list[Any]] = {}
    for r in records:
        key = r.tags["regency"], r.time_ns // (60 * MINUTE_NS)
        clusters.setdefault(key, []).append(r)
    sums = [
        (scale * (total(top)(c) or 0), n)
        for c in clusters.values()
        if (n := total(bottom)(c))
    ]
    return ratio_half_width(sums)


def ratio_half_width(sums: list[tuple[float, float]]) -> float:
    """Return half the width of the interval of a ratio from sums of its clusters."""
    if len(sums) < 2:
        return 0.0
    n = sum(bottom for _, bottom in sums)
    figure = sum(top for top, _ in sums) / n
    squares = sum((top - figure * bottom) ** 2 for top, bottom in sums)
    count = len(sums)
    return float(1.96 * sqrt(squares * count / (count - 1)) / n)


def compared(
    id_: int, measurement: str, figure: tuple[str, str, float], **where: str
) -> Any:
    steps = PANELS["operators", id_]["transformations"]

    def check(result: PanelResult) -> None:
        """A difference is real if it exceeds half the width of its interval."""
        groups: dict[tuple[str, str], list[Any]] = {}
        for phase in ("pre", "voting"):
            tags = {**result.only, **where, "phase": phase}
            for record in chosen(result.day, measurement, tags, 7 * 86400):
                groups.setdefault((phase, record.tags["operator"]), []).append(record)
        rows = transformed(result.answers, steps)
        for row in rows:
            before = groups["pre", row["operator"]]
            during = groups["voting", row["operator"]]
            assert row["before"] == pytest.approx(ratio(*figure)(before))
            assert row["voting"] == pytest.approx(ratio(*figure)(during))
            difference = row["voting"] - row["before"]
            assert row["difference"] == pytest.approx(difference, abs=1e-6)
            widths = (_of_regencies(figure, before), half_width(figure, during))
            margin = sqrt(sum(width**2 for width in widths))
            is_real = 0 < margin < abs(difference)
            assert (0 < row["chance"] < 1) is is_real, (row, margin)
        if measurement == "latency" and inside(result, "3173"):
            assert len(rows) >= 3

    return check


_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": arithmetic.add,
    "-": arithmetic.sub,
    "*": arithmetic.mul,
    "/": lambda a, b: a / b if b else (inf if a else nan),
}


def transformed(answers: list[list[Any]], steps: list[Any]) -> list[dict[str, Any]]:
    """Merge the rows of queries by operator and calculate columns, as Grafana does."""
    merged: dict[str, dict[str, Any]] = {}
    for rows in answers:
        for row in rows:
            merged.setdefault(row["operator"], {}).update(row)
    for step in steps:
        options = step["options"]
        if step["id"] == "filterByValue":
            needed = [one["fieldName"] for one in options["filters"]]
            merged = {
                key: row
                for key, row in merged.items()
                if all(row.get(name) is not None for name in needed)
            }
        if step["id"] == "calculateField":
            sides = options["binary"]
            for row in merged.values():
                values = row[sides["left"]], row[sides["right"]]
                row[options["alias"]] = _ARITHMETIC[sides["operator"]](*values)
    return list(merged.values())


def _of_regencies(figure: tuple[str, str, float], records: list[Any]) -> float:
    top, bottom, scale = figure
    clusters: dict[str, list[Any]] = {}
    for record in records:
        clusters.setdefault(record.tags["regency"], []).append(record)
    return ratio_half_width(
        [
            (scale * (total(top)(c) or 0), n)
            for c in clusters.values()
            if (n := total(bottom)(c))
        ]
    )


def usual(result: PanelResult) -> None:
    """Values and counts are those of phase `pre`, by operator."""
    got = result.by("operator")
    groups: dict[str, list[Any]] = {}
    for record in result.day.of("latency", layer="anchor"):
        if record.tags["phase"] == "pre" and inside(result, record.tags["regency"]):
            groups.setdefault(record.tags["operator"], []).append(record)
    assert got.keys() == groups.keys()
    for operator, records in groups.items():
        row = got[operator]
        assert row["loss"] == pytest.approx(ratio(*LOSS)(records))
        assert row["delay"] == pytest.approx(ratio(*DELAY)(records))
        assert row["sent"] == total("sent")(records)
        assert row["received"] == total("received")(records)


def links(result: PanelResult) -> None:
    """Links by class and regencies down are summed over regencies, by operator."""
    fields = ("links_good", "links_degraded", "links_bad", "links_unknown", "down")
    want: dict[str, dict[str, int]] = {}
    for (code, name), counts in operators(result.day).items():
        if inside(result, code):
            sums = want.setdefault(name, dict.fromkeys(fields, 0))
            for field in fields:
                sums[field] += counts[field] or 0
    got = {
        o: {f: row[f] or 0 for f in fields} for o, row in result.by("operator").items()
    }
    assert got == want
    if inside(result, "3173"):
        worst = max(want, key=lambda o: (want[o]["links_bad"], want[o]["down"]))
        assert worst == "telkomsel"
        assert want["telkomsel"]["down"] >= 1


def pipeline(result: PanelResult) -> None:
    """One collector has a point for each minute of the day."""
    (collector,) = {row["collector"] for row in result.rows}
    assert collector
    times = [row["time"] for row in result.rows]
    assert times[-1] == result.day.end_ns
    assert len(times) == result.day.scenario.minutes


def seals(result: PanelResult) -> None:
    """No witness runs on the simulated day, and each of the three lines is empty."""
    assert result.answers == [[], [], []]


def parts(result: PanelResult) -> None:
    """No health check runs on the simulated day."""
    assert result.rows == []


def collectors(result: PanelResult) -> None:
    """The collector did not fail, wrote points, and took time."""
    (row,) = result.rows
    assert row["failed"] == 0
    assert row["points"] > 0
    assert row["census_s"] > 0
    assert row["rollup_s"] > 0


def power(result: PanelResult) -> None:
    """Exactly the devices of the regency with too little voltage are listed."""
    weak = {
        r.tags["station"]
        for r in chosen(result.day, "host", {"regency": "3173"}, 7200)
        if r.fields.get("undervoltage") or r.fields.get("on_battery")
    }
    assert result.by("station").keys() == weak


def never(result: PanelResult) -> None:
    """Exactly the stations that never reported are listed, with names."""
    got = result.by("station")
    assert got.keys() == {s for s in result.day.hit("never") if inside(result, s[:4])}
    assert all(row["never"] == 1 and row["name"] for row in got.values())
