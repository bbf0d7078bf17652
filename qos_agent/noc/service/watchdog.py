"""The census in the view of systemd: ready, and alive while its work proceeds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from qos_agent.system.supervision import Supervisor
from qos_agent.system.systemd import Notifier

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Watchdog:
    """Feeds systemd's watchdog while requests are sent and no part fails for long.

    Without a watchdog in the unit it does nothing.
    """

    supervisor: Supervisor
    notifier: Notifier = field(default_factory=Notifier)
    now_s: Callable[[], float] = time.monotonic
    _fed_s: float | None = None

    def ready(self) -> None:
        """Report that the service has started."""
        self.notifier.notify("READY=1")

    def feed(self) -> None:
        """Note progress: a request begins, or a minute's work has ended."""
        interval_s, now_s = self.notifier.watchdog_s, self.now_s()
        if interval_s is None:
            return
        if self._fed_s is not None and now_s - self._fed_s < interval_s / 2:
            return
        if unhealthy := self.supervisor.unhealthy():
            _log.error("watchdog: not fed, because of: %s", ", ".join(unhealthy))
            return
        self._fed_s = now_s
        self.notifier.notify("WATCHDOG=1")
