"""Ends a command after a time, also if a driver or a disk never lets it end."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
from contextlib import suppress

_ENDED_BY_SIGNAL = 128
_PR_SET_PDEATHSIG = 1


def limit_process(limit_s: float, message: str) -> None:
    """Go on in a child process; this process waits for it and exits with its status.

    After `limit_s` it prints the message, kills the child and exits with 1. It does not
    wait for the child's end then: a process that waits for a disk cannot be killed.
    Call this before the first thread starts.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        _watch(child, limit_s, message)
    _end_with_parent()


def _end_with_parent() -> None:
    """Let the kernel kill this process when the parent ends, prctl(2)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _watch(child: int, limit_s: float, message: str) -> None:
    # Ctrl-C reaches both processes; the child ends and this one follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    handle = os.pidfd_open(child)
    if not select.select([handle], [], [], limit_s)[0]:
        os.write(2, f"{message}\n".encode())
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os._exit(status if status >= 0 else _ENDED_BY_SIGNAL - status)
