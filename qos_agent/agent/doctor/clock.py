"""Check of the clock: whether it is right, and which program sets it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from qos_agent.agent.doctor.check import Check, bad, ok, warn
from qos_agent.agent.doctor.collector import Delivery
from qos_agent.agent.doctor.subject import Subject
from qos_agent.agent.doctor.unit import systemctl
from qos_agent.journal.reader import reading
from qos_agent.model.errors import OperatorError, StorageError
from qos_agent.model.units import duration_text
from qos_agent.system.files import may_exist

_TIMESYNCD = "systemd-timesyncd.service"
_SERVICES = ("systemd-timesyncd", "chrony", "chronyd", "ntpsec", "ntp", "ntpd")
_UNITS = tuple(f"{name}.service" for name in _SERVICES)
_UNIT_FOLDERS = (
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/etc/systemd/system",
)
_CERTIFICATE = "tls_expired"


def clock(subject: Subject, delivery: Delivery) -> Check:
    """Check the wall clock against the journal, the collector and the time service."""
    name, clock = "clock", subject.clock
    with suppress(StorageError, OperatorError), reading(subject.folder) as opened:
        clock.not_behind(opened.last_time_ns())
    offset_ms = delivery.offset_ms()
    clock.compared(offset_ms)
    source = active_source()
    fix = _fix(source)
    values = {"source": source or "-"}
    state = clock.state()
    if (reason := clock.doubt()) is not None:
        if offset_ms is not None:
            text = (
                "wrong by {offset}, compared with the collector; time service: {source}"
            )
            offset = _signed(offset_ms)
            return bad(name, text, "{fix}", offset=offset, fix=fix, **values)
        return bad(name, reason, "{fix}", fix=fix)
    if state.synced:
        values["error_ms"] = f"{state.error_ms or 0:.0f}"
        text = "synchronised by {source}, within {error_ms} ms"
        return ok(name, text, **values)
    if delivery.cause() == _CERTIFICATE:
        text = "not synchronised, and the collector's certificate is not valid now"
        return bad(name, text, "{fix}", fix=fix)
    text = "the clock is not synchronised to a time server; time service: {source}"
    return warn(name, text, "{fix}", fix=fix, **values)


def _signed(offset_ms: float) -> str:
    sign = "+" if offset_ms > 0 else "−"
    return sign + duration_text(abs(offset_ms) / 1e3)


def active_source() -> str | None:
    """Return the time service that runs, or None."""
    states = systemctl("is-active", *_UNITS).split()
    if len(states) != len(_UNITS):
        return None
    pairs = zip(_SERVICES, states, strict=True)
    return next((name for name, state in pairs if state == "active"), None)


def _fix(source: str | None) -> str:
    """Return the command that lets a time service set the clock, now and at boot."""
    if source is not None:
        return f"sudo systemctl restart {source}"
    if not any(may_exist(Path(folder, _TIMESYNCD)) for folder in _UNIT_FOLDERS):
        return "sudo apt-get install systemd-timesyncd"
    return "sudo systemctl enable --now systemd-timesyncd"
