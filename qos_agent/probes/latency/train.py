"""A train of probes, sent at fixed times whatever the replies.

The train is an open loop (RFC 3432): a probe never waits for the reply to an earlier
one. A bad network is therefore sampled as often as a good one. The phase is random, so
that trains do not synchronise with periodic events. The thread sleeps in poll(2)
between events.
"""

from __future__ import annotations

import errno
import random
import select
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from qos_agent.model import Deadline
from qos_agent.model.errors import ProbeError
from qos_agent.probes.latency.transport import (
    Answered,
    Departed,
    Refused,
    Rejected,
    Transport,
)
from qos_agent.system.network import cause_of

WAIT_S = 3.0
"""Tmax of RFC 7680: a probe whose reply arrives later counts as late and lost."""

NETWORK_MISSING = frozenset(
    {"no_route", "link_down", "unreachable", "name_not_resolved", "timeout"}
)
"""Causes of unsent probes that count as loss, because the network is missing.

The cause `timeout` comes from the first hop of a link without a gateway address.
"""

_WAKE_NUMBER = 0
# Number 1 is skipped after the wake-up; see `loss_split`.
FIRST_NUMBER = 2
# Maximum delay until a train notices that the agent stops.
_STOP_CHECK_MS = 250.0
# adjtimex(2) slews the clock by at most 500 ppm; a faster change is a step.
_STEP_NS, _SLEW = 1_000_000, 1e-3


@dataclass(frozen=True, slots=True)
class TrainSpec:
    """The number of probes, their spacing, and the wait for each reply."""

    count: int
    spacing_s: float
    wait_s: float = WAIT_S


@dataclass(slots=True)
class Trip:
    """One probe and its result; `sent_ns` is monotonic.

    `unsent` is the cause if the probe could not leave because the network is missing.
    """

    sent_ns: int
    unsent: str | None = None
    departed_ns: int | None = None
    answer: Answered | None = None
    refused: Refused | None = None
    duplicates: int = 0

    def kernel_ns(self) -> int | None:
        """Return the round trip by kernel timestamps; None without both of them."""
        if self.departed_ns is None or self.answer is None:
            return None
        if self.answer.kernel_ns is None:
            return None
        return self.answer.kernel_ns - self.departed_ns

    def user_ns(self) -> int | None:
        """Return the round trip by the monotonic clock; None without a reply."""
        return None if self.answer is None else self.answer.user_ns - self.sent_ns


@dataclass(slots=True)
class TrainRecord:
    """The result of a train; `trips` by number, in the order of sending.

    `withheld` are the causes of probes that this device itself did not send. They are
    not in `trips`, because they are not a property of the network.
    """

    wait_s: float
    trips: dict[int, Trip] = field(default_factory=dict)
    reflected: set[int] = field(default_factory=set)
    withheld: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    wake: Trip | None = None
    clock_stepped: bool = False

    def kernel_stamped(self) -> bool:
        """Return True if kernel timestamps are valid for every round trip.

        Otherwise the whole train uses the monotonic clock, because two clocks in one
        train would look like delay variation. Reasons are a missing timestamp, a failed
        send (the kernel's packet counter is then unreliable), and a step of the wall
        clock, which kernel timestamps use.
        """
        if self.not_sent() or self.clock_stepped:
            return False
        trips = [t.kernel_ns() for t in self.trips.values() if t.answer is not None]
        return all(trip is not None and trip >= 0 for trip in trips)

    def round_trips_ns(self) -> list[int | None]:
        """Return all round trips on one clock, also late ones; None without a reply."""
        kernel = self.kernel_stamped()
        return [t.kernel_ns() if kernel else t.user_ns() for t in self.trips.values()]

    def not_sent(self) -> list[str]:
        """Return one cause for each probe that did not leave this device."""
        missing = [t.unsent for t in self.trips.values() if t.unsent is not None]
        return self.withheld + missing

    def wake_ns(self) -> int | None:
        """Return the round trip of the wake-up exchange by the monotonic clock."""
        return None if self.wake is None else self.wake.user_ns()


class Train:
    """One train; call `run` once."""

    def __init__(
        self, spec: TrainSpec, transport: Transport, deadline: Deadline
    ) -> None:
        self._spec = spec
        self._transport = transport
        self._deadline = deadline
        self._record = TrainRecord(spec.wait_s)
        self._poll = select.poll()
        self._poll.register(transport.fileno(), select.POLLIN)

    def run(self) -> TrainRecord:
        """Wake the radio, send every probe when due, and wait for missing replies.

        Raises ProbeError `deadline` if the time is up or the agent stops first.
        """
        offset_ns, start_ns = _wall_offset_ns(), time.monotonic_ns()
        self._wake()
        self._send_all()
        trips = self._record.trips.values()
        if trips:
            last_ns = max(trip.sent_ns for trip in trips)
            self._receive_until(
                last_ns + int(self._spec.wait_s * 1e9), self._all_settled
            )
        self._receive()
        slew_ns = _SLEW * (time.monotonic_ns() - start_ns)
        moved_ns = abs(_wall_offset_ns() - offset_ns)
        self._record.clock_stepped = moved_ns > _STEP_NS + slew_ns
        return self._record

    def _wake(self) -> None:
        """Make one exchange before the train, because an idle radio connects slowly.

        It also gives the kernel time to start stamping received packets.
        """
        self._record.wake = trip = Trip(time.monotonic_ns())
        try:
            self._transport.send(_WAKE_NUMBER)
        except OSError:
            return  # The probes of the train meet the same error and record it.
        end_ns = trip.sent_ns + int(self._spec.wait_s * 1e9)
        self._receive_until(end_ns, lambda: bool(trip.answer or trip.refused))

    def _send_all(self) -> None:
        spacing_ns = int(self._spec.spacing_s * 1e9)
        phase_ns = int(random.random() * spacing_ns)  # noqa: S311  sampling
        start_ns = time.monotonic_ns() + phase_ns
        for index in range(self._spec.count):
            self._receive_until(start_ns + index * spacing_ns)
            self._send(FIRST_NUMBER + index)

    def _send(self, number: int) -> None:
        self._record.trips[number] = trip = Trip(time.monotonic_ns())
        try:
            self._transport.send(number)
        except OSError as error:
            # A full queue of this device counts as loss, like a full queue of a router.
            if error.errno == errno.ENOBUFS:
                return
            cause = _unsent_cause(error)
            if cause in NETWORK_MISSING:
                trip.unsent = cause
            else:
                del self._record.trips[number]
                self._record.withheld.append(cause)

    def _receive_until(
        self, end_ns: int, done: Callable[[], bool] = lambda: False
    ) -> None:
        """Process events until a time (monotonic), or until `done` returns True."""
        while not done() and (left_ns := end_ns - time.monotonic_ns()) > 0:
            if self._deadline.stopping() or self._deadline.remaining_s() == 0:
                raise ProbeError("deadline", "the train was not finished")
            if self._poll.poll(min(left_ns / 1e6, _STOP_CHECK_MS)):
                self._receive()

    def _all_settled(self) -> bool:
        return all(
            t.answer or t.refused or t.unsent for t in self._record.trips.values()
        )

    def _receive(self) -> None:
        for event in self._transport.receive():
            if isinstance(event, Rejected):
                self._record.rejected.append(event.cause)
            elif (trip := self._trip(event.number)) is not None:
                self._record_event(trip, event)

    def _trip(self, number: int) -> Trip | None:
        if number == _WAKE_NUMBER:
            return self._record.wake
        return self._record.trips.get(number)

    def _record_event(self, trip: Trip, event: Departed | Answered | Refused) -> None:
        match event:
            case Departed():
                trip.departed_ns = event.kernel_ns
            case Refused():
                trip.refused = event
            case Answered():
                if event.reflected is not None:
                    self._record.reflected.add(event.reflected)
                if trip.answer is None:
                    trip.answer = event
                else:
                    trip.duplicates += 1


def _wall_offset_ns() -> int:
    return time.time_ns() - time.monotonic_ns()


def _unsent_cause(error: OSError) -> str:
    # EPERM from send(2) comes from a firewall, not from a missing privilege.
    return "prohibited" if error.errno == errno.EPERM else cause_of(error)
