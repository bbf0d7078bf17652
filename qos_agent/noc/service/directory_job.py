"""The directory of stations as a job, so that boards can find one by code or name.

It is written once a day for today and tomorrow, and again if the register changes. A
point has the regency as its tag. The station is a field, so that a nation's directory
has 514 series only. Within a regency the time separates the stations: it is the local
midnight in Jakarta plus the digits of the code in nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from qos_agent.influx.writer import WriteError, Writer
from qos_agent.model import Record, Value
from qos_agent.model.line_protocol import encode, one_line
from qos_agent.noc.register.store import Entry, Register
from qos_agent.noc.service.report import Priority, Report, Step

DAY_NS = 86400 * 10**9
# Midnight in Jakarta is 17:00 UTC of the day before.
_MIDNIGHT_NS = 7 * 3600 * 10**9
# The digits of a code after its regency. They are less than a second in nanoseconds.
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class DirectoryJob:
    """Writes the directory; `_written` has what was written of each province."""

    register: Register
    writer: Writer
    provinces: Sequence[str]
    _written: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)

    def due(self, report: Report) -> Step | None:
        """Return the step of the first province that lacks today's or tomorrow's."""
        today = (report.at_ns + _MIDNIGHT_NS) // DAY_NS
        change = self.register.last_change()
        for day in (today, today + 1):
            for province in self.provinces:
                is_written = self._written.get((province, day)) == change
                if not is_written and province not in report.pending_failed:
                    run = partial(self._write, province, day, change, report)
                    return Step(Priority.DIRECTORY, run)
        return None

    def _write(
        self, province: str, day: int, change: tuple[int, int], report: Report
    ) -> None:
        at_s = report.at_ns // 10**9
        codes = (c for c in self.register.expected(at_s) if c[:2] == province)
        from_ns = day * DAY_NS - _MIDNIGHT_NS
        lines = [
            _line(entry, from_ns)
            for code in codes
            for entry in self.register.stations(code, at_s).values()
        ]
        try:
            self.writer.write(lines)
        except WriteError as error:
            report.pending_failed[province] = str(error)
            return
        report.written[province] += len(lines)
        self._written[province, day] = change


def _line(entry: Entry, from_ns: int) -> bytes:
    """Return the point of a station; empty texts are left out."""
    texts = dict(_texts(entry))
    fields: dict[str, Value] = {name: text for name, text in texts.items() if text}
    tags = {"province": entry.province, "regency": entry.regency}
    time_ns = from_ns + int(entry.code[-_DIGITS:])
    return encode(Record("directory", tags, fields, time_ns))


def _texts(entry: Entry) -> Iterator[tuple[str, str]]:
    yield "station", entry.code
    yield "name", one_line(entry.name)
    yield "contact", one_line(entry.contact or "")
    yield "operator", ", ".join(sorted(entry.operators))
    tickets = {ticket for _, _, ticket in entry.links if ticket}
    yield "ticket", one_line(", ".join(sorted(tickets)))
