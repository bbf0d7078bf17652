"""Judges every link once a cycle: verdict, incidents, roaming.

Readings come from the threads that measure, and the cycle from the agent's main loop.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from qos_agent.config.settings import Settings
from qos_agent.model import Link, Phase, Reading
from qos_agent.model.types import Memory
from qos_agent.verdict.baseline import BaselineStore
from qos_agent.verdict.incidents import Incidents, Now
from qos_agent.verdict.judge import Judge, Judgement, rules


@dataclass(slots=True)
class LinkState:
    """One link: its judge, its incidents, the last judgement and roaming state."""

    link: Link
    judge: Judge
    incidents: Incidents
    judgement: Judgement | None = None
    roaming: bool | None = None


class LinkMonitor:
    """The verdicts and incidents of all links. Thread-safe."""

    def __init__(self, settings: Settings, memory: Memory, boot_id: str) -> None:
        self._lock = threading.Lock()
        judging_rules = rules(settings)
        device, outage_s = settings.station.device, settings.verdict.outage_after
        self._uplink = settings.uplink_link()
        self._links = {
            link.name: LinkState(
                link,
                Judge(link, judging_rules, BaselineStore(link.name, memory)),
                Incidents(link, device, boot_id, memory, outage_s),
            )
            for link in settings.link_list()
        }

    def observe(self, reading: Reading) -> None:
        """Process a reading of any measurement and any link."""
        with self._lock:
            for state in self._links.values():
                state.judge.observe(reading)
                state.incidents.observe(reading)
            if reading.measurement == "signal":
                self._note_roaming(reading)

    def cycle(self, now: Now, phase: Phase, uplink_failing: bool) -> Sequence[Reading]:
        """Return the verdict of each link, and the incidents that began or ended."""
        readings: list[Reading] = []
        with self._lock:
            self._links[self._uplink].incidents.uplink(uplink_failing, now.boot_ns)
            for state in self._links.values():
                judgement = state.judgement = state.judge.cycle(now.boot_ns, phase)
                readings.append(judgement.reading())
                readings += state.incidents.cycle(
                    now, judgement.available, judgement.side
                )
        return readings

    def judgement(self, link: str) -> Judgement | None:
        """Return the judgement of a link in the last cycle."""
        return self._links[link].judgement

    def roaming(self, link: str) -> bool | None:
        """Return True if a link roams, or None if no modem reports it."""
        return self._links[link].roaming

    def close(self) -> None:
        """Store the baselines before an orderly stop."""
        with self._lock:
            for state in self._links.values():
                state.judge.close()

    def _note_roaming(self, reading: Reading) -> None:
        for sample in reading.samples:
            state = self._links.get(sample.tags.get("link", ""))
            roaming = sample.fields.get("roaming")
            if state is not None and roaming is not None:
                state.roaming = bool(roaming)
