"""Columns of a file of stations, and the check of each. Pure.

Area codes are those of the Ministry of Home Affairs (Kemendagri): 2 digits for a
province, 4 for a regency, 6 for a district, 10 for a village. The 13 digits of a
station never change.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from qos_agent.config.operators import operator_code
from qos_agent.config.places import ZONE_NAMES, regencies
from qos_agent.model.calendar import ZONES

LINKS_MAX = 4
# Bounds around the land and sea of Indonesia. Swapped coordinates and a missing sign
# fall outside.
_LATITUDES = (-11.5, 6.5)
_LONGITUDES = (94.5, 141.5)
_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Bytes that are not UTF-8 as `surrogateescape` decodes them, and U+FFFD, which stands
# for a character that a conversion has lost.
UNDECODED = re.compile(r"[\udc80-\udcff\ufffd]")
# float() would also accept "1_0", "1e2", "nan" and digits of other scripts.
_NUMBER = re.compile(r"[+-]?\d{1,3}(\.\d{1,20})?", re.ASCII)
# A code that a spreadsheet has turned into a number.
_AS_NUMBER = re.compile(r"\d+([.,]\d*)?E\+?\d+|\d+[.,]\d*", re.ASCII | re.IGNORECASE)
_FORMAT = "format the column as text in the spreadsheet, and save it again"

_Check = Callable[[str], str | None]


def _digits(count: int) -> _Check:
    pattern = re.compile(rf"\d{{{count}}}", re.ASCII)
    problem = f"must be {count} digits"

    def check(value: str) -> str | None:
        if pattern.fullmatch(value):
            return None
        return f"{problem}; {_FORMAT}" if _AS_NUMBER.fullmatch(value) else problem

    return check


def _number(low: float, high: float) -> _Check:
    def check(value: str) -> str | None:
        if not _NUMBER.fullmatch(value):
            return "must be a number with a decimal point"
        inside = low <= float(value) <= high
        return None if inside else f"must be between {low} and {high}"

    return check


def _regency(value: str) -> str | None:
    if _AS_NUMBER.fullmatch(value):
        return _digits(4)(value)
    return None if value in regencies() else "is not a regency of the reference data"


def _word(value: str) -> str | None:
    problem = "must consist of letters, digits, - and _"
    return None if _WORD.fullmatch(value) else problem


def _operator(value: str) -> str | None:
    problem = _word(operator_code(value))
    return None if problem is None else f"{problem}, such as telkomsel"


def _zone(value: str) -> str | None:
    known = value in ZONES or value in ZONE_NAMES
    return None if known else "must be WIB, WITA or WIT"


# The ways in which a station was selected to be measured. A station of `none` is in
# the register for the size of its stratum alone.
SELECTIONS = {
    "all": "all",
    "semua": "all",
    "random": "random",
    "acak": "random",
    "chosen": "chosen",
    "dipilih": "chosen",
    "none": "none",
    "tidak": "none",
}


def _selection(value: str) -> str | None:
    known = value.lower() in SELECTIONS
    return None if known else "must be all, random, chosen or none"


def _text(value: str) -> str | None:
    if UNDECODED.search(value):
        return "is not UTF-8; save the file as CSV UTF-8"
    if _CONTROL.search(value):
        return "must not contain control characters"
    return None if len(value) <= 200 else "must be at most 200 characters long"


REQUIRED: dict[str, _Check] = {
    "station": _digits(13),
    "name": _text,
    "province": _digits(2),
    "regency": _regency,
    "latitude": _number(*_LATITUDES),
    "longitude": _number(*_LONGITUDES),
    "operator": _operator,
}
OPTIONAL: dict[str, _Check] = {
    "district": _digits(6),
    "village": _digits(10),
    "time_zone": _zone,
    "contact": _text,
    "selection": _selection,
    "stratum": _word,
    "cluster": _word,
    "replaces": _digits(13),
    "link": _word,
    "ticket": _text,
    **{
        f"{name}_{number}": check
        for number in range(2, LINKS_MAX + 1)
        for name, check in (("link", _word), ("operator", _operator), ("ticket", _text))
    },
}
COLUMNS = (*REQUIRED, *OPTIONAL)
CHECKS = REQUIRED | OPTIONAL
