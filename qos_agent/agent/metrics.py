"""The agent's own metrics: figures of the heartbeat, and the status for people.

This module reads every component and changes none.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from qos_agent import __version__
from qos_agent.agent.build import Components
from qos_agent.agent.events import HeartbeatFigures
from qos_agent.agent.link_traffic import LinkTraffic, increase
from qos_agent.agent.remote.pauses import described
from qos_agent.agent.status import LinkStatus, Status, Upcoming
from qos_agent.model import Link
from qos_agent.schedule.allowance import Remaining
from qos_agent.schedule.allowance_account import allowances
from qos_agent.schedule.allowance_forecast import until_reset
from qos_agent.schedule.runner import link_count
from qos_agent.schedule.scheduler import Schedule
from qos_agent.system.network import interface_of

_Number = TypeVar("_Number", int, float)

# A heartbeat has the difference to the previous one for these, so that they can be
# summed over heartbeats.
_DIFFERENCES = (
    "acked_le_2m",
    "acked_le_1h",
    "acked_le_1d",
    "acked_older",
    "evicted",
    "uplink_bytes",
    "uplink_failures",
    "remote_refused",
)
# Limits from which a heartbeat flags a station that needs attention.
_LOW_SHARE = 0.1
_POOR_CLOCK_MS = 1000.0
_OLD_S = 3600.0
# A forecast counts weeks of slots, so it is reused for ten minutes.
_FORECAST_NS = 600 * 10**9
_UPCOMING_TASKS = 5


class Metrics:
    """Reads the components and keeps the totals of the previous heartbeat."""

    def __init__(self, components: Components, schedule: Schedule) -> None:
        self._components = components
        self._schedule = schedule
        self._start_ns = components.clock.boot_ns()
        self._links = components.settings.link_list()
        self._traffic = {
            link.name: LinkTraffic(link, link_count) for link in self._links
        }
        self._forecasts: dict[str, tuple[tuple[int, int], int]] = {}
        self._previous = self._totals()

    def heartbeat_figures(self) -> HeartbeatFigures:
        """Return the figures of a heartbeat, with counts since the previous call."""
        totals = self._totals()
        previous, self._previous = self._previous, totals
        differences: dict[str, Any] = {
            name: increase(getattr(previous, name), getattr(totals, name))
            for name in _DIFFERENCES
        }
        return replace(totals, **differences)

    def _totals(self) -> HeartbeatFigures:
        """Return the figures with counts since the start."""
        components = self._components
        now_ns = components.clock.boot_ns()
        counts = components.journal.counts()
        uplink = components.uplink.status()
        acknowledged = uplink.acknowledged
        account = components.allowance_account
        remaining = [account.remaining(link.name) for link in self._links]
        left_share = _minimum(link.month_share() for link in remaining)
        unsent_s = self._age_s(counts.oldest_unsent_ns)
        return HeartbeatFigures(
            version=__version__,
            config_hash=components.loaded.hash,
            calendar_hash=components.calendar_hash,
            uptime_s=(now_ns - self._start_ns) / 1e9,
            boot_s=now_ns / 1e9,
            backlog_points=self._backlog(counts.undelivered),
            oldest_unsent_s=unsent_s,
            pending_points=counts.pending,
            quarantined_points=counts.quarantined,
            journal_bytes=counts.file_bytes,
            in_memory=int(components.journal.in_memory),
            disk_free_bytes=self._disk_free_bytes(),
            allowance_left_bytes=_minimum(link.month_bytes for link in remaining),
            allowance_left_share=left_share,
            allowance_day_left_bytes=_minimum(link.day_bytes for link in remaining),
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
            delivery_s=components.uplink.delivery_s,
            collector_full=int(uplink.full),
            collector_insecure=int(components.settings.sends_token_openly()),
            **self._remote(now_ns),
        )

    def _remote(self, now_ns: int) -> dict[str, Any]:
        """Return the figures of the remote configuration; none without one."""
        watch, remote = self._components.remote, self._components.loaded.remote
        if watch is None:
            return {}
        state = watch.state
        checked_ns = state.checked_boot_ns
        return {
            "remote_version": remote.version if remote else 0,
            "remote_hash": remote.hash if remote else None,
            "remote_seen": state.seen,
            "remote_checked_s": checked_ns and (now_ns - checked_ns) / 1e9,
            "remote_refused": state.refused,
            "remote_expired": int(state.expired),
        }

    def _backlog(self, undelivered: Mapping[str, int]) -> int:
        """Return the points that the first collector has not acknowledged yet."""
        first = next(iter(self._components.settings.collector_names()), None)
        return undelivered.get(first, 0) if first else 0

    def _age_s(self, time_ns: int | None) -> float | None:
        if time_ns is None:
            return None
        return max(0.0, (self._components.clock.wall_ns() - time_ns) / 1e9)

    def _clock_poor(self) -> int:
        state = self._components.clock.state()
        error_ms = state.error_ms
        return int(
            not state.trusted or (error_ms is not None and error_ms > _POOR_CLOCK_MS)
        )

    def _disk_free_bytes(self) -> float | None:
        try:
            folder = self._components.settings.journal.folder
            return float(shutil.disk_usage(folder).free)
        except OSError:
            return None

    def status(self, phase: str) -> Status:
        """Return the state that `status` and the live screen show."""
        components = self._components
        clock_state = components.clock.state()
        uplink = components.uplink.status()
        tally = components.ledger.tally()
        pauses = components.pauses.active()
        return Status(
            pid=os.getpid(),
            station=components.identity.station,
            device=components.identity.device,
            phase=phase,
            written_ns=components.clock.wall_ns(),
            boot_ns=components.clock.boot_ns(),
            journal=components.journal.id,
            clock_synced=clock_state.synced,
            clock_trusted=clock_state.trusted,
            clock_error_ms=clock_state.error_ms,
            collector=self._server_of(uplink.collector),
            collector_state=uplink.state,
            collector_error=uplink.error,
            sent_points=uplink.acknowledged.all,
            stored_points=tally.stored,
            outcomes=dict(tally.outcomes),
            causes=dict(tally.causes),
            reasons=dict(tally.reasons),
            figures=self._totals(),
            links=[self._link(link) for link in self._links],
            latest=components.latest_readings.all(),
            upcoming=self._upcoming(),
            sealed_size=components.sealer.state.size,
            not_sealed=components.sealer.state.problem,
            paused=[
                *(f"{pause.what} until {pause.until()}" for pause in pauses),
                *map(described, components.centre_pauses.active()),
            ],
        )

    def _server_of(self, collector: str | None) -> str | None:
        """Return host and port of a collector, which is a section of the settings."""
        if collector is None:
            return None
        section = getattr(self._components.settings, collector)
        return urlsplit(str(section.url)).netloc.rpartition("@")[2]

    def _link(self, link: Link) -> LinkStatus:
        judgement = self._components.monitor.judgement(link.name)
        figure = judgement.figure if judgement else None
        remaining = self._components.allowance_account.remaining(link.name)
        return LinkStatus(
            name=link.name,
            operator=link.operator,
            interface=interface_of(link),
            verdict=judgement.name if judgement else None,
            verdict_kpi=figure.kpi if figure else None,
            moved_bytes=self._traffic[link.name].moved_bytes(),
            month_left_bytes=remaining.month_bytes,
            day_left_bytes=remaining.day_bytes,
            month_need_bytes=self._need_bytes(link, remaining),
        )

    def _need_bytes(self, link: Link, remaining: Remaining) -> int | None:
        """Return the forecast until the month ends, or None without a limit.

        A forecast is computed again after ten minutes and after a step of the clock.
        """
        if remaining.month_bytes is None:
            return None
        clock = self._components.clock
        key = (clock.boot_ns() // _FORECAST_NS, clock.wall_ns() // _FORECAST_NS)
        forecast = self._forecasts.get(link.name)
        if forecast is None or forecast[0] != key:
            forecast = (key, self._forecast_bytes(link))
            self._forecasts[link.name] = forecast
        return forecast[1]

    def _forecast_bytes(self, link: Link) -> int:
        components = self._components
        allowance = allowances(components.settings)[link.name]
        return until_reset(
            components.demand(),
            link.name,
            components.station,
            allowance,
            components.clock.wall_ns(),
        ).total_bytes

    def _upcoming(self) -> list[Upcoming]:
        now_ns = self._components.clock.boot_ns()
        return [
            Upcoming(job.key, (due_ns - now_ns) / 1e9)
            for job, due_ns in self._schedule.upcoming()[:_UPCOMING_TASKS]
        ]


def _minimum(values: Iterable[_Number | None]) -> _Number | None:
    return min((value for value in values if value is not None), default=None)
