"""The thresholds of the verdict, read from a file that says where each comes from.

A threshold without unit, source and legal status is no threshold: the file is refused
with a line for each fault.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from qos_agent.model.errors import ConfigError, InvalidConfigError
from qos_agent.model.units import seconds

# Every figure that is judged: its unit, and whether more of it is worse.
KPIS: dict[str, tuple[str, bool]] = {
    "loss": ("ratio", True),
    "delay": ("ms", True),
    "download": ("bit/s", False),
    "upload": ("bit/s", False),
    "page": ("ms", True),
    "page_failures": ("ratio", True),
    "form": ("ms", True),
    "form_failures": ("ratio", True),
}
LEGAL_STATUS = (
    "engineering practice", "standard", "contract", "licence", "statutory",
)  # fmt: skip
_WORDS = ("unit", "source", "legal_status", "window")
_NUMBERS = ("degraded", "bad", "min_samples")
_BASELINE = ("baseline_degraded", "baseline_bad", "baseline_floor")


@dataclass(frozen=True, slots=True)
class Baseline:
    """How much worse than itself a link may be: two factors, and a least difference."""

    degraded: float
    bad: float
    floor: float


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which value on a link is degraded, or bad; over which samples."""

    kpi: str
    degraded: float
    bad: float
    window_s: float
    min_samples: int
    source: str
    legal_status: str
    baseline: Baseline | None = None

    @property
    def unit(self) -> str:
        """What the values are counted in."""
        return KPIS[self.kpi][0]

    @property
    def more_is_worse(self) -> bool:
        """True for delays and losses, False for rates."""
        return KPIS[self.kpi][1]


Thresholds = Mapping[str, Threshold]


def load(path: Path | None) -> Thresholds:
    """The thresholds of a file, of the shipped set for None.

    Raises InvalidConfigError with a line for each fault. A KPI that the file leaves
    out is not judged.
    """
    place = path or Path(str(files("qos_agent.config") / "data" / "thresholds.toml"))
    try:
        table = tomllib.loads(place.read_text(encoding="utf-8"))
    except OSError as error:
        said = error.strerror or "unreadable"
        fault = ConfigError(str(place), said, "a readable file", "check the path")
        raise InvalidConfigError((fault,)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        fault = ConfigError(str(place), str(error), "TOML", f"edit {place}")
        raise InvalidConfigError((fault,)) from error
    if faults := tuple(_faults(table, f"edit {place}")):
        raise InvalidConfigError(faults)
    return {kpi: _threshold(kpi, table[kpi]) for kpi in KPIS if kpi in table}


def _threshold(kpi: str, row: Mapping[str, Any]) -> Threshold:
    own = [float(row[key]) for key in _BASELINE if key in row]
    return Threshold(
        kpi,
        float(row["degraded"]),
        float(row["bad"]),
        seconds(row["window"]),
        int(row["min_samples"]),
        row["source"],
        row["legal_status"],
        Baseline(*own) if own else None,
    )


def _faults(table: Mapping[str, Any], mend: str) -> Iterator[ConfigError]:
    if "loss" not in table:
        yield ConfigError("loss", "nothing", "a table [loss]", mend)
    for kpi, row in table.items():
        if kpi not in KPIS:
            yield ConfigError(kpi, "an unknown figure", ", ".join(KPIS), mend)
        elif not isinstance(row, dict):
            yield ConfigError(kpi, repr(row), f"a table [{kpi}]", mend)
        else:
            for key, found, allowed in _row_faults(kpi, row):
                said = "nothing" if found is None else repr(found)
                yield ConfigError(f"{kpi}.{key}", said, allowed, mend)


_Fault = tuple[str, object, str]


def _row_faults(kpi: str, row: Mapping[str, Any]) -> Iterator[_Fault]:
    known = (*_WORDS, *_NUMBERS, *_BASELINE)
    for key in row.keys() - set(known):
        yield key, row[key], ", ".join(known)
    wanted = _BASELINE if any(key in row for key in _BASELINE) else ()
    numbers_well = True
    for key in (*_NUMBERS, *wanted):
        if not _is_number(row.get(key)):
            numbers_well = False
            yield key, row.get(key), "a number above 0"
    if numbers_well:
        yield from _order_faults(kpi, row)
    yield from _word_faults(kpi, row)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and value is not True and 0 < value < 1e15


def _order_faults(kpi: str, row: Mapping[str, Any]) -> Iterator[_Fault]:
    more_is_worse = KPIS[kpi][1]
    if (row["bad"] > row["degraded"]) is not more_is_worse:
        side = "more" if more_is_worse else "less"
        yield "bad", row["bad"], f"{side} than degraded, {row['degraded']}"
    if "baseline_bad" in row and not 1 < row["baseline_degraded"] < row["baseline_bad"]:
        yield (
            "baseline_bad",
            row["baseline_bad"],
            "1 < baseline_degraded < baseline_bad",
        )


def _word_faults(kpi: str, row: Mapping[str, Any]) -> Iterator[_Fault]:
    if row.get("unit") != KPIS[kpi][0]:
        yield "unit", row.get("unit"), KPIS[kpi][0]
    if row.get("legal_status") not in LEGAL_STATUS:
        yield "legal_status", row.get("legal_status"), ", ".join(LEGAL_STATUS)
    if not isinstance(row.get("source"), str) or not row["source"].strip():
        yield "source", row.get("source"), "where the values come from"
    try:
        seconds(row.get("window"))
    except ValueError as error:
        yield "window", row.get("window"), str(error)
