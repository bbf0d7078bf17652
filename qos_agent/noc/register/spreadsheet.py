"""Text tables as spreadsheet programs export them.

Excel separates values by a comma, a semicolon or a tab, depending on the language of
the computer. It can save UTF-16, write a first line `sep=;`, and add empty rows and
columns. It also leaves out separators after the last value of some rows.
"""

from __future__ import annotations

import csv
import errno
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from qos_agent.config.text_file import encoding_of

if TYPE_CHECKING:
    from _csv import Reader

_SEPARATORS = ",;\t"
_DECLARATION = re.compile(r'"?sep=(.)"?[,;\t]*', re.IGNORECASE)
# A longer line is no row: the csv module accepts values of 131,072 characters.
_LINE_MAX = 1_000_000
_SYNONYMS = {
    "station": ("tps", "kode_tps", "id_tps", "stasiun", "station_code"),
    "name": ("nama", "nama_tps", "station_name"),
    "province": ("provinsi", "propinsi", "prov"),
    "regency": (
        "kabupaten",
        "kota",
        "kabupaten_kota",
        "kab_kota",
        "kabkota",
        "kab",
    ),
    "district": ("kecamatan", "distrik", "kec"),
    "village": (
        "desa",
        "kelurahan",
        "desa_kelurahan",
        "kelurahan_desa",
        "kel_desa",
        "desa_kel",
    ),
    "latitude": ("lintang", "garis_lintang", "lat"),
    "longitude": ("bujur", "garis_bujur", "lon", "long", "lng"),
    "time_zone": ("zona_waktu", "zona", "timezone"),
    "contact": ("kontak", "narahubung", "penanggung_jawab"),
    "replaces": ("menggantikan", "pengganti_dari", "tps_lama"),
    "link": ("jalur", "koneksi", "sambungan"),
    "operator": ("penyedia", "provider", "operator_seluler"),
    "ticket": ("tiket", "email_tiket", "alamat_tiket"),
}
_NAMES = {
    synonym: name for name, synonyms in _SYNONYMS.items() for synonym in synonyms
} | {name: name for name in _SYNONYMS}
_NUMBERED = re.compile(r"(.+?)_?([2-9])")


@contextmanager
def opened(path: Path) -> Iterator[Iterator[str]]:
    """Yield the lines of a text file in the encoding of its byte order mark.

    A byte that is not UTF-8 becomes a lone surrogate, and a wrong unit of UTF-16 or
    UTF-32 becomes U+FFFD. Raises OSError, also for a pipe, which cannot be read twice.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with path.open("rb") as file:
        encoding = encoding_of(file.read(4))
    errors = "surrogateescape" if encoding.startswith("utf-8") else "replace"
    with path.open(encoding=encoding, errors=errors, newline="") as text:
        yield iter(lambda: text.readline(_LINE_MAX), "")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of which the head has been read.

    `head` are the names as they stand in the file, and `rows_before` is the number of
    rows before the first row of `reader`.
    """

    head: list[str]
    separator: str
    reader: Reader
    rows_before: int


def table(lines: Iterable[str]) -> Table:
    """Read the head of a table, and detect its separator. Raises csv.Error.

    The head is the first row that is not empty. A line `sep=;` does not count as a row,
    because spreadsheet programs do not show it either.
    """
    rest = iter(lines)
    first, declared, rows_before = next(rest, ""), "", 0
    if match := _DECLARATION.fullmatch(first.strip(" \r\n\ufeff")):
        declared, first = match[1], next(rest, "")
    while first and not first.strip(f'{_SEPARATORS}{declared}" \r\n\ufeff'):
        first = next(rest, "")
        rows_before += 1
    separator = max(
        dict.fromkeys(f"{declared}{_SEPARATORS}"),
        key=lambda separator: _known_names(first, separator),
    )
    reader = csv.reader(chain((first,) if first else (), rest), delimiter=separator)
    head = [name.strip(" \t\u00a0\ufeff") for name in next(reader, [])]
    return Table(head, separator, reader, rows_before)


def _known_names(line: str, separator: str) -> int:
    names = next(csv.reader((line,), delimiter=separator), [])
    return sum(_NAMES.get(plain(name), "") != "" for name in names)


def plain(name: str) -> str:
    """Return a column's name without the differences of its spelling."""
    text = re.sub(r"[\W_]+", "_", name.casefold()).strip("_")
    return text.removeprefix("kode_") if text != "kode_tps" else text


def column(name: str) -> str:
    """Return the English name of a column; an unknown one as it stands in the file."""
    text = plain(name)
    if text in _NAMES:
        return _NAMES[text]
    numbered = _NUMBERED.fullmatch(text)
    if numbered and numbered[1] in _NAMES:
        return f"{_NAMES[numbered[1]]}_{numbered[2]}"
    return name
