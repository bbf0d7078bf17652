"""Reading of files that the system or another program wrote, and writing of own ones.

Files under /etc, /proc, /sys and /run are untrusted input. A read is bounded, never
waits for a writer, and replaces bytes that are not UTF-8 by U+FFFD, so that one bad
line does not hide the others. A missing file is normal. A file that cannot be read, is
too large or has no sensible value counts as missing too, and the log names it once.
"""

from __future__ import annotations

import errno
import grp
import logging
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from io import FileIO
from itertools import islice
from pathlib import Path

_log = logging.getLogger(__name__)

# No file of the system that is read here is larger; some devices have no end.
_MAX_BYTES = 1_000_000
_MAX_ENTRIES = 1000
_READ_ONLY = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE = 0o644
_ADMINISTRATORS = "qos-agent"
# Files that are not there, and sensors that have no value at the moment.
_ABSENT = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ENODATA,
    errno.ENODEV,
    errno.ENXIO,
    errno.EOPNOTSUPP,
)


def read_bytes(
    path: Path,
    max_bytes: int = _MAX_BYTES,
    check: Callable[[os.stat_result], None] | None = None,
) -> bytes:
    """Return the content of a file. Raises OSError, EFBIG for one that is too large.

    With `check` a symbolic link is an error, and so is a file that `check` refuses by
    an OSError.
    """
    no_link = os.O_NOFOLLOW if check is not None else 0
    with _opened(path, no_link) as file:
        if check is not None:
            check(os.fstat(file.fileno()))
        content = b""
        while chunk := file.read(max_bytes + 1 - len(content)):
            content += chunk
            if len(content) > max_bytes:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content


def _opened(path: Path, more_flags: int = 0) -> FileIO:
    """Open a file; a pipe without a writer does not block.

    os.fdopen() would not close the handle of a folder, and not name it in its error.
    """

    def opener(name: str, _: int) -> int:
        return os.open(name, _READ_ONLY | more_flags)

    return FileIO(str(path), opener=opener)


def regular(status: os.stat_result) -> None:
    """Refuse everything but a regular file. Raises OSError."""
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is not a regular file")


def from_administrator(status: os.stat_result) -> None:
    """Refuse a file that other users may have written. Raises OSError.

    Its owner must be the user of this process, root, or a member of the group
    qos-agent, which only a member can give to a file.
    """
    regular(status)
    trusted = status.st_uid in (0, os.geteuid()) or status.st_gid == _group()
    if not trusted or status.st_mode & stat.S_IWOTH:
        raise OSError(errno.EPERM, f"was written by another user ({status.st_uid})")


@lru_cache(maxsize=1)
def _group() -> int | None:
    """Return the number of the group whose members control the agent, or None."""
    try:
        return grp.getgrnam(_ADMINISTRATORS).gr_gid
    except KeyError:
        return None


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
        with _opened(path) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return []
            # str.splitlines() would end a comment at a form feed or at U+0085.
            return file.read(max_bytes).decode("utf-8", "replace").split("\n")
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


def sync(path: Path) -> None:
    """Write a file, or the entries of a folder, to the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def create_private(path: Path, content: bytes) -> None:
    """Create a file that only its owner reads, on the disk when this returns.

    A file that has this name already is removed first. Raises OSError.
    """
    path.unlink(missing_ok=True)
    handle = os.open(path, _NEW_FILE, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(handle)


def replace_private(path: Path, content: bytes) -> None:
    """Replace a file that only its owner reads in one step. Raises OSError."""
    new = path.with_name(f".{path.name}.new")
    create_private(new, content)
    new.replace(path)


def write_atomically(path: Path, text: str) -> None:
    """Write a whole file in one step: readers see the old text or the new one.

    The text is written to a temporary file in the same folder, which then replaces
    `path` by rename(2). Symbolic links are replaced, not followed. Every user may read
    the file, whatever the umask is. Raises OSError.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, _NEW_FILE, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(handle, _MODE)
            with suppress(OSError):
                os.fchown(handle, -1, _group() or -1)
            file.write(text)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
