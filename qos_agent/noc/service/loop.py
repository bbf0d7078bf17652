"""The loop of the census service: a minute's work, then remaining work until the next.

Pending work takes at most the share `rollups.load` of the time.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import partial

from qos_agent.noc.rollup.sums import MINUTE_NS
from qos_agent.noc.service.report import Report
from qos_agent.noc.service.service import Service
from qos_agent.system.supervision import Supervisor

_log = logging.getLogger(__name__)


def run(service: Service, stop: threading.Event) -> None:
    """Work until `stop` is set. An unexpected exception ends one minute's work only."""
    supervisor = Supervisor(stop)
    service.watchdog.ready()
    supervisor.call("census", partial(_log_warnings, service))
    while not stop.is_set():
        at_ns = time.time_ns()
        next_ns = at_ns // MINUTE_NS * MINUTE_NS + MINUTE_NS
        service.watchdog.feed()
        supervisor.call("census", partial(_work, service, at_ns, next_ns, stop))
        stop.wait(max(0.0, (next_ns - time.time_ns()) / 1e9))


def _log_warnings(service: Service) -> None:
    for warning in service.warnings():
        _log.warning("census: %s", warning)


def _work(service: Service, at_ns: int, next_ns: int, stop: threading.Event) -> None:
    report = service.minute(at_ns)
    _log.info("census: %s", report)
    _do_pending(service, report, next_ns, stop)
    if errors := report.pending_errors():
        _log.warning("census: remaining work: %s", errors)


def _do_pending(
    service: Service, report: Report, next_ns: int, stop: threading.Event
) -> None:
    """Do remaining work until the next minute, with pauses that limit servers' load."""
    pause = 1 / service.settings.rollups.load - 1
    for took_s in service.pending(report):
        service.watchdog.feed()
        stop.wait(took_s * pause)
        if stop.is_set() or time.time_ns() >= next_ns:
            return
