"""Positions of stations for maps, from the register of the operations centre."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qos_agent.archive.geojson import Position


def positions(config: Path | None) -> Callable[[str, int], Position | None]:
    """Return a function that finds a station's position at a time in seconds.

    Without a register no station has a position.
    """
    from qos_agent.archive.geojson import Position
    from qos_agent.noc.register.store import Register
    from qos_agent.noc.settings import load

    path = load(config).folder / "register.sqlite3"
    if not path.exists():
        return lambda _code, _at_s: None
    register = Register(path)

    def find(code: str, at_s: int) -> Position | None:
        rows = [row for row in register.history(code) if row["code"] == code]
        valid = [row for row in rows if int(str(row["valid_from"])) <= at_s]
        for row in (valid or rows)[-1:]:
            latitude, longitude = (
                float(str(row["latitude"])),
                float(str(row["longitude"])),
            )
            return Position(latitude, longitude, str(row["name"]))
        return None

    return find
