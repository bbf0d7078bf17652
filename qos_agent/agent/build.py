"""Builds the components of an agent from its configuration and connects them."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from qos_agent.agent import sealing
from qos_agent.agent.ledger import Ledger
from qos_agent.agent.log_line import log_fields, log_line
from qos_agent.agent.recorder import Recorder
from qos_agent.agent.remote.making import make_watch
from qos_agent.agent.remote.pauses import CentrePauses
from qos_agent.agent.remote.watch import RemoteWatch
from qos_agent.agent.sealing import Sealer
from qos_agent.agent.status import LatestReadings
from qos_agent.config import calendar_file
from qos_agent.config.loading import Loaded
from qos_agent.config.settings import JournalSection, Settings
from qos_agent.evidence.keys import key_path
from qos_agent.journal import Journal, JournalLimits
from qos_agent.model import Clock, Identity, Phase, Probe, Reading
from qos_agent.model.calendar import StationCalendar
from qos_agent.probes import registry
from qos_agent.probes.envelope import Envelope
from qos_agent.schedule.allowance_account import AllowanceAccount, allowances
from qos_agent.schedule.allowance_forecast import Demand
from qos_agent.schedule.control import Pauses
from qos_agent.schedule.jobs import jobs
from qos_agent.schedule.runner import Runner, link_count
from qos_agent.system.link_lock import LinkLock
from qos_agent.uplink import Uplink
from qos_agent.verdict.monitor import LinkMonitor

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Components:
    """All components of an agent except its schedule and its main loop."""

    loaded: Loaded
    clock: Clock
    identity: Identity
    calendar_hash: str | None
    station: StationCalendar
    probes: Mapping[str, Probe]
    journal: Journal
    ledger: Ledger
    latest_readings: LatestReadings
    monitor: LinkMonitor
    allowance_account: AllowanceAccount
    pauses: Pauses
    runner: Runner
    recorder: Recorder
    uplink: Uplink
    sealer: Sealer
    centre_pauses: CentrePauses
    remote: RemoteWatch | None

    @property
    def settings(self) -> Settings:
        """The configuration in force."""
        return self.loaded.settings

    def demand(self) -> Demand:
        """Return the data demand of the schedule."""
        return demand(self.settings, self.probes)


def demand(settings: Settings, probes: Mapping[str, Probe]) -> Demand:
    """Return the data demand of a configuration's schedule.

    It is the usual data of a task if the probe knows it, else the worst case.
    """
    worst_case_bytes = {
        name: probe.worst_case_bytes() for name, probe in probes.items()
    }
    return Demand(
        lambda phase: jobs(settings, phase),
        worst_case_bytes,
        lambda probe, link: registry.usual_bytes(probes.get(probe), link),
    )


def build(loaded: Loaded, clock: Clock, stop: threading.Event) -> Components:
    """Build the components. Raises OperatorError if another agent has the journal."""
    settings = loaded.settings
    identity = settings.identity()
    calendar = calendar_file.named(settings.election.calendar)
    station = StationCalendar(calendar.timeline(identity), ZoneInfo(identity.time_zone))
    probes = registry.make_probes(settings)
    folder = settings.journal.folder
    path = key_path(folder, os.environ)
    journal = _journal(settings, identity, station, registry.eviction_ranks(probes))
    registry.learn_in(probes, journal)
    ledger, link_lock = Ledger(), LinkLock()
    monitor = LinkMonitor(settings, journal, clock.boot_id)
    account = AllowanceAccount(
        ledger=journal,
        allowances=allowances(settings),
        clock=clock,
        zone=identity.time_zone,
        timeline=station.timeline,
        roaming=monitor.roaming,
    )
    uplink = Uplink(journal, account, settings, clock, stop, link_lock)
    pauses = Pauses(settings.runtime_folder(), clock)
    centre_pauses = CentrePauses(identity, clock, journal.last_time_ns)

    def committed(readings: Sequence[Reading]) -> None:
        for reading in readings:
            line = log_line(reading, registry.LOG_FIELDS)
            _log.info("%s", line, extra={"fields": log_fields(reading)})
        uplink.wake()

    return Components(
        loaded=loaded,
        clock=clock,
        identity=identity,
        calendar_hash=calendar.hash,
        station=station,
        probes=probes,
        journal=journal,
        ledger=ledger,
        latest_readings=LatestReadings(registry.STATUS_FIELDS),
        monitor=monitor,
        allowance_account=account,
        pauses=pauses,
        runner=Runner(
            probes=probes,
            envelope=Envelope(clock, stop),
            link_lock=link_lock,
            account=account,
            paused=pauses.is_paused,
            paused_by_centre=centre_pauses.is_paused,
            count_bytes=link_count,
        ),
        recorder=Recorder(journal, identity, clock, ledger, committed),
        uplink=uplink,
        sealer=sealing.load(journal, identity.device, folder, path),
        centre_pauses=centre_pauses,
        remote=make_watch(loaded, clock, account, uplink, centre_pauses, stop),
    )


def _journal(
    settings: Settings,
    identity: Identity,
    station: StationCalendar,
    eviction_ranks: Mapping[str, int],
) -> Journal:
    section = settings.journal

    def phase_at(wall_ns: int) -> Phase:
        return station.timeline.phase_at(wall_ns)

    return Journal.open(
        folder=section.folder,
        identity=identity,
        collectors=settings.collector_names(),
        phase_at=phase_at,
        limits=_limits(section, max(map(settings.uplink.delivery_s, Phase))),
        eviction_ranks=eviction_ranks,
        anchor=sealing.anchor(section.folder),
    )


# A request and a retry after the points were due.
_FRESH_S = 120.0


def _limits(section: JournalSection, delivery_s: float) -> JournalLimits:
    """Return the limits; points that wait for their delivery are no backlog."""
    return JournalLimits(
        size_bytes=section.size_limit,
        disk_reserve_bytes=section.disk_reserve,
        keep_s=section.keep,
        age_s=section.age_limit,
        hold_s=section.clock_hold,
        fresh_s=_FRESH_S + delivery_s,
    )
