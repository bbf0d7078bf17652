"""Measures round trips under load with ICMP echo requests at fixed intervals.

The requests do not wait for replies. A prober that waits takes the fewest samples when
the queue is longest. The code is that of the latency probe, with kernel timestamps.
"""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Iterable

from qos_agent.model import Link
from qos_agent.model.errors import ProbeError
from qos_agent.model.statistics import quantile
from qos_agent.probes.latency.icmp import IcmpTransport, open_icmp
from qos_agent.probes.latency.train import TrainRecord, Trip
from qos_agent.probes.latency.transport import Answered, Departed, Event
from qos_agent.probes.throughput.backend import LoadedRtt
from qos_agent.system.network import cause_of

# Besides the latency probe only this module sends echo requests. At 1 Mbit/s they use
# 0.8 % of the link.
SPACING_S = 0.1
_RECENT, _LATEST = 5, 3
_STEP_NS = 1_000_000
_ECHO_BYTES = 64  # the header of RFC 792 and the 56 octets that `icmp` adds
_IP_HEADER_BYTES = {socket.AF_INET: 20, socket.AF_INET6: 40}


class EchoTrain:
    """Echo requests to one address on one link; none without permission to send."""

    def __init__(self, address: str, link: Link | None) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._ip_bytes = _IP_HEADER_BYTES[family] + _ECHO_BYTES
        self._record = TrainRecord(wait_s=math.inf)
        self._answered: list[Trip] = []
        self._next_s = 0.0
        self.transport = _open(address, link)

    def close(self) -> None:
        """Close the socket."""
        if self.transport is not None:
            self.transport.__exit__()

    def begin(self, now_s: float) -> None:
        """Start the schedule of echo requests."""
        self._next_s = now_s + SPACING_S / 2

    def send_due(self, now_s: float) -> None:
        """Send the next echo request if it is due."""
        if self.transport is None or self._next_s == 0.0 or now_s < self._next_s:
            return
        self._next_s += SPACING_S
        number = len(self._record.trips)
        trip = Trip(time.monotonic_ns())
        try:
            self.transport.send(number)
        except OSError as error:
            self._record.withheld.append(cause_of(error))
        else:
            self._record.trips[number] = trip

    def receive(self) -> None:
        """Read the timestamps and replies that have arrived."""
        if self.transport is not None:
            self._take(self.transport.receive())

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            if not isinstance(event, Departed | Answered):
                continue
            trip = self._record.trips.get(event.number)
            if trip is None:
                continue
            if isinstance(event, Departed):
                trip.departed_ns = event.kernel_ns
            elif trip.answer is None:
                trip.answer = event
                self._answered.append(trip)

    def recent_s(self) -> float | None:
        """Return the longest of the latest five round trips; None before the first.

        Measured on the clock of this program, which is good enough to detect a queue.
        """
        trips_ns = [trip.user_ns() or 0 for trip in self._answered[-_RECENT:]]
        return max(trips_ns) / 1e9 if trips_ns else None

    def least_s(self) -> float | None:
        """Return the shortest of the latest three round trips."""
        trips_ns = [trip.user_ns() or 0 for trip in self._answered[-_LATEST:]]
        return min(trips_ns) / 1e9 if trips_ns else None

    def sent_bytes(self, header_bytes: int) -> int:
        """Return the bytes of all echo requests on the wire."""
        return len(self._record.trips) * (header_bytes + self._ip_bytes)

    def answered_bytes(self, header_bytes: int) -> int:
        """Return the bytes of all echo replies on the wire."""
        return len(self._answered) * (header_bytes + self._ip_bytes)

    def result(self) -> LoadedRtt | None:
        """Return the samples; None without replies, which does not count as loss.

        All round trips use kernel timestamps if every packet has them, and the clock of
        this program otherwise.
        """
        self._record.clock_stepped = any(_stepped(trip) for trip in self._answered)
        trips_ns = sorted(ns for ns in self._record.round_trips_ns() if ns is not None)
        p50_ns, p95_ns = quantile(trips_ns, 0.5), quantile(trips_ns, 0.95)
        if p50_ns is None or p95_ns is None:
            return None
        return LoadedRtt(
            sent=len(self._record.trips),
            received=len(trips_ns),
            sum_us=round(sum(trips_ns) / 1e3),
            p50_ms=p50_ns / 1e6,
            p95_ms=p95_ns / 1e6,
        )


def _open(address: str, link: Link | None) -> IcmpTransport | None:
    """Return a transport; None without permission: the rate is still measured."""
    try:
        return open_icmp(address, link)
    except (OSError, ProbeError):
        return None


def _stepped(trip: Trip) -> bool:
    """Return True if the wall clock was stepped during the round trip.

    The time of this program contains that of the kernel, so it cannot be shorter.
    """
    kernel_ns, user_ns = trip.kernel_ns(), trip.user_ns()
    if kernel_ns is None or user_ns is None:
        return False
    return kernel_ns > user_ns + _STEP_NS
