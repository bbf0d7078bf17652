"""Sends AT commands to a serial port, with a time limit for each answer."""

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

FINAL_RESULT = re.compile(r"^(OK|ERROR|\+CM[ES] ERROR: .*|COMMAND NOT SUPPORT)$", re.M)
"""The line that ends an answer; the last alternative is from Huawei modems."""


@contextmanager
def open_port(port: Path) -> Iterator[int]:
    """Open the port in raw mode and with an exclusive lock.

    Raises ProbeError `permission`, `modem`.
    """
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


def send(handle: int, command: str, deadline: Deadline) -> str:
    """Send a command and return its answer; "" if the answer is incomplete.

    An incomplete line may contain a cut number, so it is not used. Raises ProbeError
    `deadline`.
    """
    os.write(handle, f"{command}\r".encode())
    received = b""
    end_s = time.monotonic() + _ANSWER_S
    while time.monotonic() < end_s and len(received) < _ANSWER_MAX_BYTES:
        if deadline.wait(0):
            raise ProbeError("deadline", command)
        readable, _, _ = select.select([handle], [], [], _SLICE_S)
        if readable:
            received += os.read(handle, 4096)
        text = received.decode("ascii", "replace").replace("\r", "\n")
        if FINAL_RESULT.search(text):
            return text
    return ""
