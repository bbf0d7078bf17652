"""The census as a job: each minute, and later the minutes that were missed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from qos_agent.influx.writer import WriteError, Writer
from qos_agent.noc.census.census import Census, MinuteResult
from qos_agent.noc.service.report import Priority, Report, Step, utc_text
from qos_agent.noc.state import State

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CensusJob:
    """Takes the census and writes it; a minute counts as missed until it is written."""

    census: Census
    state: State
    writer: Writer
    catch_up_s: float

    def run(self, report: Report) -> None:
        """Take the census of the report's minute."""
        at_ns = report.at_ns
        earliest_ns = at_ns - int(self.catch_up_s * 1e9)
        if self.state.expect_census(self.census.servers, at_ns, earliest_ns):
            _log.warning(
                "census: skipping minutes before %s; they are older than "
                "census.catch_up",
                utc_text(earliest_ns),
            )
        result = self.census.take(at_ns)
        report.failed |= result.failed
        for province in self.census.servers:
            self._write(result, province, at_ns, report, report.failed)

    def due(self, report: Report) -> Step | None:
        """Return the step that takes the first missed minute, if there is one.

        Provinces with an error since the last whole minute wait for the next one.
        """
        waiting = report.failed.keys() | report.pending_failed.keys()
        missed = {
            province: minute_ns
            for province, minute_ns in self.state.missed().items()
            if province in self.census.servers and province not in waiting
        }
        if not missed:
            return None
        return Step(Priority.CENSUS, partial(self._catch_up, missed, report))

    def _catch_up(self, missed: Mapping[str, int], report: Report) -> None:
        minute_ns = min(missed.values())
        result = self.census.take(minute_ns, past=True)
        failed = report.pending_failed
        failed |= {p: error for p, error in result.failed.items() if p in missed}
        for province, first_ns in missed.items():
            if first_ns == minute_ns:
                self._write(result, province, minute_ns, report, failed)

    def _write(
        self,
        result: MinuteResult,
        province: str,
        minute_ns: int,
        report: Report,
        failed: dict[str, str],
    ) -> None:
        """Write a province's lines; after a success its minute is no longer missed."""
        if province in result.failed:
            return
        lines = result.lines.get(province, [])
        try:
            self.writer.write(lines)
        except WriteError as error:
            failed[province] = str(error)
            return
        report.written[province] += len(lines)
        self.state.counted(province, minute_ns)
