"""One reading of a radio, and checks of the values that modems report.

Modems have many forms of "unknown": "--", "n/a", 99, 255, the smallest number. They
become None, and so do numbers outside the ranges of 3GPP.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace

# Reported ranges: 3GPP TS 36.133, 9.1 (LTE), and TS 38.133, 10.1 (NR, the wider).
RSRP_DBM = (-156.0, -31.0)
RSRQ_DB = (-43.0, 20.0)
SINR_DB = (-23.0, 40.0)
RSSI_DBM = (-121.0, -20.0)

_NUMBER = re.compile(r"[+-]?\d{1,18}(\.\d{0,18})?([eE][+-]?\d{1,2})?", re.ASCII)
_UNKNOWN_TEXTS = {"", "--", "n/a", "none", "unknown", "(null)"}


@dataclass(frozen=True, slots=True)
class Radio:
    """One reading of a radio; values that the modem did not report are None.

    `remark` is the reason if a supported value is missing.
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

    def or_else(self, other: Radio) -> Radio:
        """Return this reading with its missing values taken from another one."""
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

    def is_empty(self) -> bool:
        """Return True if the modem reported neither levels nor a network."""
        values = (self.rsrp_dbm, self.rssi_dbm, self.registration, self.plmn)
        return self.technology == "unknown" and all(v is None for v in values)


def known_text(text: object) -> str | None:
    """Return the trimmed text; None if it means "unknown"."""
    cleaned = str(text).strip() if text is not None else ""
    return None if cleaned.lower() in _UNKNOWN_TEXTS else cleaned


def within(text: object, bounds: tuple[float, float]) -> float | None:
    """Return the text as a number within the bounds; else None."""
    known = str(text).strip()
    # float() would also accept "9_5", "nan" and digits of other scripts.
    if not _NUMBER.fullmatch(known):
        return None
    number = float(known)
    low, high = bounds
    return number if low <= number <= high else None


def identifier(text: object) -> str | None:
    """Return a hexadecimal cell or area; None for all zeros or ones (unknown)."""
    known = known_text(text)
    if known is None or not re.fullmatch(r"[0-9A-Fa-f]{1,9}", known):
        return None
    digits = known.upper().lstrip("0")
    return None if re.fullmatch(r"|F{3,}[EF]", digits) else digits


def plmn(text: object) -> str | None:
    """Return a country and network code of five or six digits (ITU-T E.212)."""
    known = known_text(text)
    return known if known and re.fullmatch(r"\d{5,6}", known) else None


def without_numbers(text: str) -> str:
    """Hide numbers that are as long as an IMEI, IMSI or ICCID."""
    return re.sub(r"\d{14,}", "…", text)
