"""The facts of minutes in which one cause affects a share of one regency.

They have the windows over roll-ups that the centre reads, so a figure rises slowly
after an event, as it does in reality.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from qos_agent.noc.troubles.facts import (
    LATE_HEARTBEATS,
    RECOMPUTED,
    SETTLED,
    Facts,
    Values,
)
from qos_agent.noc.troubles.standing import MINUTE_NS

Share = Callable[[int], float]
STATIONS = 40
OPERATORS = ("telkomsel", "xl")
_USUAL_US = 40_000.0
# Two provinces without a trouble, for the usual share of the nation.
_OTHERS = ("3301", "3302", "5301", "5302")
# How many minutes after an event the census shows it: silence, or a verdict.
_CENSUS_DELAY_MIN = {"outage-place": 5, "silent": 5}


@dataclass(frozen=True)
class Rising:
    """A cause that affects a share of a regency's stations in each minute.

    Minute 0 is at `start_ns`. Causes of an operator affect the first of `OPERATORS`.
    """

    cause: str
    share: Share
    start_ns: int
    regency: str = "3171"

    def facts(self, minute: int) -> Facts:
        """Return the facts of a minute."""
        at_ns = self.start_ns + minute * MINUTE_NS
        codes = (self.regency, f"{self.regency[:2]}02", *_OTHERS)
        latency = self._rows(codes, SETTLED, minute, self._latency)
        return Facts(
            at_ns,
            dict.fromkeys({code[:2] for code in codes}, at_ns),
            {
                (code, operator): self._census(code, operator, minute)
                for code in codes
                for operator in (*OPERATORS, "all")
            },
            latency,
            latency,
            dict.fromkeys(latency, _BASELINE),
            self._rows(codes, RECOMPUTED, minute, self._throughput),
            self._rows(codes, SETTLED, minute, self._web),
            self._areas(codes, SETTLED, minute, self._agents),
            self._areas(codes, LATE_HEARTBEATS, minute, self._acked),
        )

    def _mean(self, minute: int, window: tuple[int, int]) -> float:
        """Return the mean of the share over the minutes of a window before a minute."""
        first, last = minute - window[0] // 60, minute - window[1] // 60
        shares = [self.share(one) for one in range(first, last + 1)]
        return sum(shares) / len(shares)

    def _rows(
        self,
        codes: tuple[str, ...],
        window: tuple[int, int],
        minute: int,
        make: Callable[[float], Values],
    ) -> Any:
        now = self._mean(minute, window)
        return {
            (code, operator): make(
                now * (code == self.regency and operator == OPERATORS[0])
            )
            for code in codes
            for operator in OPERATORS
        }

    def _areas(
        self,
        codes: tuple[str, ...],
        window: tuple[int, int],
        minute: int,
        make: Callable[[float], Values],
    ) -> Any:
        now = self._mean(minute, window)
        return {(code, "all"): make(now * (code == self.regency)) for code in codes}

    def _is(self, *causes: str) -> int:
        return int(self.cause in causes)

    def _census(self, code: str, operator: str, minute: int) -> Mapping[str, Any]:
        """Return the census of a row; a whole regency has the stations of both."""
        stations = STATIONS * (2 if operator == "all" else 1)
        delay = _CENSUS_DELAY_MIN.get(self.cause, 1)
        hit = self.share(minute - delay) * stations * (code == self.regency)
        alone = hit * (operator == OPERATORS[0])
        silent = int(hit * self._is("outage-place", "silent"))
        bad = int(alone * self._is("outage-operator", "bad-share"))
        degraded = int(alone * self._is("degraded-share"))
        return {
            "expected": stations,
            "silent": silent,
            "never": 0,
            "reporting": stations - silent,
            "wrong_clock": int(hit * self._is("clock") * (operator == "all")),
            "age_s": 20.0,
            "links_good": stations - silent - bad - degraded,
            "links_degraded": degraded,
            "links_bad": bad,
            # Packets cannot refute this one.
            "kpi": "delay",
        }

    def _latency(self, share: float) -> Values:
        sent = 60.0 * STATIONS
        received = sent * (1 - share * self._is("loss"))
        extra_us = 73_000.0 * share * self._is("rtt")
        return {
            "sent": sent,
            "lost": sent - received,
            "received": received,
            "rtt_sum_us": received * (_USUAL_US + extra_us),
        }

    def _throughput(self, share: float) -> Values:
        slow = share * self._is("throughput")
        return {"tests": STATIONS, "rate_ge_2": STATIONS * (1 - slow)}

    def _web(self, share: float) -> Values:
        slow = share * self._is("upload")
        return {"uploads": STATIONS, "upload_le_60": STATIONS * (1 - slow)}

    def _agents(self, share: float) -> Values:
        hit = share * 2 * STATIONS
        return {
            "beats": 2 * STATIONS,
            "backlog_points": 3000.0 * hit * self._is("backlog"),
            "unsent_old": hit * self._is("unsent"),
            "clock_poor": 0.0,
            "allowance_low": hit * self._is("allowance"),
        }

    def _acked(self, share: float) -> Values:
        points, old = 100.0 * STATIONS, share * self._is("late")
        new, late = points * (1 - old), points * old
        return {
            "beats": STATIONS,
            "acked_le_2m": new,
            "acked_le_1h": late,
            "acked_le_1d": 0.0,
            "acked_older": 0.0,
        }


_BASELINE: Values = {"received": 1000.0, "rtt_sum_us": 1000.0 * _USUAL_US}
