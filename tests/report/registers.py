"""Registers of a few stations, as `noc register export` writes them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

COLUMNS = (
    "station",
    "province",
    "regency",
    "operator",
    "operator_2",
    "selection",
    "stratum",
    "cluster",
)


def register_of(folder: Path, stations: Iterable[Mapping[str, str]]) -> Path:
    """Write a register; a station is in regency 3171 if it is in no other."""
    usual = {"regency": "3171", "operator": "telkomsel", "selection": "random"}
    path = folder / "register.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for station in stations:
            row = {**usual, **station}
            writer.writerow({"province": row["regency"][:2], **row})
    return path
