"""A deadline for probes under test, a few seconds from now."""

from __future__ import annotations

import threading
import time


class TimeLeft:
    """A model.Deadline on the monotonic clock; `stop()` ends it at once."""

    def __init__(self, seconds: float) -> None:
        self._end_s = time.monotonic() + seconds
        self._stop = threading.Event()

    def remaining_s(self) -> float:
        return max(0.0, self._end_s - time.monotonic())

    def wait(self, seconds: float) -> bool:
        stopped = self._stop.wait(min(seconds, self.remaining_s()))
        return stopped or self.remaining_s() == 0.0

    def stopping(self) -> bool:
        return self._stop.is_set()

    def stop(self) -> None:
        """End the deadline, as a stop of the agent does."""
        self._stop.set()
