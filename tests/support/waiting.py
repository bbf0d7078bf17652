"""Waits for a condition of something that runs at the same time as the test."""

from __future__ import annotations

import time
from collections.abc import Callable

_POLL_S = 0.01


def eventually(condition: Callable[[], object], limit_s: float = 60.0) -> None:
    """Wait until `condition()` is true; fail the test after `limit_s` seconds."""
    end_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end_s, f"still false after {limit_s} s"
        time.sleep(_POLL_S)
