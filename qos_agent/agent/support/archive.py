"""Writes the support file: a tar.gz that only the caller may read."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from qos_agent.agent.doctor.check import Check
from qos_agent.agent.doctor.runner import results
from qos_agent.agent.doctor.subject import Subject
from qos_agent.agent.support.known_values import known_values
from qos_agent.agent.support.parts import as_json, parts
from qos_agent.agent.support.redaction import Redactor
from qos_agent.system.supervision import Supervisor

# The checks end after 20 s.
_LIMIT_S = 23.0
_MEMBER_MAX_BYTES = 1_000_000
_FOLDER = "qos-support"


@dataclass(frozen=True, slots=True)
class Support:
    """The files of the archive by name, the checks, and what was removed.

    `unread` are files with secrets that this user may not read.
    """

    files: dict[str, bytes]
    checks: Sequence[Check]
    removed: Counter[str]
    unread: Sequence[Path]


def collect(
    subject: Subject, diagnose: Callable[[Subject], Sequence[Check]]
) -> Support:
    """Return the content of the archive, without secrets and places.

    The checks of `diagnose` run at the same time as the log and the journal are read.
    """
    checks: list[Check] = []

    def doctor() -> str:
        checks.extend(diagnose(subject))
        return as_json(checks)

    values, unread = known_values(subject)
    redactor = Redactor(values)
    actions = {
        name: partial(_guarded, name, part)
        for name, part in {**parts(subject), "doctor.json": doctor}.items()
    }
    texts = dict(results(actions, _LIMIT_S))
    files = {
        name: _limited(redactor.clean(texts.get(name, "not read in time\n")))
        for name in sorted(actions)
    }
    summary = "".join(f"{line}\n" for line in removed_lines(redactor.removed))
    files["removed.txt"] = summary.encode()
    return Support(files, checks, redactor.removed, unread)


def removed_lines(removed: Counter[str]) -> list[str]:
    """Return a line for each kind of value that was removed, with its count."""
    return [f"{kind}: {count}" for kind, count in sorted(removed.items())]


def _guarded(name: str, part: Callable[[], str]) -> str:
    texts: list[str] = []
    error = Supervisor().call(name, lambda: texts.append(part()))
    return texts[0] if error is None else f"{type(error).__name__}: {error}\n"


def _limited(text: str) -> bytes:
    """Return the end of a text, which is the newest part of a log."""
    return text.encode("utf-8", "replace")[-_MEMBER_MAX_BYTES:]


def write(support: Support, path: Path) -> int:
    """Write the archive and return its size in bytes. Raises OSError.

    Equal contents give equal bytes. A symbolic link at `path` is replaced.
    """
    content = _packed(support.files)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            _give_to_caller(handle)
            file.write(content)
            file.flush()
            os.fsync(handle)
        new.replace(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    return len(content)


def _give_to_caller(handle: int) -> None:
    """Let the user who called sudo send the file, which has no secrets.

    The file system of a USB stick may have no owners.
    """
    names = ("SUDO_UID", "SUDO_GID")
    numbers = [os.environ.get(name, "") for name in names]
    if os.geteuid() == 0 and all(n.isascii() and n.isdigit() for n in numbers):
        with suppress(OSError, OverflowError):
            os.fchown(handle, *map(int, numbers))


def _packed(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(f"{_FOLDER}/{name}")
            member.size, member.mode = len(content), 0o600
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()
