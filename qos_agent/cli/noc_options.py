"""Options and helpers that the commands of `qos-agent noc` share."""

from __future__ import annotations

import getpass
import os
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
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="Read this configuration file (noc.toml).",
    ),
]
ApplyOption = Annotated[
    bool,
    typer.Option("--apply", help="Apply the changes. Without it, only show them."),
]

# InfluxDB has nanoseconds in 64 bits.
_LAST_S = 2**63 // 10**9 - 1


def moment_s(text: str, option: str) -> int:
    """Parse an ISO 8601 date and time with an offset into seconds since 1970.

    Raises ConfigError.
    """
    try:
        moment = datetime.fromisoformat(text)
        at_s = int(moment.timestamp()) if moment.tzinfo else -1
    except ValueError:
        at_s = -1
    if not 0 <= at_s <= _LAST_S:
        raise ConfigError(
            option,
            repr(text),
            "must be a date and time with an offset, from 1970 to 2261",
            "use the form 2024-02-14T07:00:00+07:00",
        )
    return at_s


def user_name() -> str:
    """Return the name of the person who runs the command, also below sudo."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return ""  # The user id has no name.


def need_collectors(settings: NocSettings) -> None:
    """Raise ConfigError if no collector is configured."""
    if not settings.collectors:
        fix = "add at least one [[collectors]] table to noc.toml"
        raise ConfigError("collectors", None, "missing", fix)


def need_writable(**files: Path | None) -> None:
    """Raise ConfigError if a file named by an option cannot be written."""
    for name, path in files.items():
        try:
            if path is not None:
                path.open("ab").close()
        except OSError as error:
            raise ConfigError(
                f"--{name}",
                repr(str(path)),
                f"cannot be written: {error.strerror}",
                "use another file",
            ) from error


class Progress:
    """Prints progress to standard error, often on a terminal and rarely in a log."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._every_s = 0.5 if sys.stderr.isatty() else 10.0
        self._printed_mono = self._started_mono = time.monotonic()

    def __call__(self, count: int, detail: str = "") -> None:
        """Report that `count` units are done, with a detail to append."""
        now_mono = time.monotonic()
        if now_mono - self._printed_mono < self._every_s:
            return
        self._printed_mono = now_mono
        rate = count / (now_mono - self._started_mono)
        text = f"{count:,} {self._unit}, {rate:,.0f}/s{detail}"
        on_terminal = sys.stderr.isatty()
        start, end = ("\r", "\033[K") if on_terminal else ("", "\n")
        print(f"{start}{text}", end=end, file=sys.stderr, flush=True)
