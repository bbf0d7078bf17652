"""Everything from which one province's census is calculated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qos_agent.noc.census.cache import Expected
from qos_agent.noc.census.named import HeardElsewhere
from qos_agent.noc.census.presence import Presence
from qos_agent.noc.census.queries import IMPAIRED
from qos_agent.noc.census.spans import Spans
from qos_agent.noc.census.verdict_counts import VerdictCounts
from qos_agent.noc.register.store import Entry, Register


@dataclass(frozen=True, slots=True)
class ProvinceInputs:
    """The facts of one province at one minute. Nothing more is read after them.

    `presence` and `entries` are by regency. `entries` are its registered stations. If
    counts were enough, they are only the stations with a problem.
    """

    province: str
    spans: Spans
    expected: Expected
    presence: Mapping[str, Presence]
    elsewhere: HeardElsewhere
    verdicts: VerdictCounts
    entries: Mapping[str, Mapping[str, Entry]]


def read_entries(
    register: Register,
    at_s: int,
    presence: Mapping[str, Presence],
    verdicts: VerdictCounts,
) -> dict[str, dict[str, Entry]]:
    """Return each regency's registered stations: all, or those with a problem.

    Reading all of them takes long, and counts need just the names that are reported.
    """
    entries: dict[str, dict[str, Entry]] = {}
    for code, regency in presence.items():
        if regency.last is not None:
            entries[code] = register.stations(code, at_s)
            continue
        not_good = verdicts.not_good.get(code, ())
        impaired = {link.station for link in not_good if link.verdict in IMPAIRED}
        stations = impaired | regency.call.absent.keys()
        entries[code] = register.some(code, stations, at_s)
    return entries
