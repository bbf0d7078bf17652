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

from qos_agent.election import ZONES
from qos_agent.errors import OperatorError
from qos_agent.noc.places import ZONE_NAMES, regencies

LINKS_MAX = 4
# The land and sea of Indonesia, with room: a swap or a missing sign falls outside.
_LATITUDES = (-11.5, 6.5)
_LONGITUDES = (94.5, 141.5)
_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


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
# A narrower area's code begins with the wider one's.
_WITHIN = (("regency", "province"), ("district", "regency"), ("village", "district"))
_LINKS = tuple(
    tuple(f"{name}{suffix}" for name in ("link", "operator", "ticket"))
    for suffix in ("", *(f"_{number}" for number in range(2, LINKS_MAX + 1)))
)


def read(lines: Iterable[str], path: str) -> Iterator[Station | list[Fault]]:
    """Each row as a station, or as what is wrong with it.

    Raises InvalidRegisterError where the head lacks a column or has one too many.
    """
    reader = csv.reader(lines)
    head = [name.strip().lower() for name in next(reader, [])]
    _check_head(head, path)
    checks = [(i, name, (_REQUIRED | _OPTIONAL)[name]) for i, name in enumerate(head)]
    seen: dict[str, int] = {}
    for values in reader:
        if not values:
            continue
        row = dict(zip(head, map(str.strip, values), strict=False))
        faults = list(_faults(reader.line_num, len(values), row, checks))
        faults += _repeated(reader.line_num, row, seen)
        yield faults or _station(row)


def _check_head(head: list[str], path: str) -> None:
    missing = [name for name in _REQUIRED if name not in head]
    unknown = [name for name in head if name not in _REQUIRED | _OPTIONAL]
    twice = sorted({name for name in head if head.count(name) > 1})
    for names, what in (
        (missing, "lacks"), (unknown, "has unknown"), (twice, "repeats")
    ):  # fmt: skip
        if names:
            said = f"the head {what} {', '.join(map(repr, names))}"
            raise InvalidRegisterError(path, said)


def _faults(
    number: int,
    width: int,
    row: dict[str, str],
    checks: list[tuple[int, str, _Check]],
) -> Iterator[Fault]:
    if width != len(checks):
        yield Fault(number, "row", f"{width} values", f"{len(checks)} as in the head")
        return
    wrong = False
    for _, name, check in checks:
        value = row[name]
        why = check(value) if value else _absent(name)
        if why is not None:
            wrong = True
            yield Fault(number, name, value, why)
    if not wrong:
        yield from _disagreements(number, row)


def _absent(name: str) -> str | None:
    return "must be given" if name in _REQUIRED else None


def _disagreements(number: int, row: dict[str, str]) -> Iterator[Fault]:
    """Values that are well alone but not together."""
    for narrow, wide in _WITHIN:
        value, within = row.get(narrow), row.get(wide)
        if value and within and not value.startswith(within):
            yield Fault(number, narrow, value, f"does not lie in {wide} {within}")
    names = [name for name, *_ in _links(row)] if row.get("operator_2") else []
    if len(names) != len(set(names)):
        why = "link names are unique within a station"
        yield Fault(number, "link", ", ".join(names), why)
    for _, operator, ticket in _LINKS[1:]:
        if row.get(ticket) and not row.get(operator):
            yield Fault(number, ticket, row[ticket], f"without {operator}")


def _repeated(number: int, row: dict[str, str], seen: dict[str, int]) -> list[Fault]:
    code = row.get("station", "")
    first = seen.setdefault(code, number)
    if first == number:
        return []
    return [Fault(number, "station", code, f"stands in row {first} already")]


def _links(row: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    for index, (link, operator, ticket) in enumerate(_LINKS):
        if row.get(operator):
            name = row.get(link) or ("main" if index == 0 else f"link{index + 1}")
            yield name, row[operator], row.get(ticket, "")


@lru_cache(4096)
def _links_text(links: tuple[tuple[str, str, str], ...]) -> str:
    """Few ways to be linked recur over a nation: each is written once."""
    return json.dumps(links, ensure_ascii=False)


def _station(row: dict[str, str]) -> Station:
    zone = row.get("time_zone", "")
    links = _links_text(tuple(_links(row)))
    return (
        row["station"], row["name"], row["province"], row["regency"],
        row.get("district") or None, row.get("village") or None,
        float(row["latitude"]), float(row["longitude"]),
        ZONES.get(zone, zone) or regencies()[row["regency"]].time_zone,
        row.get("contact") or None, links, row.get("replaces") or None,
    )  # fmt: skip
