"""Records that the calculation of a report hands to the pages that show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["all", "random", "chosen", "unknown"]
# What a value describes: the registered stations of an area, or the measured ones.
Scope = Literal["population", "stations"]
Judgement = Literal["meets", "does not meet", "insufficient data", "no threshold"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """Stations of an area and stratum: in the register, selected, and heard of.

    `selection` says how the stations were selected. `silent` ones were selected and
    have no reading in the period. `weight` is the number of registered stations for
    which a reporting one stands; it is missing unless the selection is all or random.
    """

    level: str
    area: str | None
    stratum: str | None
    selection: Kind
    registered: int
    selected: int
    reporting: int
    silent: int
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """An indicator of two phases or two operators, at the same stations and hours.

    `difference` is second minus first. `low` and `high` are its 95 % interval. Without
    enough pairs, `difference` is missing. A report has `comparisons` of this kind,
    and `low_all` to `high_all` hold for all of them at once (Bonferroni).
    """

    indicator: str
    kind: Literal["phase", "operator"]
    area: str | None
    first: str
    second: str
    value_first: float | None
    value_second: float | None
    difference: float | None
    low: float | None
    high: float | None
    unit: str
    pairs: int
    stations: int
    status: str
    comparisons: int = 1
    low_all: float | None = None
    high_all: float | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """A trouble of a place, with both independent signs.

    Times are nanoseconds since 1970. `end_ns` is missing while the trouble goes on.
    `signs` names the measurements that show it.
    """

    incident_id: str
    area: str
    operator: str | None
    start_ns: int
    end_ns: int | None
    cause: str
    side: str
    stations: int
    of_stations: int
    signs: tuple[str, ...]
    ticket: str | None
    reported_ns: int | None
