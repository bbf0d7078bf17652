"""The report of one minute's work, and the steps of work that remains."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from qos_agent.config.places import provinces as all_provinces
from qos_agent.model.units import duration_text


@dataclass(slots=True)
class Report:
    """One minute's work, for the log and for `--once`.

    `failed` has the errors of the minute by province, and `pending_failed` those of the
    remaining work after it.
    """

    at_ns: int
    census_s: float = 0.0
    rollup_s: float = 0.0
    written: Counter[str] = field(default_factory=Counter)
    behind_s: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)
    pending_failed: dict[str, str] = field(default_factory=dict)
    pending_s: float = 0.0

    @property
    def points(self) -> int:
        """The number of points written."""
        return self.written.total()

    def __str__(self) -> str:
        """Return one line."""
        figures = (
            f"{utc_text(self.at_ns)}: census {self.census_s:.2f} s, "
            f"roll-ups {self.rollup_s:.2f} s, {self.points} points written, "
            f"behind {duration_text(self.behind_s)}, "
            f"{duration_text(self.pending_s)} to recalculate"
        )
        return "; ".join([figures, *_by_reason(self.failed)])

    def pending_errors(self) -> str:
        """Return the errors of remaining work in one line; empty if there are none."""
        return "; ".join(_by_reason(self.pending_failed))


class Priority(IntEnum):
    """The order of remaining work; the lowest number goes first."""

    GAP = 0
    CENSUS = 1
    BASELINE = 2
    DIRECTORY = 3
    ROLLOUT = 4
    RECALCULATION = 5


@dataclass(frozen=True, slots=True)
class Step:
    """One step of remaining work, short enough to be finished before a stop."""

    priority: Priority
    run: Callable[[], None]


def utc_text(at_ns: int) -> str:
    """Return a moment as ISO 8601 text in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at_ns // 10**9))


def _by_reason(failed: Mapping[str, str]) -> Iterator[str]:
    """Yield each error once, with all provinces that have it.

    An error of the server, such as a wrong token, is that of every province.
    """
    provinces_by_reason: dict[str, list[str]] = {}
    for province, reason in failed.items():
        provinces_by_reason.setdefault(reason, []).append(province)
    for reason, provinces in provinces_by_reason.items():
        names = f"provinces {', '.join(sorted(provinces))}"
        if len(provinces) == len(all_provinces()):
            names = "all provinces"
        yield f"{names} failed: {reason}"
