"""Reading of files that the system or another program wrote, and writing of own ones.

Files under /etc, /proc, /sys and /run are untrusted input. A read is bounded, never
waits for a writer, and replaces bytes that are not UTF-8 by U+FFFD, so that one bad
line does not hide the others. A missing file is normal. A file that cannot be read, is
too large or has no sensible value counts as missing too, and the log names it once.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from functools import lru_cache
from itertools import islice
from pathlib import Path

_log = logging.getLogger(__name__)

# No file of the system that is read here is larger; some devices have no end.
_MAX_BYTES = 1_000_000
_MAX_ENTRIES = 1000
# Files that are not there, and sensors that have no value at the moment.
_ABSENT = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ENODATA,
    errno.ENODEV,
    errno.ENXIO,
    errno.EOPNOTSUPP,
)


def read_bytes(path: Path, max_bytes: int = _MAX_BYTES) -> bytes:
    """Return the content of a file. Raises OSError, EFBIG for one that is too large."""
    with os.fdopen(_opened(path), "rb", buffering=0) as file:
        content = b""
        while chunk := file.read(max_bytes + 1 - len(content)):
            content += chunk
            if len(content) > max_bytes:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


def _opened(path: Path) -> int:
    """Return a handle of a file; a pipe without a writer does not block."""
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)


def read_text(path: Path, max_bytes: int = _MAX_BYTES) -> str | None:
    """Return the text of a file, or None if there is none that can be read."""
    try:
        return read_bytes(path, max_bytes).decode("utf-8", "replace")
    except OSError as error:
        if error.errno not in _ABSENT:
            name_once(path, f"cannot be read ({error.strerror})")
        return None


def read_lines(path: Path, max_bytes: int) -> list[str]:
    """Return the lines in the first `max_bytes` of a regular file; none without one.

    A list of blocked names in /etc/hosts has megabytes, and its first lines count.
    """
    try:
        with os.fdopen(_opened(path), "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return []
            return file.read(max_bytes).decode("utf-8", "replace").splitlines()
    except OSError as error:
        if error.errno not in _ABSENT:
            name_once(path, f"cannot be read ({error.strerror})")
        return []


def read_number(
    path: Path, low: int = 0, high: int = 2**63 - 1, base: int = 10
) -> int | None:
    """Return the number in a file, or None if there is none from `low` to `high`."""
    text = read_text(path, 100)
    if text is None:
        return None
    try:
        number = int(text.strip(), base)
    except ValueError:
        name_once(path, f"has no number ({text[:20]!r})")
        return None
    if not low <= number <= high:
        name_once(path, f"has a number out of range ({number})")
        return None
    return number


def matching(folder: Path, pattern: str) -> list[Path]:
    """Return the entries of a folder that match a pattern; empty if unreadable."""
    try:
        return sorted(islice(folder.glob(pattern), _MAX_ENTRIES))
    except OSError as error:
        name_once(folder, f"cannot be listed ({error.strerror})")
        return []


def may_exist(path: Path) -> bool:
    """Return False only if a file does certainly not exist.

    A file in a folder that may not be searched exists perhaps; reading it will tell.
    """
    try:
        path.stat()
    except OSError as error:
        return error.errno not in {errno.ENOENT, errno.ENOTDIR}
    return True


@lru_cache(maxsize=1000)
def name_once(path: Path, problem: str) -> None:
    """Log a file that is not as expected; the cache keeps the line from repeating."""
    _log.warning("%s: %s, so its values are missing", path, problem)


def write_atomically(path: Path, text: str) -> None:
    """Write a whole file in one step: readers see the old text or the new one.

    The text is written to a temporary file in the same folder, which then replaces
    `path` by rename(2). Raises OSError.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
