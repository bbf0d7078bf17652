"""The roll-out as a job: stations with a code, a device and an acceptance, by province.

It is written once an hour, into the point of the hour that also has the counts of the
census. A centre without provisioning has no ledger, and its counts are missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from qos_agent.influx.query import QueryError, Server, between, word
from qos_agent.influx.writer import WriteError, Writer
from qos_agent.model import Record
from qos_agent.model.errors import StorageError
from qos_agent.model.line_protocol import encode
from qos_agent.noc.provision.ledger import FILE_NAME, Ledger, State
from qos_agent.noc.service.report import Priority, Report, Step

_HOUR_NS = 3600 * 10**9
# Devices are installed in the months before the vote.
_BACK_NS = 180 * 86400 * 10**9


@dataclass(frozen=True, slots=True)
class RolloutJob:
    """Writes the roll-out; `_hours` has the last hour written of each province."""

    servers: Mapping[str, Server]
    writer: Writer
    folder: Path
    _hours: dict[str, int] = field(default_factory=dict)

    def due(self, report: Report) -> Step | None:
        """Return the step of the first province without this hour's counts."""
        hour = report.at_ns // _HOUR_NS
        for province in self.servers:
            is_written = self._hours.get(province) == hour
            if not is_written and province not in report.pending_failed:
                return Step(Priority.ROLLOUT, partial(self._write, province, report))
        return None

    def _write(self, province: str, report: Report) -> None:
        hour = report.at_ns // _HOUR_NS
        try:
            counts = self._issued(province)
            counts["accepted"] = _accepted(
                self.servers[province], province, report.at_ns
            )
            point = Record(
                "rollout", {"province": province}, {**counts}, hour * _HOUR_NS
            )
            self.writer.write([encode(point)])
        except (QueryError, WriteError, StorageError) as error:
            report.pending_failed[province] = str(error)
            return
        report.written[province] += 1
        self._hours[province] = hour

    def _issued(self, province: str) -> dict[str, int]:
        """Return the stations with a code, and those with a device, from the ledger."""
        path = self.folder / FILE_NAME
        if not path.exists():
            return {}
        ledger = Ledger(path)
        try:
            states = ledger.counts_of(province)
        finally:
            ledger.close()
        used = states.get(State.USED, 0)
        return {"provisioned": states.get(State.ISSUED, 0) + used, "enrolled": used}


def _accepted(server: Server, province: str, at_ns: int) -> int:
    """Return the number of stations that a technician has set up."""
    first = (
        'SELECT FIRST("count") AS "one" FROM "event" WHERE "kind" = \'acceptance\' '
        f'AND "province" = {word(province)} AND {between(at_ns - _BACK_NS, at_ns)} '
        'GROUP BY "station"'
    )
    answers = server.select(f'SELECT COUNT("one") AS "n" FROM ({first})')
    return sum(row.count("n") for row in answers)
