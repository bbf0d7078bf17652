"""ModemManager's view of a modem, by `mmcli -J`: 1.12 and later.

What mmcli prints holds the IMEI; nothing of it is kept but the fields named here.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field, replace
from typing import Any

from qos_agent.model import Deadline
from qos_agent.model.errors import ProbeError
from qos_agent.probes.signal import radio
from qos_agent.probes.signal.bands import lte_band
from qos_agent.probes.signal.radio import Radio, identifier, within, word
from qos_agent.system.child_process import run_child

# A healthy ModemManager answers in milliseconds; one whose modem has crashed, never.
_COMMAND_S = 5.0
_OUTPUT_MAX_BYTES = 200_000
_UNAUTHORISED = "Core.Unauthorized"
_OF_ONE_MODEM = {"child_exit", "child_signal", "child_output", "modem"}
# What mmcli says where there is nothing wrong with mmcli.
_SAID = {
    "couldn't find the ModemManager process": "modem_manager",
    "couldn't find modem": "modem",
}
_REFRESH_S = 10
_REFRESH_WAIT_S = 0.5
_REFRESH_TRIES = 4

_TECHNOLOGIES = {
    "lte": "lte", "lte-cat-m": "lte", "lte-nb-iot": "lte",
    "umts": "umts", "hsdpa": "umts", "hsupa": "umts", "hspa": "umts",
    "hspa-plus": "umts", "gsm": "gsm", "gsm-compact": "gsm", "gprs": "gsm",
    "edge": "gsm",
}  # fmt: skip
_REGISTRATIONS = {
    "idle": "none", "home": "home", "searching": "searching", "denied": "denied",
    "roaming": "roaming", "home-sms-only": "home", "roaming-sms-only": "roaming",
    "emergency-only": "denied", "home-csfb-not-preferred": "home",
    "roaming-csfb-not-preferred": "roaming", "attached-rlos": "denied",
}  # fmt: skip
# Which block of --signal-get belongs to a technology. In NSA the LTE anchor carries
# the connection: when it is lost, so is 5G.
_BLOCKS = {
    "lte": "lte",
    "nr5g_nsa": "lte",
    "nr5g_sa": "5g",
    "umts": "umts",
    "gsm": "gsm",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which modem is meant: by name, or by the interface its data leaves by."""

    device: str | None
    interface: str | None


def read(wanted: Wanted, deadline: Deadline) -> Radio:
    """One look at the modem. Raises ProbeError `missing_tool`, `modem_manager`,
    `modem`, `sim`, `deadline`, `child_exit`, `child_output`.
    """
    path, modem = _find(wanted, deadline)
    if (fault := out_of_service(modem)) is not None:
        raise fault
    extras = _Extras(path, deadline)
    radio = parse(
        modem,
        _signal(extras),
        _at(extras.ask("--location-get"), "location", "3gpp"),
        _at(extras.ask("--get-cell-info"), "generic", "cell-info"),
    )
    return replace(radio, remark=extras.remark())


def out_of_service(modem: object) -> ProbeError | None:
    """Why a modem cannot tell of any radio, by its own state; None where it can."""
    state = word(_at(modem, "generic", "state"))
    if state == "locked":
        needs = word(_at(modem, "generic", "unlock-required")) or "a code"
        return ProbeError("sim", f"locked: {needs}")
    if state not in ("failed", "disabled"):
        return None
    why = word(_at(modem, "generic", "state-failed-reason")) or "no reason given"
    cause = "sim" if why.startswith(("sim-", "esim-")) else "modem"
    return ProbeError(cause, f"{state}: {why}")


def parse(
    modem: object, signal: object, location: object, cells: object = None
) -> Radio:
    """The radio in mmcli's answers. Pure; takes whatever shape they have."""
    technology = _technology(_at(modem, "generic", "access-technologies"))
    block = _at(signal, _BLOCKS.get(technology, "lte"))
    area = identifier(_at(location, "tac")) or identifier(_at(location, "lac"))
    own = word(_at(modem, "3gpp", "registration-state"))
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
        registration=_REGISTRATIONS.get(own or ""),
        band=_band(technology, cells),
    )


def _band(technology: str, cells: object) -> str | None:
    """By the channel of the cell that serves: `current-bands` are all that may be used.

    In 5G on an LTE anchor both serve; the anchor's is meant, as in all its figures.
    """
    kind, name = ("5gnr", "nrarfcn") if technology == "nr5g_sa" else ("lte", "earfcn")
    for cell in cells if isinstance(cells, list) else []:
        told = dict(
            part.split(": ", 1) for part in str(cell).split(", ") if ": " in part
        )
        serves = (told.get("cell type"), told.get("serving")) == (kind, "yes")
        if serves and (channel := told.get(name, "")).isdecimal():
            return f"arfcn{channel}" if kind == "5gnr" else lte_band(int(channel))
    return None


def _technology(names: object) -> str:
    """LTE and 5G together are 5G on an LTE anchor; 5G alone stands alone."""
    listed = [str(name) for name in names] if isinstance(names, list) else []
    older = [_TECHNOLOGIES[name] for name in listed if name in _TECHNOLOGIES]
    if "5gnr" in listed:
        return "nr5g_nsa" if "lte" in older else "nr5g_sa"
    return older[0] if older else "unknown"


def _find(wanted: Wanted, deadline: Deadline) -> tuple[str, object]:
    """The modem meant, and what mmcli says of it; never another link's."""
    paths = _at(_ask(["-L"], deadline), "modem-list")
    if not isinstance(paths, list) or not paths:
        raise ProbeError("modem", "ModemManager knows no modem")
    trouble = None
    for path in map(str, paths):
        try:
            modem = _at(_ask(["-m", path], deadline), "modem")
        except ProbeError as error:
            # One that cannot be asked may be another link's: the rest decide.
            if error.cause not in _OF_ONE_MODEM:
                raise
            trouble = error
            continue
        if _is_wanted(modem, wanted, alone=len(paths) == 1):
            return path, modem
    if trouble is not None:
        raise trouble
    meant = wanted.device or wanted.interface or "the link's"
    detail = f"none of {len(paths)} is {meant}: set device in signal.modems"
    raise ProbeError("modem", detail)


def _is_wanted(modem: object, wanted: Wanted, *, alone: bool) -> bool:
    """By name; else by its network port; one alone without such a port will do."""
    if wanted.device is not None:
        names = (_at(modem, "generic", "device"), _at(modem, "generic", "primary-port"))
        return wanted.device in names
    ports = _at(modem, "generic", "ports")
    listed = " ".join(map(str, ports)) if isinstance(ports, list) else ""
    own = re.findall(r"(\S+) \(net\)", listed)
    if own and wanted.interface is not None:
        return wanted.interface in own
    return alone


@dataclass(slots=True)
class _Extras:
    """What not every modem can do, and not every user may ask for."""

    path: str
    deadline: Deadline
    refused: list[str] = field(default_factory=list)

    def ask(self, option: str) -> object:
        """The answer; an error status is none, a hang is a fault."""
        try:
            return _at(_ask(["-m", self.path, option], self.deadline), "modem")
        except ProbeError as error:
            if error.cause != "child_exit":
                raise
            if _UNAUTHORISED in error.detail:
                self.refused.append(option)
            return None

    def remark(self) -> str | None:
        """What to say of refusals: a service needs a rule of polkit's."""
        if not self.refused:
            return None
        return f"ModemManager refuses {', '.join(self.refused)}: polkit has no rule"


def _signal(extras: _Extras) -> object:
    """The extended signal; ModemManager reads it only once it is told how often."""
    found = _at(extras.ask("--signal-get"), "signal")
    if word(_at(found, "refresh", "rate")) != "0":
        return found
    extras.ask(f"--signal-setup={_REFRESH_S}")
    for _ in range(0 if extras.refused else _REFRESH_TRIES):
        found = _at(extras.ask("--signal-get"), "signal")
        if _has_values(found) or extras.deadline.wait(_REFRESH_WAIT_S):
            break
    return found


def _has_values(signal: object) -> bool:
    names = ("rsrp", "rssi")
    blocks = set(_BLOCKS.values())
    return any(word(_at(signal, block, name)) for block in blocks for name in names)


def _ask(arguments: list[str], deadline: Deadline) -> object:
    timeout_s = min(_COMMAND_S, deadline.remaining_s())
    result = run_child(
        ["mmcli", "-J", *arguments],
        timeout_s=timeout_s,
        output_limit_bytes=_OUTPUT_MAX_BYTES,
        watch=lambda: "deadline" if deadline.stopping() else None,
        env={**os.environ, "LC_ALL": "C"},
    )
    if failure := result.failure():
        detail = f"mmcli {arguments[-1]}: {radio.without_numbers(failure.detail)}"
        known = [cause for said, cause in _SAID.items() if said in failure.detail]
        raise ProbeError(known[0] if known else failure.cause, detail)
    return _parsed(result.stdout)


def _parsed(output: bytes) -> object:
    """--signal-setup prints no JSON when it succeeds; half a document is a fault."""
    text = output.decode(errors="replace").strip()
    if not text.startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise ProbeError("child_output", f"mmcli: {error}") from None


def _at(data: object, *path: str) -> Any:
    """What lies at `path`; None where the shape is another."""
    for name in path:
        data = data.get(name) if isinstance(data, dict) else None
    return data
