"""The census service's loop: a minute's work, then what is owed, in turn."""

from __future__ import annotations

import logging
import threading
import time

from qos_agent.noc.rollup.sums import MINUTE_NS
from qos_agent.noc.service.service import Report, Service

_log = logging.getLogger(__name__)


def run(service: Service, stop: threading.Event) -> None:
    """Work until told to stop."""
    for warning in service.warnings():
        _log.warning("%s", warning)
    while not stop.is_set():
        at_ns = time.time_ns()
        report = service.minute(at_ns)
        _log.info("%s", report)
        next_ns = at_ns // MINUTE_NS * MINUTE_NS + MINUTE_NS
        _do_owed(service, report, next_ns, stop)
        if owed := report.what_is_owed():
            _log.warning("%s", owed)
        stop.wait(max(0.0, (next_ns - time.time_ns()) / 1e9))


def work_off(service: Service, report: Report) -> None:
    """Do all that is owed, without a rest."""
    for _ in service.owed(report.at_ns, report):
        pass


def _do_owed(
    service: Service, report: Report, next_ns: int, stop: threading.Event
) -> None:
    """Until the next minute, with rests that keep the servers' load bounded."""
    rest = 1 / service.settings.rollups.load - 1
    for took_s in service.owed(report.at_ns, report):
        stop.wait(took_s * rest)
        if stop.is_set() or time.time_ns() >= next_ns:
            return
