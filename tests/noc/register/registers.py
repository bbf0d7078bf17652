"""CSV files of stations, and their import."""

from __future__ import annotations

import csv
from pathlib import Path

from qos_agent.noc.register.importing import stage
from qos_agent.noc.register.store import Difference, Register

GOOD = {
    "station": "3171010001001",
    "name": "TPS 001",
    "province": "31",
    "regency": "3171",
    "latitude": "-6.18",
    "longitude": "106.83",
    "operator": "telkomsel",
    "ticket": "noc@telkomsel.example.id",
}
OTHER = GOOD | {"station": "3171010001002", "name": "TPS 002"}


def csv_of(folder: Path, *rows: dict[str, str]) -> Path:
    """Write rows to a file that has every column of them."""
    path = folder / "stations.csv"
    with path.open("w", newline="") as file:
        names = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    return path


def imported(
    register: Register, path: Path, at_s: int, *, close: bool = False
) -> Difference:
    """Import a valid file and return what it changed."""
    assert stage(register, path, lambda _: None).faults == []
    difference = register.difference()
    register.apply(at_s, close_missing=close)
    return difference
