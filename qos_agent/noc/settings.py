"""The configuration of the operations centre: a TOML file, usually noc.toml.

One or more collectors have the agents' points, each for its provinces. One database
takes the roll-ups and the census. Tokens are read from files, and read again when a
server rejects one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

from pydantic import Field, HttpUrl, model_validator

from qos_agent.config import toml_file
from qos_agent.config.faults import invalid, refuse_former_key, validated
from qos_agent.config.settings import CollectorSection, ElectionSection
from qos_agent.config.types import (
    Duration,
    FilePath,
    Folder,
    ProvinceCode,
    Section,
    Text,
    Url,
)
from qos_agent.evidence.notes import is_key_name
from qos_agent.noc.sections import BackupSection, CaSection, HealthSection
from qos_agent.system.files import may_exist

DEFAULT_PATH = Path("/etc/qos-agent/noc.toml")


class ShardSection(CollectorSection):
    """A database with agents' points, and its provinces; without a list, all others."""

    provinces: tuple[ProvinceCode, ...] = Field(
        (),
        description="Two-digit codes of its provinces; by default all others.",
    )
    admin_token_file: FilePath | None = Field(
        None,
        description="Token of an administrator, with which `noc provision` creates "
        "the accounts of devices.",
    )
    devices_url: Url | None = Field(
        None, description="URL by which devices reach this server; by default url."
    )


class RollupSection(CollectorSection):
    """The database for the roll-ups and the census."""

    bucket: Text = Field("qos-rollup", description="Bucket or database.")


class CensusSection(Section):
    """The limits of the census, and the amount of detail that it writes."""

    late: Duration = Field(
        120.0, description="A station is late if its last heartbeat is older than this."
    )
    silent: Duration = Field(
        300.0,
        description="A station is silent if its last heartbeat is older than this.",
    )
    verdict_age: Duration = Field(660.0, description="Maximum age of a verdict.")
    lookback: Duration = Field(
        2 * 86400.0,
        description="How far back to search for a station's last heartbeat.",
    )
    roll_call: Duration = Field(
        900.0, description="Maximum time between two roll calls by name of a regency."
    )
    worst_stations: int = Field(
        20,
        ge=0,
        le=10_000,
        description="Maximum number of stations listed per regency, worst first.",
    )
    catch_up: Duration = Field(
        6 * 3600.0, description="How far back to take the census of missed minutes."
    )
    area_share: float = Field(
        0.05,
        gt=0,
        le=1,
        description="An area has a class if at least this share of its stations has "
        "it or a worse one.",
    )
    outage_share: float = Field(
        0.3,
        gt=0,
        le=1,
        description="An operator is down if at least this share of its stations is "
        "affected.",
    )
    outage_min: int = Field(
        3, ge=1, description="Minimum number of affected stations for an outage."
    )
    baseline: Duration = Field(
        7 * 86400.0, description="How far back the baseline of links reaches."
    )

    @model_validator(mode="before")
    @classmethod
    def _without_former_keys(cls, table: object) -> object:
        refuse_former_key(table, "exceptions", "worst_stations")
        return table

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.late < self.silent < self.lookback:
            raise invalid(
                "late must be less than silent, and silent less than lookback"
            )
        return self


class RollupsSection(Section):
    """When roll-ups are recalculated, so that they count points that arrive late."""

    settle: Duration = Field(
        180.0, description="How much recent history to recalculate every minute."
    )
    again: tuple[Duration, ...] = Field(
        (600.0, 3600.0), description="Ages at which each minute is recalculated."
    )
    back: Duration = Field(
        7 * 86400.0, description="Minimum history to recalculate every day."
    )
    span: Duration = Field(
        600.0, description="Maximum time that one recalculation of a province covers."
    )
    load: float = Field(
        0.5, gt=0, le=1, description="Maximum share of time for recalculation."
    )
    raw_keep: Duration | None = Field(
        None, description="Retention of raw points, for servers that do not report it."
    )
    dispute: Duration = Field(
        180 * 86400.0, description="How long raw points are needed for disputes."
    )


class WitnessSection(Section):
    """The witness, which checks and cosigns the seals of the agents."""

    name: Text = Field(
        "qos-agent-centre",
        max_length=100,
        description="Name in cosignatures, such as witness.example.id/noc.",
    )
    catch_up: Duration = Field(
        6 * 3600.0, description="How far back to read seals at the first start."
    )
    missing: Duration = Field(
        900.0,
        description="A seal is missing if a later one arrived this long ago.",
    )
    late: Duration = Field(
        1800.0,
        description="Maximum age of the newest seal in voting and counting.",
    )
    late_otherwise: Duration = Field(
        9000.0, description="Maximum age of the newest seal in other phases."
    )
    audit: int = Field(
        10,
        ge=0,
        le=1000,
        description="Stations whose points are compared with their seals every five "
        "minutes. 0 turns it off.",
    )
    timestamp_url: HttpUrl | None = Field(
        None, description="Authority for timestamps of the national root (RFC 3161)."
    )
    timestamp_ca_file: FilePath | None = Field(
        None, description="Certificates that verify those timestamps."
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if not is_key_name(self.name):
            raise invalid(
                "must have no space, no plus and no control character",
                key="name",
                found=repr(self.name),
                fix="use a name such as witness.example.id/noc",
            )
        if self.timestamp_url is not None and self.timestamp_ca_file is None:
            raise invalid(
                "timestamp_ca_file is needed with timestamp_url",
                fix="name the file with the certificate of the authority",
            )
        return self


class ProvisionSection(Section):
    """Limits and files of `noc provision`, which issues tokens and enrolment codes."""

    endpoint: Url | None = Field(
        None, description="URL of the enrolment endpoint, for labels and devices."
    )
    valid: Duration = Field(
        90 * 86400.0, description="Time in which an enrolment code can be used."
    )
    rate: float = Field(
        20.0, gt=0, le=1000, description="Maximum accounts created a second."
    )
    parallel: int = Field(
        4, ge=1, le=64, description="Number of accounts created at the same time."
    )
    patience: Duration = Field(
        300.0, description="How long to retry while a server does not answer."
    )
    common: FilePath | None = Field(
        None,
        description="TOML file with settings of all devices. It must not have "
        "station, links, collector, election or remote.",
    )
    key_file: FilePath | None = Field(
        None, description="Key of the centre; by default centre-key.pem in folder."
    )
    signing_key_file: FilePath | None = Field(
        None,
        description="Key that signs enrolment files; by default "
        "centre-signing-key.pem in folder.",
    )


class EnrolmentSection(Section):
    """The endpoint at which devices enrol, usually behind nginx on the same host."""

    address: Text = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8079, ge=0, le=65535, description="Port to listen on.")
    cert_file: FilePath | None = Field(
        None,
        description="Certificate and its chain (PEM). Without one, only an address of "
        "this host is allowed, and nginx must add TLS.",
    )
    key_file: FilePath | None = Field(
        None, description="Key of that certificate, if it is in a file of its own."
    )
    ca_file: FilePath | None = Field(
        None, description="Authority of the collectors, which devices will trust."
    )
    certificates: bool = Field(
        False,
        description="Give each device a certificate of the centre's authority, and "
        "refuse writes without one at the gateway.",
    )
    ca_key_file: FilePath | None = Field(
        None,
        description="Key of the authority, if the endpoint has a copy of its own.",
    )
    failures: int = Field(
        20, ge=1, description="Failures a minute after which an address must wait."
    )
    requests: int = Field(
        1200, ge=1, description="Maximum requests a minute of all addresses."
    )


class PublishSection(Section):
    """The remote configuration, which `noc config` signs and publishes."""

    url: Url | None = Field(
        None, description="URL by which devices reach the published folder."
    )
    source: FilePath | None = Field(
        None, description="Folder that people edit; by default config in folder."
    )
    folder: FilePath | None = Field(
        None,
        description="Folder that the web server serves; by default published in "
        "folder.",
    )
    key_file: FilePath | None = Field(
        None, description="Configuration key; by default config-key.pem in folder."
    )
    valid: Duration = Field(
        30 * 86400.0, description="Time after which a published version expires."
    )


class NocSettings(Section):
    """The settings of the operations centre."""

    folder: Folder = Field(
        Path("qos-noc"),
        description="Folder of register.sqlite3, census.sqlite3 and the witness.",
    )
    collectors: tuple[ShardSection, ...] = ()
    rollup: RollupSection = RollupSection()
    election: ElectionSection = ElectionSection()
    census: CensusSection = CensusSection()
    rollups: RollupsSection = RollupsSection()
    witness: WitnessSection = WitnessSection()
    provision: ProvisionSection = ProvisionSection()
    enrolment: EnrolmentSection = EnrolmentSection()
    ca: CaSection = CaSection()
    backup: BackupSection = BackupSection()
    health: HealthSection = HealthSection()
    remote: PublishSection = PublishSection()

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
        """Return the collector of a province; None if there is none."""
        own = [shard for shard in self.collectors if province in shard.provinces]
        rest = [shard for shard in self.collectors if not shard.provinces]
        return next(iter([*own, *rest]), None)


def load(path: Path | None) -> NocSettings:
    """Read the settings in a file: the named one, else the installed one.

    Without a file, the settings are the defaults. Raises InvalidConfigError with a
    line for each error.
    """
    if path is None:
        path = DEFAULT_PATH if may_exist(DEFAULT_PATH) else None
    table = toml_file.read(path) if path else {}
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    table = with_credentials(table, Path(folder)) if folder else table
    return validated(NocSettings, table, lambda _: str(path))


def with_credentials(table: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a table in which files of tokens and keys are credentials of systemd.

    A service may not read /etc/qos-agent/NAME, but systemd gives it a copy as NAME. The
    same file then serves the services and the commands of an administrator.
    """

    def changed(key: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: changed(name, content) for name, content in value.items()}
        if isinstance(value, list):
            return [changed(key, content) for content in value]
        if isinstance(value, str) and key.endswith(("token_file", "key_file")):
            credential = folder / Path(value).name
            return str(credential) if credential.exists() else value
        return value

    return {name: changed(name, value) for name, value in table.items()}
