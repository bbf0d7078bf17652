"""What the commands of `qos-agent noc` share: their file, moments, progress."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.model.errors import ConfigError

if TYPE_CHECKING:
    from qos_agent.noc.settings import NocSettings

NocConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="Configuration (noc.toml).")
]


def moment_s(text: str) -> int:
    """An ISO date and time as seconds since 1970; a zone must be given."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ConfigError(
            "time", repr(text), "2024-02-14T07:00:00+07:00", "give the offset"
        )
    return int(at.timestamp())


def need_collectors(settings: NocSettings) -> None:
    """Raise ConfigError where no collector is configured: nobody could be asked."""
    if not settings.collectors:
        raise ConfigError("collectors", "nothing", "[[collectors]]", "add one")


def need_writable(**files: Path | None) -> None:
    """Raise ConfigError where a file of an option cannot be written."""
    for name, path in files.items():
        try:
            if path is not None:
                path.open("ab").close()
        except OSError as error:
            raise ConfigError(
                f"--{name}", f"{path}: {error.strerror}", "a file that can be written",
                "name another",
            ) from error  # fmt: skip


class Progress:
    """Says how far it is: often to a terminal, now and then to a log."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._every_s = 0.5 if sys.stderr.isatty() else 10.0
        self._said_mono = self._began_mono = time.monotonic()

    def __call__(self, number: int, where: str = "") -> None:
        """`number` are done; `where` says more."""
        now_mono = time.monotonic()
        if now_mono - self._said_mono < self._every_s:
            return
        self._said_mono = now_mono
        rate = number / (now_mono - self._began_mono)
        said = f"{number:,} {self._what}, {rate:,.0f}/s{where}"
        tty = sys.stderr.isatty()
        start, end = ("\r", "\033[K") if tty else ("", "\n")
        print(f"{start}{said}", end=end, file=sys.stderr, flush=True)
