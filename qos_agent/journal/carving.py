"""Finds points in the pages of a journal that SQLite cannot open.

It reads the leaf pages of tables and their overflow pages from the file, or from the
log if the log has a newer image (sqlite.org/fileformat2.html, sections 1.5 and 1.6).
A row counts as a point only if its line matches the hash that is stored with it, so
other content is never taken for a point.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qos_agent.evidence.merkle import leaf_hash
from qos_agent.journal import wal
from qos_agent.journal.tables import PAGE_BYTES
from qos_agent.journal.types import StoredPoint

_TABLE_LEAF = 0x0D
_LEAF_BYTES = 32
# Journals of the first version have pages of 1,024 bytes.
_PAGE_SIZES = (PAGE_BYTES, 1024)
_LINE_MAX_BYTES = 64 * 1024
# Bytes of the integers of a record by serial type; 8 and 9 are the values 0 and 1.
_INT_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


@dataclass(frozen=True, slots=True)
class _Pages:
    """Page images by number, from the log if it has the page, else from the file."""

    file: Path
    log: Path
    in_log: dict[int, int]
    size_bytes: int

    def numbers(self) -> Iterator[int]:
        """Yield the numbers of all pages."""
        in_file = _size(self.file) // self.size_bytes
        yield from range(1, in_file + 1)
        yield from (number for number in self.in_log if number > in_file)

    def page(self, number: int) -> bytes:
        """Return one page, which is shorter or empty at the end of the file."""
        offset = self.in_log.get(number)
        path = self.file if offset is None else self.log
        with path.open("rb") as file:
            file.seek((number - 1) * self.size_bytes if offset is None else offset)
            return file.read(self.size_bytes)


def carve(path: Path) -> Iterator[StoredPoint]:
    """Yield every point that can be found, perhaps more than once.

    If the header with the page size is damaged, all sizes ever used are tried.
    """
    known = wal.page_bytes(path) if path.exists() else 0
    for size_bytes in (known,) if known in _PAGE_SIZES else _PAGE_SIZES:
        yield from _carve(path, size_bytes)


def _carve(path: Path, page_bytes: int) -> Iterator[StoredPoint]:
    frames = wal.current_frames(wal.read(path), page_bytes)
    in_log = {frame.page: frame.start for frame in frames}
    pages = _Pages(path, wal.log_path(path), in_log, page_bytes)
    for number in pages.numbers():
        page = pages.page(number)
        for offset in _cells(page, 100 if number == 1 else 0):
            point = _point(pages, page, offset)
            if point is not None:
                yield point


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _cells(page: bytes, start: int) -> Iterator[int]:
    """Yield the offsets of the cells if the page is a leaf page of a table."""
    header, max_cells = page[start : start + 8], (len(page) - start - 8) // 2
    if max_cells > 0 and header[0] == _TABLE_LEAF:
        cells = min(max_cells, int.from_bytes(header[3:5], "big"))
        yield from struct.unpack_from(f">{cells}H", page, start + 8)


def _point(pages: _Pages, page: bytes, offset: int) -> StoredPoint | None:
    """Return the point of a cell; None if it is damaged or contains no point."""
    try:
        size, offset = _varint(page, offset)
        seq, offset = _varint(page, offset)
        if not _LEAF_BYTES < size < _LINE_MAX_BYTES:
            return None
        return _record(seq, _payload(pages, page, offset, size))
    except IndexError:
        return None


def _payload(pages: _Pages, page: bytes, offset: int, size: int) -> bytes:
    """Return the record from the page and its overflow pages."""
    page_bytes = pages.size_bytes
    max_local, min_local = page_bytes - 35, (page_bytes - 12) * 32 // 255 - 23
    local = min_local + (size - min_local) % (page_bytes - 4)
    if size <= max_local:
        return page[offset : offset + size]
    local = local if local <= max_local else min_local
    payload = page[offset : offset + local]
    next_page = page[offset + local : offset + local + 4]
    while len(payload) < size and len(next_page) == 4 and any(next_page):
        overflow = pages.page(int.from_bytes(next_page, "big"))
        next_page, payload = overflow[:4], payload + overflow[4:]
    return payload[:size]


def _record(seq: int, payload: bytes) -> StoredPoint | None:
    header_bytes, offset = _varint(payload, 0)
    types = []
    while offset < header_bytes:
        serial_type, offset = _varint(payload, offset)
        types.append(serial_type)
    if len(types) != 5 or types[3] != 12 + 2 * _LEAF_BYTES or types[4] % 2:
        return None
    time_ns, offset = _integer(payload, header_bytes, types[1])
    rank, offset = _integer(payload, offset, types[2])
    leaf = payload[offset : offset + _LEAF_BYTES]
    line = payload[offset + _LEAF_BYTES :]
    if leaf_hash(line) != leaf:
        return None
    return StoredPoint(_signed(seq), time_ns, rank, leaf, line)


def _integer(payload: bytes, offset: int, serial_type: int) -> tuple[int, int]:
    if serial_type in (8, 9):
        return serial_type - 8, offset
    end = offset + _INT_BYTES.get(serial_type, 0)
    return int.from_bytes(payload[offset:end], "big", signed=True), end


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    """Read SQLite's variable-length integer: 7 bits a byte, 8 bits of the ninth."""
    value = 0
    for position in range(offset, offset + 8):
        byte = data[position]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, position + 1
    return value << 8 | data[offset + 8], offset + 9
