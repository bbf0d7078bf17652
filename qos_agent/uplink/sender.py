"""Delivers to one collector: claims, sends, acts on the answer, waits after failures.

Waiting is exponential with full jitter and a cap, so that the agents of a province
that lost its network do not come back in step (AWS Architecture Blog, 2015).
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, replace
from typing import Protocol

from qos_agent.influx.decision import Action, Decision, decide
from qos_agent.influx.transport import Exchange, Transport, pack
from qos_agent.journal import Batch, Journal, Lane
from qos_agent.model import Clock
from qos_agent.uplink.prefetch import Parcel, Prefetcher
from qos_agent.uplink.status import Troubles, UplinkStatus, by_age, failing

_BACKOFF_FIRST_S = 1.0
_BATCH_LEAST = 10
# A batch should not hold the line longer: fresh readings wait behind it.
_BATCH_S = 4.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How much at once, and how long to wait at most after failures."""

    batch: int
    backoff_s: float


class Meter(Protocol):
    """What the sender needs of the one who counts its bytes."""

    def allows(self, lane: Lane, size_bytes: int) -> bool:
        """Whether a request of so many bytes on the wire may go now."""
        ...

    def spent(self, lane: Lane, size_bytes: int) -> None:
        """Count what went over the wire."""
        ...


class Sender:
    """One collector, one batch at a time. Not for several threads at once."""

    def __init__(
        self,
        name: str,
        journal: Journal,
        transport: Transport,
        clock: Clock,
        pace: Pace,
        meter: Meter,
    ) -> None:
        self.name = name
        self.status = UplinkStatus(collector=name)
        self.retry_boot_ns = 0
        self._journal = journal
        self._transport = transport
        self._clock = clock
        self._pace = pace
        self._meter = meter
        self._supply = Prefetcher(name, journal)
        self._troubles = Troubles()
        self._batch = pace.batch
        self._failures = 0
        self._jitter = random.Random()  # noqa: S311  spreads load, guards nothing

    @property
    def failing_s(self) -> float:
        """How long nothing has been acknowledged; 0 where all is well."""
        since = self._troubles.since_boot_ns
        return 0.0 if since is None else (self._clock.boot_ns() - since) / 1e9

    def may_try(self) -> bool:
        """True when the wait after the last failure is over."""
        return self._clock.boot_ns() >= self.retry_boot_ns

    def send(
        self,
        lane: Lane,
        give_up: threading.Event,
        timeout_s: float,
        *,
        ahead: bool = False,
    ) -> int:
        """One batch of a lane: points acknowledged; 0 where none is owed, or failed.

        Nor does a batch go that the data allowance has no room for. With `ahead` the
        lane's next is prepared meanwhile: `finish` ends that.
        """
        parcel = self._supply.take(lane, self._batch)
        if parcel is None:
            return 0
        if not self._meter.allows(lane, self._transport.cost_bytes(parcel.body)):
            self._supply.release(parcel.batch)
            return 0
        if ahead:
            self._supply.prepare(lane, self._batch)
        before = self.status.acknowledged.all
        self.status = replace(self.status, state="sending")
        self._send_parts(parcel, lane, give_up, timeout_s)
        if self.status.state == "sending":
            self.status = replace(self.status, state="idle")
        return self.status.acknowledged.all - before

    def finish(self) -> None:
        """Settle what was delivered, give back what was prepared for later."""
        self._supply.put_back()
        self._supply.finish()

    def close(self) -> None:
        """Close the connection."""
        self._supply.close()
        self._transport.close()

    def _send_parts(
        self, parcel: Parcel, lane: Lane, give_up: threading.Event, timeout_s: float
    ) -> None:
        parts = [parcel]
        try:
            while parts and not give_up.is_set() and self.status.state != "failing":
                smaller = self._deliver(parts[-1], lane, timeout_s)
                parts[-1:] = [Parcel(batch, pack(batch.lines)) for batch in smaller]
        finally:
            # Also where the disk refused to take note: nothing stays claimed.
            for part in parts:
                self._supply.release(part.batch)
        if self.status.state == "failing":
            self.finish()

    def _deliver(self, parcel: Parcel, lane: Lane, timeout_s: float) -> list[Batch]:
        """Send once and act on the answer; what is to be sent in smaller parts."""
        part, started_ns = parcel.batch, self._clock.boot_ns()
        exchange = self._transport.post(parcel.body, timeout_s)
        took_s = (self._clock.boot_ns() - started_ns) / 1e9
        self._count(exchange, lane)
        decision = decide(exchange.heard)
        match decision.action:
            case Action.DELIVERED:
                self._delivered(part, took_s)
            case Action.BISECT | Action.HALVE if len(part) > 1:
                middle = len(part) // 2
                if decision.action is Action.HALVE:
                    self._batch = middle
                return [part.part(middle, len(part)), part.part(0, middle)]
            case Action.BISECT | Action.HALVE:
                self._set_aside(part, decision.words)
            case Action.KEEP | Action.RENEW_TOKEN:
                self._failed(part, decision, took_s)
        return []

    def _count(self, exchange: Exchange, lane: Lane) -> None:
        self._meter.spent(lane, exchange.sent_bytes + exchange.received_bytes)
        status = self.status
        offset_ms = exchange.offset_ms
        self.status = replace(
            status,
            sent_bytes=status.sent_bytes + exchange.sent_bytes,
            received_bytes=status.received_bytes + exchange.received_bytes,
            offset_ms=status.offset_ms if offset_ms is None else offset_ms,
        )

    def _delivered(self, part: Batch, took_s: float) -> None:
        self._supply.settle(part)
        self._failures = 0
        self._adapt(part, took_s)
        self._troubles.succeeded(self.name, self._clock.boot_ns())
        acknowledged = by_age(
            part.times_ns(), self._clock.wall_ns(), self.status.acknowledged
        )
        self.status = replace(
            self.status,
            acknowledged=acknowledged,
            error=None,
            failing_since_boot_ns=None,
        )

    def _adapt(self, part: Batch, took_s: float) -> None:
        """A slow link gets smaller batches, a fast one the full size again."""
        if took_s > _BATCH_S:
            self._batch = max(_BATCH_LEAST, len(part) // 2)
        elif took_s < _BATCH_S / 4:
            self._batch = min(self._pace.batch, self._batch * 2)

    def _set_aside(self, part: Batch, words: str) -> None:
        self._journal.quarantine(part, words)
        self.status = replace(
            self.status, quarantined=self.status.quarantined + len(part)
        )

    def _failed(self, part: Batch, decision: Decision, took_s: float) -> None:
        self._supply.release(part)
        if decision.action is Action.RENEW_TOKEN:
            self._transport.renew()
        self._adapt(part, took_s)
        now_ns = self._clock.boot_ns()
        self.retry_boot_ns = now_ns + int(self._wait_s(decision) * 1e9)
        self._troubles.failed(self.name, decision.words, now_ns)
        self.status = failing(self.status, decision.words, self._troubles.since_boot_ns)

    def _wait_s(self, decision: Decision) -> float:
        """Full jitter; where the collector names a time, that and a jitter on top."""
        cap_s = min(self._pace.backoff_s, _BACKOFF_FIRST_S * 2**self._failures)
        self._failures = min(self._failures + 1, 30)
        return (decision.wait_s or 0.0) + self._jitter.uniform(0.05, cap_s)
