"""Files of canonical lines, as a gateway or `journal export` writes them.

A file may be compressed with gzip or zstd. A last line without its line feed was torn
off and may still be growing, so it does not count. The position is the number of bytes
before the next line, after decompression.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from qos_agent.archive.sources.types import Item
from qos_agent.model.errors import OperatorError

# The longest line of the schema has less than 20 kB.
_LINE_MAX_BYTES = 65_536
_ZSTD = ("compression.zstd", "zstandard")
# A kilobyte of zstd gives at most about 32 MB.
_ZSTD_BYTES = 1024
SUFFIXES = (".lp", ".lp.gz", ".lp.zst")


@dataclass(frozen=True, slots=True)
class LineFile:
    """One file of canonical lines."""

    path: Path
    only_grows: bool = True

    @property
    def name(self) -> str:
        """The path of the file."""
        return str(self.path)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the first line, which stays while a file grows."""
        errors = _errors_of(self.path)
        try:
            with _opened(self.path) as file:
                first = file.readline(_LINE_MAX_BYTES)
        except errors:
            first = b""
        return hashlib.sha256(first).hexdigest()

    def items(self, after: int | None = None) -> Iterator[Item]:
        """Yield the lines, and a fault for each that is too long, torn or unreadable.

        A compressed file is read from its beginning, and the lines before the position
        are skipped.
        """
        position = after or 0
        try:
            with _opened(self.path) as file:
                _skip(file, position)
                for item in _lines(file, position):
                    position = item.position or position
                    yield item
        except _errors_of(self.path) as error:
            fault = f"byte {position}: cannot be decompressed: {error}"
            yield Item(position, None, fault)


def _lines(file: IO[bytes], position: int) -> Iterator[Item]:
    while line := file.readline(_LINE_MAX_BYTES):
        start = position
        if line.endswith(b"\n"):
            position += len(line)
            yield Item(position, line[:-1])
        elif len(line) < _LINE_MAX_BYTES:
            fault = f"byte {start}: the last line is torn off ({len(line)} bytes)"
            yield Item(start, None, fault)
        else:
            position += len(line) + _skip_line(file)
            fault = f"byte {start}: a line is longer than {_LINE_MAX_BYTES} bytes"
            yield Item(position, None, fault)


def _skip(file: IO[bytes], position: int) -> None:
    """Move to a position of a file, of which some kinds cannot seek."""
    if file.seekable():
        file.seek(position)
        return
    while position and (part := file.read(min(position, _LINE_MAX_BYTES))):
        position -= len(part)


def _skip_line(file: IO[bytes]) -> int:
    """Read up to the end of a line; return the number of bytes."""
    size = 0
    while part := file.readline(_LINE_MAX_BYTES):
        size += len(part)
        if part.endswith(b"\n"):
            break
    return size


class _ZstdFile(io.RawIOBase):
    """A zstd file. The reader of zstandard would end without an error in a torn one."""

    def __init__(self, path: Path, module: Any) -> None:
        super().__init__()
        self._file = path.open("rb")
        self._module = module
        self._frame: Any = None
        self._pending = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        """Read decompressed bytes. Raises EOFError if the last frame is torn."""
        while not self._pending:
            content = self._file.read(_ZSTD_BYTES)
            if not content:
                if self._frame is not None:
                    raise EOFError("the file ends before its end mark")
                return 0
            self._pending = self._decompressed(content)
        size = min(len(buffer), len(self._pending))
        buffer[:size] = self._pending[:size]
        self._pending = self._pending[size:]
        return size

    def _decompressed(self, content: bytes) -> bytes:
        """Return what bytes of the file give; they may be of several frames."""
        result = b""
        while content:
            if self._frame is None:
                self._frame = self._module.ZstdDecompressor().decompressobj()
            result += self._frame.decompress(content)
            content = b""
            if self._frame.eof:
                content, self._frame = self._frame.unused_data, None
        return result


def _opened(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path))
    if path.suffix == ".zst":
        module = zstd_module(path)
        if module.__name__ == "zstandard":
            return io.BufferedReader(_ZstdFile(path, module))
        return cast("IO[bytes]", module.open(path, "rb"))
    return path.open("rb")


def _errors_of(path: Path) -> tuple[type[Exception], ...]:
    """Return the errors of a damaged compressed file."""
    if path.suffix == ".gz":
        return gzip.BadGzipFile, EOFError, zlib.error
    if path.suffix == ".zst":
        return (getattr(zstd_module(path), "ZstdError"), EOFError)  # noqa: B009
    return ()


def zstd_module(path: Path) -> Any:
    """Return a library that reads zstd: Python's own from 3.14 on, or another."""
    for name in _ZSTD:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise OperatorError(
        f"{path}: zstd files need Python 3.14 or the package zstandard. Fix:"
        " install it, or run `zstd -d` on the file."
    )
