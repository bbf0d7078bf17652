"""Text tables as spreadsheet programs export them.

Excel separates values by a comma, a semicolon or a tab, depending on the language of
the computer. It can save UTF-16, write a first line `sep=;`, and add empty rows and
columns. It also leaves out separators after the last value of some rows. People write
titles above the head, break lines within its cells, and number the rows.
"""

from __future__ import annotations

import csv
import errno
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from qos_agent.config.text_file import encoding_of
from qos_agent.noc.register.faults import InvalidRegisterError
from qos_agent.noc.register.other_files import other_kind

if TYPE_CHECKING:
    from _csv import Reader

_SEPARATORS = ",;\t|"
_DECLARATION = re.compile(r'"?sep=(.)"?[,;\t|]*', re.IGNORECASE)
# The head is one of the first lines. A title has few of them.
_FIRST_LINES = 30
_EMPTY = f'{_SEPARATORS}" \r\n\u00a0\ufeff'
# A longer line is no row: the csv module accepts values of 131,072 characters.
_LINE_MAX = 1_000_000
# The column of row numbers, which nothing needs.
NUMBER = "no"
_SYNONYMS = {
    NUMBER: ("nomor", "no_urut", "nomor_urut", "num", "number"),
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
    "selection": ("seleksi", "pemilihan", "cara_pemilihan"),
    "stratum": ("strata", "lapisan"),
    "cluster": ("klaster", "gugus"),
    "replaces": ("menggantikan", "pengganti_dari", "tps_lama"),
    "link": ("jalur", "koneksi", "sambungan"),
    "operator": (
        "penyedia",
        "penyedia_layanan",
        "provider",
        "isp",
        "operator_seluler",
    ),
    "ticket": ("tiket", "email_tiket", "alamat_tiket"),
}
_NAMES = {
    synonym: name for name, synonyms in _SYNONYMS.items() for synonym in synonyms
} | {name: name for name in _SYNONYMS}
_ENGLISH = set(_SYNONYMS) - {NUMBER}
_NUMBERED = re.compile(r"(.+?)_?([1-9])")
_REMARK = re.compile(r"\(.*\)", re.DOTALL)


@contextmanager
def opened(path: Path) -> Iterator[Iterator[str]]:
    """Yield the lines of a text file in the encoding of its byte order mark.

    A byte that is not UTF-8 becomes a lone surrogate, and a wrong unit of UTF-16 or
    UTF-32 becomes U+FFFD. Raises OSError, also for a pipe, which cannot be read twice,
    and InvalidRegisterError for a file that is no text table.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with path.open("rb") as file:
        kind = other_kind(file)
        file.seek(0)
        encoding = encoding_of(file.read(4))
    if kind is not None:
        raise InvalidRegisterError(str(path), f"is {kind.name}", kind.fix)
    errors = "surrogateescape" if encoding.startswith("utf-8") else "replace"
    with path.open(encoding=encoding, errors=errors, newline="") as text:
        yield iter(lambda: text.readline(_LINE_MAX), "")


@dataclass(frozen=True, slots=True)
class Table:
    """A table of which the head has been read.

    `head` are the names as they stand in the file. A row of one line has the number
    `rows_before` plus the line number of `reader` plus 1, before it is read.
    """

    head: list[str]
    separator: str
    reader: Reader
    rows_before: int


def table(lines: Iterable[str]) -> Table:
    """Find the head of a table and its separator. Raises csv.Error.

    The head is the row with most known names among the first ones. A line `sep=;` does
    not count as a row, because spreadsheet programs do not show it either.
    """
    rest = iter(lines)
    start, declared = list(islice(rest, 1)), ""
    if start and (match := _DECLARATION.fullmatch(start[0].strip(" \r\n\ufeff"))):
        declared, start = match[1], []
    start += _first_lines(rest)
    found = [
        _head(start, separator)
        for separator in dict.fromkeys(f"{declared}{_SEPARATORS}")
    ]
    head = max(found, key=lambda head: head.known)
    reader = csv.reader(chain(start[head.line :], rest), delimiter=head.separator)
    names = [name.strip(" \t\u00a0\ufeff") for name in next(reader, [])]
    # A line break within a name is no row of its own.
    rows_before = head.row - max(0, reader.line_num - 1)
    return Table(names if head.known >= 0 else [], head.separator, reader, rows_before)


def _first_lines(lines: Iterator[str]) -> Iterator[str]:
    """Yield the lines among which the head is; empty ones do not count."""
    count = 0
    for line in lines:
        yield line
        count += bool(line.strip(_EMPTY))
        if count == _FIRST_LINES or len(line) >= _LINE_MAX:
            return


@dataclass(frozen=True, slots=True)
class _Head:
    """A row that may be the head: the line and row before it, and its known names."""

    separator: str
    line: int = 0
    row: int = 0
    known: int = -1


def _head(lines: list[str], separator: str) -> _Head:
    """Return the row with most known names; of equal ones the first."""
    best, line = _Head(separator), 0
    reader = csv.reader(lines, delimiter=separator)
    with suppress(csv.Error):  # reading the table reports it
        for row, values in enumerate(reader):
            known = len({column(name) for name in values} & _ENGLISH)
            if known > best.known and any(value.strip(_EMPTY) for value in values):
                best = _Head(separator, line, row, known)
            line = reader.line_num
    return best


def _plain(name: str) -> str:
    """Return a column's name without the differences of its spelling."""
    text = re.sub(r"[\W_]+", "_", name.casefold()).strip("_")
    return (
        text if text == "kode_tps" else text.removeprefix("kode_").removeprefix("kd_")
    )


def column(name: str) -> str:
    """Return the English name of a column; an unknown one as it stands in the file."""
    for text in (_plain(name), _plain(_REMARK.sub("", name))):
        if text in _NAMES:
            return _NAMES[text]
        numbered = _NUMBERED.fullmatch(text)
        if numbered and numbered[1] in _NAMES:
            number = "" if numbered[2] == "1" else f"_{numbered[2]}"
            return f"{_NAMES[numbered[1]]}{number}"
    return NUMBER if name.strip() in {"#", "№"} else name
