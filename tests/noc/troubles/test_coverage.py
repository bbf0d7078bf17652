"""Every station is watched by some area, at any size of the fleet."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from qos_agent.config.places import regencies
from qos_agent.noc.troubles.areas import watched_at
from qos_agent.noc.troubles.causes import SILENT
from qos_agent.noc.troubles.chance import smallest_area
from qos_agent.noc.troubles.places import LEVELS

PAGE = Path(__file__).parents[3] / "docs" / "design" / "alerts.md"
SIZES = (200, 1_000, 2_000, 20_000, 100_000, 823_220)


def spread(stations: int) -> dict[str, int]:
    """Return stations by regency, proportional to the population."""
    places = list(regencies().values())
    people = sum(place.population for place in places)
    counts = {p.code: stations * p.population // people for p in places}
    left = stations - sum(counts.values())
    weights = [place.population for place in places]
    for place in Random(1).choices(places, weights, k=left):
        counts[place.code] += 1
    return {code: n for code, n in counts.items() if n}


def shares(stations: int) -> dict[str, float]:
    """Return the share of stations that each level watches, in percent."""
    counts = spread(stations)
    levels = watched_at(counts, smallest_area(SILENT.usual))
    by_level = Counter[str]()
    for code, level in levels.items():
        by_level[level] += counts[code]
    return {level: 100 * by_level[level] / stations for level in LEVELS}


@pytest.mark.parametrize("stations", SIZES)
def test_every_station_is_watched(stations: int) -> None:
    """The shares of the four levels add up to 100 %, and the docs have them."""
    found = shares(stations)
    assert sum(found.values()) == pytest.approx(100)
    cells = " | ".join(f"{found[level]:.1f}" for level in LEVELS)
    assert f"| {stations:,} | {cells} |" in PAGE.read_text(encoding="utf-8")
