"""What a train sends its probes through, and what comes back: the seam.

A transport owns one connected socket. It numbers nothing and waits for nothing: the
train says when, and which number; the transport says what arrived.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Departed:
    """The kernel's stamp of a probe leaving, ns of CLOCK_REALTIME."""

    number: int
    kernel_ns: int


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer: when it came by our clock (monotonic) and by the kernel's.

    `reflected` is the reflector's own count, where the transport has one.
    """

    number: int
    user_ns: int
    kernel_ns: int | None
    reflected: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A router, the target or this device said why a probe will not be answered."""

    number: int
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """A packet that claimed to be an answer and was not; `cause` says why."""

    cause: str


Event = Departed | Answered | Refused | Rejected


class Transport(Protocol):
    """One connected socket to one address."""

    def fileno(self) -> int:
        """The socket, to be waited for."""
        ...

    def send(self, number: int) -> None:
        """Send one probe now. Raises OSError where the kernel does not take it."""
        ...

    def receive(self) -> Iterator[Event]:
        """All that has arrived, without waiting."""
        ...
