"""The interfaces and modems of this device, as `setup` shows them to a technician."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qos_agent.model import Clock
from qos_agent.model.errors import ProbeError
from qos_agent.probes.signal import mmcli
from qos_agent.probes.signal.radio import Radio
from qos_agent.system import network
from qos_agent.system.clock import TaskDeadline
from qos_agent.system.machine import interface_addresses

_MODEM_S = 10.0
# Mobile networks of Indonesia (ITU-T E.212); operators merged, but codes stayed.
_OPERATORS = {
    "51001": "indosat",
    "51008": "xl",
    "51009": "smartfren",
    "51010": "telkomsel",
    "51011": "xl",
    "51021": "indosat",
    "51028": "smartfren",
    "51089": "tri",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """An interface, its addresses, and its modem if it has one."""

    interface: str
    addresses: Sequence[str]
    is_default: bool
    radio: Radio | None

    @property
    def operator(self) -> str | None:
        """The operator of the SIM's network, or None if unknown."""
        return _OPERATORS.get(self.radio.plmn or "") if self.radio else None

    def text(self) -> str:
        """Return one line for the screen."""
        parts = [self.interface, *[a for a in self.addresses if ":" not in a]]
        if self.radio is not None:
            parts += [self.radio.technology.upper(), self.operator or "SIM ?"]
            if self.radio.rsrp_dbm is not None:
                parts.append(f"RSRP {self.radio.rsrp_dbm:.0f} dBm")
            elif self.radio.rssi_dbm is not None:
                parts.append(f"RSSI {self.radio.rssi_dbm:.0f} dBm")
        return "  ".join(parts)


def findings(clock: Clock) -> list[Finding]:
    """Return all interfaces except loopback, the one of the default route first."""
    return sorted(_findings(clock), key=lambda found: not found.is_default)


def _findings(clock: Clock) -> Iterator[Finding]:
    route = network.default_route()
    for name, addresses in interface_addresses().items():
        if name != "lo":
            default = route is not None and route.interface == name
            yield Finding(name, addresses, default, _radio(name, clock))


def _radio(interface: str, clock: Clock) -> Radio | None:
    """Return the radio of an interface; None without a modem or without an answer."""
    end_ns = clock.boot_ns() + int(_MODEM_S * 1e9)
    deadline = TaskDeadline(clock, end_ns, threading.Event())
    try:
        return mmcli.read(mmcli.ModemSelector(None, interface), deadline)
    except ProbeError:
        return None
