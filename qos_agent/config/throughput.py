"""The `[throughput]` section of the configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from qos_agent.config.overrides import refuse_links
from qos_agent.config.types import (
    NOT_EMPTY,
    Duration,
    FilePath,
    HostPort,
    ProbeUrl,
    Section,
    Size,
    Text,
)

BackendName = Literal["http", "iperf3", "speedtest"]


class ThroughputServers(Section):
    """Backends and servers of the throughput test; each link may have its own."""

    backends: Annotated[tuple[BackendName, ...], NOT_EMPTY] | None = Field(
        None,
        description=(
            "Backends in order; a later one is used if those before it fail. "
            "By default the first of http and iperf3 that has a server, else speedtest."
        ),
    )
    server: ProbeUrl | None = Field(
        None, description="URL of the server of the http backend: nginx or LibreSpeed."
    )
    iperf3_server: HostPort | None = Field(
        None,
        description="Server of the iperf3 backend, as host, host:port or [IPv6]:port.",
    )
    speedtest_server: ProbeUrl | None = Field(
        None,
        description=(
            "URL of a Speedtest Mini server; by default a server of speedtest.net."
        ),
    )
    download_path: Text = Field(
        "garbage.php?ckSize=100",
        description="Path of the download on the http server; any large file will do.",
    )
    upload_path: Text = Field(
        "empty.php",
        description="Path on the http server that accepts POST and discards the data.",
    )

    @model_validator(mode="before")
    @classmethod
    def _no_links(cls, values: object) -> object:
        refuse_links(values, "throughput")
        return values

    def server_of(self, backend: str) -> str | None:
        """Return the server of a backend, or None if none is configured."""
        servers = {"http": self.server, "iperf3": self.iperf3_server}
        return servers.get(backend, self.speedtest_server)

    def order(self) -> tuple[str, ...]:
        """Return the backends in order; without a list, the one that has a server."""
        if self.backends is not None:
            return self.backends
        with_server = [name for name in ("http", "iperf3") if self.server_of(name)]
        return (*with_server[:1],) or ("speedtest",)


class ThroughputSection(ThroughputServers):
    """The throughput test; the limits of data end it before its time limit."""

    download_limit: Size = Field(
        8_000_000, description="Maximum data of one download test."
    )
    upload_limit: Size = Field(
        3_000_000, description="Maximum data of one upload test."
    )
    time_limit: Duration = Field(30.0, description="Maximum duration of a test.")
    tolerance: float = Field(
        0.05,
        gt=0,
        le=0.5,
        description=(
            "Half width of the confidence interval at which a test ends early, "
            "as a fraction of the rate."
        ),
    )
    connections: int = Field(
        4, ge=1, le=16, description="Maximum number of parallel connections."
    )
    cross_limit: float = Field(
        0.1,
        gt=0,
        description=(
            "Other traffic on the interface above which a rate is flagged as doubtful, "
            "as a fraction of the test's traffic."
        ),
    )
    ca_file: FilePath | None = Field(
        None,
        description=(
            "Certificates of the trusted authorities; by default those of the system."
        ),
    )
