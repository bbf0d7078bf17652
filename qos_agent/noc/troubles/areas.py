"""Sums of cells over places, so that every station counts somewhere. Pure.

A regency with too few stations cannot show a trouble by itself. Its stations count in
the province, together with those of its other small regencies: the pool. A pool that is
still too small counts in the group of provinces, and then in the nation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from qos_agent.noc.troubles.places import LEVELS, place_of


@dataclass(frozen=True, slots=True)
class Cell:
    """Additive figures of a place; a share is `top` / `bottom`.

    `stations` are those behind it. `usual` is `top` as it would be on a normal day, for
    figures that are compared with a baseline.
    """

    stations: int
    top: float
    bottom: float
    usual: float = 0.0

    def __add__(self, other: Cell) -> Cell:
        """Return the sum of two places."""
        return Cell(
            self.stations + other.stations,
            self.top + other.top,
            self.bottom + other.bottom,
            self.usual + other.usual,
        )


EMPTY = Cell(0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Area:
    """A place with the sum of all its cells, its parts, and the sum of its pool.

    Parts are the places of the next lower level.
    """

    level: str
    place: str
    whole: Cell
    parts: tuple[Cell, ...]
    pool: Cell


def areas_of(cells: Mapping[str, Cell], smallest: int) -> Iterator[Area]:
    """Yield all places that contain cells (by regency), regencies first."""
    remaining = set(cells)
    below = {code: cell for code, cell in cells.items() if cell.stations}
    for level in LEVELS:
        parts: dict[str, list[Cell]] = {}
        for place, cell in below.items():
            parts.setdefault(place_of(place, level), []).append(cell)
        parents = {code: place_of(code, level) for code in cells}
        pools: dict[str, Cell] = {}
        for code in remaining:
            pools[parents[code]] = pools.get(parents[code], EMPTY) + cells[code]
        below = {place: total(part) for place, part in parts.items()}
        for place, whole in below.items():
            pool = pools.get(place, EMPTY)
            yield Area(level, place, whole, tuple(parts[place]), pool)
        remaining = {c for c in remaining if pools[parents[c]].stations < smallest}


def total(cells: Iterable[Cell]) -> Cell:
    """Return the sum of cells."""
    result = EMPTY
    for cell in cells:
        result += cell
    return result


def watched_at(stations: Mapping[str, int], smallest: int) -> dict[str, str]:
    """Return the lowest level at which each regency's stations can show a trouble."""
    cells = {code: Cell(n, 0.0, float(n)) for code, n in stations.items()}
    levels: dict[str, str] = {}
    for area in areas_of(cells, smallest):
        if area.pool.stations < smallest and area.level != LEVELS[-1]:
            continue
        for code in cells.keys() - levels.keys():
            if place_of(code, area.level) == area.place:
                levels[code] = area.level
    return levels
