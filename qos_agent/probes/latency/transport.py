"""The interface between a train and its transport, and the transport's events.

A transport owns one connected socket. The train chooses the number and the time of
each probe. The transport never waits; it reports the events that have arrived.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Departed:
    """A probe left this device; `kernel_ns` is CLOCK_REALTIME."""

    number: int
    kernel_ns: int


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply arrived; `user_ns` is monotonic, `kernel_ns` is CLOCK_REALTIME.

    `reflected` is the reflector's own count; ICMP has none.
    """

    number: int
    user_ns: int
    kernel_ns: int | None
    reflected: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A router, the target or this device reported an error for a probe."""

    number: int
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A packet arrived that is not a valid reply; `cause` is the reason."""

    cause: str


Event = Departed | Answered | Refused | Rejected


class Transport(Protocol):
    """One connected socket to one address."""

    def fileno(self) -> int:
        """Return the socket's file descriptor for poll(2)."""
        ...

    def send(self, number: int) -> None:
        """Send one probe now. Raises OSError if the kernel refuses it."""
        ...

    def receive(self) -> Iterator[Event]:
        """Yield all events that have arrived, without waiting."""
        ...
