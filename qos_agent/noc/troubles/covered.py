"""Signals of all places but those of an outage, which has its own signals. Pure.

Stations of small regencies count in a larger place. Without this, those of a province
with an outage would make the nation's pool look bad, as a second trouble of the same
cause.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from qos_agent.noc.troubles.areas import Cell
from qos_agent.noc.troubles.causes import INDEPENDENT, RANK, Cause
from qos_agent.noc.troubles.places import LEVELS, Place, contains
from qos_agent.noc.troubles.signals import Cells, Key, Signal, signals

_ALL_OPERATORS = "all"


def uncovered_signals(
    cause: Cause, cells: Cells, troubles: Iterable[Key]
) -> Iterator[Signal]:
    """Yield the signals of a cause, without the places of more fundamental troubles.

    Those places have signals of their own, up to their own level.
    """
    fundamental = [
        key
        for key in troubles
        if RANK[key.cause] < RANK[cause.name] and cause.name not in INDEPENDENT
    ]
    for operator, by_regency in cells.items():
        covering = [
            (key.level, key.place)
            for key in fundamental
            if key.operator in {operator, _ALL_OPERATORS}
        ]
        for place, part in _split(by_regency, covering).items():
            for signal in signals(cause, {operator: part}):
                is_inside = place is None or contains(
                    place, (signal.key.level, signal.key.place)
                )
                if is_inside:
                    yield signal


def _split(
    cells: Mapping[str, Cell], covering: Sequence[Place]
) -> dict[Place | None, dict[str, Cell]]:
    """Return the cells by the largest place that covers them; the others under None."""
    largest_first = sorted(covering, key=lambda place: -LEVELS.index(place[0]))
    parts: dict[Place | None, dict[str, Cell]] = {}
    for code, cell in cells.items():
        inside = (p for p in largest_first if contains(p, (LEVELS[0], code)))
        parts.setdefault(next(inside, None), {})[code] = cell
    return parts
