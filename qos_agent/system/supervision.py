"""Keeps the threads and the periodic actions of a process running after exceptions.

A thread that raised is started again, with a wait that doubles. The first exception of
a part is reported, and later ones at most every 15 minutes. A part that fails for
minutes, or whose thread shows no sign of life, is named by `unhealthy`. The process
then stops feeding the watchdog, because a restart is the last remedy.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from qos_agent.model.errors import QosAgentError

_log = logging.getLogger(__name__)

_FIRST_WAIT_S = 1.0
_LAST_WAIT_S = 60.0
# A thread that ran this long after its restart has recovered.
_RECOVERED_S = 60.0
# A part is unhealthy after this long without a success, and this many exceptions.
_UNHEALTHY_S = 300.0
_UNHEALTHY_FAILURES = 3
_REPORT_EVERY_S = 900.0
_TEXT_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Trouble:
    """An exception of one part, for a report. `count` is the number since the last."""

    part: str
    error: str
    count: int

    def __str__(self) -> str:
        """Return one line."""
        times = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.part}: {self.error}{times}"


@dataclass(slots=True)
class _Part:
    """The failures of one part since its last success, and its last sign of life.

    `running_since_s` is the start of a thread's body, None while it waits.
    """

    failures: int = 0
    failing_since_s: float = 0.0
    reported_s: float | None = None
    unreported: int = 0
    silent_s: float | None = None
    alive_s: float = 0.0
    running_since_s: float | None = None

    def has_recovered(self, now_s: float) -> bool:
        """Return True if the body of a thread has run long enough."""
        since_s = self.running_since_s
        return since_s is not None and now_s - since_s >= _RECOVERED_S


@dataclass(slots=True)
class Supervisor:
    """Runs the parts of one process. Thread-safe.

    `stop` ends the restarts. `report` receives the troubles that are due for a report;
    it must not block. `now_s` is a clock that does not count a suspend.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    report: Callable[[Trouble], object] = lambda _: None
    now_s: Callable[[], float] = time.monotonic
    _parts: dict[str, _Part] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(
        self, part: str, body: Callable[[], object], silent_s: float | None = None
    ) -> threading.Thread:
        """Run `body` in a thread until it returns; after an exception run it again.

        With `silent_s` the thread must call `alive` at least that often.
        """
        with self._lock:
            self._parts[part] = _Part(silent_s=silent_s, alive_s=self.now_s())
        thread = threading.Thread(
            target=self._keep_running, args=(part, body), name=part, daemon=True
        )
        thread.start()
        return thread

    def call(self, part: str, action: Callable[[], object]) -> Exception | None:
        """Run an action once; return its exception, after a report, or None.

        An error of the storage or the network is logged only, because a restart of the
        process does not help against it.
        """
        try:
            action()
        except QosAgentError as error:
            _log.warning("%s: %s", part, error)
            return error
        except Exception as error:  # noqa: BLE001  one part must not end the others
            self._failed(part, error)
            return error
        self._succeeded(part)
        return None

    def alive(self, part: str) -> None:
        """Note a sign of life of a thread."""
        with self._lock:
            if part in self._parts:
                self._parts[part].alive_s = self.now_s()

    def unhealthy(self) -> list[str]:
        """Return the parts that restarts do not help, and those that hang."""
        now_s = self.now_s()
        with self._lock:
            return sorted(
                name for name, part in self._parts.items() if _is_ill(part, now_s)
            )

    def _keep_running(self, part: str, body: Callable[[], object]) -> None:
        wait_s = _FIRST_WAIT_S
        state = self._parts[part]
        while not self.stop.is_set():
            state.running_since_s = self.now_s()
            try:
                body()
            except BaseException as error:  # noqa: BLE001  SystemExit ends no thread either
                if state.has_recovered(self.now_s()):
                    wait_s = _FIRST_WAIT_S
                    self._succeeded(part)
                self._failed(part, error)
            else:
                state.silent_s = None
                return
            state.running_since_s = None
            self.stop.wait(wait_s)
            wait_s = min(_LAST_WAIT_S, 2 * wait_s)

    def _succeeded(self, part: str) -> None:
        with self._lock:
            if part in self._parts:
                self._parts[part].failures = 0

    def _failed(self, part: str, error: BaseException) -> None:
        now_s = self.now_s()
        with self._lock:
            state = self._parts.setdefault(part, _Part(alive_s=now_s))
            if not state.failures:
                state.failing_since_s = now_s
            state.failures += 1
            state.unreported += 1
            reported_s = state.reported_s
            if reported_s is not None and now_s - reported_s < _REPORT_EVERY_S:
                return
            text = " ".join(f"{type(error).__name__}: {error}".split())[:_TEXT_LENGTH]
            trouble = Trouble(part, text, state.unreported)
            state.reported_s, state.unreported = now_s, 0
        _log.error("%s: unexpected exception (bug)", part, exc_info=error)
        self.report(trouble)


def _is_ill(part: _Part, now_s: float) -> bool:
    is_failing = part.failures >= _UNHEALTHY_FAILURES
    is_failing = is_failing and not part.has_recovered(now_s)
    if is_failing and now_s - part.failing_since_s > _UNHEALTHY_S:
        return True
    return part.silent_s is not None and now_s - part.alive_s > part.silent_s
