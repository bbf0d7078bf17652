"""The signed index of a province, from which a device learns its configuration.

It is the only file that changes in place, and a signed note whose text is TOML. It has
the hashes of all other files, so one signature covers everything. The other files are
named by their SHA-256 and never change.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from qos_agent.config import toml_file
from qos_agent.config.faults import invalid, validated
from qos_agent.config.types import Name, Operator, ProvinceCode, Section, Text, allowed
from qos_agent.model import Identity
from qos_agent.model.errors import InvalidConfigError

# With its head and a handshake, a file is a small task of the data allowance, which
# costs no write to the card.
FILE_MAX_BYTES = 48 * 1024
FORMAT = "qos-agent configuration v1"
INDEX_NAME = "{province}.note"
# An index that two emergency keys have signed stays, next to the newer ones.
VOUCHED_NAME = "{province}-{version}.note"
KEY_SET_NAME = "keys-{number}.note"
# A pause that nobody ends must not outlast an election day by much.
PAUSE_MAX = timedelta(hours=72)
VALIDITY_MAX = timedelta(days=400)
_PLACE = "the remote configuration"
_VERSION_MAX = 2**53
_SHARES = 2**64

Hash = Annotated[str, allowed("a SHA-256 in hexadecimal", r"[0-9a-f]{64}")]
Bucket = Annotated[str, allowed("two hexadecimal digits", r"[0-9a-f]{2}")]
Area = Annotated[
    str, allowed("the code of a province or a regency", r"[0-9]{2}|[0-9]{4}")
]
VersionNumber = Annotated[int, Field(ge=1, lt=_VERSION_MAX, strict=True)]


def _whole_second(value: datetime) -> datetime:
    if value.microsecond:
        raise ValueError("must be a whole second")
    return value


Moment = Annotated[AwareDatetime, AfterValidator(_whole_second)]


class Files(Section):
    """The files of one layer, by their hash; a layer may have none."""

    settings: Hash | None = None
    calendar: Hash | None = None
    thresholds: Hash | None = None

    def hashes(self) -> tuple[str, ...]:
        """Return the hashes that are set."""
        return tuple(filter(None, (self.settings, self.calendar, self.thresholds)))


class Content(Section):
    """Files that belong together; `version` is the one that first published them.

    `stations` has the files with the layers of stations. A file has those of the
    stations with the same first two digits of the SHA-256 of their code.
    """

    version: VersionNumber
    nation: Files = Files()
    province: Files = Files()
    stations: Mapping[Bucket, Hash] = {}

    @property
    def hash(self) -> str:
        """The first 12 digits of the SHA-256 of the content."""
        text = toml_text(self.model_dump(exclude_defaults=True))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def bucket_of(self, station: str) -> str | None:
        """Return the hash of the file that may have a layer of the station."""
        return self.stations.get(bucket(station))


class Pause(Section):
    """Probes that the centre pauses, until a moment."""

    name: Name
    probes: Annotated[tuple[Literal["throughput", "form"], ...], Field(min_length=1)]
    start: Moment
    end: Moment
    operators: tuple[Operator, ...] = ()
    areas: tuple[Area, ...] = ()
    reason: Text = ""

    @model_validator(mode="after")
    def _limited(self) -> Self:
        if not timedelta(0) < self.end - self.start <= PAUSE_MAX:
            raise invalid(f"must be at most {PAUSE_MAX} after start", key="end")
        return self

    @property
    def length_s(self) -> float:
        """The duration of the pause."""
        return (self.end - self.start).total_seconds()

    def concerns(self, identity: Identity) -> bool:
        """Return True if the pause is for the station's area."""
        areas = (identity.province, identity.regency)
        return not self.areas or any(area in self.areas for area in areas)


class Index(Section):
    """The index of a province.

    A device uses `content`, or `before` if its share is not within `percent`, which
    changed at `staged`. If two emergency keys brought the content, `vouched` is the
    version that they signed.
    """

    format: Literal["qos-agent configuration v1"]
    scope: ProvinceCode
    key_set: Annotated[int, Field(ge=1, lt=_VERSION_MAX, strict=True)]
    version: VersionNumber
    issued: Moment
    valid_until: Moment
    percent: Annotated[float, Field(ge=0, le=100)] = 100.0
    staged: Moment | None = None
    content: Content
    before: Content | None = None
    vouched: VersionNumber | None = None
    withdrawn: tuple[VersionNumber, ...] = ()
    pause: tuple[Pause, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not timedelta(0) < self.valid_until - self.issued <= VALIDITY_MAX:
            problem = f"must be at most {VALIDITY_MAX.days} days after issued"
            raise invalid(problem, key="valid_until")
        if self.percent < 100 and self.before is None:
            raise invalid("needs before, for the other devices", key="percent")
        return self

    @property
    def order(self) -> tuple[int, int]:
        """The order of indexes: a newer key set comes before a higher version."""
        return self.key_set, self.version

    def chosen(self, station: str) -> Content:
        """Return the content for a station, in a staged roll-out too."""
        if self.before is None or share(station, self.content.version) < self.percent:
            return self.content
        return self.before

    def text(self) -> str:
        """Return the text to be signed."""
        return toml_text(self.model_dump(exclude_defaults=True))


def parsed(text: str) -> Index:
    """Read the text of an index. Raises ValueError if it is not well-formed."""
    try:
        table = toml_file.parse(Path(_PLACE), text.encode())
        return validated(Index, table, lambda _: _PLACE)
    except InvalidConfigError as error:
        raise ValueError(str(error)) from error


def bucket(station: str) -> str:
    """Return the name of the file that has the layer of a station."""
    return hashlib.sha256(station.encode()).hexdigest()[:2]


def share(station: str, salt: int) -> float:
    """Return the place of a station in a roll-out, from 0 to below 100 percent.

    The salt is the version of the content, so each roll-out begins elsewhere.
    """
    digest = hashlib.sha256(f"{salt}/{station}".encode()).digest()
    return int.from_bytes(digest[:8]) / _SHARES * 100


def toml_text(table: Mapping[str, Any]) -> str:
    """Return a table as TOML, with inline tables for everything inside it."""
    lines = (f"{_key(key)} = {_value(value)}\n" for key, value in _set(table))
    return "".join(lines)


def _set(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in table.items() if value is not None)


def _key(key: str) -> str:
    return key if key.isidentifier() and key.isascii() else json.dumps(key)


def _value(value: Any) -> str:
    match value:
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        case dict():
            inner = (f"{_key(key)} = {_value(item)}" for key, item in _set(value))
            return "{" + ", ".join(inner) + "}"
        case tuple() | list():
            return "[" + ", ".join(map(_value, value)) + "]"
        case str():
            # A basic string of TOML has the escapes of JSON, and must escape DEL too.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case _:
            return json.dumps(value)
