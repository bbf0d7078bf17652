"""Signals: the places where a figure is above its limit in one minute. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median_low

from qos_agent.noc.troubles import causes as c
from qos_agent.noc.troubles.areas import Area, Cell, areas_of, total
from qos_agent.noc.troubles.causes import Cause
from qos_agent.noc.troubles.chance import is_unlikely, smallest_area, tail
from qos_agent.noc.troubles.limits import Limit, limits
from qos_agent.noc.troubles.places import LEVELS

ALL_OPERATORS = "all"
# Latency must also rise by this much, as in verdict.thresholds.
_RTT_RISE_US = 50_000
# Maximum probability that the other operators of a dead place are bad by chance.
_OTHERS_CHANCE = 1e-3
# An operator with fewer stations does not show that the place itself works.
_COMPARED_MIN = 3
Cells = Mapping[str, Mapping[str, Cell]]


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """The identity of a trouble while it lasts."""

    cause: str
    level: str
    place: str
    operator: str


@dataclass(frozen=True, slots=True)
class Signal:
    """A place with a figure above a limit in one minute.

    `severity` is empty if the figure is lower than the limit, but not yet low enough to
    end a trouble.
    """

    key: Key
    severity: str
    figure: float
    affected: int
    stations: int


def figure_of(cause: Cause, cell: Cell) -> float:
    """Return the figure that is compared with the limit; `neutral` without data."""
    if cause is c.RTT:
        rise = cell.top - cell.usual
        if cell.usual <= 0 or rise <= _RTT_RISE_US * cell.bottom:
            return cause.neutral
        return cell.top / cell.usual
    if cell.bottom <= 0:
        return cause.neutral
    return cell.top / cell.bottom * (100.0 if cause.counts else 1.0)


def affected_of(cause: Cause, cell: Cell) -> int:
    """Return the number of affected stations, or all if the figure is no share."""
    if not cause.counts or cell.bottom <= 0:
        return cell.stations
    return min(cell.stations, round(cell.top / cell.bottom * cell.stations))


def usual_share(cause: Cause, cells: Mapping[str, Cell]) -> float:
    """Return the share of stations that is affected without a trouble.

    It is the median over the provinces now, so one province's trouble does not change
    it. At most half of the limit is usual.
    """
    if not cause.counts:
        return cause.usual
    provinces: dict[str, list[Cell]] = {}
    for code, cell in cells.items():
        provinces.setdefault(code[:2], []).append(cell)
    shares = [figure_of(cause, total(part)) / 100 for part in provinces.values()]
    most = limits()[cause.name, "warning"].limit / 200
    return max(cause.usual, min(most, median_low(shares))) if shares else cause.usual


def signals(cause: Cause, cells: Cells) -> Iterator[Signal]:
    """Yield the signals of a cause; `cells` are by operator and regency."""
    for operator, by_regency in cells.items():
        usual = usual_share(cause, by_regency)
        for area in areas_of(by_regency, smallest_area(cause.usual)):
            signal = _signal(cause, area, operator, usual)
            if signal is not None:
                yield signal


def _signal(cause: Cause, area: Area, operator: str, usual: float) -> Signal | None:
    """Return the signal of the whole place if the trouble is spread over it.

    Otherwise return that of the pool of its small parts.
    """
    release = _release(cause)
    is_own = area.level == LEVELS[0] or _is_spread(cause, area.parts)
    cell = area.whole if is_own else area.pool
    severity = _severity(cause, cell, usual)
    if not severity and is_own and area.level != LEVELS[0]:
        cell = area.pool
        severity = _severity(cause, cell, usual)
    figure = figure_of(cause, cell)
    if figure <= release or not cell.stations:
        return None
    key = Key(cause.name, area.level, area.place, operator)
    return Signal(key, severity, figure, affected_of(cause, cell), cell.stations)


def _severity(cause: Cause, cell: Cell, usual: float) -> str:
    """Return the highest severity whose limit is exceeded, if it is not chance."""
    affected = affected_of(cause, cell)
    if not is_unlikely(cell.stations, affected, usual):
        return ""
    figure = figure_of(cause, cell)
    for severity in ("critical", "warning"):
        if figure > _limit(cause, severity).limit:
            return severity
    return ""


def _is_spread(cause: Cause, parts: Iterable[Cell]) -> bool:
    """Return True if at least half of the parts, and two, are above the limit."""
    figures = [figure_of(cause, part) for part in parts if part.stations]
    above = sum(figure > _limit(cause, "warning").limit for figure in figures)
    return above >= 2 and 2 * above >= len(figures)


def _limit(cause: Cause, severity: str) -> Limit:
    return limits()[cause.name, severity]


def _release(cause: Cause) -> float:
    """Return the figure at which a trouble ends: half-way to the limit."""
    limit = _limit(cause, "warning").limit
    return cause.neutral + (limit - cause.neutral) / 2


def outage_signals(cells: Cells) -> Iterator[Signal]:
    """Yield outages: of one operator while another one works, or of several.

    `cells` have, by operator and regency, the stations that are silent or have a bad
    link of the operator.
    """
    down: dict[tuple[str, str], dict[str, Signal]] = {}
    shares: dict[tuple[str, str], dict[str, Cell]] = {}
    for signal in signals(c.OUTAGE_OPERATOR, cells):
        area = signal.key.level, signal.key.place
        down.setdefault(area, {})[signal.key.operator] = signal
    for operator, by_regency in cells.items():
        for found in areas_of(by_regency, 1):
            by_operator = shares.setdefault((found.level, found.place), {})
            by_operator[operator] = found.whole
    for signal in signals(c.OUTAGE_PLACE, {ALL_OPERATORS: _place_cells(cells)}):
        area = signal.key.level, signal.key.place
        if _several_are_down(shares[area].values()):
            yield signal
    for area, found_down in down.items():
        several = _several_are_down(shares[area].values())
        for operator, signal in found_down.items():
            if not several and _another_works(shares[area], operator):
                yield signal


def _place_cells(cells: Cells) -> dict[str, Cell]:
    """Return the sum over operators of each regency.

    Nothing is affected in a regency in which only one of several operators is down,
    because that is an outage of the operator.
    """
    by_regency: dict[str, list[Cell]] = {}
    for by_code in cells.values():
        for code, cell in by_code.items():
            by_regency.setdefault(code, []).append(cell)
    found: dict[str, Cell] = {}
    for code, parts in by_regency.items():
        whole = total(parts)
        is_place = _several_are_down(parts) or all(map(_is_down, parts))
        found[code] = whole if is_place else Cell(whole.stations, 0.0, whole.bottom)
    return found


def _several_are_down(cells: Iterable[Cell]) -> bool:
    """Return True if the operators without the most affected one are down too.

    One bad station of a second operator is usual, so the others must not be chance.
    """
    *others, _ = sorted(cells, key=lambda cell: cell.top)
    rest = total(others)
    affected = affected_of(c.OUTAGE_PLACE, rest)
    return (
        _is_down(rest)
        and tail(rest.stations, affected, c.OUTAGE_PLACE.usual) <= _OTHERS_CHANCE
    )


def _is_down(cell: Cell) -> bool:
    limit = _limit(c.OUTAGE_PLACE, "warning").limit
    return figure_of(c.OUTAGE_PLACE, cell) > limit


def _another_works(by_operator: Mapping[str, Cell], operator: str) -> bool:
    return any(
        cell.stations >= _COMPARED_MIN and not _is_down(cell)
        for other, cell in by_operator.items()
        if other != operator
    )
