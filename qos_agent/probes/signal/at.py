"""Reads a modem with AT commands of 3GPP TS 27.007 and of its vendor.

This is for devices without ModemManager, because two readers on one serial port would
receive each other's answers. No command returns an IMEI or IMSI. ATI does so on some
modems; +CGMI returns the vendor only.
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
from qos_agent.probes.signal.serial_port import FINAL_RESULT, open_port, send

# Echo off, registration reports with cell and area, operator as a number.
_PREPARE = ("ATE0", "AT+CEREG=2", "AT+CREG=2", "AT+COPS=3,2")
_QUERIES = (
    "AT+CPIN?",
    "AT+CGMI",
    "AT+COPS?",
    "AT+CEREG?",
    "AT+C5GREG?",
    "AT+CREG?",
    "AT+CESQ",
    "AT+CSQ",
)
# +CPIN of 27.007, 8.3, and its errors of 9.2.1, from "not inserted" to "wrong".
_SIM_READY = ("READY", "SIM PIN2", "SIM PUK2")
_NO_SIM = re.compile(r"\+CME ERROR: *(1[0-6]|SIM (?!busy).*)$", re.M | re.I)

# <AcT> of +COPS and +CEREG, 27.007, 7.3.
_TECHNOLOGIES = {
    **dict.fromkeys((0, 1, 3, 8), "gsm"),
    **dict.fromkeys((2, 4, 5, 6), "umts"),
    **dict.fromkeys((7, 9, 10), "lte"),
    **dict.fromkeys((11, 12), "nr5g_sa"),
    13: "nr5g_nsa",
}
# <stat> of +CEREG, 27.007, 10.1.22; 4 is unknown.
_REGISTRATIONS = {
    0: "none",
    **dict.fromkeys((1, 6, 9), "home"),
    2: "searching",
    **dict.fromkeys((3, 8), "denied"),
    **dict.fromkeys((5, 7, 10), "roaming"),
}


def read(port: Path, deadline: Deadline) -> Radio:
    """Read the modem once.

    Raises ProbeError `modem`, `sim`, `permission`, `deadline`.
    """
    with open_port(port) as handle:
        if not FINAL_RESULT.search(send(handle, "AT", deadline)):
            raise ProbeError("modem", f"{port.name}: no answer to AT commands")
        for command in _PREPARE:
            send(handle, command, deadline)
        answers = {command: send(handle, command, deadline) for command in _QUERIES}
        for command in vendors.commands(answers):
            answers[command] = send(handle, command, deadline)
    if problem := sim_problem(answers):
        raise ProbeError("sim", problem)
    return parse(answers)


def sim_problem(answers: Answers) -> str | None:
    """Return the modem's state of a locked, broken or missing SIM; else None."""
    state = item(row(answers, "AT+CPIN?", "+CPIN"), 0)
    if state is not None:
        return None if state in _SIM_READY else state
    error = _NO_SIM.search(answers.get("AT+CPIN?", ""))
    return error.group(0) if error else None


def parse(answers: Answers) -> Radio:
    """Parse the answers to all commands, whatever they contain. Pure.

    Values of the vendor's commands are more precise than the standard ones and replace
    them.
    """
    return vendors.parse(answers).or_else(_standard(answers))


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
    ).or_else(_levels(answers, technology))


def _registered(answers: Answers) -> list[str]:
    """Return the registration in 5G, LTE or older networks that is in service.

    If none is in service, return the first of LTE and the older networks.
    """
    registrations = [
        values
        for name in ("+C5GREG", "+CEREG", "+CREG")
        if (values := _solicited(answers, name))
    ]
    in_service = [v for v in registrations if number(v, 1) in (1, 5, 6, 7, 9, 10)]
    return (in_service or registrations[-2:] or [[]])[0]


def _solicited(answers: Answers, name: str) -> list[str]:
    """Return the registration in answer to a query, not an unsolicited report.

    An answer starts with the report mode and the state. An unsolicited report starts
    with the state and the area.
    """
    for values in rows(answers, f"AT{name}?", name):
        if len(values) > 1 and len(values[1]) <= 2 and values[1].isdecimal():
            return values
    return []


def _levels(answers: Answers, technology: str) -> Radio:
    """Return the levels of +CESQ (27.007, 8.69), and RSSI of +CSQ (8.5) if missing."""
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
