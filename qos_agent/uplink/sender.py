"""Sends batches to one collector, acts on the responses, and waits after failures.

The wait grows exponentially up to a limit, with full jitter, so that the agents of a
province that lost its network do not reconnect at the same time (M. Brooker,
"Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from qos_agent.influx import fixes
from qos_agent.influx.responses import Action, Decision, compose, decide
from qos_agent.influx.transport import Exchange, Transport, pack
from qos_agent.journal import Batch, Journal, Lane
from qos_agent.model import Clock
from qos_agent.uplink.capacity import CapacityHold
from qos_agent.uplink.data_usage import DataUsage
from qos_agent.uplink.prefetch import PackedBatch, Prefetcher
from qos_agent.uplink.refusals import HANDFUL, SAMPLE, are_alike, names_any
from qos_agent.uplink.status import FailureLog, UplinkStatus

_BACKOFF_FIRST_S = 1.0
_BATCH_MIN = 10
# Fresh readings wait while a batch is sent, so a batch should not take longer.
_BATCH_S = 4.0


@dataclass(frozen=True, slots=True)
class SenderOptions:
    """The maximum number of points in a batch, and the maximum wait after a failure."""

    batch: int
    backoff_s: float


class Sender:
    """Sends to one collector, one batch at a time. Not thread-safe.

    `alive` is called before each request.
    """

    def __init__(
        self,
        name: str,
        journal: Journal,
        transport: Transport,
        clock: Clock,
        options: SenderOptions,
        usage: DataUsage,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.status = UplinkStatus(collector=name)
        self.retry_boot_ns = 0
        # A point that waited this long for its delivery is not late.
        self.wait_s = 0.0
        self._journal = journal
        self._transport = transport
        self._clock = clock
        self._options = options
        self._usage = usage
        self._alive = alive
        self._prefetcher = Prefetcher(name, journal)
        self._failure_log = FailureLog()
        self._batch = options.batch
        self._failures = 0
        self._jitter = random.Random()  # noqa: S311  not for security
        self._hold = CapacityHold(options.backoff_s, self._jitter.uniform)
        # True while points are sent that the collector had no capacity for.
        self._is_attempt = False

    @property
    def failing_s(self) -> float:
        """The time since the first of the present failures; 0 after a success."""
        since = self._failure_log.since_boot_ns
        return 0.0 if since is None else (self._clock.boot_ns() - since) / 1e9

    @property
    def transport(self) -> Transport:
        """The connection to the collector."""
        return self._transport

    def may_try(self) -> bool:
        """Return True if the wait after the last failure is over."""
        return self._clock.boot_ns() >= self.retry_boot_ns

    def send(
        self,
        lane: Lane,
        give_up: threading.Event,
        timeout_s: float,
        *,
        ahead: bool = False,
    ) -> int:
        """Send one batch of a lane; return the number of acknowledged points.

        It is 0 if the queue is empty, if the request failed, or if the data allowance
        has no bytes for the batch. With `ahead` the lane's next batch is prepared at
        the same time, until `finish` is called.
        """
        before = self.status.acknowledged.all
        refused = self._hold.attempt(self._clock.boot_ns())
        if refused is not None:
            self._is_attempt = True
            self._send_batch(self._packed(refused), lane, give_up, timeout_s)
            self._is_attempt = False
        packed = self._next_batch(lane) if self.may_try() else None
        if packed is not None and self._may_send(packed, lane):
            if ahead:
                self._prefetcher.prepare(lane, self._batch)
            self._send_batch(packed, lane, give_up, timeout_s)
        return self.status.acknowledged.all - before

    def abandon(self, error: BaseException) -> None:
        """Count an unexpected exception as a failed request; queue all points again."""
        self._is_attempt = False
        for refused in self._hold.clear():
            self._prefetcher.release(refused)
        self.status = replace(self.status, state="failing")
        self._count_failure(f"internal error (bug): {type(error).__name__}: {error}")

    def finish(self) -> None:
        """Settle delivered batches and release the prepared one."""
        self._prefetcher.put_back()
        self._prefetcher.finish()

    def close(self) -> None:
        """Stop the helper thread and close the connection."""
        self._prefetcher.close()
        self._transport.close()

    def _next_batch(self, lane: Lane) -> PackedBatch | None:
        if lane is Lane.BACKLOG and self._hold.is_full:
            return None
        return self._prefetcher.take(lane, self._batch)

    def _may_send(self, packed: PackedBatch, lane: Lane) -> bool:
        """Return True if the data allowance has the bytes; else release the batch."""
        allowed = False
        try:
            cost_bytes = self._transport.cost_bytes(packed.body)
            allowed = self._usage.allows(lane, cost_bytes)
        finally:
            if not allowed:
                self._prefetcher.release(packed.batch)
        return allowed

    def _packed(self, part: Batch) -> PackedBatch:
        """Return the part with its body; release it if that cannot be made."""
        try:
            return PackedBatch(part, pack(part.lines))
        except BaseException:
            self._prefetcher.release(part)
            raise

    def _send_batch(
        self,
        packed: PackedBatch,
        lane: Lane,
        give_up: threading.Event,
        timeout_s: float,
    ) -> None:
        self.status = replace(self.status, state="sending")
        self._send_parts(packed, lane, give_up, timeout_s)
        if self.status.state == "sending":
            state = "failing" if self._hold.points else "idle"
            self.status = replace(self.status, state=state)

    def _send_parts(
        self,
        packed: PackedBatch,
        lane: Lane,
        give_up: threading.Event,
        timeout_s: float,
    ) -> None:
        parts = [packed]
        try:
            while parts and not give_up.is_set() and self.status.state != "failing":
                whole = parts[-1] is packed and not self._is_attempt
                smaller = self._deliver(parts[-1], lane, timeout_s, whole=whole)
                parts[-1:] = [PackedBatch(b, pack(b.lines)) for b in smaller]
        finally:
            # No point stays claimed, even if settling failed on a full disk.
            for part in parts:
                self._prefetcher.release(part.batch)
        if self.status.state == "failing":
            self.finish()

    def _deliver(
        self, packed: PackedBatch, lane: Lane, timeout_s: float, *, whole: bool
    ) -> list[Batch]:
        """Send once, act on the response, and return the parts to send again.

        `whole` is True for a batch, and False for a part of one.
        """
        part = packed.batch
        decision, took_s = self._post(packed, lane, timeout_s)
        if whole and self._is_fault_of_server(part, decision, lane, timeout_s):
            head = "every point is rejected with the same text"
            message = compose(head, decision.text, fixes.ALIKE)
            decision = replace(decision, action=Action.KEEP, message=message)
        match decision.action:
            case Action.DELIVERED:
                self._delivered(part, took_s)
            case Action.BISECT | Action.HALVE if len(part) > 1:
                if decision.action is Action.HALVE:
                    self._batch = len(part) // 2
                return _halves(part)
            case Action.LIMIT if 0 < (decision.dropped or 0) < len(part):
                return _halves(part)
            case Action.LIMIT:
                self._refused(part, decision)
                if whole:
                    self._back_off(part, decision, took_s)
            case Action.BISECT:
                self._quarantine(part, decision.message)
            case Action.KEEP | Action.RENEW_TOKEN | Action.HALVE:
                self._failed(part, decision, took_s)
        return []

    def _post(
        self, packed: PackedBatch, lane: Lane, timeout_s: float
    ) -> tuple[Decision, float]:
        """Send once; return the decision and the seconds that the request took."""
        started_ns = self._clock.boot_ns()
        self._alive()
        exchange = self._transport.post(packed.body, timeout_s)
        took_s = (self._clock.boot_ns() - started_ns) / 1e9
        self._count(exchange, lane)
        return decide(exchange.result), took_s

    def _is_fault_of_server(
        self, part: Batch, decision: Decision, lane: Lane, timeout_s: float
    ) -> bool:
        """Return True if points of a rejected batch are all rejected alike when alone.

        A few are sent, chosen at random. If one of them is accepted, or if a text names
        a point, the batch is divided as usual.
        """
        if decision.action is not Action.BISECT or len(part) <= HANDFUL:
            return False
        now_ns = self._clock.wall_ns()
        texts = [decision.text]
        for index in self._jitter.sample(range(len(part)), min(SAMPLE, len(part))):
            if names_any(texts[-1], part, now_ns):
                return False
            single = part.part(index, index + 1)
            packed = PackedBatch(single, pack(single.lines))
            answer, _ = self._post(packed, lane, timeout_s)
            if answer.action is not Action.BISECT:
                return False
            texts.append(answer.text)
        return are_alike(texts[1:]) and not names_any(texts[-1], part, now_ns)

    def _count(self, exchange: Exchange, lane: Lane) -> None:
        self._usage.spent(lane, exchange.sent_bytes + exchange.received_bytes)
        status = self.status
        offset_ms = exchange.offset_ms
        self.status = replace(
            status,
            sent_bytes=status.sent_bytes + exchange.sent_bytes,
            received_bytes=status.received_bytes + exchange.received_bytes,
            offset_ms=status.offset_ms if offset_ms is None else offset_ms,
        )

    def _delivered(self, part: Batch, took_s: float) -> None:
        self._prefetcher.settle(part)
        self._adapt(part, took_s)
        if self._is_attempt:
            for refused in self._hold.clear():
                self._prefetcher.release(refused)
        acknowledged = self.status.acknowledged.plus(
            part.times_ns(), self._clock.wall_ns() - int(self.wait_s * 1e9)
        )
        self.status = replace(self.status, acknowledged=acknowledged)
        self._succeeded()

    def _succeeded(self) -> None:
        """End the present failure, except that of a collector without capacity."""
        self._failures = 0
        is_full = bool(self._hold.points)
        if not is_full:
            self._failure_log.succeeded(self.name, self._clock.boot_ns())
        error = self._hold.message
        self.status = replace(self.status, error=error, full=is_full)

    def _adapt(self, part: Batch, took_s: float) -> None:
        """Halve the batch after a slow request, and double it after a fast one."""
        if took_s > _BATCH_S:
            self._batch = max(_BATCH_MIN, len(part) // 2)
        elif took_s < _BATCH_S / 4:
            self._batch = min(self._options.batch, self._batch * 2)

    def _quarantine(self, part: Batch, message: str) -> None:
        self._journal.quarantine(part, message)
        self.status = replace(
            self.status, quarantined=self.status.quarantined + len(part)
        )
        self._succeeded()

    def _refused(self, part: Batch, decision: Decision) -> None:
        """Keep points that the collector has no capacity for, and send the others."""
        now_ns = self._clock.boot_ns()
        for removed in self._hold.add(part, decision.message, now_ns):
            self._prefetcher.release(removed)
        self._count_failure(decision.message)
        self.status = replace(self.status, full=True)

    def _failed(self, part: Batch, decision: Decision, took_s: float) -> None:
        self._prefetcher.release(part)
        if decision.action is Action.RENEW_TOKEN:
            self._transport.renew()
        self._count_failure(decision.message)
        self._back_off(part, decision, took_s)

    def _back_off(self, part: Batch, decision: Decision, took_s: float) -> None:
        self._adapt(part, took_s)
        wait_s = self._wait_s(decision)
        self.retry_boot_ns = self._clock.boot_ns() + int(wait_s * 1e9)
        self.status = replace(self.status, state="failing")

    def _count_failure(self, message: str) -> None:
        self._failure_log.failed(self.name, message, self._clock.boot_ns())
        failures = self.status.failures + 1
        self.status = replace(self.status, error=message, failures=failures)

    def _wait_s(self, decision: Decision) -> float:
        """Return a random wait, added to Retry-After if the collector sent one."""
        cap_s = min(self._options.backoff_s, _BACKOFF_FIRST_S * 2**self._failures)
        self._failures = min(self._failures + 1, 30)
        return (decision.wait_s or 0.0) + self._jitter.uniform(0.05, cap_s)


def _halves(part: Batch) -> list[Batch]:
    """Return the second and the first half; the last one is sent next."""
    middle = len(part) // 2
    return [part.part(middle, len(part)), part.part(0, middle)]
