"""Groups of readings with their sums: an area, an operator and a phase."""

from __future__ import annotations

from dataclasses import dataclass

from qos_agent.report.estimates import Sums
from qos_agent.report.frame import Stratum


@dataclass(frozen=True, slots=True)
class Group:
    """An area with an operator and a phase; None stands for all of them."""

    level: str
    area: str | None
    operator: str | None
    phase: str | None


@dataclass(frozen=True, slots=True)
class InStratum:
    """The part of a group that is in one stratum; `stratum` is None if none is known.

    `bins` has the sums of each numerator. `missing` stations were selected and have no
    sample.
    """

    stratum: Stratum | None
    bins: tuple[Sums, ...]
    missing: int


@dataclass(frozen=True, slots=True)
class GroupSums:
    """The sums of one term in a group, and of each stratum of the register in it.

    A term has one numerator, or one for each bound of a distribution. `stations` have a
    sample. `excluded` readings had impossible values. `slots` have a sample, and
    `missing_slots` have none; `flagged` ones of these are doubtful. A group describes
    the population if all its strata were selected at random.
    """

    name: str
    group: Group
    strata: tuple[InStratum, ...]
    is_population: bool
    stations: int
    readings: int
    excluded: int
    slots: int
    missing_slots: int
    flagged: int

    @property
    def sums(self) -> Sums:
        """The sums of the first numerator."""
        return self.bins[0]

    @property
    def bins(self) -> tuple[Sums, ...]:
        """The sums of all numerators, over all strata."""
        first, *others = (part.bins for part in self.strata)
        for other in others:
            first = tuple(a + b for a, b in zip(first, other, strict=True))
        return first

    @property
    def missing_stations(self) -> int:
        """The number of selected stations without a sample."""
        return sum(part.missing for part in self.strata)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Slots of a measurement in an area, with the code of their cause or reason."""

    level: str
    area: str | None
    measurement: str
    outcome: str
    code: str | None
    slots: int
    stations: int
