"""A CSV of stations, read and checked line by line. Pure.

Every fault is one line that names row, column, value and why; a row with a fault is
no station. Codes are Kemendagri's: province 2 digits, regency 4, district 6, village
10. A station's own 13 digits are its name for life: they may begin with another
village's code, since a station that is moved keeps them.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING

from qos_agent.config.places import ZONE_NAMES, regencies
from qos_agent.model.calendar import ZONES
from qos_agent.model.errors import OperatorError

if TYPE_CHECKING:
    from _csv import Reader

LINKS_MAX = 4
# The land and sea of Indonesia, with room: a swap or a missing sign falls outside.
_LATITUDES = (-11.5, 6.5)
_LONGITUDES = (94.5, 141.5)
_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Bytes that are no UTF-8, as Python's `surrogateescape` reads them.
_UNDECODED = re.compile(r"[\udc80-\udcff]")
_OPEN_QUOTE = "a quote opens here and does not close in this row"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one value. Row 1 is the head."""

    row: int
    column: str
    value: str
    why: str

    def __str__(self) -> str:
        """One line a clerk can act on."""
        return f"row {self.row}, {self.column}: {self.value!r}: {self.why}"


@dataclass(eq=False)
class InvalidRegisterError(OperatorError):
    """A file that cannot be read as a register at all."""

    path: str
    why: str

    def __str__(self) -> str:
        """What is wrong and what a head looks like."""
        return f"{self.path}: {self.why}; columns: {', '.join(COLUMNS)}"


# What one station's row in the database holds, in this order.
STATION = ("code", "name", "province", "regency", "district", "village", "latitude",
           "longitude", "time_zone", "contact", "links", "replaces")  # fmt: skip
Station = tuple[str | float | None, ...]
_Check = Callable[[str], str | None]


def _digits(count: int) -> _Check:
    pattern = re.compile(rf"\d{{{count}}}", re.ASCII)
    return lambda value: None if pattern.fullmatch(value) else f"{count} digits"


def _number(low: float, high: float) -> _Check:
    def check(value: str) -> str | None:
        try:
            inside = low <= float(value) <= high
        except ValueError:
            return "a number, with a point"
        return None if inside else f"between {low} and {high}"

    return check


def _regency(value: str) -> str | None:
    return None if value in regencies() else "no such regency in the reference data"


def _word(value: str) -> str | None:
    return None if _WORD.fullmatch(value) else "letters, digits, - and _"


def _zone(value: str) -> str | None:
    return None if value in ZONES or value in ZONE_NAMES else "WIB, WITA or WIT"


def _text(value: str) -> str | None:
    if _UNDECODED.search(value):
        return "not UTF-8; save the file as CSV UTF-8"
    if _CONTROL.search(value):
        return "without control characters"
    return None if len(value) <= 200 else "at most 200 characters"


_REQUIRED: dict[str, _Check] = {
    "station": _digits(13),
    "name": _text,
    "province": _digits(2),
    "regency": _regency,
    "latitude": _number(*_LATITUDES),
    "longitude": _number(*_LONGITUDES),
    "operator": _word,
}
_OPTIONAL: dict[str, _Check] = {
    "district": _digits(6),
    "village": _digits(10),
    "time_zone": _zone,
    "contact": _text,
    "replaces": _digits(13),
    "link": _word,
    "ticket": _text,
    **{
        f"{name}_{number}": check
        for number in range(2, LINKS_MAX + 1)
        for name, check in (("link", _word), ("operator", _word), ("ticket", _text))
    },
}
COLUMNS = (*_REQUIRED, *_OPTIONAL)
# What is a row's own, and what recurs over a nation and is worked out once: where it
# lies (a narrower area's code begins with the wider one's) and how it is linked.
_OWN = ("station", "name", "latitude", "longitude", "contact", "replaces")
_AREAS = ("province", "regency", "district", "village")
_PLACE = (*_AREAS, "time_zone")
_LINKS = tuple(
    f"{name}{suffix}"
    for suffix in ("", *(f"_{number}" for number in range(2, LINKS_MAX + 1)))
    for name in ("link", "operator", "ticket")
)
_CHECKS = _REQUIRED | _OPTIONAL
_Wrong = tuple[str, str, str]  # column, value, why


def read(lines: Iterable[str], path: str) -> Iterator[Station | list[Fault]]:
    """Each row as a station, or as what is wrong with it.

    Raises InvalidRegisterError where the head lacks a column or has one too many.
    `lines` are read with `surrogateescape`, so that a byte that is no UTF-8 is a fault
    of its value.
    """
    reader = csv.reader(lines)
    head = [name.strip().lower() for name in next(reader, [])]
    _check_head(head, path)
    own, place, links = (_taking(head, names) for names in (_OWN, _PLACE, _LINKS))
    seen: dict[str, int] = {}
    held: list[tuple[int, Station]] = []
    for number, values in _numbered(reader):
        if isinstance(values, Fault):
            yield [values]
            continue
        if len(values) != len(head):
            said = f"{len(head)} as in the head"
            yield [Fault(number, "row", f"{len(values)} values", said)]
            continue
        row = [*map(str.strip, values), ""]
        mine, placed, linked = own(row), _placed(place(row)), _linked(links(row))
        wrong = [*_unsound(_OWN, mine), *placed.wrong, *linked.wrong]
        first = seen.setdefault(mine[0], number)
        if first != number:
            wrong.append(("station", mine[0], f"stands in row {first} already"))
        if wrong:
            yield [Fault(number, *each) for each in wrong]
            continue
        station = _station(mine, place(row), placed.zone, linked.text)
        if mine[-1]:
            held.append((number, station))
        else:
            yield station
    yield from _replacing(held, seen)


def _numbered(reader: Reader) -> Iterator[tuple[int, list[str] | Fault]]:
    """Each row that is not empty, and the number of the line on which it begins.

    A row has one line. Where it has more, what follows an open quote was taken for a
    value of it: the rows up to the next quote.
    """
    while True:
        number = reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, Fault(number, "row", str(error), _OPEN_QUOTE)
            continue
        if reader.line_num > number:
            lines = f"lines {number} to {reader.line_num}"
            yield number, Fault(number, "row", lines, _OPEN_QUOTE)
        elif values:
            yield number, values


def _replacing(
    held: list[tuple[int, Station]], seen: dict[str, int]
) -> Iterator[Station | list[Fault]]:
    """The rows that replace a station, which must not stand in the file as well."""
    replaced: dict[str, int] = {}
    for number, station in held:
        old = str(station[-1])
        first = replaced.setdefault(old, number)
        if old in seen:
            why = f"stands in row {seen[old]}: one of the two, or it counts twice"
            yield [Fault(number, "replaces", old, why)]
        elif first != number:
            yield [Fault(number, "replaces", old, f"replaced in row {first} already")]
        else:
            yield station


def _taking(
    head: list[str], names: tuple[str, ...]
) -> Callable[[list[str]], tuple[str, ...]]:
    """A function that takes some columns of a row, whose last value is empty."""
    found: Callable[[list[str]], tuple[str, ...]] = itemgetter(
        *(head.index(name) if name in head else -1 for name in names)
    )
    return found


def _check_head(head: list[str], path: str) -> None:
    if any(map(_UNDECODED.search, head)):
        raise InvalidRegisterError(path, "is not UTF-8 text")
    missing = [name for name in _REQUIRED if name not in head]
    unknown = [name for name in head if name not in _REQUIRED | _OPTIONAL]
    twice = sorted({name for name in head if head.count(name) > 1})
    for names, what in (
        (missing, "lacks"), (unknown, "has unknown"), (twice, "repeats")
    ):  # fmt: skip
        if names:
            said = f"the head {what} {', '.join(map(repr, names))}"
            raise InvalidRegisterError(path, said)


def _unsound(names: tuple[str, ...], values: tuple[str, ...]) -> Iterator[_Wrong]:
    """The values that are not well by themselves."""
    for name, value in zip(names, values, strict=True):
        if not value:
            if name in _REQUIRED:
                yield name, value, "must be given"
        elif (why := _CHECKS[name](value)) is not None:
            yield name, value, why


@dataclass(frozen=True, slots=True)
class _Placed:
    """The time zone of a place, and what is wrong with it."""

    zone: str
    wrong: tuple[_Wrong, ...]


@lru_cache(65_536)
def _placed(values: tuple[str, ...]) -> _Placed:
    """The area codes and the zone of a row."""
    *codes, zone = values
    wrong = tuple(_unsound(_PLACE, values)) or tuple(_misplaced(codes))
    if wrong:
        return _Placed("", wrong)
    return _Placed(ZONES.get(zone, zone) or regencies()[codes[1]].time_zone, ())


def _misplaced(codes: list[str]) -> Iterator[_Wrong]:
    """Areas that do not lie in the next wider one that is given."""
    given = [each for each in zip(_AREAS, codes, strict=True) if each[1]]
    for (wide, within), (narrow, value) in pairwise(given):
        if not value.startswith(within):
            yield narrow, value, f"does not lie in {wide} {within}"


@dataclass(frozen=True, slots=True)
class _Linked:
    """How a row is linked, and what is wrong with it."""

    text: str
    wrong: tuple[_Wrong, ...]


@lru_cache(16_384)
def _linked(values: tuple[str, ...]) -> _Linked:
    """The links of a row as JSON: few ways to be linked recur."""
    links, wrong = [], list(_unsound(_LINKS, values))
    for index in range(LINKS_MAX):
        link, operator, ticket = values[3 * index : 3 * index + 3]
        if operator:
            usual = "main" if index == 0 else f"link{index + 1}"
            links.append((link or usual, operator, ticket))
        elif index:
            number = index + 1
            wrong += [
                (f"{name}_{number}", value, f"without operator_{number}")
                for name, value in (("link", link), ("ticket", ticket))
                if value
            ]
    names = [name for name, *_ in links]
    if len(names) != len(set(names)):
        why = "link names are unique within a station"
        wrong.append(("link", ", ".join(names), why))
    return _Linked(json.dumps(links, ensure_ascii=False), tuple(wrong))


def _station(
    own: tuple[str, ...], place: tuple[str, ...], zone: str, links: str
) -> Station:
    code, name, latitude, longitude, contact, replaces = own
    province, regency, district, village, _ = place
    return (
        code, name, province, regency, district or None, village or None,
        float(latitude), float(longitude), zone, contact or None, links,
        replaces or None,
    )  # fmt: skip
