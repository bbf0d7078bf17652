"""A modem by plain AT commands on a serial port: 3GPP TS 27.007.

For devices where ModemManager does not run; two readers on one port would take each
other's answers. Nothing is asked that would answer with an IMEI or IMSI.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import termios
import time
import tty
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from qos_agent.errors import ProbeError
from qos_agent.model import Deadline
from qos_agent.probes.modems import radio
from qos_agent.probes.modems.radio import Radio, identifier, within

_ANSWER_S = 3.0
_SLICE_S = 0.1
_ANSWER_MAX_BYTES = 8192

# Echo off; cell and area with the registration; the operator as a number.
_PREPARE = ("ATE0", "AT+CEREG=2", "AT+CREG=2", "AT+COPS=3,2")
_ASK = ("AT+COPS?", "AT+CEREG?", "AT+C5GREG?", "AT+CREG?", "AT+CESQ", "AT+CSQ",
        "AT^HCSQ?")  # fmt: skip
_END = re.compile(r"^(OK|ERROR|\+CM[ES] ERROR: .*|COMMAND NOT SUPPORT)$", re.M)

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
    """One look at the modem. Raises ProbeError `modem`, `permission`, `deadline`."""
    with _opened(port) as handle:
        if not _END.search(_ask(handle, "AT", deadline)):
            raise ProbeError("modem", f"{port.name}: does not answer AT")
        for command in _PREPARE:
            _ask(handle, command, deadline)
        return parse({command: _ask(handle, command, deadline) for command in _ASK})


def parse(answers: Mapping[str, str]) -> Radio:
    """The radio in the answers to each command. Pure; takes whatever they hold."""
    operator = _values(answers, "AT+COPS?", "+COPS")
    registered = _registered(answers)
    act = _number(operator, 3)
    if act is None:
        act = _number(registered, 4)
    technology = _TECHNOLOGIES.get(-1 if act is None else act, "unknown")
    state = _number(registered, 1)
    huawei = _huawei(_values(answers, "AT^HCSQ?", "^HCSQ"))
    levels = _levels(_values(answers, "AT+CESQ", "+CESQ"), technology)
    levels = {**_csq(_values(answers, "AT+CSQ", "+CSQ")), **levels, **huawei}
    return Radio(
        reader="at",
        technology=technology,
        cell=identifier(_item(registered, 3)),
        tracking_area=identifier(_item(registered, 2)),
        plmn=radio.plmn(_item(operator, 2)),
        registration=None if state is None else _REGISTRATIONS.get(state),
        **levels,
    )


def _registered(answers: Mapping[str, str]) -> list[str]:
    """The registration that holds: in 5G, LTE or the older nets, else the first."""
    found = [
        values
        for name in ("+C5GREG", "+CEREG", "+CREG")
        if (values := _values(answers, f"AT{name}?", name))
    ]
    in_service = [v for v in found if _number(v, 1) in (1, 5, 6, 7, 9, 10)]
    return (in_service or found[-2:] or [[]])[0]


def _levels(values: list[str], technology: str) -> dict[str, float]:
    """+CESQ, 27.007, 8.69: indices into the ranges of TS 36.133 and 38.133."""
    if technology == "nr5g_sa":
        return _known(
            rsrq_db=_index(values, 6, 126, 0.5, -43.5),
            rsrp_dbm=_index(values, 7, 126, 1, -157),
            sinr_db=_index(values, 8, 127, 0.5, -23.5),
        )
    return _known(
        rssi_dbm=_index(values, 0, 63, 1, -111),
        rsrq_db=_index(values, 4, 34, 0.5, -20),
        rsrp_dbm=_index(values, 5, 97, 1, -141),
    )


def _csq(values: list[str]) -> dict[str, float]:
    """+CSQ, 27.007, 8.5: 0 to 31, in steps of 2 dB."""
    return _known(rssi_dbm=_index(values, 0, 31, 2, -113))


def _huawei(values: list[str]) -> dict[str, float]:
    """^HCSQ of Huawei's modems: finer, and with SINR."""
    if _item(values, 0) != "LTE":
        return {}
    return _known(
        rssi_dbm=_index(values, 1, 96, 1, -121),
        rsrp_dbm=_index(values, 2, 97, 1, -141),
        sinr_db=_index(values, 3, 251, 0.2, -20.2),
        rsrq_db=_index(values, 4, 34, 0.5, -20),
    )


def _known(**levels: float | None) -> dict[str, float]:
    bounds = {"rsrp_dbm": radio.RSRP_DBM, "rsrq_db": radio.RSRQ_DB,
              "sinr_db": radio.SINR_DB, "rssi_dbm": radio.RSSI_DBM}  # fmt: skip
    checked = {name: within(value, bounds[name]) for name, value in levels.items()}
    return {name: value for name, value in checked.items() if value is not None}


def _index(
    values: list[str], position: int, most: int, step: float, zero: float
) -> float | None:
    """An index as a level: the lower edge of its step; 99 and 255 are none."""
    number = _number(values, position)
    if number is None or not 0 <= number <= most:
        return None
    return round(zero + step * number, 1)


def _values(answers: Mapping[str, str], command: str, name: str) -> list[str]:
    """The values of the line that answers; what the modem says unasked is left out."""
    for line in answers.get(command, "").splitlines():
        head, colon, rest = line.strip().partition(":")
        raw = [value.strip() for value in rest.split(",")]
        if colon and head == name and not (name.endswith("REG") and _unasked(raw)):
            return [value.strip('"') for value in raw]
    return []


def _unasked(raw: list[str]) -> bool:
    """Whether a registration came by itself: it begins with the state."""
    return len(raw) < 2 or raw[1].startswith('"')


def _item(values: list[str], position: int) -> str | None:
    return values[position] if position < len(values) else None


def _number(values: list[str], position: int) -> int | None:
    text = _item(values, position)
    return int(text) if text is not None and text.isdecimal() else None


@contextmanager
def _opened(port: Path) -> Iterator[int]:
    """The port, raw and for us alone, for the time of a block."""
    try:
        handle = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        cause = "permission" if error.errno == errno.EACCES else "modem"
        raise ProbeError(cause, f"{port}: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        tty.setraw(handle)
        termios.tcflush(handle, termios.TCIOFLUSH)
        yield handle
    except (OSError, termios.error) as error:
        raise ProbeError("modem", f"{port}: {error}") from error
    finally:
        os.close(handle)


def _ask(handle: int, command: str, deadline: Deadline) -> str:
    """The answer to a command, as far as it came in a few seconds."""
    os.write(handle, f"{command}\r".encode())
    heard = b""
    end_s = time.monotonic() + _ANSWER_S
    while time.monotonic() < end_s and len(heard) < _ANSWER_MAX_BYTES:
        if deadline.wait(0):
            raise ProbeError("deadline", command)
        readable, _, _ = select.select([handle], [], [], _SLICE_S)
        if readable:
            heard += os.read(handle, 4096)
        text = heard.decode("ascii", "replace").replace("\r", "\n")
        if _END.search(text):
            return text
    return heard.decode("ascii", "replace").replace("\r", "\n")
