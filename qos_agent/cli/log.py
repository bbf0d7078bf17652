"""The log of a command that runs for long: systemd's journal, or a stream."""

from __future__ import annotations

import logging
import os
from typing import TextIO

from qos_agent.system.journald import JournalHandler, is_connected

_LINE = "%(levelname)s %(message)s"
TIMED_LINE = f"%(asctime)s {_LINE}"


def log_to(stream: TextIO, handle: int, level: int, text: str = _LINE) -> None:
    """Log one line per record to a stream; with fields, if that is the journal.

    `handle` is the descriptor of the stream. A service manager adds the time itself.
    """
    if is_connected(handle):
        handler: logging.Handler = JournalHandler(stream)
        text = "%(message)s"
    else:
        handler = logging.StreamHandler(stream)
        text = _LINE if "INVOCATION_ID" in os.environ else text
    logging.basicConfig(level=level, handlers=[handler], format=text)
