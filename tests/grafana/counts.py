"""Counts of a simulated day by DuckDB, for comparison with panels."""

from __future__ import annotations

from functools import cache
from typing import Any

from tests.grafana.day import Day
from tests.grafana.panel_queries import PanelResult
from tests.noc.tally import Tally


@cache
def tally(day: Day) -> Tally:
    """Return the counts of a day by DuckDB."""
    counts = Tally(day.register, day.start_ns)
    counts.add(day.lines)
    return counts


def areas(day: Day) -> dict[str, dict[str, Any]]:
    """Return the counts at the end of the day by regency."""
    areas = tally(day).areas(day.end_ns)
    return {code: counts for code, counts in areas.items() if counts["expected"]}


def operators(day: Day) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the counts at the end of the day by regency and operator."""
    return tally(day).operators(day.end_ns)


def inside(result: PanelResult, code: str) -> bool:
    """Return True if the regency is selected."""
    provinces, codes = result.only.get("province"), result.only.get("regency")
    return (provinces is None or code[:2] in provinces) and (
        codes is None or code in codes
    )
