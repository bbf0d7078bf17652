"""The parts of an agent, made from its configuration and wired to each other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from qos_agent.agent.events import one_line
from qos_agent.agent.ledger import Ledger
from qos_agent.agent.recorder import Recorder
from qos_agent.agent.status import LatestReadings
from qos_agent.config import calendar_file
from qos_agent.config.loading import Loaded
from qos_agent.config.settings import JournalSection, Settings
from qos_agent.journal import Journal, JournalLimits
from qos_agent.model import Clock, Identity, Phase, Probe, Reading
from qos_agent.model.calendar import StationCalendar
from qos_agent.probes.envelope import Envelope
from qos_agent.probes.registry import make_probes
from qos_agent.schedule import allowance_account
from qos_agent.schedule.allowance_account import AllowanceAccount
from qos_agent.schedule.allowance_forecast import Demand
from qos_agent.schedule.control import Pauses
from qos_agent.schedule.jobs import jobs
from qos_agent.schedule.runner import Runner, link_bytes
from qos_agent.system.link_lock import LinkLock
from qos_agent.uplink import Uplink
from qos_agent.verdict.monitor import LinkMonitor

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Components:
    """Everything an agent is made of, but for its schedule and its loop."""

    loaded: Loaded
    clock: Clock
    identity: Identity
    calendar_hash: str | None
    station: StationCalendar
    probes: Mapping[str, Probe]
    journal: Journal
    ledger: Ledger
    latests: LatestReadings
    assessment: LinkMonitor
    allowance_account: AllowanceAccount
    pauses: Pauses
    runner: Runner
    recorder: Recorder
    uplink: Uplink

    @property
    def settings(self) -> Settings:
        """The configuration in force."""
        return self.loaded.settings

    def demand(self) -> Demand:
        """What the schedule moves at the worst."""
        return demand(self.settings, self.probes)


def demand(settings: Settings, probes: Mapping[str, Probe]) -> Demand:
    """What the schedule of a configuration moves at the worst."""
    worst = {name: probe.worst_case_bytes() for name, probe in probes.items()}
    return Demand(lambda phase: jobs(settings, phase), worst)


def build(loaded: Loaded, clock: Clock, stop: threading.Event) -> Components:
    """Make the parts. Raises OperatorError where another agent has the journal."""
    settings = loaded.settings
    identity = settings.identity()
    calendar = calendar_file.named(settings.election.calendar)
    station = StationCalendar(calendar.timeline(identity), ZoneInfo(identity.time_zone))
    journal = _journal(settings, identity, station)
    ledger, link_lock = Ledger(), LinkLock()
    assessment = LinkMonitor(settings, journal, clock.boot_id)
    purse = AllowanceAccount(
        journal,
        allowance_account.allowances(settings),
        clock,
        identity.time_zone,
        station.timeline,
        assessment.roaming,
    )
    uplink = Uplink(journal, purse, settings, clock, stop, link_lock)
    probes = make_probes(settings)
    pauses = Pauses(settings.runtime_folder(), clock)
    envelope = Envelope(clock, stop)

    def committed(readings: Sequence[Reading]) -> None:
        for reading in readings:
            _log.info("%s", one_line(reading))
        uplink.wake()

    return Components(
        loaded,
        clock,
        identity,
        calendar.hash,
        station,
        probes,
        journal,
        ledger,
        LatestReadings(),
        assessment,
        purse,
        pauses,
        Runner(probes, envelope, link_lock, purse, pauses.holds, link_bytes),
        Recorder(journal, identity, clock, ledger, committed),
        uplink,
    )


def _journal(
    settings: Settings, identity: Identity, station: StationCalendar
) -> Journal:
    section = settings.journal
    names = settings.collector_names()

    def phase_at(wall_ns: int) -> Phase:
        return station.timeline.phase_at(wall_ns)

    return Journal.open(section.folder, identity, names, phase_at, _limits(section))


def _limits(section: JournalSection) -> JournalLimits:
    return JournalLimits(
        size_bytes=section.size_limit,
        disk_reserve_bytes=section.disk_reserve,
        keep_s=section.keep,
        age_s=section.age_limit,
        hold_s=section.clock_hold,
    )
