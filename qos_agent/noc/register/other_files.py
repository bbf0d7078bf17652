"""Files that are no text tables, recognised by their first bytes.

The name of a file says little, because people change it by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from qos_agent.config.text_file import encoding_of

_START_BYTES = 2000
# The first bytes of each kind. A ZIP archive begins with the name of its first file.
_ODS = b"mimetypeapplication/vnd.oasis.opendocument"
_ZIP = b"PK\x03\x04"
_OF_EXCEL = (b"[Content_Types].xml", b"xl/", b"docProps/", b"_rels/")
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # [MS-CFB] 2.2
_PASSWORD = "EncryptedPackage".encode("utf-16-le")  # [MS-OFFCRYPTO] 2.3.4.4
# Excel 2, 3 and 4 write a BOF record without a container ([MS-XLS] 2.4.21).
_OLD_EXCEL = (b"\x09\x00\x04\x00", b"\x09\x02\x06\x00", b"\x09\x04\x06\x00")
_SAVE = "save the sheet as CSV UTF-8"


@dataclass(frozen=True, slots=True)
class OtherKind:
    """A kind of file that is no text table, and how to get one from it."""

    name: str
    fix: str = f"open it in a spreadsheet program, and {_SAVE}"


_OLD_WORKBOOK = OtherKind("an old Excel workbook")
_SIGNATURES = (
    *((signature, _OLD_WORKBOOK) for signature in _OLD_EXCEL),
    (
        b"%PDF",
        OtherKind("a PDF document", f"ask for its spreadsheet, and {_SAVE}"),
    ),
    (b"\x1f\x8b", OtherKind("a compressed file", f"unpack it, and {_SAVE}")),
)


def other_kind(file: BinaryIO) -> OtherKind | None:
    """Return the kind of a file that is no text table, or None."""
    start = file.read(_START_BYTES)
    if start.startswith(_ZIP):
        return _kind_of_archive(start)
    if start.startswith(_COMPOUND):
        file.seek(_directory_at(start))
        return _kind_of_compound(file.read(_START_BYTES))
    for signature, kind in _SIGNATURES:
        if start.startswith(signature):
            return kind
    encoding = encoding_of(start)
    if encoding.startswith("utf-8") and b"\0" in start:
        return OtherKind("a binary file")
    text = start.decode(encoding, "replace")
    is_page = text.lstrip("\ufeff \t\r\n").startswith("<")
    return OtherKind("an HTML or XML page") if is_page else None


def _kind_of_compound(directory: bytes) -> OtherKind:
    if _PASSWORD in directory:
        fix = f"open it with its password, and {_SAVE}"
        return OtherKind("an Excel workbook with a password", fix)
    return _OLD_WORKBOOK


def _kind_of_archive(start: bytes) -> OtherKind:
    if _ODS in start:
        return OtherKind("an OpenDocument spreadsheet")
    if any(name in start for name in _OF_EXCEL):
        return OtherKind("an Excel workbook")
    return OtherKind("a ZIP archive", f"unpack it, open the table, and {_SAVE}")


def _directory_at(header: bytes) -> int:
    """Return the position of the directory of a compound file ([MS-CFB] 2.2)."""
    sector_bytes = 1 << min(int.from_bytes(header[30:32], "little"), 12)
    sector = int.from_bytes(header[48:52], "little")
    return (sector + 1) * sector_bytes
