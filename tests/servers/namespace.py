"""Act inside a network namespace without leaving one's own.

A socket belongs for ever to the namespace it was made in, and a process to the one of
the thread that forked it. So a thread that enters, makes the thing and ends is enough;
no `ip netns exec`, whose mounts and second process only get in the way.
"""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

CLONE_NEWNET = 0x40000000

T = TypeVar("T")


def inside(namespace: str | None, act: Callable[[], T]) -> T:
    """Act in a namespace, named or by path (/proc/PID/ns/net); None stays here."""
    if namespace is None:
        return act()
    # A thread of its own: setns changes the calling thread, and the pool ends it.
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(_enter, namespace).result()
        return pool.submit(act).result()


def _enter(namespace: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(Path("/run/netns") / namespace, os.O_RDONLY)
    try:
        if libc.setns(handle, CLONE_NEWNET) != 0:
            error = ctypes.get_errno()
            raise OSError(error, f"setns: {os.strerror(error)}", namespace)
    finally:
        os.close(handle)


def free_port(address: str, namespace: str | None = None) -> int:
    """Return a TCP port that was free a moment ago."""

    def probe() -> int:
        with socket.socket() as listener:
            listener.bind((address, 0))
            port: int = listener.getsockname()[1]
            return port

    return inside(namespace, probe)
