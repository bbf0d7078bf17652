"""What the agent knows of itself: the pulse for heartbeats, the status for people.

Reads every part and changes none.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from qos_agent import __version__
from qos_agent.agent.build import Components
from qos_agent.agent.events import Pulse
from qos_agent.agent.status import LinkStatus, Status, Upcoming
from qos_agent.model import Link
from qos_agent.schedule.allowance import Remaining
from qos_agent.schedule.allowance_account import allowances
from qos_agent.schedule.allowance_forecast import until_reset
from qos_agent.schedule.runner import link_bytes
from qos_agent.schedule.scheduler import Schedule
from qos_agent.system.network import interface_of

_Number = TypeVar("_Number", int, float)

# What a heartbeat gives as the difference to the one before: these may be summed.
_DELTAS = (
    "acked_le_2m", "acked_le_1h", "acked_le_1d", "acked_older", "evicted",
    "uplink_bytes", "uplink_failures",
)  # fmt: skip
# From where a heartbeat counts a station as one that needs somebody's eye.
_LOW_SHARE = 0.1
_POOR_CLOCK_MS = 1000.0
_OLD_S = 3600.0
_NEED_KEPT_NS = 600 * 10**9


class Metrics:
    """Reads the parts; remembers only what deltas are taken against."""

    def __init__(self, parts: Components, schedule: Schedule) -> None:
        self._parts = parts
        self._schedule = schedule
        self._start_ns = parts.clock.boot_ns()
        self._links = parts.settings.link_list()
        self._moved = {link.name: link_bytes(link) for link in self._links}
        self._needs: dict[str, tuple[tuple[int, int], int]] = {}
        self._before = self._totals()

    def pulse(self) -> Pulse:
        """The heartbeat's own figures; counts are since the pulse before."""
        totals = self._totals()
        before, self._before = self._before, totals
        since = {
            name: getattr(totals, name) - getattr(before, name) for name in _DELTAS
        }
        return replace(totals, **since)

    def _totals(self) -> Pulse:
        parts = self._parts
        now_ns = parts.clock.boot_ns()
        counts = parts.journal.counts()
        uplink = parts.uplink.status()
        acknowledged = uplink.acknowledged
        lefts = [parts.allowance_account.remaining(link.name) for link in self._links]
        left_share = _least(_share(left) for left in lefts)
        unsent_s = self._age_s(counts.oldest_unsent_ns)
        return Pulse(
            version=__version__,
            config_hash=parts.loaded.hash,
            calendar_hash=parts.calendar_hash,
            uptime_s=(now_ns - self._start_ns) / 1e9,
            boot_s=now_ns / 1e9,
            backlog_points=self._backlog(counts.undelivered),
            oldest_unsent_s=unsent_s,
            pending_points=counts.pending,
            quarantined_points=counts.quarantined,
            journal_bytes=counts.file_bytes,
            in_memory=int(parts.journal.in_memory),
            disk_free_bytes=self._disk_free_bytes(),
            allowance_left_bytes=_least(left.month_bytes for left in lefts),
            allowance_left_share=left_share,
            allowance_day_left_bytes=_least(left.day_bytes for left in lefts),
            clock_offset_ms=uplink.offset_ms,
            clock_poor=self._clock_poor(),
            allowance_low=int(left_share is not None and left_share < _LOW_SHARE),
            unsent_old=int(unsent_s is not None and unsent_s > _OLD_S),
            acked_le_2m=acknowledged.le_2m,
            acked_le_1h=acknowledged.le_1h,
            acked_le_1d=acknowledged.le_1d,
            acked_older=acknowledged.older,
            evicted=counts.evicted,
            uplink_bytes=uplink.sent_bytes + uplink.received_bytes,
            uplink_failures=uplink.failures,
        )

    def _backlog(self, undelivered: Mapping[str, int]) -> int:
        """Points owed to the first collector; all of them where there is none."""
        first = next(iter(self._parts.settings.collector_names()), None)
        return undelivered.get(first, 0) if first else 0

    def _age_s(self, moment_ns: int | None) -> float | None:
        if moment_ns is None:
            return None
        return max(0.0, (self._parts.clock.wall_ns() - moment_ns) / 1e9)

    def _clock_poor(self) -> int:
        state = self._parts.clock.state()
        error_ms = state.error_ms
        return int(
            not state.trusted or (error_ms is not None and error_ms > _POOR_CLOCK_MS)
        )

    def _disk_free_bytes(self) -> float | None:
        try:
            folder = self._parts.settings.journal.folder
            return float(shutil.disk_usage(folder).free)
        except OSError:
            return None

    def status(self, phase: str) -> Status:
        """What `status` and the live screen show."""
        parts = self._parts
        now_ns = parts.clock.boot_ns()
        totals = self._totals()
        state = parts.clock.state()
        uplink = parts.uplink.status()
        tally = parts.ledger.tally()
        return Status(
            version=__version__,
            pid=os.getpid(),
            station=parts.identity.station,
            device=parts.identity.device,
            phase=phase,
            written_ns=parts.clock.wall_ns(),
            boot_ns=now_ns,
            uptime_s=totals.uptime_s,
            journal=parts.journal.id,
            in_memory=parts.journal.in_memory,
            clock_synced=state.synced,
            clock_trusted=state.trusted,
            clock_error_ms=state.error_ms,
            collector=uplink.collector,
            collector_state=uplink.state,
            backlog_points=totals.backlog_points,
            oldest_unsent_s=totals.oldest_unsent_s,
            pending_points=totals.pending_points,
            quarantined_points=totals.quarantined_points,
            sent_points=uplink.acknowledged.all,
            stored_points=tally.stored,
            outcomes=dict(tally.outcomes),
            causes=dict(tally.causes),
            reasons=dict(tally.reasons),
            links=[self._link(link) for link in self._links],
            latest=parts.latests.all(),
            upcoming=self._upcoming(now_ns),
            paused=[f"{p.what} until {p.until()}" for p in parts.pauses.active()],
        )

    def _link(self, link: Link) -> LinkStatus:
        before, now = self._moved[link.name], link_bytes(link)
        judged = self._parts.assessment.judgement(link.name)
        left = self._parts.allowance_account.remaining(link.name)
        return LinkStatus(
            name=link.name,
            operator=link.operator,
            interface=interface_of(link),
            verdict=judged.name if judged else None,
            verdict_kpi=judged.figure.kpi if judged and judged.figure else None,
            moved_bytes=None if before is None or now is None else now - before,
            month_left_bytes=left.month_bytes,
            day_left_bytes=left.day_bytes,
            month_need_bytes=self._need_bytes(link, left),
        )

    def _need_bytes(self, link: Link, left: Remaining) -> int | None:
        """What the schedule will need until the reset, where there is a limit.

        Weeks of slots are counted for it, so it is kept for a while; a clock that was
        set, and a new month, ask for it anew.
        """
        if left.month_bytes is None:
            return None
        clock = self._parts.clock
        age_key = (clock.boot_ns() // _NEED_KEPT_NS, clock.wall_ns() // _NEED_KEPT_NS)
        known = self._needs.get(link.name)
        if known is None or known[0] != age_key:
            known = (age_key, self._forecast_bytes(link))
            self._needs[link.name] = known
        return known[1]

    def _forecast_bytes(self, link: Link) -> int:
        allowance = allowances(self._parts.settings)[link.name]
        station, now_ns = self._parts.station, self._parts.clock.wall_ns()
        demand = self._parts.demand()
        return until_reset(demand, link.name, station, allowance, now_ns).total_bytes

    def _upcoming(self, now_ns: int) -> list[Upcoming]:
        return [
            Upcoming(job.key, (due_ns - now_ns) / 1e9)
            for job, due_ns in self._schedule.upcoming()[:5]
        ]


def _share(left: Remaining) -> float | None:
    if left.month_bytes is None or not left.month_limit_bytes:
        return None
    return left.month_bytes / left.month_limit_bytes


def _least(values: Iterable[_Number | None]) -> _Number | None:
    return min((value for value in values if value is not None), default=None)
