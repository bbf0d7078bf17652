"""Checks that a block leaves no child process, file, socket or thread behind."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
_DEATH_S = 2.0


def children() -> set[int]:
    """Return the child processes that are alive, without zombies."""
    processes = psutil.Process().children(recursive=True)
    return {child.pid for child in processes if alive(child.pid)}


def alive(pid: int) -> bool:
    """Return True if a process exists and is not a zombie."""
    try:
        status: str = psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return False
    return status != psutil.STATUS_ZOMBIE


@contextmanager
def no_child_left() -> Iterator[None]:
    """Check that the block leaves no new process, also no orphan."""
    before = children()
    with adopting():
        yield
        end_s = time.monotonic() + _DEATH_S
        while not children() <= before:
            assert time.monotonic() < end_s, children() - before
            time.sleep(0.01)


@contextmanager
def adopting() -> Iterator[None]:
    """Become the parent of orphans in the block instead of init (prctl(2))."""
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0)


@contextmanager
def nothing_left(within_s: float) -> Iterator[None]:
    """Check that the block ends in time and leaves no process, file or thread."""
    started_s, files, threads = time.monotonic(), _files(), threading.active_count()
    with no_child_left():
        yield
    assert time.monotonic() - started_s < within_s
    assert _files() <= files
    assert threading.active_count() <= threads


def _files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
