"""All settings of the agent: the sections that have no module of their own.

`config.loading.load` builds `Settings`. The result is frozen and passed down, and no
other module reads files or the environment for settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from qos_agent.config import token
from qos_agent.config.allowance import AllowanceSection
from qos_agent.config.faults import invalid
from qos_agent.config.key_file import read_key
from qos_agent.config.links import LinkSection
from qos_agent.config.overrides import merged
from qos_agent.config.remote.section import RemoteSection
from qos_agent.config.schedule import ScheduleSection
from qos_agent.config.station import FleetSection, StationSection
from qos_agent.config.targets import DEFAULT_TARGETS, TargetSection
from qos_agent.config.throughput import ThroughputSection
from qos_agent.config.types import (
    Duration,
    FileName,
    FilePath,
    Folder,
    Name,
    ProbeUrl,
    Section,
    Size,
    Text,
    TextOfLines,
    Url,
)
from qos_agent.config.uplink import UplinkSection
from qos_agent.config.verdict import VerdictSection
from qos_agent.model import Identity, Layer, Link, Phase, Target
from qos_agent.model.errors import ConfigError

_CA_FILE = "Certificates of the trusted authorities; by default those of the system."


class ElectionSection(Section):
    """The calendar of the election; it sets the phase at the station's local time."""

    calendar: FileName | None = Field(
        None,
        description=(
            "Name of a shipped calendar such as 2024-02-14, or path of a calendar "
            "file. Without one, the phase is always idle."
        ),
    )


class LatencySection(Section):
    """Trains of packets that measure round-trip time and loss."""

    count: int = Field(20, ge=1, le=1000, description="Number of packets in a train.")
    spacing: Duration = Field(0.2, description="Time between two packets of a train.")
    stamp_key_file: FilePath | None = Field(
        None,
        description=(
            "File with the key that the STAMP reflectors share; without one, packets "
            "are not authenticated."
        ),
    )

    @model_validator(mode="after")
    def _readable_key(self) -> Self:
        if self.stamp_key_file is not None:
            try:
                read_key(self.stamp_key_file)
            except ConfigError as error:
                raise invalid(
                    error.problem, key=error.key, found=error.found, fix=error.fix
                ) from error
        return self


class PageSection(Section):
    """A page to load.

    The expected text distinguishes it from a captive portal's page.
    """

    name: Name = Field(description="Name of the page, unique on this device.")
    url: ProbeUrl = Field(description="URL of the page.")
    status: int | None = Field(
        None, ge=200, le=599, description="Expected HTTP status; by default any 2xx."
    )
    text: TextOfLines | None = Field(
        None, description="Text that the page must contain."
    )


class WebSection(Section):
    """Pages to load. Each step is timed. Redirects are not followed."""

    pages: tuple[PageSection, ...] = Field(
        (),
        description="List of {name, url, status, text}; the last two are optional.",
    )
    body_limit: Size = Field(2_000_000, description="Maximum data to read of one page.")
    time_limit: Duration = Field(
        30.0, description="Maximum duration of loading one page."
    )
    ca_file: FilePath | None = Field(None, description=_CA_FILE)

    def targets(self) -> tuple[Target, ...]:
        """Return the pages as targets; the host is the whole URL."""
        return tuple(Target(p.name, p.url, Layer.APPLICATION) for p in self.pages)


class FormSection(Section):
    """Test uploads to your own server, of the size of a station's result forms."""

    name: Name = Field("forms", description="Name of the server as a target.")
    url: ProbeUrl | None = Field(
        None, description="URL that accepts the upload and discards the data."
    )
    method: Literal["PUT", "POST"] = Field("PUT", description="HTTP method.")
    size: Size = Field(3_000_000, description="Data of one upload.")
    time_limit: Duration = Field(150.0, description="Maximum duration of one upload.")
    ca_file: FilePath | None = Field(None, description=_CA_FILE)

    def targets(self) -> tuple[Target, ...]:
        """Return the server as a target; none if no URL is configured."""
        if self.url is None:
            return ()
        return (Target(self.name, self.url, Layer.APPLICATION),)


class ModemSection(Section):
    """The modem of a link, for a link whose interface does not identify it."""

    link: Name = Field(description="Name of the link.")
    device: Text | None = Field(
        None, description="Value of `device` or `primary-port` that mmcli shows."
    )
    serial_port: FilePath | None = Field(
        None, description="Serial port for AT commands, if mmcli lists no modem."
    )


class SignalSection(Section):
    """Radio measurements of the links that have a modem."""

    modems: tuple[ModemSection, ...] = Field(
        (), description="List of {link, device} or {link, serial_port}."
    )
    time_limit: Duration = Field(
        20.0, description="Maximum duration of one measurement."
    )


class CollectorSection(Section):
    """An InfluxDB that receives the points; without a URL, nothing is sent to it."""

    url: Url | None = Field(None, description="URL of InfluxDB.")
    org: Text = Field("qos", description="Organisation (InfluxDB 2).")
    bucket: Text = Field("qos", description="Bucket or database.")
    token: SecretStr | None = Field(
        None, description="Token with write access; token_file is safer."
    )
    token_file: FilePath | None = Field(
        None, description="File that contains the token."
    )
    insecure: bool = Field(
        False, description="Send the token also over plain HTTP, which anyone can read."
    )
    ca_file: FilePath | None = Field(None, description=_CA_FILE)
    client_cert_file: FilePath | None = Field(
        None, description="Certificate of this device, for a server that requires one."
    )
    client_key_file: FilePath | None = Field(
        None, description="Key of that certificate, if it is in a file of its own."
    )
    timeout: Duration = Field(
        10.0, description="Maximum duration of one request, with its response."
    )

    @model_validator(mode="after")
    def _certificate_of_key(self) -> Self:
        if self.client_key_file is not None and self.client_cert_file is None:
            problem, fix = "needs client_cert_file", "set client_cert_file as well"
            raise invalid(problem, key="client_key_file", fix=fix)
        return self

    @model_validator(mode="after")
    def _readable_token(self) -> Self:
        try:
            self.current_token()
        except ConfigError as error:
            if isinstance(error.__cause__, PermissionError):
                return self  # another user may still run `status` and `doctor`
            raise invalid(
                error.problem, key=error.key, found=error.found, fix=error.fix
            ) from error
        return self

    def current_token(self) -> str | None:
        """Return the token; read the file again, so that a new token takes effect.

        Raises ConfigError if it cannot be sent in an HTTP header.
        """
        if self.token_file is not None:
            return token.read_token(self.token_file)
        if self.token is None:
            return None
        text = self.token.get_secret_value()
        try:
            return token.checked_token(text)
        except ValueError as error:
            found = f"hidden, {len(text)} characters"
            raise ConfigError("token", found, str(error), token.FIX) from error

    def sendable_token(self) -> str | None:
        """Return the token if it may be sent to the URL. Raises ConfigError."""
        if self.exposes_token() and not self.insecure:
            problem = "must be true before the token is sent over plain HTTP"
            raise ConfigError("insecure", "false", problem, token.INSECURE_FIX)
        return self.current_token()

    def exposes_token(self) -> bool:
        """Return True if the URL would send a token over a network without TLS."""
        if self.url is None or not token.is_exposed(self.url):
            return False
        try:
            return bool(self.current_token())
        except ConfigError:
            return True


class JournalSection(Section):
    """The local store that keeps readings until they are delivered."""

    folder: Folder = Field(Path("qos-agent-data"), description="Folder of the journal.")
    commit_every: Duration = Field(
        60.0, description="Interval at which readings are committed to disk together."
    )
    size_limit: Size = Field(256_000_000, description="Maximum size of the journal.")
    disk_reserve: Size = Field(
        100_000_000, description="Free disk space that the journal leaves to others."
    )
    keep: Duration = Field(
        14 * 86400.0, description="Retention of delivered points, as evidence."
    )
    age_limit: Duration = Field(
        180 * 86400.0, description="Retention of points that are not delivered."
    )
    clock_hold: Duration = Field(
        600.0,
        description=(
            "Maximum time that readings wait for a trusted clock before they are "
            "stamped with a flag."
        ),
    )


class RuntimeSection(Section):
    """The files through which commands reach the running agent."""

    folder: FilePath | None = Field(
        None,
        description="Folder of status.json and the controls; by default the journal's.",
    )


class Settings(BaseSettings):
    """All settings of the agent. Call `config.loading.load` to read them."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        env_prefix="QOS_AGENT_",
        env_nested_delimiter="__",
    )

    station: StationSection = Field(
        default_factory=lambda: StationSection.model_validate({})
    )
    fleet: FleetSection = FleetSection()
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
    remote: RemoteSection = RemoteSection()

    def identity(self) -> Identity:
        """Return the station and the device as every point names them."""
        s = self.station
        return Identity(s.id, s.province, s.regency, s.time_zone, s.device)

    def link_list(self) -> tuple[Link, ...]:
        """Return the links to measure."""
        return tuple(
            Link(link.name, link.operator, link.interface, link.source_address)
            for link in self.links
        )

    def target_list(self) -> tuple[Target, ...]:
        """Return the targets of the latency probe."""
        return tuple(Target(**target.model_dump()) for target in self.targets)

    def interval_s(
        self, phase: Phase, probe: str, link_name: str | None
    ) -> float | None:
        """Return how often a probe runs on a link in a phase, in seconds.

        The link's own setting comes before the phase's. 0.0 is never, and None means
        that nothing is configured: the probe's own default applies.
        """
        link = self._link(link_name)
        link_interval_s = link.schedule.interval_s(phase, probe) if link else None
        if link_interval_s is not None:
            return link_interval_s
        return self.schedule.interval_s(phase, probe)

    def throughput_of(self, link_name: str | None) -> ThroughputSection:
        """Return the throughput settings of a link.

        Its own values replace the common ones.
        """
        link = self._link(link_name)
        return merged(self.throughput, link.throughput) if link else self.throughput

    def allowance_of(self, link_name: str | None) -> AllowanceSection:
        """Return the allowance of a link; its own values replace the common ones."""
        link = self._link(link_name)
        return merged(self.allowance, link.allowance) if link else self.allowance

    def _link(self, name: str | None) -> LinkSection | None:
        return next((link for link in self.links if link.name == name), None)

    def collector_names(self) -> tuple[str, ...]:
        """Return the collectors that must receive every point.

        Points are pending for the collector even before it has a URL, so that a
        collector that is configured later receives all of them.
        """
        return ("collector", "fallback") if self.fallback.url else ("collector",)

    def sends_token_openly(self) -> bool:
        """Return True if a token is sent without TLS, as `insecure` allows it."""
        sections = (self.collector, self.fallback)
        return any(s.insecure and s.exposes_token() for s in sections)

    def uplink_link(self) -> str:
        """Return the link for deliveries; the first link if none is named."""
        return self.uplink.link or self.links[0].name

    def runtime_folder(self) -> Path:
        """Return the folder of the status and control files."""
        return self.runtime.folder or self.journal.folder
