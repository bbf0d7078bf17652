"""The result of `qos-agent setup`, which the running agent stores as an event.

Only the agent may write the journal. The command leaves a file in the runtime folder,
and the agent takes it. The agent accepts a file of root only.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from qos_agent.model.errors import StorageError
from qos_agent.system.files import name_once

_FILE = "acceptance"
_TAKEN = "acceptance.taken"
_MAX_BYTES = 500


def leave(folder: Path, result: str) -> None:
    """Leave a result for the agent. Raises StorageError."""
    path = folder / _FILE
    # Others may write this folder, so a link of theirs must not be followed.
    new = folder / f".{_FILE}.{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        handle = os.open(new, flags)
        with os.fdopen(handle, "wb") as file:
            # The agent reads it, whatever the umask of root is.
            os.fchmod(handle, 0o644)
            file.write(result.encode()[:_MAX_BYTES])
        new.replace(path)
    except OSError as error:
        reason = f"{error.strerror}. Fix: start the agent first"
        raise StorageError("cannot write", str(path), reason) from error


def is_left(folder: Path) -> bool:
    """Return True until the agent has stored the result on disk."""
    return any(os.path.lexists(folder / name) for name in (_FILE, _TAKEN))


def take(folder: Path, owner: int = 0) -> str | None:
    """Return a result once; None if there is none of this owner.

    The command waits until `stored` is called.
    """
    path = folder / _FILE
    try:
        content = _read(path, owner)
        path.replace(folder / _TAKEN)
    except FileNotFoundError:
        return None
    except OSError as error:
        # A file that cannot be removed would be stored again and again.
        name_once(path, f"is no acceptance ({error.strerror})")
        return None
    return content.decode("utf-8", "replace")


def stored(folder: Path) -> None:
    """Let the command end, because the result is on disk."""
    with suppress(OSError):
        (folder / _TAKEN).unlink()


def _read(path: Path, owner: int) -> bytes:
    """Return the content of a regular file of this owner. Raises OSError."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    handle = os.open(path, flags)
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != owner:
            raise OSError(errno.EPERM, "not a regular file of root", str(path))
        return os.read(handle, _MAX_BYTES)
    finally:
        os.close(handle)
