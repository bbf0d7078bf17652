"""Rows of a CSV file of stations: reading and checking. Pure.

Every fault names its row, column and value and says what is wrong. A row with a fault
gives no station. Area codes are those of the Ministry of Home Affairs (Kemendagri):
2 digits for a province, 4 for a regency, 6 for a district, 10 for a village. The 13
digits of a station never change. They may begin with the code of another village,
because a station keeps its code when it moves.
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

from qos_agent.config.operators import operator_code
from qos_agent.config.places import ZONE_NAMES, regencies
from qos_agent.model.calendar import ZONES
from qos_agent.noc.register import spreadsheet
from qos_agent.noc.register.faults import Fault, InvalidRegisterError

LINKS_MAX = 4
# Bounds around the land and sea of Indonesia. Swapped coordinates and a missing sign
# fall outside.
_LATITUDES = (-11.5, 6.5)
_LONGITUDES = (94.5, 141.5)
_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Bytes that are not UTF-8 as `surrogateescape` decodes them, and U+FFFD, which stands
# for a character that a conversion has lost.
_UNDECODED = re.compile(r"[\udc80-\udcff\ufffd]")
# float() would also accept "1_0", "1e2", "nan" and digits of other scripts.
_NUMBER = re.compile(r"[+-]?\d{1,3}(\.\d{1,20})?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d{1,3},\d{1,20}", re.ASCII)
_OPEN_QUOTE = "a quote opens in this row and does not close in it"


# The columns of a station in the database, in this order.
FIELDS = (
    "code",
    "name",
    "province",
    "regency",
    "district",
    "village",
    "latitude",
    "longitude",
    "time_zone",
    "contact",
    "links",
    "replaces",
)
Station = tuple[str | float | None, ...]
_Check = Callable[[str], str | None]


def _digits(count: int) -> _Check:
    pattern = re.compile(rf"\d{{{count}}}", re.ASCII)
    problem = f"must be {count} digits"
    return lambda value: None if pattern.fullmatch(value) else problem


def _number(low: float, high: float) -> _Check:
    def check(value: str) -> str | None:
        if not _NUMBER.fullmatch(value):
            return "must be a number with a decimal point"
        inside = low <= float(value) <= high
        return None if inside else f"must be between {low} and {high}"

    return check


def _regency(value: str) -> str | None:
    return None if value in regencies() else "is not a regency of the reference data"


def _word(value: str) -> str | None:
    problem = "must consist of letters, digits, - and _"
    return None if _WORD.fullmatch(value) else problem


def _operator(value: str) -> str | None:
    return _word(operator_code(value))


def _zone(value: str) -> str | None:
    known = value in ZONES or value in ZONE_NAMES
    return None if known else "must be WIB, WITA or WIT"


def _text(value: str) -> str | None:
    if _UNDECODED.search(value):
        return "is not UTF-8; save the file as CSV UTF-8"
    if _CONTROL.search(value):
        return "must not contain control characters"
    return None if len(value) <= 200 else "must be at most 200 characters long"


_REQUIRED: dict[str, _Check] = {
    "station": _digits(13),
    "name": _text,
    "province": _digits(2),
    "regency": _regency,
    "latitude": _number(*_LATITUDES),
    "longitude": _number(*_LONGITUDES),
    "operator": _operator,
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
        for name, check in (("link", _word), ("operator", _operator), ("ticket", _text))
    },
}
COLUMNS = (*_REQUIRED, *_OPTIONAL)
_USE_COLUMNS = f"use the columns {', '.join(COLUMNS)}"
# Areas, zones and links recur over a nation, so each combination is checked only once.
# The code of a narrower area begins with the code of the wider one.
_STATION = ("station", "name", "latitude", "longitude", "contact", "replaces")
_AREAS = ("province", "regency", "district", "village")
_PLACE = (*_AREAS, "time_zone")
_LINKS = tuple(
    f"{name}{suffix}"
    for suffix in ("", *(f"_{number}" for number in range(2, LINKS_MAX + 1)))
    for name in ("link", "operator", "ticket")
)
_CHECKS = _REQUIRED | _OPTIONAL
_Problem = tuple[str, str, str]  # column, value, problem


def read(lines: Iterable[str], path: str) -> Iterator[Station | list[Fault]]:
    """Yield each row as a station, or as its faults.

    `lines` are those of `spreadsheet.opened`: a byte that is not UTF-8 becomes a
    fault of its value. Raises InvalidRegisterError if the header row lacks
    a column, or has an unknown or repeated one.
    """
    table = spreadsheet.table(lines)
    head = _columns(table, path)
    pick_own, pick_place, pick_links = (
        _picker(head, names) for names in (_STATION, _PLACE, _LINKS)
    )
    own_values = _with_points if table.separator != "," else tuple
    first_rows: dict[str, int] = {}
    replacing: list[tuple[int, Station]] = []
    for number, row in _numbered(table, head):
        if isinstance(row, Fault):
            yield [row]
            continue
        own, place, links = (
            own_values(pick_own(row)),
            _checked_place(pick_place(row)),
            _checked_links(pick_links(row)),
        )
        problems = [*_problems(_STATION, own), *place.problems, *links.problems]
        first = first_rows.setdefault(own[0], number)
        if first != number:
            problems.append(("station", own[0], f"is in row {first} already"))
        if problems:
            yield [Fault(number, *problem) for problem in problems]
            continue
        station = _station(own, pick_place(row), place.zone, links.text)
        if own[-1]:
            replacing.append((number, station))
        else:
            yield station
    yield from _replacing(replacing, first_rows)


def _with_points(own: tuple[str, ...]) -> tuple[str, ...]:
    """Return the values of `_STATION` with decimal points in the coordinates.

    A decimal comma is not ambiguous if the separator is another character. Spreadsheet
    programs that are set to Indonesian write both.
    """
    return tuple(
        value.replace(",", ".") if _DECIMAL_COMMA.fullmatch(value) else value
        for value in own
    )


def _numbered(
    table: spreadsheet.Table, head: list[str]
) -> Iterator[tuple[int, list[str] | Fault]]:
    """Yield each row that is not empty with its number.

    A row has one line. A row of several lines has an open quote, and the lines after
    the quote were read as part of one value.
    """
    while True:
        number = table.rows_before + table.reader.line_num + 1
        try:
            values = next(table.reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, Fault(number, "row", str(error), _OPEN_QUOTE)
            continue
        last = table.rows_before + table.reader.line_num
        if last > number:
            lines = f"lines {number} to {last}"
            yield number, Fault(number, "row", lines, _OPEN_QUOTE)
        elif any(row := [*map(str.strip, values)]):
            yield number, _fitted(number, row, head)


def _fitted(number: int, row: list[str], head: list[str]) -> list[str] | Fault:
    """Return a row with one value for each column of the head, and an empty one.

    Empty values after the last column are dropped. Missing ones of optional columns are
    added, because Excel does not write separators after the last value of every row.
    """
    lacking, extra = head[len(row) :], row[len(head) :]
    if any(extra) or any(name in _REQUIRED for name in lacking):
        problem = f"must have {len(head)} values, as the header row has"
        return Fault(number, "row", f"{len(row)} values", problem)
    if "" in head:
        for index, value in enumerate(row[: len(head)]):
            if value and not head[index]:
                problem = "needs a name in the header row"
                return Fault(number, f"column {index + 1}", value, problem)
    return [*row[: len(head)], *("" for _ in lacking), ""]


def _replacing(
    numbered: list[tuple[int, Station]], first_rows: dict[str, int]
) -> Iterator[Station | list[Fault]]:
    """Yield the stations that replace another one, which must not be in the file."""
    replaced: dict[str, int] = {}
    for number, station in numbered:
        old = str(station[-1])
        first = replaced.setdefault(old, number)
        if old in first_rows:
            problem = f"is in row {first_rows[old]}; it would be counted twice"
            yield [Fault(number, "replaces", old, problem)]
        elif first != number:
            yield [
                Fault(number, "replaces", old, f"is replaced in row {first} already")
            ]
        else:
            yield station


def _picker(
    head: list[str], names: tuple[str, ...]
) -> Callable[[list[str]], tuple[str, ...]]:
    """Return a function that picks columns of a row.

    The last value of the row must be empty. It stands for columns that the file lacks.
    """
    pick: Callable[[list[str]], tuple[str, ...]] = itemgetter(
        *(head.index(name) if name in head else -1 for name in names)
    )
    return pick


def _columns(table: spreadsheet.Table, path: str) -> list[str]:
    """Return the English names of the columns; "" for a column without a name."""
    if any(map(_UNDECODED.search, table.head)):
        raise InvalidRegisterError(path, "is not UTF-8 text", "save it as CSV UTF-8")
    head = [spreadsheet.column(name) for name in table.head]
    while head and not head[-1]:
        head.pop()
    missing = [name for name in _REQUIRED if name not in head]
    unknown = [name for name in head if name and name not in _CHECKS]
    twice = sorted({name for name in head if name and head.count(name) > 1})
    for names, verb in (
        (missing, "has no column"),
        (unknown, "has the unknown column"),
        (twice, "repeats the column"),
    ):
        if names:
            problem = f"the header row {verb} {', '.join(map(repr, names))}"
            raise InvalidRegisterError(path, problem, _USE_COLUMNS)
    return head


def _problems(names: tuple[str, ...], values: tuple[str, ...]) -> Iterator[_Problem]:
    """Yield the values that are wrong by themselves."""
    for name, value in zip(names, values, strict=True):
        if not value:
            if name in _REQUIRED:
                yield name, value, "is missing"
        elif (problem := _CHECKS[name](value)) is not None:
            yield name, value, problem


@dataclass(frozen=True, slots=True)
class _Place:
    """The time zone of a place, and its problems."""

    zone: str
    problems: tuple[_Problem, ...]


@lru_cache(65_536)
def _checked_place(values: tuple[str, ...]) -> _Place:
    """Check the area codes and the zone of a row."""
    *codes, zone = values
    problems = tuple(_problems(_PLACE, values)) or tuple(_misplaced(codes))
    if problems:
        return _Place("", problems)
    return _Place(ZONES.get(zone, zone) or regencies()[codes[1]].time_zone, ())


def _misplaced(codes: list[str]) -> Iterator[_Problem]:
    """Yield the areas that are not in the next wider area of the row."""
    named = [(name, code) for name, code in zip(_AREAS, codes, strict=True) if code]
    for (wider_name, wider), (name, code) in pairwise(named):
        if not code.startswith(wider):
            yield name, code, f"is not in {wider_name} {wider}"


@dataclass(frozen=True, slots=True)
class _Links:
    """The links of a row as JSON, and their problems."""

    text: str
    problems: tuple[_Problem, ...]


@lru_cache(16_384)
def _checked_links(values: tuple[str, ...]) -> _Links:
    """Check the links of a row; few combinations recur."""
    links, problems = [], list(_problems(_LINKS, values))
    for index in range(LINKS_MAX):
        link, operator, ticket = values[3 * index : 3 * index + 3]
        if operator:
            default = "main" if index == 0 else f"link{index + 1}"
            links.append((link or default, operator_code(operator), ticket))
        elif index:
            number = index + 1
            problems += [
                (f"{name}_{number}", value, f"needs operator_{number}")
                for name, value in (("link", link), ("ticket", ticket))
                if value
            ]
    names = [name for name, *_ in links]
    if len(names) != len(set(names)):
        problem = "must be unique within a station"
        problems.append(("link", ", ".join(names), problem))
    return _Links(json.dumps(links, ensure_ascii=False), tuple(problems))


def _station(
    own: tuple[str, ...], place: tuple[str, ...], zone: str, links: str
) -> Station:
    """Return the values of `FIELDS`."""
    code, name, latitude, longitude, contact, replaces = own
    province, regency, district, village, _ = place
    areas = (province, regency, district or None, village or None)
    coordinates = (float(latitude), float(longitude))
    rest = (zone, contact or None, links, replaces or None)
    return (code, name, *areas, *coordinates, *rest)
