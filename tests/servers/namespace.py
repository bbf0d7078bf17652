"""Runs functions inside a network namespace without moving the calling thread.

A socket always belongs to the namespace in which it was created, and a process to the
namespace of the thread that forked it. A short thread inside the namespace is therefore
enough. `ip netns exec` would add mounts and a second process.
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


def inside(namespace: str | None, function: Callable[[], T]) -> T:
    """Run a function in a namespace, given by name or path (/proc/PID/ns/net).

    None means the current namespace.
    """
    if namespace is None:
        return function()
    # setns(2) moves the calling thread, so use a thread that ends with the pool.
    with ThreadPoolExecutor(max_workers=1) as pool:
        pool.submit(_enter, namespace).result()
        return pool.submit(function).result()


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
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family) as listener:
            listener.bind((address, 0))
            port: int = listener.getsockname()[1]
            return port

    return inside(namespace, probe)
