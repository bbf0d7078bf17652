"""The only reader of configuration: a TOML file, the environment, credentials.

Later sources win: built-in defaults, the file, `QOS_AGENT_SECTION__KEY` in the
environment, files in systemd's credentials directory (`collector.token`). The
result is frozen and passed down; nothing else reads any of them. What is wrong is
said as ConfigError, one line a key.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from qos_agent.config.allowance import AllowanceSection
from qos_agent.config.key_file import read_key
from qos_agent.config.places import province_zones
from qos_agent.config.schedule import ScheduleSection
from qos_agent.config.throughput import ThroughputSection
from qos_agent.config.types import (
    Duration,
    Host,
    Interval,
    Name,
    Section,
    Size,
    Url,
    allowed,
)
from qos_agent.config.verdict import VerdictSection
from qos_agent.model import Identity, Layer, Link, Phase, Target
from qos_agent.model.errors import ConfigError
from qos_agent.system.network import GATEWAY, RESOLVER

ZONES = ("Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura")


class StationSection(Section):
    """The polling station that this device watches."""

    id: Name = Field("unassigned", description="the 13-digit station code")
    province: Annotated[str, allowed("2 digits", r"\d{2}")] = Field(
        "00", description="Kemendagri code of the province"
    )
    regency: Annotated[str, allowed("4 digits", r"\d{4}")] = Field(
        "0000", description="Kemendagri code of the regency or city"
    )
    time_zone: Literal["Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura"] = Field(
        description="WIB, WITA or WIT; known from the province where that is given"
    )
    device: Name = Field(
        default_factory=lambda: (
            re.sub(r"\W+", "-", socket.gethostname())[:64] or "device"
        ),
        description="name of this device; the host name by default",
    )

    @model_validator(mode="before")
    @classmethod
    def _zone_of_province(cls, values: object) -> object:
        """Fill in the time zone where the province, or no station at all, is given."""
        if not isinstance(values, dict) or "time_zone" in values:
            return values
        known = province_zones().get(str(values.get("province")))
        if known is None and "id" not in values:
            known = ZONES[0]
        return values if known is None else {**values, "time_zone": known}


class LinkSection(Section):
    """One way out of the device. None configured: the default route's interface."""

    name: Name
    operator: Name = "unknown"
    interface: Annotated[str, allowed("an interface name", r"[^/\s]{1,15}")] | None = (
        None
    )
    source_address: str | None = None
    schedule: ScheduleSection = Field(
        ScheduleSection(), description="intervals that differ on this link"
    )


class TargetSection(Section):
    """What latency is measured against."""

    name: Name
    host: Host
    layer: Layer
    method: Literal["icmp", "stamp"] = "icmp"
    port: int | None = Field(
        None, ge=1, le=65535, description="of the reflector; 862 by default (stamp)"
    )


class ElectionSection(Section):
    """When votes are cast and counted at this station."""

    calendar: str | None = Field(
        None, description="a shipped calendar such as 2024-02-14, or a file; else idle"
    )


class LatencySection(Section):
    """One train of probes."""

    count: int = Field(20, ge=1, le=1000, description="probes in a train")
    spacing: Duration = Field(0.2, description="between two probes")
    stamp_key_file: Path | None = Field(
        None, description="key shared with the reflectors; none: unauthenticated"
    )

    @model_validator(mode="after")
    def _readable_key(self) -> Self:
        if self.stamp_key_file is not None:
            try:
                read_key(self.stamp_key_file)
            except ConfigError as error:
                raise ValueError(f"stamp_key_file|{error.found}") from error
        return self


class PageSection(Section):
    """A page whose loading is timed. What is expected tells it from a portal's."""

    name: Name
    url: Url
    status: int | None = Field(
        None, ge=200, le=599, description="its answer; any 2xx by default"
    )
    text: str | None = Field(None, description="what its body holds, always")


class WebSection(Section):
    """Pages to load, each timed in its parts; redirections are not followed."""

    pages: tuple[PageSection, ...] = ()
    body_limit: Size = Field(2_000_000, description="most bytes read of a page")
    time_limit: Duration = Field(30.0, description="most time a page takes")
    ca_file: Path | None = Field(None, description="who signs; the system's by default")

    def targets(self) -> tuple[Target, ...]:
        """The pages as targets: the host is the whole URL."""
        return tuple(Target(p.name, p.url, Layer.APPLICATION) for p in self.pages)


class FormSection(Section):
    """The upload of a bundle the size of the result forms, to one's own server."""

    name: Name = "forms"
    url: Url | None = Field(None, description="takes PUT or POST, and discards")
    method: Literal["PUT", "POST"] = "PUT"
    size: Size = Field(3_000_000, description="of the bundle")
    time_limit: Duration = Field(150.0, description="most time an upload takes")
    ca_file: Path | None = Field(None, description="who signs; the system's by default")

    def targets(self) -> tuple[Target, ...]:
        """The server as a target; none where no url is configured."""
        given = self.url is not None
        return (Target(self.name, str(self.url), Layer.APPLICATION),) if given else ()


class ModemSection(Section):
    """Which modem is behind a link, where the link's interface does not tell."""

    link: Name
    device: str | None = Field(None, description="`device` or `primary-port` in mmcli")
    serial_port: Path | None = Field(
        None, description="answers AT commands, where mmcli knows no modem"
    )


class SignalSection(Section):
    """The radio behind the links that have a modem."""

    modems: tuple[ModemSection, ...] = ()
    time_limit: Duration = Field(20.0, description="most time a reading takes")


class CollectorSection(Section):
    """The InfluxDB that receives the points; no url, no delivery."""

    url: Url | None = None
    org: str = "qos"
    bucket: str = "qos"
    token: SecretStr | None = Field(None, description="better in token_file")
    token_file: Path | None = Field(None, description="a file that holds the token")
    ca_file: Path | None = Field(None, description="whom to trust beside the system")
    timeout: Duration = Field(10.0, description="longest wait for an answer")

    @model_validator(mode="after")
    def _readable_token(self) -> Self:
        if self.token_file is not None:
            try:
                self.token_file.read_text()
            except (OSError, UnicodeDecodeError) as error:
                said = getattr(error, "strerror", None) or "not text"
                raise ValueError(f"token_file|{self.token_file} ({said})") from error
        return self

    def current_token(self) -> str | None:
        """The token now; the file is read again, so that a new one takes effect."""
        if self.token_file is not None:
            return self.token_file.read_text().strip()
        return self.token.get_secret_value() if self.token else None


class UplinkSection(Section):
    """How points are delivered: fresh ones at once, a backlog with pauses."""

    link: Name | None = Field(
        None, description="the link it leaves by, which a backlog must not disturb"
    )
    batch: int = Field(500, ge=1, le=5000, description="points of a backlog at once")
    pause: Interval = Field(
        10.0, description="between two of them, give or take a half; off for none"
    )
    backoff: Duration = Field(300.0, description="longest wait after failures")
    fallback_after: Duration = Field(
        300.0, description="without the collector, before the fallback gets points"
    )
    data_limit: Size | None = Field(
        None, description="most bytes of a backlog in a day; fresh points always go"
    )


class JournalSection(Section):
    """The durable local store."""

    folder: Path = Field(Path("qos-agent-data"), description="where the journal lives")
    commit_every: Duration = Field(60.0, description="readings are committed together")
    size_limit: Size = Field(256_000_000, description="most bytes of the journal")
    disk_reserve: Size = Field(100_000_000, description="room left to others")
    keep: Duration = Field(14 * 86400.0, description="delivered points, as evidence")
    age_limit: Duration = Field(180 * 86400.0, description="undelivered points")
    clock_hold: Duration = Field(
        600.0, description="longest wait for a clock to be trusted"
    )


class RuntimeSection(Section):
    """Where a running agent and the commands meet."""

    folder: Path | None = Field(None, description="status.json; the journal's folder")


DEFAULT_TARGETS = (
    TargetSection(name="gateway", host=GATEWAY, layer=Layer.GATEWAY),
    TargetSection(name="resolver", host=RESOLVER, layer=Layer.RESOLVER),
    TargetSection(name="cloudflare", host="1.1.1.1", layer=Layer.ANCHOR),
    TargetSection(name="google", host="8.8.8.8", layer=Layer.ANCHOR),
    TargetSection(name="quad9", host="9.9.9.9", layer=Layer.ANCHOR),
)


class Settings(BaseSettings):
    """All there is to configure. Built by `qos_agent.configuration.load`."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix="QOS_AGENT_", env_nested_delimiter="__"
    )

    station: StationSection = Field(
        default_factory=lambda: StationSection.model_validate({})
    )
    links: tuple[LinkSection, ...] = (LinkSection(name="default"),)
    targets: tuple[TargetSection, ...] = DEFAULT_TARGETS
    election: ElectionSection = ElectionSection()
    schedule: ScheduleSection = ScheduleSection()
    latency: LatencySection = LatencySection()
    throughput: ThroughputSection = ThroughputSection()
    web: WebSection = WebSection()
    form: FormSection = FormSection()
    signal: SignalSection = SignalSection()
    allowance: AllowanceSection = AllowanceSection()
    verdict: VerdictSection = VerdictSection()
    collector: CollectorSection = CollectorSection()
    fallback: CollectorSection = CollectorSection()
    uplink: UplinkSection = UplinkSection()
    journal: JournalSection = JournalSection()
    runtime: RuntimeSection = RuntimeSection()

    def identity(self) -> Identity:
        """Station and device, as every point names them."""
        s = self.station
        return Identity(s.id, s.province, s.regency, s.time_zone, s.device)

    def link_list(self) -> tuple[Link, ...]:
        """The links to measure."""
        return tuple(
            Link(link.name, link.operator, link.interface, link.source_address)
            for link in self.links
        )

    def target_list(self) -> tuple[Target, ...]:
        """The targets of latency."""
        return tuple(Target(**target.model_dump()) for target in self.targets)

    def interval_s(
        self, phase: Phase, probe: str, link_name: str | None
    ) -> float | None:
        """Return how often a probe runs on a link in a phase, in seconds.

        The link's own setting comes before the phase's. 0.0 is never, and None means
        that nothing is configured: the probe's own default applies.
        """
        for link in self.links:
            if link.name == link_name:
                interval_s = link.schedule.interval_s(phase, probe)
                if interval_s is not None:
                    return interval_s
        return self.schedule.interval_s(phase, probe)

    def collector_names(self) -> tuple[str, ...]:
        """Who is owed every point: the collector, and its stand-in where there is one.

        Points are owed before there is a url, so that one set later gets them all.
        """
        return ("collector", "fallback") if self.fallback.url else ("collector",)

    def uplink_link(self) -> str:
        """The link that deliveries leave by; the first one where none is named."""
        return self.uplink.link or self.links[0].name

    def runtime_folder(self) -> Path:
        """Where status and control files are."""
        return self.runtime.folder or self.journal.folder
