"""AT commands of modem vendors for the band and for more precise levels.

The vendors are those with recorded answers in the tests. A value is left out if its
scale depends on the model or firmware. An example is SINR of Quectel's +QENG, which is
in decibels, fifths or tenths of a decibel. SINR of SIMCom and Fibocom is left out too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from qos_agent.probes.signal import radio
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
    whole,
)
from qos_agent.probes.signal.bands import lte_band
from qos_agent.probes.signal.radio import Radio, identifier, within

_NOTHING = Radio(reader="at")
_QENG = 'AT+QENG="servingcell"'


@dataclass(frozen=True, slots=True)
class Vendor:
    """The commands of one vendor and the function that parses their answers."""

    commands: tuple[str, ...]
    parse: Callable[[Answers], Radio]


def commands(answers: Answers) -> tuple[str, ...]:
    """Return the commands of the vendor that +CGMI returned."""
    vendor = _vendor(answers)
    return vendor.commands if vendor else ()


def parse(answers: Answers) -> Radio:
    """Parse the answers to the vendor's commands. Pure."""
    vendor = _vendor(answers)
    return vendor.parse(answers) if vendor else _NOTHING


def _vendor(answers: Answers) -> Vendor | None:
    answer = answers.get("AT+CGMI", "").lower()
    return next((vendor for name, vendor in _VENDORS.items() if name in answer), None)


def _quectel(answers: Answers) -> Radio:
    """Parse +QENG; with 5G on an LTE anchor it has one line for each serving cell."""
    # Secondary LTE cells come after the primary cell. The list is reversed, so that the
    # primary cell overwrites the others.
    cells = dict(reversed(list(_serving(answers))))
    if (lte := cells.get("LTE")) is not None:
        return Radio(
            reader="at",
            technology="nr5g_nsa" if _in_use(cells.get("NR5G-NSA", [])) else "lte",
            cell=identifier(item(lte, 3)),
            band=_band("B", item(lte, 6)),
            tracking_area=identifier(item(lte, 9)),
            rsrp_dbm=within(item(lte, 10), radio.RSRP_DBM),
            rsrq_db=within(item(lte, 11), radio.RSRQ_DB),
            rssi_dbm=within(item(lte, 12), radio.RSSI_DBM),
        )
    if (nr := cells.get("NR5G-SA")) is not None:
        return Radio(
            reader="at",
            technology="nr5g_sa",
            cell=identifier(item(nr, 3)),
            tracking_area=identifier(item(nr, 5)),
            band=_band("n", item(nr, 7)),
            rsrp_dbm=within(item(nr, 9), radio.RSRP_DBM),
            rsrq_db=within(item(nr, 10), radio.RSRQ_DB),
        )
    return _NOTHING


def _serving(answers: Answers) -> Iterator[tuple[str, list[str]]]:
    """Yield the technology and the values of each cell of +QENG."""
    for values in rows(answers, _QENG, "+QENG"):
        cell = values[2:] if item(values, 0) == "servingcell" else values
        if cell:
            yield cell[0], cell[1:]


def _in_use(nsa: list[str]) -> bool:
    """Return True if the 5G cell has a level.

    Its line is also printed without a 5G cell.
    """
    return within(item(nsa, 3), radio.RSRP_DBM) is not None


def _simcom(answers: Answers) -> Radio:
    """Parse +CPSI in LTE.

    The SIM7600 reports levels in tenths of a decibel, the SIM7000 in whole decibels.
    A value below the range of RSRP must be in tenths.
    """
    values = row(answers, "AT+CPSI?", "+CPSI")
    if not (item(values, 0) or "").startswith("LTE"):
        return _NOTHING
    cell, rsrp = number(values, 4), _decimal(item(values, 11))
    if rsrp is None:
        return _NOTHING
    scale = 10 if rsrp < radio.RSRP_DBM[0] else 1
    rsrq, rssi = _decimal(item(values, 10)), _decimal(item(values, 12))
    return Radio(
        reader="at",
        technology="lte",
        plmn=radio.plmn((item(values, 2) or "").replace("-", "")),
        tracking_area=identifier((item(values, 3) or "").removeprefix("0x")),
        cell=None if cell is None else identifier(f"{cell:X}"),
        band=_band("B", (item(values, 6) or "").removeprefix("EUTRAN-BAND")),
        rsrp_dbm=within(rsrp / scale, radio.RSRP_DBM),
        rsrq_db=None if rsrq is None else within(rsrq / scale, radio.RSRQ_DB),
        rssi_dbm=None if rssi is None else within(rssi / scale, radio.RSSI_DBM),
    )


def _fibocom(answers: Answers) -> Radio:
    """Parse +GTCCINFO of newer modems, or +XMCI and +XLEC of Intel-based ones."""
    cells = {
        values[1]: values
        for line in answers.get("AT+GTCCINFO?", "").splitlines()
        if len(values := line.strip().split(",")) >= 14 and values[0] == "1"
    }
    if (lte := cells.get("4")) is not None:
        return Radio(
            reader="at",
            technology="nr5g_nsa" if "9" in cells else "lte",
            tracking_area=identifier(lte[4]),
            cell=identifier(lte[5]),
            band=_fibocom_band("B", number(lte, 8), (100,)),
            rsrp_dbm=lte_rsrp(lte, 12),
            rsrq_db=lte_rsrq(lte, 13),
        )
    if (nr := cells.get("9")) is not None:
        return Radio(
            reader="at",
            technology="nr5g_sa",
            tracking_area=identifier(nr[4]),
            cell=identifier(nr[5]),
            band=_fibocom_band("n", number(nr, 8), (5000, 500)),
            rsrp_dbm=nr_rsrp(nr, 12),
            rsrq_db=nr_rsrq(nr, 13),
        )
    return _intel(answers)


def _fibocom_band(letter: str, code: int | None, bases: tuple[int, ...]) -> str | None:
    """Return the band of a code: 103 is B3, 505 is n5, 5079 is n79."""
    base = next((b for b in bases if code is not None and code > b), None)
    return None if code is None or base is None else f"{letter}{code - base}"


def _intel(answers: Answers) -> Radio:
    """Parse +XMCI; type 4 is the serving LTE cell, other types are neighbours."""
    cells = rows(answers, "AT+XMCI=1", "+XMCI")
    serving = next((values for values in cells if item(values, 0) == "4"), None)
    if serving is None:
        return _NOTHING
    band = re.search(r"BAND_LTE_(\d+)", answers.get("AT+XLEC?", ""))
    return Radio(
        reader="at",
        technology="lte",
        tracking_area=identifier((item(serving, 3) or "").removeprefix("0x")),
        cell=identifier((item(serving, 4) or "").removeprefix("0x")),
        band=_band("B", band.group(1)) if band else _channel_band(item(serving, 6)),
        rsrp_dbm=lte_rsrp(serving, 9),
        rsrq_db=lte_rsrq(serving, 10),
    )


def _channel_band(hexadecimal: str | None) -> str | None:
    try:
        return lte_band(int(hexadecimal or "", 16))
    except ValueError:
        return None


def _huawei(answers: Answers) -> Radio:
    """Parse ^HCSQ (RSSI of all networks; RSRP, SINR, RSRQ of LTE) and ^HFREQINFO."""
    values = row(answers, "AT^HCSQ?", "^HCSQ")
    rssi = within(index(values, 1, 96, 1, -121), radio.RSSI_DBM)
    technology = _HUAWEI_NETS.get(item(values, 0) or "", "unknown")
    if technology != "lte":
        return Radio(reader="at", technology=technology, rssi_dbm=rssi)
    frequencies = row(answers, "AT^HFREQINFO?", "^HFREQINFO")
    is_lte = item(frequencies, 1) == "6"
    return Radio(
        reader="at",
        technology="lte",
        rssi_dbm=rssi,
        rsrp_dbm=lte_rsrp(values, 2),
        sinr_db=within(index(values, 3, 251, 0.2, -20.2), radio.SINR_DB),
        rsrq_db=lte_rsrq(values, 4),
        band=_band("B", item(frequencies, 2)) if is_lte else None,
    )


_HUAWEI_NETS = {"GSM": "gsm", "WCDMA": "umts", "LTE": "lte"}


def _sierra(answers: Answers) -> Radio:
    """Parse the page of !GSTATUS; RxM is the main antenna, PCC the primary cell."""
    page = answers.get("AT!GSTATUS?", "")
    mode = _match(page, r"System mode:\s+(\w+)")
    if mode not in _SIERRA_MODES:
        return _NOTHING
    return Radio(
        reader="at",
        technology=_SIERRA_MODES[mode],
        band=_band("B", _match(page, r"LTE band:\s+B(\d+)")),
        tracking_area=identifier(_match(page, r"TAC:\s+([0-9A-F]+)")),
        cell=identifier(_match(page, r"Cell ID:\s+([0-9A-F]+)")),
        rssi_dbm=within(_match(page, r"PCC RxM RSSI:\s+(\S+)"), radio.RSSI_DBM),
        rsrp_dbm=within(_match(page, r"PCC RxM.*RSRP.*:\s+(\S+)"), radio.RSRP_DBM),
        rsrq_db=within(_match(page, r"RSRQ \(dB\):\s+(\S+)"), radio.RSRQ_DB),
        sinr_db=within(_match(page, r"SINR \(dB\):\s+(\S+)"), radio.SINR_DB),
    )


_SIERRA_MODES = {"LTE": "lte", "ENDC": "nr5g_nsa"}


def _foxconn(answers: Answers) -> Radio:
    """Parse ^DEBUG of modems that Foxconn builds for Dell and others."""
    page = answers.get("AT^DEBUG?", "")
    band = _match(page, r"^BAND: (\d+)")
    if band is None or "EARFCN" not in page:
        return _NOTHING
    return Radio(
        reader="at",
        technology="lte",
        band=_band("B", band),
        tracking_area=identifier(_match(page, r"^TAC: ([0-9A-Fa-f]+)")),
        plmn=radio.plmn((_match(page, r"^PLMN: (\d+ \d+)") or "").replace(" ", "")),
        rsrp_dbm=within(_match(page, r"^RSRP: (\S+?)dBm"), radio.RSRP_DBM),
        rsrq_db=within(_match(page, r"^RSRQ: (\S+?)dB"), radio.RSRQ_DB),
        rssi_dbm=within(_match(page, r"^RSSI: (\S+?)dBm"), radio.RSSI_DBM),
        sinr_db=within(_match(page, r"^RS-SINR: (\S+?)dB"), radio.SINR_DB),
    )


# The keys are names in the answer to +CGMI; the first match wins.
_VENDORS = {
    "quectel": Vendor((_QENG,), _quectel),
    "simcom": Vendor(("AT+CPSI?",), _simcom),
    "fibocom": Vendor(("AT+GTCCINFO?", "AT+XMCI=1", "AT+XLEC?"), _fibocom),
    "huawei": Vendor(("AT^HCSQ?", "AT^HFREQINFO?"), _huawei),
    "sierra": Vendor(("AT!GSTATUS?",), _sierra),
    "dell": Vendor(("AT^DEBUG?",), _foxconn),
}


def _match(page: str, pattern: str) -> str | None:
    match = re.search(pattern, page, re.M)
    return match.group(1) if match else None


def _decimal(text: str | None) -> float | None:
    return within(text, (-10_000.0, 10_000.0))


def _band(letter: str, text: str | None) -> str | None:
    number = whole(text)
    return f"{letter}{number}" if number else None
