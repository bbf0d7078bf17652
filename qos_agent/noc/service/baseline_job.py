"""The baseline as a job: once an hour for each province, one province at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from qos_agent.influx.query import QueryError, Server
from qos_agent.influx.writer import WriteError, Writer
from qos_agent.noc.rollup.baseline import baseline_lines
from qos_agent.noc.service.report import Priority, Report, Step

_HOUR_NS = 3600 * 10**9


@dataclass(frozen=True, slots=True)
class BaselineJob:
    """Writes the baseline; `_hours` has the last hour written of each province.

    All its work can wait, so it has no `run` for each minute as the other jobs have.
    """

    rollups: Server
    writer: Writer
    provinces: Sequence[str]
    back_s: float
    _hours: dict[str, int] = field(default_factory=dict)

    def due(self, report: Report) -> Step | None:
        """Return the step of the first province without this hour's baseline."""
        hour = report.at_ns // _HOUR_NS
        for province in self.provinces:
            is_written = self._hours.get(province) == hour
            if not is_written and province not in report.pending_failed:
                return Step(Priority.BASELINE, partial(self._write, province, report))
        return None

    def _write(self, province: str, report: Report) -> None:
        """Write the baseline of one province at the report's minute."""
        at_ns = report.at_ns
        try:
            lines = baseline_lines(self.rollups, province, at_ns, self.back_s)
            self.writer.write(lines)
        except (QueryError, WriteError) as error:
            report.pending_failed[province] = str(error)
            return
        report.written[province] += len(lines)
        self._hours[province] = at_ns // _HOUR_NS
