"""Texts, numbers and times of a report in English and Indonesian.

The English text is the key. Translations are in `locale/LANGUAGE.po`, a file of GNU
gettext that translators edit with their usual programs.
"""

from __future__ import annotations

import ast
import gettext
import io
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from qos_agent.config.places import ZONE_NAMES

Code = Literal["en", "id"]
LANGUAGES: tuple[Code, ...] = get_args(Code)
# A number and its unit stay on one line.
_BLANK = "\u00a0"
_MINUS = "\u2212"
_MO_MAGIC, _MO_HEAD_BYTES = 0x950412DE, 28
_MONTHS: Mapping[Code, tuple[str, ...]] = {
    "en": (
        *("January", "February", "March", "April", "May", "June", "July"),
        *("August", "September", "October", "November", "December"),
    ),
    "id": (
        *("Januari", "Februari", "Maret", "April", "Mei", "Juni", "Juli"),
        *("Agustus", "September", "Oktober", "November", "Desember"),
    ),
}


@dataclass(frozen=True, slots=True)
class Words:
    """One language: translates texts, and writes numbers, dates and times."""

    code: Code
    texts: gettext.NullTranslations

    def __call__(self, text: str, **values: object) -> str:
        """Return a text in this language, with values in place of {names}."""
        translated = self.texts.gettext(text) if text else ""
        return translated.format(**values) if values else translated

    def number(self, value: float, digits: int = 0) -> str:
        """Return a number with separators, such as 1,234.5 or 1.234,5."""
        text = f"{abs(value):,.{digits}f}"
        if self.code == "id":
            text = text.translate(str.maketrans(",.", ".,"))
        is_negative = value < 0 and text.strip("0.,")
        return f"{_MINUS}{text}" if is_negative else text

    def figure(self, value: float, unit: str) -> str:
        """Return a figure in the unit in which people read it."""
        match unit:
            case "ratio":
                return f"{self.number(value * 100, _share_digits(value))}{_BLANK}%"
            case "bit/s":
                return f"{self.number(value / 1e6, 1)}{_BLANK}Mbit/s"
            case "" | "1":
                return self.number(value, 0 if float(value).is_integer() else 1)
            case _:
                digits = 0 if abs(value) >= 1000 or unit == "s" else 1
                return f"{self.number(value, digits)}{_BLANK}{self(unit)}"

    def date(self, day: date) -> str:
        """Return a date, such as 14 February 2024."""
        return f"{day.day}{_BLANK}{_MONTHS[self.code][day.month - 1]} {day.year}"

    def clock(self, moment: datetime) -> str:
        """Return hours and minutes, such as 07:00 or 07.00."""
        return f"{moment:%H:%M}" if self.code == "en" else f"{moment:%H.%M}"

    def moment(self, time_ns: int, zone: str) -> str:
        """Return a moment in a time zone, with the name that Indonesia uses for it."""
        local = local_time(time_ns, zone)
        name = ZONE_NAMES.get(zone, "UTC")
        return f"{self.date(local)}, {self.clock(local)}{_BLANK}{name}"

    def duration(self, seconds: float) -> str:
        """Return a duration in hours and minutes."""
        minutes = round(seconds / 60)
        if minutes < 60:
            return self("{n} min", n=minutes)
        return self(
            "{hours} h {minutes} min", hours=minutes // 60, minutes=minutes % 60
        )


def local_time(time_ns: int, zone: str) -> datetime:
    """Return a moment as a date and time of a zone."""
    whole = datetime.fromtimestamp(time_ns // 10**9, UTC)
    return whole.astimezone(ZoneInfo(zone))


def _share_digits(value: float) -> int:
    """Return the decimals of a percentage: more near 0 and near 1."""
    distance = min(abs(value), abs(1 - value))
    return 2 if 0 < distance < 0.01 else 1


@cache
def words(code: Code) -> Words:
    """Return a language, with the translations of its catalogue."""
    catalogue = files("qos_agent.report") / "locale" / f"{code}.po"
    if not catalogue.is_file():
        return Words(code, gettext.NullTranslations())
    texts = dict(read_catalogue(catalogue.read_text(encoding="utf-8")))
    return Words(code, gettext.GNUTranslations(io.BytesIO(_compiled(texts))))


def read_catalogue(content: str) -> Iterator[tuple[str, str]]:
    """Yield text and translation of each entry of a .po file without plurals."""
    entry: dict[str, str] = {}
    key = ""
    for line in (*content.splitlines(), ""):
        if line.startswith(("msgid ", "msgstr ")):
            if line.startswith("msgid ") and "msgstr" in entry:
                yield entry["msgid"], entry["msgstr"]
                entry = {}
            key = line.partition(" ")[0]
        quoted = line[line.find('"') :] if '"' in line else ""
        if quoted and not line.startswith("#"):
            entry[key] = entry.get(key, "") + str(ast.literal_eval(quoted))
    if "msgstr" in entry:
        yield entry["msgid"], entry["msgstr"]


def _compiled(texts: Mapping[str, str]) -> bytes:
    """Return a catalogue in the binary format of gettext (its manual, 10.3)."""
    pairs = sorted((k.encode(), v.encode()) for k, v in texts.items() if v)
    tables, content = [b"", b""], b""
    start = _MO_HEAD_BYTES + 16 * len(pairs)
    for column in (0, 1):
        for pair in pairs:
            text = pair[column]
            tables[column] += struct.pack("<II", len(text), start + len(content))
            content += text + b"\0"
    second = _MO_HEAD_BYTES + 8 * len(pairs)
    head = (_MO_MAGIC, 0, len(pairs), _MO_HEAD_BYTES, second, 0, start)
    return struct.pack("<7I", *head) + tables[0] + tables[1] + content
