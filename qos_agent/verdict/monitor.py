"""Every link judged once a cycle: its verdict, its incidents, whether it is roaming.

Readings come from the threads that measure, the cycle from the agent's loop.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from qos_agent.config.settings import Settings
from qos_agent.model import Link, Phase, Reading
from qos_agent.verdict.baseline import BaselineStore, Memory
from qos_agent.verdict.incidents import Incidents, Now
from qos_agent.verdict.judge import Judge, Judgement, rules


@dataclass(slots=True)
class LinkState:
    """One link: who judges it, its outages, and what was last known."""

    link: Link
    judge: Judge
    incidents: Incidents
    judgement: Judgement | None = None
    roaming: bool | None = None


class LinkMonitor:
    """The verdicts and incidents of all links. For all threads."""

    def __init__(self, settings: Settings, memory: Memory, boot_id: str) -> None:
        self._lock = threading.Lock()
        by = rules(settings)
        device, outage_s = settings.station.device, settings.verdict.outage_after
        self._uplink = settings.uplink_link()
        self._cases = {
            link.name: LinkState(
                link,
                Judge(link, by, BaselineStore(link.name, memory)),
                Incidents(link, device, boot_id, memory, outage_s),
            )
            for link in settings.link_list()
        }

    def observe(self, reading: Reading) -> None:
        """Take in a reading of any measurement and any link."""
        with self._lock:
            for case in self._cases.values():
                case.judge.observe(reading)
                case.incidents.observe(reading)
            if reading.measurement == "signal":
                self._note_roaming(reading)

    def cycle(self, now: Now, phase: Phase, uplink_failing: bool) -> Sequence[Reading]:
        """The verdict of each link, and what opened or closed."""
        readings: list[Reading] = []
        with self._lock:
            self._cases[self._uplink].incidents.uplink(uplink_failing, now.boot_ns)
            for case in self._cases.values():
                judged = case.judgement = case.judge.cycle(now.boot_ns, phase)
                readings.append(judged.reading())
                readings += case.incidents.cycle(now, judged.available, judged.side)
        return readings

    def judgement(self, link: str) -> Judgement | None:
        """What a link was judged to be in the last cycle."""
        return self._cases[link].judgement

    def roaming(self, link: str) -> bool | None:
        """Whether a link is in a foreign network; None where no modem says so."""
        return self._cases[link].roaming

    def close(self) -> None:
        """Keep the baselines, before an orderly stop."""
        with self._lock:
            for case in self._cases.values():
                case.judge.close()

    def _note_roaming(self, reading: Reading) -> None:
        for sample in reading.samples:
            case = self._cases.get(sample.tags.get("link", ""))
            said = sample.fields.get("roaming")
            if case is not None and said is not None:
                case.roaming = bool(said)
