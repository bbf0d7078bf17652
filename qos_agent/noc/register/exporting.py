"""Export of the register as a CSV file that `import` and `qos-agent report` read."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from qos_agent.noc.register.columns import COLUMNS
from qos_agent.noc.register.store import Register
from qos_agent.system.files import sync


def write_stations(register: Register, path: Path, at_s: int) -> int:
    """Write the stations that are valid at a moment; return their number.

    A kill leaves no half file under the name. Raises OSError.
    """
    temporary = path.with_name(f".{path.name}.new")
    count = 0
    with temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in _rows(register, at_s):
            writer.writerow(row)
            count += 1
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync(path.parent)
    return count


def _rows(register: Register, at_s: int) -> Iterator[dict[str, Any]]:
    for station in register.registered(at_s):
        yield {"station": station["code"], **_plain(station), **_links(station)}


def _plain(station: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields whose names are those of columns."""
    return {name: value for name, value in station.items() if name in COLUMNS}


def _links(station: Mapping[str, Any]) -> dict[str, str]:
    """Return link, operator and ticket of each link."""
    cells: dict[str, str] = {}
    for number, link in enumerate(json.loads(station["links"]), start=1):
        suffix = "" if number == 1 else f"_{number}"
        names = (f"link{suffix}", f"operator{suffix}", f"ticket{suffix}")
        cells |= dict(zip(names, link, strict=True))
    return cells
