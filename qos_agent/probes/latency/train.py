"""A train of probes: sent when due, whatever comes back, and then judged.

Open-loop (RFC 3432): the next probe never waits for an answer, so a bad network is
sampled as often as a good one. The phase is random, so that trains keep no step with
anything periodic. The thread sleeps in poll(2) between any two events.
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
"""Tmax of RFC 7680: an answer after that is late, and its probe lost."""

NETWORK_MISSING = frozenset(
    {"no_route", "link_down", "unreachable", "name_not_resolved", "timeout"}
)
"""Why a probe cannot leave that speaks of the network, and not of this device.

`timeout` is the first hop's, of a link whose gateway has no address of its own.
"""

_WAKE_NUMBER = 0
# One number is left out after the wake: see `loss_split`.
FIRST_NUMBER = 2
# How soon a train notices that the agent stops.
_NOTICE_MS = 250.0
# Discipline of the clock is at most 500 ppm; anything faster was a step.
_STEP_NS, _SLEW = 1_000_000, 1e-3


@dataclass(frozen=True, slots=True)
class TrainSpec:
    """How many probes, how far apart, and how long each is waited for."""

    count: int
    spacing_s: float
    wait_s: float = WAIT_S


@dataclass(slots=True)
class Trip:
    """One probe: when it was due and what came back. `sent_ns` is monotonic.

    `unsent` is why it could not leave this device, where the network was missing.
    """

    sent_ns: int
    unsent: str | None = None
    departed_ns: int | None = None
    answer: Answered | None = None
    refused: Refused | None = None
    duplicates: int = 0

    def kernel_ns(self) -> int | None:
        """The round trip by the kernel's stamps, where it has both."""
        if self.departed_ns is None or self.answer is None:
            return None
        if self.answer.kernel_ns is None:
            return None
        return self.answer.kernel_ns - self.departed_ns

    def user_ns(self) -> int | None:
        """The round trip by our own monotonic clock."""
        return None if self.answer is None else self.answer.user_ns - self.sent_ns


@dataclass(slots=True)
class Record:
    """What a train left behind; `trips` by number, in the order of sending.

    `withheld` are the causes of probes that this device itself did not let go: they
    are no trips, for they say nothing of the network.
    """

    wait_s: float
    trips: dict[int, Trip] = field(default_factory=dict)
    reflected: set[int] = field(default_factory=set)
    withheld: list[str] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    wake: Trip | None = None
    clock_stepped: bool = False

    def kernel_stamped(self) -> bool:
        """Whether every round trip has both of the kernel's stamps.

        One without, a send that failed (the kernel's keys are then in doubt) or a
        step of the wall clock, which its stamps are of: the whole train is read on
        our clock. Two clocks in one train would look like delay variation.
        """
        if self.not_sent() or self.clock_stepped:
            return False
        trips = [t.kernel_ns() for t in self.trips.values() if t.answer is not None]
        return all(trip is not None and trip >= 0 for trip in trips)

    def round_trips_ns(self) -> list[int | None]:
        """Each probe's round trip on one clock, late ones too; None unanswered."""
        kernel = self.kernel_stamped()
        return [t.kernel_ns() if kernel else t.user_ns() for t in self.trips.values()]

    def not_sent(self) -> list[str]:
        """Why probes did not leave this device, one word for each that did not."""
        missing = [t.unsent for t in self.trips.values() if t.unsent is not None]
        return self.withheld + missing

    def wake_ns(self) -> int | None:
        """The round trip that woke the radio, by our own clock."""
        return None if self.wake is None else self.wake.user_ns()


class Train:
    """One train under way; `run` once."""

    def __init__(
        self, plan: TrainSpec, transport: Transport, deadline: Deadline
    ) -> None:
        self._plan = plan
        self._transport = transport
        self._deadline = deadline
        self._record = Record(plan.wait_s)
        self._poll = select.poll()
        self._poll.register(transport.fileno(), select.POLLIN)

    def run(self) -> Record:
        """Wake the radio, send every probe when it is due, wait for what is missing.

        Raises ProbeError `deadline` when the time is up or the agent stops first.
        """
        offset_ns, start_ns = _wall_offset_ns(), time.monotonic_ns()
        self._wake()
        self._send_all()
        trips = self._record.trips.values()
        if trips:
            last_ns = max(trip.sent_ns for trip in trips)
            self._until(last_ns + int(self._plan.wait_s * 1e9), self._all_settled)
        self._take()
        slew_ns = _SLEW * (time.monotonic_ns() - start_ns)
        moved_ns = abs(_wall_offset_ns() - offset_ns)
        self._record.clock_stepped = moved_ns > _STEP_NS + slew_ns
        return self._record

    def _wake(self) -> None:
        """One exchange before the train: an idle radio takes seconds to connect.

        It also gives the kernel the time to start stamping what comes in.
        """
        self._record.wake = trip = Trip(time.monotonic_ns())
        try:
            self._transport.send(_WAKE_NUMBER)
        except OSError:
            return  # the train meets the same and says so
        end_ns = trip.sent_ns + int(self._plan.wait_s * 1e9)
        self._until(end_ns, lambda: bool(trip.answer or trip.refused))

    def _send_all(self) -> None:
        spacing_ns = int(self._plan.spacing_s * 1e9)
        phase_ns = int(random.random() * spacing_ns)  # noqa: S311  sampling
        start_ns = time.monotonic_ns() + phase_ns
        for index in range(self._plan.count):
            self._until(start_ns + index * spacing_ns)
            self._send(FIRST_NUMBER + index)

    def _send(self, number: int) -> None:
        self._record.trips[number] = trip = Trip(time.monotonic_ns())
        try:
            self._transport.send(number)
        except OSError as error:
            # A full queue in this device lost the probe as a router's would have.
            if error.errno == errno.ENOBUFS:
                return
            cause = _unsent_cause(error)
            if cause in NETWORK_MISSING:
                trip.unsent = cause
            else:
                del self._record.trips[number]
                self._record.withheld.append(cause)

    def _until(self, end_ns: int, done: Callable[[], bool] = lambda: False) -> None:
        """Take what arrives until a moment (monotonic), or until `done`."""
        while not done() and (left_ns := end_ns - time.monotonic_ns()) > 0:
            if self._deadline.stopping() or self._deadline.remaining_s() == 0:
                raise ProbeError("deadline", "the train was not finished")
            if self._poll.poll(min(left_ns / 1e6, _NOTICE_MS)):
                self._take()

    def _all_settled(self) -> bool:
        return all(
            t.answer or t.refused or t.unsent for t in self._record.trips.values()
        )

    def _take(self) -> None:
        for event in self._transport.receive():
            if isinstance(event, Rejected):
                self._record.rejected.append(event.cause)
            elif (trip := self._trip(event.number)) is not None:
                self._note(trip, event)

    def _trip(self, number: int) -> Trip | None:
        if number == _WAKE_NUMBER:
            return self._record.wake
        return self._record.trips.get(number)

    def _note(self, trip: Trip, event: Departed | Answered | Refused) -> None:
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
    # EPERM from send(2) is a firewall's word, not a missing privilege.
    return "prohibited" if error.errno == errno.EPERM else cause_of(error)
