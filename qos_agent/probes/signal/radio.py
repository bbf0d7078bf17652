"""The radio as any modem tells of it, and what of a modem's words is a value.

Modems say "unknown" in many ways: "--", "n/a", 99, 255, the least number there is.
None of them is a value; neither is a number that no radio can have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace

# Reported ranges: 3GPP TS 36.133, 9.1 (LTE), and TS 38.133, 10.1 (NR, the wider).
RSRP_DBM = (-156.0, -31.0)
RSRQ_DB = (-43.0, 20.0)
SINR_DB = (-23.0, 40.0)
RSSI_DBM = (-121.0, -20.0)

_NO_WORD = {"", "--", "n/a", "none", "unknown", "(null)"}


@dataclass(frozen=True, slots=True)
class Radio:
    """One look at the radio; what the modem did not tell is None.

    `remark` is for the record: why something that it could tell is missing.
    """

    reader: str
    technology: str = "unknown"
    rsrp_dbm: float | None = None
    rsrq_db: float | None = None
    sinr_db: float | None = None
    rssi_dbm: float | None = None
    cell: str | None = None
    tracking_area: str | None = None
    plmn: str | None = None
    registration: str | None = None
    band: str | None = None
    remark: str | None = None

    def over(self, other: Radio) -> Radio:
        """This look, and the other's where this one says nothing."""
        if self.technology == "unknown":
            technology = other.technology
        else:
            technology = self.technology
        names = [
            f.name for f in fields(Radio) if f.name not in ("reader", "technology")
        ]
        known = {name: getattr(self, name) for name in names}
        missing = {n: getattr(other, n) for n, value in known.items() if value is None}
        return replace(self, technology=technology, **missing)

    def tells_nothing(self) -> bool:
        """Whether the modem answered without saying anything."""
        said = (self.rsrp_dbm, self.rssi_dbm, self.registration, self.plmn)
        return self.technology == "unknown" and all(s is None for s in said)


def word(text: object) -> str | None:
    """A modem's word, where it is one."""
    cleaned = str(text).strip() if text is not None else ""
    return None if cleaned.lower() in _NO_WORD else cleaned


def within(text: object, bounds: tuple[float, float]) -> float | None:
    """A modem's number, where a radio can have it."""
    try:
        number = float(str(text))
    except ValueError:
        return None
    low, high = bounds
    return number if low <= number <= high else None


def identifier(text: object) -> str | None:
    """A cell or area in hexadecimal; all zeros and all ones stand for unknown."""
    found = word(text)
    if found is None or not re.fullmatch(r"[0-9A-Fa-f]{1,9}", found):
        return None
    digits = found.upper().lstrip("0")
    return None if re.fullmatch(r"|F{3,}[EF]", digits) else digits


def plmn(text: object) -> str | None:
    """Country and network code: five or six digits (ITU-T E.212)."""
    found = word(text)
    return found if found and re.fullmatch(r"\d{5,6}", found) else None


def without_numbers(text: str) -> str:
    """Words for the record, without anything as long as an IMEI, IMSI or ICCID."""
    return re.sub(r"\d{14,}", "…", text)
