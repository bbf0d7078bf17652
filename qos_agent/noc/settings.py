"""The configuration of the operations centre: a TOML file of its own.

One or more collectors hold the agents' points, each for its provinces; one database
takes the roll-ups and the census. Tokens are read from files, and again when a server
no longer knows one.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn, Self, get_args

from pydantic import BaseModel, Field, ValidationError, model_validator

from qos_agent.config.settings import CollectorSection, ElectionSection
from qos_agent.config.types import Duration, Section, allowed
from qos_agent.model.errors import ConfigError, InvalidConfigError

DEFAULT_PATH = Path("/etc/qos-agent/noc.toml")
_Province = Annotated[str, allowed("2 digits", r"\d{2}")]


class ShardSection(CollectorSection):
    """A database with agents' points, and the provinces it holds; none is all."""

    provinces: tuple[_Province, ...] = ()


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
            raise ValueError("late < silent < lookback")
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
            raise ValueError("collectors that share no province, one at most for all")
        return self

    def shard_of(self, province: str) -> ShardSection | None:
        """The collector that holds a province's points; None where there is none."""
        own = [shard for shard in self.collectors if province in shard.provinces]
        rest = [shard for shard in self.collectors if not shard.provinces]
        return next(iter([*own, *rest]), None)


def load(path: Path | None) -> NocSettings:
    """The settings in a file; the installed one, or defaults, where none is named.

    Raises InvalidConfigError, a line for each fault.
    """
    if path is None:
        path = DEFAULT_PATH if DEFAULT_PATH.exists() else None
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")) if path else {}
    except OSError as error:
        _refuse(path, str(error.strerror), "a readable file")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        _refuse(path, str(error), "TOML")
    try:
        return NocSettings.model_validate(table)
    except ValidationError as error:
        raise InvalidConfigError(tuple(_explain(error))) from error


def _refuse(path: Path | None, found: str, wanted: str) -> NoReturn:
    raise InvalidConfigError((ConfigError(str(path), found, wanted, f"edit {path}"),))


def _explain(error: ValidationError) -> Iterator[ConfigError]:
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"]) or "the file"
        said = str(fault["msg"]).removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            names = sorted(_model_at(fault["loc"][:-1]).model_fields)
            near = difflib.get_close_matches(str(fault["loc"][-1]), names, n=1)
            mend = f"did you mean {near[0]}?" if near else "remove it"
            yield ConfigError(key, "an unknown key", ", ".join(names), mend)
        elif "|" in said:
            name, _, found = said.partition("|")
            wanted = "a file this user can read"
            yield ConfigError(f"{key}.{name}", found, wanted, f"edit {key}.{name}")
        else:
            yield ConfigError(key, _found(key, fault["input"]), said, f"edit {key}")


def _found(key: str, value: object) -> str:
    """The value, but for secrets, and for tables, which may hold some."""
    if isinstance(value, dict | tuple | list | BaseModel):
        return "what is written"
    return "a secret" if "token" in key else repr(value)


def _model_at(location: tuple[int | str, ...]) -> type[BaseModel]:
    model: type[BaseModel] = NocSettings
    for part in location:
        if isinstance(part, str):
            model = _model_in(model.model_fields[part].annotation) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
