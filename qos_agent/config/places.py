"""Provinces and regencies of the reference data, with time zones and map positions.

Codes as in Kepmendagri 300.2.2-2430 of 2025. A position is a point inside the area to
draw it on a map; it is not accurate enough for anything else.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from qos_agent.model.calendar import ZONES

ZONE_NAMES = {time_zone: name for name, time_zone in ZONES.items()}


@dataclass(frozen=True, slots=True)
class Regency:
    """A regency or city; the first two of its four digits are its province."""

    code: str
    name: str
    province: str
    latitude: float
    longitude: float
    time_zone: str
    population: int

    @property
    def zone(self) -> str:
        """The name of the time zone: WIB, WITA or WIT."""
        return ZONE_NAMES[self.time_zone]


@cache
def regencies() -> dict[str, Regency]:
    """Return the 514 regencies and cities by code."""
    return {
        row["regency"]: Regency(
            row["regency"],
            # One name of the source ends with a blank.
            row["name"].strip(),
            row["province"],
            float(row["latitude"]),
            float(row["longitude"]),
            row["time_zone"],
            int(row["population_2025"]),
        )
        for row in _table("regencies.csv")
    }


@cache
def provinces() -> dict[str, str]:
    """Return the names of the 38 provinces by code."""
    return {row["province"]: row["name"] for row in _table("provinces.csv")}


@cache
def province_zones() -> dict[str, str]:
    """Return the time zones of the provinces by code."""
    return {row["province"]: row["time_zone"] for row in _table("provinces.csv")}


def _table(name: str) -> Iterator[dict[str, str]]:
    text = (files("qos_agent.config") / "data" / name).read_text(encoding="utf-8")
    return csv.DictReader(text.splitlines())
