"""The uplink's loop: fresh readings first, the backlog beside them with pauses.

One thread, one request at a time. Before every batch of the backlog the fresh lane
is emptied; a batch of the backlog loads its link, so it takes the link's link_lock and
yields to measurements, and a nation's worth of agents coming back is spread by
random pauses. The fallback is given points while the collector has long failed.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from qos_agent.config.settings import CollectorSection, Settings
from qos_agent.influx.transport import InfluxTransport, Transport
from qos_agent.journal import Journal, Lane
from qos_agent.model import Clock
from qos_agent.model.errors import StorageError
from qos_agent.system.link_lock import LinkLock
from qos_agent.uplink.data_usage import DataUsage, Purse
from qos_agent.uplink.sender import Pace, Sender
from qos_agent.uplink.status import UplinkStatus

_log = logging.getLogger(__name__)

# How long a turn may sleep: a suspended device wakes within it.
_NAP_S = 1.0
# A latency train of twenty probes takes four seconds; the link_lock holds back the next.
_GATE_WAIT_S = 6.0
# After an outage the first batch waits up to so many pauses.
_SPREAD_PAUSES = 6.0
# A drain may pass its deadline by so much: less is no fair try.
_LEAST_TIMEOUT_S = 1.0


class Uplink:
    """Delivers until stopped. `run` is for a thread; `wake` after each commit."""

    def __init__(
        self,
        journal: Journal,
        purse: Purse,
        settings: Settings,
        clock: Clock,
        stop: threading.Event,
        link_lock: LinkLock,
        connect: Callable[[CollectorSection], Transport] = InfluxTransport,
    ) -> None:
        self._journal = journal
        self._settings = settings
        self._clock = clock
        self._stop = stop
        self._link_lock = link_lock
        self._wake = threading.Event()
        self._turn = threading.Lock()
        self._meter = DataUsage(journal, purse, settings, clock)
        self._jitter = random.Random()  # noqa: S311  spreads load, guards nothing
        self._senders = self._make_senders(connect)
        self._backlog_boot_ns = self._after_pauses(_SPREAD_PAUSES)
        # Whether the last turn of the backlog delivered any: then there may be more.
        self._more = False

    def run(self) -> None:
        """Deliver until the stop event is set."""
        while not self._stop.is_set():
            self._wake.clear()
            self._take_turn()
            self._wake.wait(self._nap_s())
        with self._turn:
            self._finish()

    def wake(self) -> None:
        """Something was committed, or the stop event was set: look at once."""
        self._wake.set()

    def status(self) -> UplinkStatus:
        """How delivery to the collector stands; the fallback's while it stands in."""
        if not self._senders:
            return UplinkStatus(state="off")
        first = self._senders[0].status
        stand_ins = self._senders[1:]
        sent = sum(s.status.sent_bytes for s in self._senders)
        received = sum(s.status.received_bytes for s in self._senders)
        for stand_in in stand_ins:
            if first.state == "failing" and stand_in.status.acknowledged.all:
                first = replace(first, collector=stand_in.name)
        return replace(first, sent_bytes=sent, received_bytes=received)

    def drain(self, deadline_s: float) -> bool:
        """Send all there is, without pauses, in the caller's thread; True when done.

        For an orderly stop, and for a run of fixed length.
        """
        end_ns = self._clock.boot_ns() + int(deadline_s * 1e9)
        try:
            with self._turn:
                self._drain_until(end_ns)
            self._journal.flush()
            return not self._senders or self._is_empty()
        except StorageError as error:
            # What was delivered and not noted is sent again, which changes nothing.
            _log.error("delivery cannot be noted: %s", error)
            return False

    def _drain_until(self, end_ns: int) -> None:
        goes_on = threading.Event()
        while self._senders and (left_s := (end_ns - self._clock.boot_ns()) / 1e9) > 0:
            if not self._senders[0].may_try():
                goes_on.wait(min(0.05, left_s))
            elif not self._send_all(left_s, goes_on) and self._is_empty():
                break
        self._finish()

    def close(self) -> None:
        """Close the connections."""
        for sender in self._senders:
            sender.close()

    def _make_senders(
        self, connect: Callable[[CollectorSection], Transport]
    ) -> Sequence[Sender]:
        settings = self._settings
        if settings.collector.url is None:
            return ()
        pace = Pace(settings.uplink.batch, settings.uplink.backoff)
        sections = (settings.collector, settings.fallback)
        return tuple(
            Sender(
                name, self._journal, connect(section), self._clock, pace, self._meter
            )
            for name, section in zip(settings.collector_names(), sections, strict=False)
        )

    def _finish(self) -> None:
        """Settle what was delivered; nothing stays claimed."""
        for sender in self._senders:
            sender.finish()

    def _is_empty(self) -> bool:
        self._finish()
        name = self._senders[0].name
        return self._journal.counts().undelivered[name] == 0

    def _take_turn(self) -> None:
        """The collector's lanes, and the fallback's where the collector has failed."""
        with self._turn:
            for sender in self._senders:
                try:
                    self._serve(sender)
                except StorageError as error:
                    _log.error("nothing can be delivered: %s", error)
                    return
                if sender.failing_s < self._settings.uplink.fallback_after:
                    return

    def _serve(self, sender: Sender) -> None:
        if not sender.may_try():
            return
        was_failing = sender.failing_s > 0
        self._send_fresh(sender, self._settings.collector.timeout)
        if was_failing and not sender.failing_s:
            self._backlog_boot_ns = self._after_pauses(_SPREAD_PAUSES)
        if sender.may_try() and self._clock.boot_ns() >= self._backlog_boot_ns:
            self._send_backlog(sender)

    def _send_fresh(self, sender: Sender, timeout_s: float) -> None:
        while sender.may_try() and not self._stop.is_set():
            if not sender.send(Lane.FRESH, self._stop, timeout_s):
                return

    def _send_backlog(self, sender: Sender) -> None:
        self._backlog_boot_ns = self._after_pauses(1.0)
        with self._link_alone() as entered:
            if entered:
                timeout_s = self._settings.collector.timeout
                ahead = not self._settings.uplink.pause
                self._more = bool(
                    sender.send(Lane.BACKLOG, self._stop, timeout_s, ahead=ahead)
                )
                return
        sender.finish()
        self._backlog_boot_ns = self._clock.boot_ns()

    def _nap_s(self) -> float:
        """Until the backlog's next batch; a second at most, and where there is none."""
        pause_s = (self._backlog_boot_ns - self._clock.boot_ns()) / 1e9
        return min(_NAP_S, max(0.0, pause_s)) if self._more else _NAP_S

    def _send_all(self, left_s: float, goes_on: threading.Event) -> int:
        """A batch of each lane; how many points were acknowledged."""
        sender, limit_s = self._senders[0], self._settings.collector.timeout
        timeout_s = min(limit_s, max(_LEAST_TIMEOUT_S, left_s))
        count = 0
        for lane in Lane:
            if sender.may_try():
                ahead = lane is Lane.BACKLOG
                count += sender.send(lane, goes_on, timeout_s, ahead=ahead)
        return count

    def _after_pauses(self, pauses: float) -> int:
        """The moment a random time of half to one and a half pauses from now."""
        pause_s = self._settings.uplink.pause * pauses
        return self._clock.boot_ns() + int(
            self._jitter.uniform(0.5, 1.5) * pause_s * 1e9
        )

    @contextmanager
    def _link_alone(self) -> Iterator[bool]:
        """The link of the uplink without measurements on it; True when one has it."""
        link = self._meter.link()
        if link is None:
            yield True
            return
        with self._link_lock.exclusive(link, _GATE_WAIT_S) as entered:
            yield entered
