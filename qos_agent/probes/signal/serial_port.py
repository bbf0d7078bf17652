"""A modem's serial port: one command, one answer, never longer than a few seconds."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qos_agent.model import Deadline
from qos_agent.model.errors import ProbeError

_ANSWER_S = 3.0
_SLICE_S = 0.1
_ANSWER_MAX_BYTES = 8192

END = re.compile(r"^(OK|ERROR|\+CM[ES] ERROR: .*|COMMAND NOT SUPPORT)$", re.M)
"""The line that ends an answer; the last is of Huawei's."""


@contextmanager
def opened(port: Path) -> Iterator[int]:
    """The port, raw and for us alone, for the time of a block."""
    try:
        handle = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        cause = "permission" if error.errno == errno.EACCES else "modem"
        raise ProbeError(cause, f"{port}: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        tty.setraw(handle)
        termios.tcflush(handle, termios.TCIOFLUSH)
        yield handle
    except (OSError, termios.error) as error:
        raise ProbeError("modem", f"{port}: {error}") from error
    finally:
        os.close(handle)


def ask(handle: int, command: str, deadline: Deadline) -> str:
    """The answer to a command, if its end came within a few seconds; else nothing.

    Half a line may be half a number, and that another one.
    """
    os.write(handle, f"{command}\r".encode())
    heard = b""
    end_s = time.monotonic() + _ANSWER_S
    while time.monotonic() < end_s and len(heard) < _ANSWER_MAX_BYTES:
        if deadline.wait(0):
            raise ProbeError("deadline", command)
        readable, _, _ = select.select([handle], [], [], _SLICE_S)
        if readable:
            heard += os.read(handle, 4096)
        text = heard.decode("ascii", "replace").replace("\r", "\n")
        if END.search(text):
            return text
    return ""
