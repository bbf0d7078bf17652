"""The loop of the uplink, which sends fresh readings first and the backlog in pauses.

One thread sends one request at a time. Before each batch of the backlog the fresh lane
is emptied. A batch of the backlog loads its link, so it takes the link's lock and waits
for measurements. Random pauses spread the load when many agents reconnect. After the
collector has failed for `uplink.fallback_after`, the fallback receives the points.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from qos_agent.config.settings import CollectorSection, Settings
from qos_agent.influx.transport import InfluxTransport, Transport
from qos_agent.journal import Journal, Lane
from qos_agent.model import Clock, Phase
from qos_agent.model.errors import StorageError
from qos_agent.system.link_lock import LinkLock
from qos_agent.uplink.data_usage import Account, DataUsage
from qos_agent.uplink.pace import Pace
from qos_agent.uplink.sender import Sender, SenderOptions
from qos_agent.uplink.status import UplinkStatus

if TYPE_CHECKING:
    from urllib3 import PoolManager

_log = logging.getLogger(__name__)

# Longest sleep between two rounds; after a suspend the loop continues within it.
_SLEEP_MAX_S = 1.0
# A latency test of twenty packets takes four seconds, and the lock delays the next one.
_LOCK_WAIT_S = 6.0
# After an outage the first batch of the backlog waits for about this many pauses.
_SPREAD_PAUSES = 6.0
# Minimum request timeout while draining; the drain may exceed its deadline by this.
_TIMEOUT_MIN_S = 1.0


class Uplink:
    """Delivers until stopped. Call `run` in a thread, and `wake` after each commit."""

    def __init__(
        self,
        journal: Journal,
        account: Account,
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
        self._alive: Callable[[], None] = lambda: None
        self._round = threading.Lock()
        self._usage = DataUsage(journal, account, settings, clock)
        self._jitter = random.Random()  # noqa: S311  not for security
        self._senders = self._make_senders(connect)
        self._backlog_boot_ns = self._after_pauses(_SPREAD_PAUSES)
        # True if the last batch of the backlog delivered points: there may be more.
        self._has_backlog = False
        self._pace = Pace(settings.uplink, clock)

    def run(self, alive: Callable[[], None] = lambda: None) -> None:
        """Deliver until the stop event is set. Call `alive` around each request.

        After an exception it can be called again: no point stays claimed.
        """
        self._alive = alive
        while not self._stop.is_set():
            self._wake.clear()
            self._alive()
            self._send_round()
            self._wake.wait(self._sleep_s())
        with self._round:
            self._finish()

    def wake(self) -> None:
        """Look for points at once: some were committed, or the stop event was set."""
        self._wake.set()

    def enter(self, phase: Phase) -> None:
        """Deliver at the interval of a phase."""
        self._pace.enter(phase)
        for sender in self._senders:
            sender.wait_s = self._pace.wait_s
        self.wake()

    @property
    def delivery_s(self) -> float:
        """The delivery interval in force."""
        return self._pace.interval_s

    def status(self) -> UplinkStatus:
        """Return the status of the collector, or of the fallback if that is in use."""
        if not self._senders:
            return UplinkStatus(state="off")
        status = self._senders[0].status
        sent = sum(s.status.sent_bytes for s in self._senders)
        received = sum(s.status.received_bytes for s in self._senders)
        for fallback in self._senders[1:]:
            if status.state == "failing" and fallback.status.acknowledged.all:
                status = replace(status, collector=fallback.name)
        return replace(status, sent_bytes=sent, received_bytes=received)

    def drain(self, deadline_s: float) -> bool:
        """Send all points without pauses, in the caller's thread; True if all are sent.

        For a normal stop, and for a run of fixed length. It gives up at the deadline if
        the thread of `run` hangs in a request.
        """
        end_ns = self._clock.boot_ns() + int(deadline_s * 1e9)
        if not self._round.acquire(timeout=deadline_s):
            return False
        try:
            self._drain_until(end_ns)
            self._journal.flush()
            return not self._senders or self._is_empty()
        except StorageError as error:
            # Points that were not settled are sent again. That changes nothing there.
            _log.error("uplink: cannot mark points as delivered: %s", error)
            return False
        finally:
            self._round.release()

    def _drain_until(self, end_ns: int) -> None:
        never = threading.Event()
        while self._senders and (left_s := (end_ns - self._clock.boot_ns()) / 1e9) > 0:
            if not self._senders[0].may_try():
                never.wait(min(0.05, left_s))
            elif not self._send_all(left_s, never):
                if self._is_empty():
                    break
                never.wait(min(0.05, left_s))
        self._finish()

    def manager(self) -> PoolManager | None:
        """Return the open connections to the first collector, or None."""
        transport = self._senders[0].transport if self._senders else None
        return transport.manager() if isinstance(transport, InfluxTransport) else None

    def link(self) -> str | None:
        """Return the link of the uplink's packets, or None if it is not known."""
        return self._usage.link()

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
        options = SenderOptions(settings.uplink.batch, settings.uplink.backoff)
        sections = (settings.collector, settings.fallback)
        return tuple(
            Sender(
                name,
                self._journal,
                connect(section),
                self._clock,
                options,
                self._usage,
                self._show_alive,
            )
            for name, section in zip(settings.collector_names(), sections, strict=False)
        )

    def _show_alive(self) -> None:
        self._alive()

    def _finish(self) -> None:
        """Settle delivered points and release claimed ones."""
        for sender in self._senders:
            sender.finish()

    def _is_empty(self) -> bool:
        self._finish()
        name = self._senders[0].name
        return self._journal.counts().undelivered[name] == 0

    def _send_round(self) -> None:
        """Send to the collector, and to the fallback if the collector has failed."""
        with self._round:
            self._serve_from(self._senders)

    def _serve_from(self, senders: Sequence[Sender]) -> None:
        if not senders:
            return
        try:
            self._serve(senders[0])
        except StorageError as error:
            _log.error("uplink: cannot read or write the journal: %s", error)
            return
        except BaseException as error:
            senders[0].abandon(error)
            self._serve_fallback(senders)
            raise
        self._serve_fallback(senders)

    def _serve_fallback(self, senders: Sequence[Sender]) -> None:
        if senders[0].failing_s >= self._settings.uplink.fallback_after:
            self._serve_from(senders[1:])

    def _serve(self, sender: Sender) -> None:
        is_behind = self._has_backlog or sender.failing_s > 0
        if not sender.may_try() or not (is_behind or self._pace.is_due()):
            return
        was_failing = sender.failing_s > 0
        self._send_fresh(sender, self._settings.collector.timeout)
        if was_failing and not sender.failing_s:
            self._backlog_boot_ns = self._after_pauses(_SPREAD_PAUSES)
        if sender.may_try() and self._clock.boot_ns() >= self._backlog_boot_ns:
            self._send_backlog(sender)
        if not sender.failing_s:
            self._pace.sent()

    def _send_fresh(self, sender: Sender, timeout_s: float) -> None:
        while sender.may_try() and not self._stop.is_set():
            self._alive()
            if not sender.send(Lane.FRESH, self._stop, timeout_s):
                return

    def _send_backlog(self, sender: Sender) -> None:
        self._backlog_boot_ns = self._after_pauses(1.0)
        with self._exclusive_link() as entered:
            if entered:
                timeout_s = self._settings.collector.timeout
                ahead = not self._settings.uplink.pause
                self._has_backlog = bool(
                    sender.send(Lane.BACKLOG, self._stop, timeout_s, ahead=ahead)
                )
                return
        sender.finish()
        self._backlog_boot_ns = self._clock.boot_ns()

    def _sleep_s(self) -> float:
        """Return the time until the next batch of the backlog, at most a second."""
        pause_s = (self._backlog_boot_ns - self._clock.boot_ns()) / 1e9
        return (
            min(_SLEEP_MAX_S, max(0.0, pause_s)) if self._has_backlog else _SLEEP_MAX_S
        )

    def _send_all(self, left_s: float, give_up: threading.Event) -> int:
        """Send a batch of each lane; return the number of acknowledged points."""
        sender, limit_s = self._senders[0], self._settings.collector.timeout
        timeout_s = min(limit_s, max(_TIMEOUT_MIN_S, left_s))
        count = 0
        for lane in Lane:
            if sender.may_try():
                ahead = lane is Lane.BACKLOG
                count += sender.send(lane, give_up, timeout_s, ahead=ahead)
        return count

    def _after_pauses(self, pauses: float) -> int:
        """Return the boot time after 0.5 to 1.5 times `pauses`, at random."""
        pause_s = self._settings.uplink.pause * pauses
        return self._clock.boot_ns() + int(
            self._jitter.uniform(0.5, 1.5) * pause_s * 1e9
        )

    @contextmanager
    def _exclusive_link(self) -> Iterator[bool]:
        """Wait until no measurement uses the link; yield False after a timeout."""
        link = self._usage.link()
        if link is None:
            yield True
            return
        with self._link_lock.exclusive(link, _LOCK_WAIT_S) as entered:
            yield entered
