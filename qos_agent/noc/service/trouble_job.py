"""The troubles as a job: read the facts of a minute, decide, write, and remember."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qos_agent.influx.query import Server
from qos_agent.influx.writer import Writer
from qos_agent.noc.census.voting_window import VotingWindow
from qos_agent.noc.register.store import Note, Register
from qos_agent.noc.service.report import Report
from qos_agent.noc.state import State
from qos_agent.noc.troubles.decide import decide
from qos_agent.noc.troubles.facts import read_facts
from qos_agent.noc.troubles.points import from_text, to_text

_MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class TroubleJob:
    """Decides on the troubles of each minute and writes them to the roll-ups.

    The state changes only after a successful write, so no end of a trouble is lost.
    """

    rollups: Server
    writer: Writer
    register: Register
    state: State
    voting: VotingWindow

    def run(self, report: Report) -> None:
        """Write the troubles and the watermark. Raises QueryError, WriteError."""
        facts = read_facts(self.rollups, report.at_ns)
        before = {t.key: t for t in map(from_text, self.state.troubles())}
        decision = decide(facts, before, self.voting, self._notes(report.at_ns))
        self.writer.write(decision.lines)
        self.state.replace_troubles(map(to_text, decision.troubles.values()))

    def _notes(self, at_ns: int) -> Sequence[Note]:
        """Return the notes in effect up to now, so that one counts within a minute."""
        return self.register.notes(at_ns // 10**9 + _MINUTE_S - 1)
