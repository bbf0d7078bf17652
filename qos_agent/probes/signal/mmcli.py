"""Reads a modem with `mmcli -J` of ModemManager 1.12 or later.

The output of mmcli contains the IMEI. Only the fields named here are kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from qos_agent.model import Deadline, json_text
from qos_agent.model.errors import ProbeError
from qos_agent.probes.signal import radio
from qos_agent.probes.signal.at_values import whole
from qos_agent.probes.signal.bands import lte_band
from qos_agent.probes.signal.radio import Radio, identifier, known_text, within
from qos_agent.system.child_process import run_child

# A working ModemManager answers in milliseconds; with a crashed modem it never does.
_COMMAND_S = 5.0
_OUTPUT_MAX_BYTES = 200_000
_UNAUTHORISED = "Core.Unauthorized"
_CAUSES_OF_ONE_MODEM = {"child_exit", "child_signal", "child_output", "modem"}
# Error messages of mmcli for problems outside mmcli, and their causes.
_ERROR_CAUSES = {
    "couldn't find the ModemManager process": "modem_manager",
    "couldn't find modem": "modem",
}
# A path of D-Bus, so that mmcli cannot take it for an option.
_MODEM_PATH = re.compile(r"/[A-Za-z0-9_/]{1,200}")
_REFRESH_S = 10
_REFRESH_WAIT_S = 0.5
_REFRESH_TRIES = 4

_TECHNOLOGIES = {
    **dict.fromkeys(("lte", "lte-cat-m", "lte-nb-iot"), "lte"),
    **dict.fromkeys(("umts", "hsdpa", "hsupa", "hspa", "hspa-plus"), "umts"),
    **dict.fromkeys(("gsm", "gsm-compact", "gprs", "edge"), "gsm"),
}
_REGISTRATIONS = {
    "idle": "none",
    "searching": "searching",
    "home": "home",
    "home-sms-only": "home",
    "home-csfb-not-preferred": "home",
    "roaming": "roaming",
    "roaming-sms-only": "roaming",
    "roaming-csfb-not-preferred": "roaming",
    "denied": "denied",
    "emergency-only": "denied",
    "attached-rlos": "denied",
}
# The block of --signal-get for each technology. In NSA the LTE anchor controls the
# connection, so its levels count: without the anchor 5G is lost too.
_BLOCKS = {
    "lte": "lte",
    "nr5g_nsa": "lte",
    "nr5g_sa": "5g",
    "umts": "umts",
    "gsm": "gsm",
}


@dataclass(frozen=True, slots=True)
class ModemSelector:
    """The modem to read, by device name or by network interface."""

    device: str | None
    interface: str | None


def read(selector: ModemSelector, deadline: Deadline) -> Radio:
    """Read the modem once.

    Raises ProbeError `missing_tool`, `modem_manager`, `modem`, `sim`, `deadline`,
    `child_exit`, `child_output`.
    """
    path, modem = _find(selector, deadline)
    if (failure := out_of_service(modem)) is not None:
        raise failure
    extras = _Extras(path, deadline)
    radio = parse(
        modem,
        _signal(extras),
        _at(extras.query("--location-get"), "location", "3gpp"),
        _at(extras.query("--get-cell-info"), "generic", "cell-info"),
    )
    return replace(radio, remark=extras.remark())


def out_of_service(modem: object) -> ProbeError | None:
    """Return the error of a modem that is locked, failed or disabled; else None."""
    state = known_text(_at(modem, "generic", "state"))
    if state == "locked":
        code = known_text(_at(modem, "generic", "unlock-required")) or "unlock code"
        return ProbeError("sim", f"locked: {code} required")
    if state not in ("failed", "disabled"):
        return None
    reason = known_text(_at(modem, "generic", "state-failed-reason"))
    reason = reason or "no reason reported"
    cause = "sim" if reason.startswith(("sim-", "esim-")) else "modem"
    return ProbeError(cause, f"{state}: {reason}")


def parse(
    modem: object, signal: object, location: object, cells: object = None
) -> Radio:
    """Parse the answers of mmcli, whatever shape they have. Pure."""
    technology = _technology(_at(modem, "generic", "access-technologies"))
    block = _at(signal, _BLOCKS.get(technology, "lte"))
    area = identifier(_at(location, "tac")) or identifier(_at(location, "lac"))
    registration = known_text(_at(modem, "3gpp", "registration-state"))
    return Radio(
        reader="mmcli",
        technology=technology,
        rsrp_dbm=within(_at(block, "rsrp"), radio.RSRP_DBM),
        rsrq_db=within(_at(block, "rsrq"), radio.RSRQ_DB),
        sinr_db=within(_at(block, "snr"), radio.SINR_DB),
        rssi_dbm=within(_at(block, "rssi"), radio.RSSI_DBM),
        cell=identifier(_at(location, "cid")),
        tracking_area=area,
        plmn=radio.plmn(_at(modem, "3gpp", "operator-code")),
        registration=_REGISTRATIONS.get(registration or ""),
        band=_band(technology, cells),
    )


def _band(technology: str, cells: object) -> str | None:
    """Return the band of the serving cell's channel.

    The field `current-bands` lists all enabled bands, so it does not help. With 5G on
    an LTE anchor both cells serve; the band is the anchor's, like all other values.
    """
    kind, name = ("5gnr", "nrarfcn") if technology == "nr5g_sa" else ("lte", "earfcn")
    for cell in cells if isinstance(cells, list) else []:
        values = dict(
            part.split(": ", 1) for part in str(cell).split(", ") if ": " in part
        )
        serves = (values.get("cell type"), values.get("serving")) == (kind, "yes")
        channel = whole(values.get(name)) if serves else None
        if channel is not None:
            return f"arfcn{channel}" if kind == "5gnr" else lte_band(channel)
    return None


def _technology(names: object) -> str:
    """Return the technology; LTE with 5G is NSA (LTE anchor), 5G alone is SA."""
    listed = [str(name) for name in names] if isinstance(names, list) else []
    older = [_TECHNOLOGIES[name] for name in listed if name in _TECHNOLOGIES]
    if "5gnr" in listed:
        return "nr5g_nsa" if "lte" in older else "nr5g_sa"
    return older[0] if older else "unknown"


def _find(selector: ModemSelector, deadline: Deadline) -> tuple[str, object]:
    """Return path and data of the selected modem, never another link's modem."""
    paths = _at(_run_mmcli(["-L"], deadline), "modem-list")
    if not isinstance(paths, list) or not paths:
        raise ProbeError("modem", "ModemManager lists no modem")
    failure = None
    for path in filter(_MODEM_PATH.fullmatch, map(str, paths)):
        try:
            modem = _at(_run_mmcli(["-m", path], deadline), "modem")
        except ProbeError as error:
            # A modem that cannot be read may be another link's, so try the others.
            if error.cause not in _CAUSES_OF_ONE_MODEM:
                raise
            failure = error
            continue
        if _is_selected(modem, selector, is_only=len(paths) == 1):
            return path, modem
    if failure is not None:
        raise failure
    name = selector.device or selector.interface or "the link"
    detail = f"no modem matches {name} (modems: {len(paths)})"
    raise ProbeError("modem", f"{detail}. Fix: set device in [[signal.modems]]")


def _is_selected(modem: object, selector: ModemSelector, *, is_only: bool) -> bool:
    """Return True if a modem matches by device name or by network port.

    The only modem also matches if it has no network port or the interface is unknown.
    """
    if selector.device is not None:
        names = (_at(modem, "generic", "device"), _at(modem, "generic", "primary-port"))
        return selector.device in names
    ports = _at(modem, "generic", "ports")
    listed = " ".join(map(str, ports)) if isinstance(ports, list) else ""
    interfaces = re.findall(r"(\S+) \(net\)", listed)
    if interfaces and selector.interface is not None:
        return selector.interface in interfaces
    return is_only


@dataclass(slots=True)
class _Extras:
    """Queries that some modems do not support and some users may not send."""

    path: str
    deadline: Deadline
    refused: list[str] = field(default_factory=list)

    def query(self, option: str) -> object:
        """Return the answer; None if mmcli exits with an error status."""
        try:
            return _at(_run_mmcli(["-m", self.path, option], self.deadline), "modem")
        except ProbeError as error:
            if error.cause != "child_exit":
                raise
            if _UNAUTHORISED in error.detail:
                self.refused.append(option)
            return None

    def remark(self) -> str | None:
        """Return a remark on refused queries, which need a polkit rule; else None."""
        if not self.refused:
            return None
        return f"ModemManager refuses {', '.join(self.refused)}: no polkit rule"


def _signal(extras: _Extras) -> object:
    """Return the extended signal, and first set its refresh rate if it is 0."""
    signal = _at(extras.query("--signal-get"), "signal")
    if known_text(_at(signal, "refresh", "rate")) != "0":
        return signal
    extras.query(f"--signal-setup={_REFRESH_S}")
    for _ in range(0 if extras.refused else _REFRESH_TRIES):
        signal = _at(extras.query("--signal-get"), "signal")
        if _has_values(signal) or extras.deadline.wait(_REFRESH_WAIT_S):
            break
    return signal


def _has_values(signal: object) -> bool:
    names = ("rsrp", "rssi")
    blocks = set(_BLOCKS.values())
    return any(
        known_text(_at(signal, block, name)) for block in blocks for name in names
    )


def _run_mmcli(arguments: list[str], deadline: Deadline) -> object:
    timeout_s = min(_COMMAND_S, deadline.remaining_s())
    result = run_child(
        ["mmcli", "-J", *arguments],
        timeout_s=timeout_s,
        output_limit_bytes=_OUTPUT_MAX_BYTES,
        watch=lambda: "deadline" if deadline.stopping() else None,
    )
    if failure := result.failure():
        detail = f"mmcli {arguments[-1]}: {radio.without_numbers(failure.detail)}"
        causes = [c for text, c in _ERROR_CAUSES.items() if text in failure.detail]
        raise ProbeError(causes[0] if causes else failure.cause, detail)
    return _parsed(result.stdout)


def _parsed(output: bytes) -> object:
    """Return the JSON document; None for other text, which --signal-setup prints.

    Raises ProbeError `child_output` for an incomplete document.
    """
    text = output.decode(errors="replace").strip()
    if not text.startswith(("{", "[")):
        return None
    try:
        return json_text.loads(text)
    except ValueError as error:
        raise ProbeError("child_output", f"mmcli: {error}") from None


def _at(data: object, *path: str) -> Any:
    """Return the value at a path of keys; None if it does not exist."""
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data
