"""Finds points in the pages of a journal that SQLite itself will not open.

Reads leaf pages of tables and their overflow pages (sqlite.org/fileformat2.html,
sections 1.5 and 1.6) from the file, and from the log laid over it. A row is a point
only when its line has the hash that is stored with it, so nothing can be mistaken.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qos_agent.evidence.merkle import leaf_hash
from qos_agent.journal import wal
from qos_agent.journal.tables import PAGE_BYTES

_TABLE_LEAF = 0x0D
_LEAF_BYTES = 32
_LINE_MAX_BYTES = 64 * 1024
# Bytes of the integers of a record by serial type; 8 and 9 are the values 0 and 1.
_INT_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}

Row = tuple[int, int, int, bytes, bytes | None]


@dataclass(frozen=True, slots=True)
class _Pages:
    """Page images by number: of the file, and in the log where it has newer ones."""

    file: Path
    log: Path
    in_log: dict[int, int]

    def numbers(self) -> Iterator[int]:
        """All pages there are."""
        of_file = _size(self.file) // PAGE_BYTES
        yield from range(1, of_file + 1)
        yield from (number for number in self.in_log if number > of_file)

    def page(self, number: int) -> bytes:
        """One page; shorter, or empty, where the file ends."""
        offset = self.in_log.get(number)
        path = self.file if offset is None else self.log
        with path.open("rb") as file:
            file.seek((number - 1) * PAGE_BYTES if offset is None else offset)
            return file.read(PAGE_BYTES)


def carve(path: Path) -> Iterator[Row]:
    """Seq, time, rank, leaf and line of every point that can be found."""
    frames = wal.last_round(wal.read(path), PAGE_BYTES)
    in_log = {frame.page: frame.start for frame in frames}
    pages = _Pages(path, wal.log_of(path), in_log)
    for number in pages.numbers():
        page = pages.page(number)
        for offset in _cells(page, 100 if number == 1 else 0):
            row = _point(pages, page, offset)
            if row is not None:
                yield row


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _cells(page: bytes, start: int) -> Iterator[int]:
    """Where the cells of a table's leaf page are; none of another page."""
    header, count = page[start : start + 8], (len(page) - start - 8) // 2
    if count > 0 and header[0] == _TABLE_LEAF:
        cells = min(count, int.from_bytes(header[3:5], "big"))
        yield from struct.unpack_from(f">{cells}H", page, start + 8)


def _point(pages: _Pages, page: bytes, offset: int) -> Row | None:
    """The point of a cell; None where the cell is of something else, or damaged."""
    try:
        size, offset = _varint(page, offset)
        seq, offset = _varint(page, offset)
        if not _LEAF_BYTES < size < _LINE_MAX_BYTES:
            return None
        return _record(seq, _payload(pages, page, offset, size))
    except IndexError:
        return None


def _payload(pages: _Pages, page: bytes, offset: int, size: int) -> bytes:
    """The record: what is in the page, and the rest along the overflow pages."""
    most, least = PAGE_BYTES - 35, (PAGE_BYTES - 12) * 32 // 255 - 23
    here = least + (size - least) % (PAGE_BYTES - 4)
    if size <= most:
        return page[offset : offset + size]
    here = here if here <= most else least
    payload = page[offset : offset + here]
    following = page[offset + here : offset + here + 4]
    while len(payload) < size and len(following) == 4 and any(following):
        more = pages.page(int.from_bytes(following, "big"))
        following, payload = more[:4], payload + more[4:]
    return payload[:size]


def _record(seq: int, payload: bytes) -> Row | None:
    header_bytes, offset = _varint(payload, 0)
    types = []
    while offset < header_bytes:
        kind, offset = _varint(payload, offset)
        types.append(kind)
    if len(types) != 5 or types[3] != 12 + 2 * _LEAF_BYTES or types[4] % 2:
        return None
    time_ns, offset = _integer(payload, header_bytes, types[1])
    rank, offset = _integer(payload, offset, types[2])
    leaf = payload[offset : offset + _LEAF_BYTES]
    line = payload[offset + _LEAF_BYTES :]
    if leaf_hash(line) != leaf:
        return None
    return _signed(seq), time_ns, rank, leaf, line


def _integer(payload: bytes, offset: int, kind: int) -> tuple[int, int]:
    if kind in (8, 9):
        return kind - 8, offset
    end = offset + _INT_BYTES.get(kind, 0)
    return int.from_bytes(payload[offset:end], "big", signed=True), end


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    """SQLite's variable-length integer: seven bits a byte, the ninth whole."""
    value = 0
    for position in range(offset, offset + 8):
        byte = data[position]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, position + 1
    return value << 8 | data[offset + 8], offset + 9
