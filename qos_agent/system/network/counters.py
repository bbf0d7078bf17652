"""Byte counters of interfaces, which start again if an interface is created again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qos_agent.model.errors import ProbeError
from qos_agent.system.files import matching, read_number

_INTERFACES = Path("/sys/class/net")

# Linux of 32 bits has `unsigned long` counters in /sys/class/net, and some drivers of
# modems have `u32` ones.
_WRAP = 2**32
# Two seconds at 1 Gbit/s, which is longer than the status and the probes wait.
_MAX_WRAPPED_BYTES = 2**28


@dataclass(frozen=True, slots=True)
class InterfaceCount:
    """The bytes of an interface at one moment, in whole frames.

    An interface that is removed and created again has a new `index`. A driver may also
    set its counters to zero without that.
    """

    interface: str
    index: int
    received_bytes: int
    sent_bytes: int

    @property
    def moved_bytes(self) -> int:
        """The bytes in both directions."""
        return self.received_bytes + self.sent_bytes

    def since(self, earlier: InterfaceCount) -> int | None:
        """Return the bytes moved since then; None if the counters started again."""
        if (self.interface, self.index) != (earlier.interface, earlier.index):
            return None
        received = _added_bytes(earlier.received_bytes, self.received_bytes)
        sent = _added_bytes(earlier.sent_bytes, self.sent_bytes)
        return None if received is None or sent is None else received + sent


def _added_bytes(before: int, now: int) -> int | None:
    """Return the increase of a counter; None if it started again at zero.

    A counter of 32 bits wraps. It is taken for that if the increase is then small.
    """
    if now >= before:
        return now - before
    wrapped_bytes = now + _WRAP - before
    is_wrap = before < _WRAP and wrapped_bytes <= _MAX_WRAPPED_BYTES
    return wrapped_bytes if is_wrap else None


def moved_since(before: int, now: int) -> int:
    """Return the increase; a counter that started again has moved all it counts."""
    added = _added_bytes(before, now)
    return now if added is None else added


def interface_count(interface: str) -> InterfaceCount:
    """Return the counters of an interface.

    Raises ProbeError `link_down` if the interface does not exist or has no counters.
    """
    folder = _INTERFACES / interface
    received = read_number(folder / "statistics/rx_bytes")
    sent = read_number(folder / "statistics/tx_bytes")
    if received is None or sent is None:
        raise ProbeError("link_down", f"{interface}: no such interface")
    index = read_number(folder / "ifindex") or 0
    return InterfaceCount(interface, index, received, sent)


def interfaces() -> set[tuple[str, int]]:
    """Return the names and indexes of all interfaces."""
    folders = matching(_INTERFACES, "*")
    return {(f.name, read_number(f / "ifindex") or 0) for f in folders if f.is_dir()}
