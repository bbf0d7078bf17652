"""The times of a national root: each hour, and at the end of each phase."""

from __future__ import annotations

from qos_agent.config.places import regencies
from qos_agent.model.calendar import ZONES
from qos_agent.noc.census.voting_window import VotingWindow

_HOUR_S = 3600
# Devices seal when the phase changes, and their seals arrive within a few minutes.
SETTLE_S = 900
_STEP_S = 60


def root_due_s(voting: VotingWindow, now_s: int) -> int:
    """Return the newest moment since which a root must exist."""
    hour_s = now_s // _HOUR_S * _HOUR_S
    changes_s = (_last_change_s(voting, code, now_s) for code in _places())
    return max(hour_s, *(change_s + SETTLE_S for change_s in changes_s))


def _last_change_s(voting: VotingWindow, regency: str, now_s: int) -> int:
    """Return the last change of phase that is settled and less than an hour old."""
    latest_s = (now_s - SETTLE_S) // _STEP_S * _STEP_S
    phase = voting.phase(regency, latest_s * 10**9)
    for at_s in range(latest_s, latest_s - _HOUR_S, -_STEP_S):
        if voting.phase(regency, (at_s - _STEP_S) * 10**9) is not phase:
            return at_s
    return 0


def _places() -> list[str]:
    """Return a regency of each time zone."""
    found: dict[str, str] = {}
    for code, regency in regencies().items():
        found.setdefault(regency.time_zone, code)
    return [found[zone] for zone in ZONES.values() if zone in found]
