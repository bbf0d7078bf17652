"""Checks of the panels of the dashboards on operators and agents."""

from __future__ import annotations

from typing import Any

import pytest

from tests.grafana.counts import inside, operators
from tests.grafana.expected_values import chosen, ratio, total
from tests.grafana.panel_figures import DELAY, LOSS
from tests.grafana.panel_queries import PanelResult


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
            count += len(got)
        assert count >= 3

    return check


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
    for (code, operator), counts in operators(result.day).items():
        if inside(result, code):
            sums = want.setdefault(operator, dict.fromkeys(fields, 0))
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


def collectors(result: PanelResult) -> None:
    """The collector did not fail, wrote points, and took time."""
    (row,) = result.rows
    assert row["failed"] == 0
    assert row["points"] > 0
    assert row["census_s"] > 0
    assert row["rollup_s"] > 0


def never(result: PanelResult) -> None:
    """Exactly the stations that never reported are listed, with names."""
    got = result.by("station")
    assert got.keys() == {s for s in result.day.hit("never") if inside(result, s[:4])}
    assert all(row["never"] == 1 and row["name"] for row in got.values())
