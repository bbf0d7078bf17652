"""A modem by AT commands on a serial port: 3GPP TS 27.007, and its maker's own.

For devices where ModemManager does not run; two readers on one port would take each
other's answers. Nothing is asked that would answer with an IMEI or IMSI: ATI does on
some modems, +CGMI names the maker alone.
"""

from __future__ import annotations

import re
from pathlib import Path

from qos_agent.model import Deadline
from qos_agent.model.errors import ProbeError
from qos_agent.probes.signal import radio, vendors
from qos_agent.probes.signal.at_values import (
    Answers,
    index,
    item,
    lte_rsrp,
    lte_rsrq,
    nr_rsrp,
    nr_rsrq,
    number,
    row,
    rows,
)
from qos_agent.probes.signal.radio import Radio, identifier, within
from qos_agent.probes.signal.serial_port import END, ask, opened

# Echo off; cell and area with the registration; the operator as a number.
_PREPARE = ("ATE0", "AT+CEREG=2", "AT+CREG=2", "AT+COPS=3,2")
_ASK = ("AT+CPIN?", "AT+CGMI", "AT+COPS?", "AT+CEREG?", "AT+C5GREG?", "AT+CREG?",
        "AT+CESQ", "AT+CSQ")  # fmt: skip
# +CPIN, 27.007, 8.3, and the errors of 9.2.1: not inserted to wrong.
_SIM_READY = ("READY", "SIM PIN2", "SIM PUK2")
_NO_SIM = re.compile(r"\+CME ERROR: *(1[0-6]|SIM (?!busy).*)$", re.M | re.I)

# <AcT> of +COPS and +CEREG, 27.007, 7.3.
_TECHNOLOGIES = {
    0: "gsm", 1: "gsm", 3: "gsm", 8: "gsm", 2: "umts", 4: "umts", 5: "umts",
    6: "umts", 7: "lte", 9: "lte", 10: "lte", 11: "nr5g_sa", 12: "nr5g_sa",
    13: "nr5g_nsa",
}  # fmt: skip
# <stat> of +CEREG, 27.007, 10.1.22; 4 is unknown.
_REGISTRATIONS = {
    0: "none", 1: "home", 2: "searching", 3: "denied", 5: "roaming", 6: "home",
    7: "roaming", 8: "denied", 9: "home", 10: "roaming",
}  # fmt: skip


def read(port: Path, deadline: Deadline) -> Radio:
    """One look at the modem. Raises ProbeError `modem`, `sim`, `permission`,
    `deadline`.
    """
    with opened(port) as handle:
        if not END.search(ask(handle, "AT", deadline)):
            raise ProbeError("modem", f"{port.name}: does not answer AT")
        for command in _PREPARE:
            ask(handle, command, deadline)
        answers = {command: ask(handle, command, deadline) for command in _ASK}
        for command in vendors.questions(answers):
            answers[command] = ask(handle, command, deadline)
    if missing := sim_missing(answers):
        raise ProbeError("sim", missing)
    return parse(answers)


def sim_missing(answers: Answers) -> str | None:
    """What the modem says of a SIM that is locked, broken or not there."""
    state = item(row(answers, "AT+CPIN?", "+CPIN"), 0)
    if state is not None:
        return None if state in _SIM_READY else state
    said = _NO_SIM.search(answers.get("AT+CPIN?", ""))
    return said.group(0) if said else None


def parse(answers: Answers) -> Radio:
    """The radio in the answers to each command. Pure; takes whatever they hold.

    A maker's own words are finer than the standard's, and come first.
    """
    return vendors.parse(answers).over(_standard(answers))


def _standard(answers: Answers) -> Radio:
    operator = row(answers, "AT+COPS?", "+COPS")
    registered = _registered(answers)
    act = number(operator, 3)
    if act is None:
        act = number(registered, 4)
    technology = _TECHNOLOGIES.get(-1 if act is None else act, "unknown")
    state = number(registered, 1)
    return Radio(
        reader="at",
        technology=technology,
        cell=identifier(item(registered, 3)),
        tracking_area=identifier(item(registered, 2)),
        plmn=radio.plmn(item(operator, 2)),
        registration=None if state is None else _REGISTRATIONS.get(state),
    ).over(_levels(answers, technology))


def _registered(answers: Answers) -> list[str]:
    """The registration that holds: in 5G, LTE or the older nets, else the first."""
    found = [
        values
        for name in ("+C5GREG", "+CEREG", "+CREG")
        if (values := _asked(answers, name))
    ]
    in_service = [v for v in found if number(v, 1) in (1, 5, 6, 7, 9, 10)]
    return (in_service or found[-2:] or [[]])[0]


def _asked(answers: Answers, name: str) -> list[str]:
    """A registration that was asked for; one that came by itself begins otherwise.

    Asked, it is the mode of reports and the state; unasked, the state and the area.
    """
    for values in rows(answers, f"AT{name}?", name):
        if len(values) > 1 and len(values[1]) <= 2 and values[1].isdecimal():
            return values
    return []


def _levels(answers: Answers, technology: str) -> Radio:
    """+CESQ, 27.007, 8.69, and what of it is missing by +CSQ, 8.5."""
    values = row(answers, "AT+CESQ", "+CESQ")
    rssi = index(row(answers, "AT+CSQ", "+CSQ"), 0, 31, 2, -113)
    if technology == "nr5g_sa":
        rsrp, rsrq = nr_rsrp(values, 7), nr_rsrq(values, 6)
        sinr = index(values, 8, 127, 0.5, -23.5)
    else:
        rsrp, rsrq, sinr = lte_rsrp(values, 5), lte_rsrq(values, 4), None
        finer = index(values, 0, 63, 1, -111)
        rssi = rssi if finer is None else finer
    return Radio(
        reader="at",
        rsrp_dbm=within(rsrp, radio.RSRP_DBM),
        rsrq_db=within(rsrq, radio.RSRQ_DB),
        sinr_db=within(sinr, radio.SINR_DB),
        rssi_dbm=within(rssi, radio.RSSI_DBM),
    )
