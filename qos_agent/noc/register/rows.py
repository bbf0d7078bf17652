"""Rows of a CSV file of stations: reading and checking. Pure.

Every fault names its row, column and value and says what is wrong. A row with a fault
gives no station. The code of a station may begin with that of another village, because
a station keeps its code when it moves.
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
from qos_agent.config.places import regencies
from qos_agent.model.calendar import ZONES
from qos_agent.model.text import one_line
from qos_agent.noc.register import spreadsheet
from qos_agent.noc.register.columns import (
    CHECKS,
    COLUMNS,
    LINKS_MAX,
    REQUIRED,
    SELECTIONS,
    UNDECODED,
)
from qos_agent.noc.register.faults import Fault, InvalidRegisterError

_DECIMAL_COMMA = re.compile(r"[+-]?\d{1,3},\d{1,20}", re.ASCII)
# The forms that prevent a spreadsheet from turning a code into a number.
_AS_TEXT = re.compile(r"=\"([^\"]+)\"|'([+-]?[\d.,]+)", re.ASCII)
_OPEN_QUOTE = "a quote opens in this row and does not close in it"
_TOO_LONG = (
    f"a value has more than {csv.field_size_limit()} characters, or {_OPEN_QUOTE}"
)

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
    "selection",
    "stratum",
    "cluster",
    "links",
    "replaces",
)
Station = tuple[str | float | None, ...]
_USE_COLUMNS = (
    f"use the columns {', '.join(COLUMNS)}; Indonesian names are in "
    "docs/noc/register.md"
)
# Areas, zones and links recur over a nation, so each combination is checked only once.
# The code of a narrower area begins with the code of the wider one.
_SAMPLE = ("selection", "stratum", "cluster")
_STATION = (
    "station",
    "name",
    "latitude",
    "longitude",
    "contact",
    *_SAMPLE,
    "replaces",
)
_AREAS = ("province", "regency", "district", "village")
_PLACE = (*_AREAS, "time_zone")
_LINKS = tuple(
    f"{name}{suffix}"
    for suffix in ("", *(f"_{number}" for number in range(2, LINKS_MAX + 1)))
    for name in ("link", "operator", "ticket")
)
_KNOWN = {*CHECKS, spreadsheet.NUMBER}
_HEAD_LONGEST = 120
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
    first_rows: dict[str, int] = {}
    replacing: list[tuple[int, Station]] = []
    for number, row in _numbered(table, head):
        if isinstance(row, Fault):
            yield [row]
            continue
        own, place, links = (
            _with_points(pick_own(row)),
            _checked_place(pick_place(row)),
            _checked_links(pick_links(row)),
        )
        problems = [*_problems(_STATION, own), *place.problems, *links.problems]
        first = first_rows.setdefault(own[0], number)
        if first != number:
            problems.append(("station", own[0], f"is in row {first} already"))
        if problems:
            yield [Fault(number, *problem, own[0]) for problem in problems]
            continue
        station = _station(own, pick_place(row), place.zone, links.text)
        if own[-1]:
            replacing.append((number, station))
        else:
            yield station
    yield from _replacing(replacing, first_rows)


def _with_points(own: tuple[str, ...]) -> tuple[str, ...]:
    """Return the values of `_STATION` with decimal points in the coordinates.

    Spreadsheet programs that are set to Indonesian write decimal commas. A value that
    contains one is in quotes, or the separator is another character. Some write the
    minus sign of typography.
    """
    code, name, latitude, longitude, *rest = own
    if latitude.isascii() and "," not in latitude and "," not in longitude:
        return own
    points = (_with_point(latitude), _with_point(longitude))
    return (code, name, *points, *rest)


def _with_point(value: str) -> str:
    value = value.replace("\u2212", "-")
    return value.replace(",", ".") if _DECIMAL_COMMA.fullmatch(value) else value


def _numbered(
    table: spreadsheet.Table, head: list[str]
) -> Iterator[tuple[int, list[str] | Fault]]:
    """Yield each row that is not empty with its number.

    A row has one line. A row of several lines has an open quote, and the lines after
    the quote were read as part of one value.
    """
    numbers = [i for i, name in enumerate(head) if name == spreadsheet.NUMBER]
    while True:
        number = table.rows_before + table.reader.line_num + 1
        try:
            values = next(table.reader)
        except StopIteration:
            return
        except csv.Error:
            yield number, Fault(number, "row", "", _TOO_LONG)
            continue
        last = table.rows_before + table.reader.line_num
        if last > number:
            lines = f"lines {number} to {last}"
            yield number, Fault(number, "row", lines, _OPEN_QUOTE)
        elif any(row := _bare(values, numbers)):
            yield number, _fitted(number, row, head)


def _bare(values: list[str], numbers: list[int]) -> list[str]:
    """Return the values without spaces, row numbers, and signs that mark text."""
    row = [*map(str.strip, values)]
    for index in numbers:
        row[index : index + 1] = [""]
    joined = "".join(row)
    if "=" in joined or "'" in joined:
        row = [
            (match[1] or match[2]).strip() if (match := _AS_TEXT.fullmatch(v)) else v
            for v in row
        ]
    return row


def _fitted(number: int, row: list[str], head: list[str]) -> list[str] | Fault:
    """Return a row with one value for each column of the head, and an empty one.

    Empty values after the last column are dropped. Missing ones of optional columns are
    added, because Excel does not write separators after the last value of every row.
    """
    lacking, extra = head[len(row) :], row[len(head) :]
    station = dict(zip(head, row, strict=False)).get("station", "")
    if any(extra) or any(name in REQUIRED for name in lacking):
        problem = f"must have {len(head)} values, as the header row has"
        return Fault(number, "row", f"{len(row)} values", problem, station)
    if "" in head:
        for index, value in enumerate(row[: len(head)]):
            if value and not head[index]:
                problem = "needs a name in the header row"
                return Fault(number, f"column {index + 1}", value, problem, station)
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
            yield [Fault(number, "replaces", old, problem, str(station[0]))]
        elif first != number:
            problem = f"is replaced in row {first} already"
            yield [Fault(number, "replaces", old, problem, str(station[0]))]
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
    if any(map(UNDECODED.search, table.head)):
        raise InvalidRegisterError(path, "is not UTF-8 text", "save it as CSV UTF-8")
    if not any(table.head):
        raise InvalidRegisterError(path, "is empty", "export the table again")
    head = [spreadsheet.column(name) for name in table.head]
    while head and not head[-1]:
        head.pop()
    missing = [name for name in REQUIRED if name not in head]
    unknown = [name for name in head if name and name not in _KNOWN]
    twice = sorted({name for name in head if name and head.count(name) > 1})
    for names, verb in (
        (missing, "has no column"),
        (unknown, "has the unknown column"),
        (twice, "repeats the column"),
    ):
        if names:
            problem = f"the header row {verb} {', '.join(map(repr, names))}"
            problem += f" (found: {_shown(table.head)})"
            raise InvalidRegisterError(path, problem, _USE_COLUMNS)
    return head


def _shown(head: list[str]) -> str:
    """Return the first names of a head as they stand in the file."""
    return one_line(", ".join(filter(None, head)), _HEAD_LONGEST)


def _problems(names: tuple[str, ...], values: tuple[str, ...]) -> Iterator[_Problem]:
    """Yield the values that are wrong by themselves."""
    for name, value in zip(names, values, strict=True):
        if not value:
            if name in REQUIRED:
                yield name, value, "is missing"
        elif (problem := CHECKS[name](value)) is not None:
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
    code, name, latitude, longitude, contact, selection, stratum, cluster, replaces = (
        own
    )
    province, regency, district, village, _ = place
    areas = (province, regency, district or None, village or None)
    coordinates = (float(latitude), float(longitude))
    sample = (SELECTIONS.get(selection.lower()), stratum or None, cluster or None)
    rest = (zone, contact or None, *sample, links, replaces or None)
    return (code, name, *areas, *coordinates, *rest)
