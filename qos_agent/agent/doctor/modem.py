"""Checks of a link's modem: the modem itself, SIM, registration and signal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from qos_agent.agent.doctor.check import Check, Health, Row, bad, ok, warn
from qos_agent.agent.doctor.link import deadline_after, has_modem
from qos_agent.agent.doctor.subject import Subject
from qos_agent.config.settings import ModemSection
from qos_agent.model import Link
from qos_agent.model.errors import ProbeError
from qos_agent.probes.signal import mmcli
from qos_agent.probes.signal.radio import Radio
from qos_agent.system import network
from qos_agent.system.files import may_exist

_READ_S = 15.0
# Below this level a connection is likely to fail at times (docs/method/signal.md).
_WEAK_RSRP_DBM, _WEAK_RSSI_DBM = -110.0, -100.0
_FIXES = {
    "missing_tool": "sudo apt-get install modemmanager",
    "modem_manager": "sudo systemctl enable --now ModemManager",
    "modem": "plug in the modem again; then: sudo systemctl restart ModemManager",
}
_SIM_FIX = "insert the SIM; remove its PIN: sudo mmcli --sim 0 --pin PIN --disable-pin"
_MOVE = "move the modem or its antenna to a window, upwards, away from metal"
_NO_MANAGER = ("missing_tool", "modem_manager")
_Outcome = Radio | ProbeError


class ModemReading:
    """One reading of a link's modem, which several checks share."""

    def __init__(self, link: Link, subject: Subject) -> None:
        self._link, self._subject = link, subject
        self._lock = threading.Lock()
        modems = subject.settings.signal.modems
        self.is_named = link.name in {modem.link for modem in modems}
        self._found: _Outcome | None = None

    def get(self) -> _Outcome:
        """Return the radio, or the error. The first call reads the modem."""
        with self._lock:
            if self._found is None:
                self._found = self._read()
            return self._found

    def _read(self) -> _Outcome:
        modem = modem_of(self._link, self._subject)
        interface = network.interface_of(self._link)
        deadline = deadline_after(self._subject.clock, _READ_S)
        try:
            return mmcli.read(mmcli.ModemSelector(modem.device, interface), deadline)
        except ProbeError as error:
            return error


def modem_of(link: Link, subject: Subject) -> ModemSection:
    """Return the modem that the settings name for a link."""
    modems = subject.settings.signal.modems
    named = (modem for modem in modems if modem.link == link.name)
    return next(named, ModemSection(link=link.name))


def rows(link: Link, subject: Subject) -> Iterator[Row]:
    """Yield the checks of the link's modem; none for a link without a modem."""
    if not has_modem(link, subject):
        return
    port = modem_of(link, subject).serial_port
    if port is not None:
        yield Row(f"modem {link.name}", lambda: serial_port(link.name, str(port)))
        return
    reading = ModemReading(link, subject)
    first = f"modem {link.name}"

    def row(name: str, check: Callable[[str, _Outcome], Check], *needs: str) -> Row:
        full = f"{name} {link.name}"
        return Row(full, lambda: _weighed(check(full, reading.get()), reading), needs)

    yield row("modem", modem)
    yield row("SIM", sim, first)
    yield row("registration", registration, first, f"SIM {link.name}")
    yield row("signal", signal, first, f"SIM {link.name}")


def _weighed(check: Check, reading: ModemReading) -> Check:
    """Return a warning if only ModemManager is missing, which the link may not need."""
    found = reading.get()
    is_optional = isinstance(found, ProbeError) and found.cause in _NO_MANAGER
    if check.health is Health.BAD and is_optional and not reading.is_named:
        return replace(check, health=Health.WARN)
    return check


def serial_port(link: str, port: str) -> Check:
    """Check that the serial port exists. The agent alone reads it."""
    name = f"modem {link}"
    if may_exist(Path(port)):
        return ok(name, "serial port {port}", port=port)
    text = "there is no serial port {port}"
    return bad(name, text, "plug in the modem again", port=port)


def modem(name: str, found: _Outcome) -> Check:
    """Check that ModemManager finds the modem of the link."""
    if isinstance(found, Radio) or found.cause == "sim":
        return ok(name, "ModemManager reads it")
    fix = _FIXES.get(found.cause, "sudo systemctl restart ModemManager")
    return bad(name, "{error}", fix, error=_first_sentence(found))


def sim(name: str, found: _Outcome) -> Check:
    """Check that the modem can use its SIM."""
    if isinstance(found, Radio):
        return ok(name, "ready")
    if found.cause == "sim":
        return bad(name, "{error}", _SIM_FIX, error=_first_sentence(found))
    return bad(name, "unknown", "plug in the modem again")


def registration(name: str, found: _Outcome) -> Check:
    """Check that the operator's network accepts the modem."""
    if isinstance(found, ProbeError):
        return bad(name, "unknown", "plug in the modem again")
    values = {"state": found.registration or "?", "technology": found.technology}
    if found.registration in {"home", "roaming"}:
        return ok(name, "{state}, {technology}", **values)
    if found.registration == "denied":
        text = "the network refuses the SIM ({state})"
        fix = "ask the operator to activate the SIM, or use the spare SIM"
        return bad(name, text, fix, **values)
    return bad(name, "not registered ({state})", _MOVE, **values)


def signal(name: str, found: _Outcome) -> Check:
    """Check that the signal is not weak."""
    if isinstance(found, ProbeError):
        return bad(name, "unknown", "plug in the modem again")
    kinds = (
        ("RSRP", found.rsrp_dbm, _WEAK_RSRP_DBM),
        ("RSSI", found.rssi_dbm, _WEAK_RSSI_DBM),
    )
    for kind, level_dbm, weak_dbm in kinds:
        if level_dbm is not None:
            values = {"kind": kind, "level": f"{level_dbm:.0f}"}
            if level_dbm < weak_dbm:
                return warn(name, "{kind} {level} dBm is weak", _MOVE, **values)
            return ok(name, "{kind} {level} dBm", **values)
    return ok(name, "the modem reports no level")


def _first_sentence(error: ProbeError) -> str:
    return str(error).partition(". Fix:")[0]
