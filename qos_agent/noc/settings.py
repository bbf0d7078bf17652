"""The configuration of the operations centre: a TOML file of its own.

One or more collectors hold the agents' points, each for its provinces; one database
takes the roll-ups and the census. Tokens are read from files, and again when a server
no longer knows one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from qos_agent.config import toml_file
from qos_agent.config.faults import invalid, validated
from qos_agent.config.settings import CollectorSection, ElectionSection
from qos_agent.config.types import Duration, ProvinceCode, Section

DEFAULT_PATH = Path("/etc/qos-agent/noc.toml")


class ShardSection(CollectorSection):
    """A database with agents' points, and the provinces it holds; none is all."""

    provinces: tuple[ProvinceCode, ...] = ()


class RollupSection(CollectorSection):
    """The database that takes the roll-ups and the census."""

    bucket: str = "qos-rollup"


class CensusSection(Section):
    """When a station is late or silent, and how much is said of it."""

    late: Duration = Field(120.0, description="by measured time of its heartbeats")
    silent: Duration = Field(300.0, description="the same")
    verdict_age: Duration = Field(660.0, description="older verdicts are not counted")
    lookback: Duration = Field(
        2 * 86400.0, description="how far back to look for who was heard last"
    )
    roll_call: Duration = Field(900.0, description="names are read at least so often")
    exceptions: int = Field(
        20, ge=0, le=10_000, description="stations named in each regency, worst first"
    )
    catch_up: Duration = Field(6 * 3600.0, description="missed minutes made good")
    area_share: float = Field(
        0.05, gt=0, le=1, description="of the stations: an area is as bad as these"
    )
    outage_share: float = Field(
        0.3, gt=0, le=1, description="of an operator's stations: it is down from here"
    )
    outage_min: int = Field(3, ge=1, description="stations, at the least, for that")
    baseline: Duration = Field(
        7 * 86400.0, description="how far back links are compared with themselves"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.late < self.silent < self.lookback:
            raise invalid(
                "late must be less than silent, and silent less than lookback"
            )
        return self


class RollupsSection(Section):
    """How often sums are made again, so that what comes late is counted."""

    settle: Duration = Field(180.0, description="made each minute, back so far")
    again: tuple[Duration, ...] = Field(
        (600.0, 3600.0), description="made again when they are so old"
    )
    back: Duration = Field(
        7 * 86400.0, description="made again daily, back so far at the least"
    )
    span: Duration = Field(600.0, description="of one query, in a province")
    load: float = Field(
        0.5, gt=0, le=1, description="share of time in which old sums are made again"
    )
    raw_keep: Duration | None = Field(
        None, description="retention of raw points, where the server does not tell"
    )
    dispute: Duration = Field(
        180 * 86400.0, description="raw points are needed for so long"
    )


class NocSettings(Section):
    """All there is to configure at the operations centre."""

    folder: Path = Field(
        Path("qos-noc"), description="register.sqlite3 and census.sqlite3"
    )
    collectors: tuple[ShardSection, ...] = ()
    rollup: RollupSection = RollupSection()
    election: ElectionSection = ElectionSection()
    census: CensusSection = CensusSection()
    rollups: RollupsSection = RollupsSection()

    @model_validator(mode="after")
    def _one_collector_a_province(self) -> Self:
        named = [code for shard in self.collectors for code in shard.provinces]
        twice = sorted({code for code in named if named.count(code) > 1})
        rest = [shard for shard in self.collectors if not shard.provinces]
        if twice or len(rest) > 1:
            raise invalid(
                "each province must have one collector, and at most one collector "
                "may be without provinces",
                key="collectors",
                found=f"provinces of two collectors: {', '.join(twice)}"
                if twice
                else f"{len(rest)} collectors without provinces",
                fix="edit provinces of the collectors",
            )
        return self

    def shard_of(self, province: str) -> ShardSection | None:
        """The collector that holds a province's points; None where there is none."""
        own = [shard for shard in self.collectors if province in shard.provinces]
        rest = [shard for shard in self.collectors if not shard.provinces]
        return next(iter([*own, *rest]), None)


def load(path: Path | None) -> NocSettings:
    """Read the settings in a file: the named one, else the installed one.

    Without a file, the settings are the defaults. Raises InvalidConfigError with a
    line for each error.
    """
    if path is None:
        path = DEFAULT_PATH if DEFAULT_PATH.exists() else None
    table = toml_file.read(path) if path else {}
    return validated(NocSettings, table, lambda _: str(path))
