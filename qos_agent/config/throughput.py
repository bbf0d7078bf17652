"""The `[throughput]` section of the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from qos_agent.config.types import Duration, HostPort, Name, Section, Size, Url

BackendName = Literal["http", "iperf3", "speedtest"]


class ThroughputServers(Section):
    """Where throughput is measured, and by which backends, first to last."""

    backends: tuple[BackendName, ...] | None = Field(
        None, min_length=1, description="later ones are for when the first fail"
    )
    server: Url | None = Field(
        None, description="measurement server of http: nginx or LibreSpeed"
    )
    iperf3_server: HostPort | None = Field(None, description="server of iperf3")
    speedtest_server: Url | None = Field(
        None, description="a Speedtest Mini server; none: speedtest.net's"
    )

    download_path: str = Field(
        "garbage.php?ckSize=100", description="beneath the server; a file will do"
    )
    upload_path: str = Field("empty.php", description="takes POST, and discards")

    def server_of(self, backend: str) -> str | None:
        """The server a backend measures against, where one is configured."""
        own = {"http": self.server, "iperf3": self.iperf3_server}
        return own.get(backend, self.speedtest_server)

    def order(self) -> tuple[str, ...]:
        """The backends; without a list the one that there is a server for."""
        if self.backends is not None:
            return self.backends
        given = [name for name in ("http", "iperf3") if self.server_of(name)]
        return (*given[:1],) or ("speedtest",)


class ThroughputLink(ThroughputServers):
    """What differs on one link; what is left out is as for all."""

    link: Name


class ThroughputSection(ThroughputServers):
    """The throughput test, bounded in bytes before it is bounded in time."""

    download_limit: Size = Field(8_000_000, description="most bytes a download moves")
    upload_limit: Size = Field(3_000_000, description="most bytes an upload moves")
    time_limit: Duration = Field(30.0, description="most time a test takes")
    tolerance: float = Field(
        0.05, gt=0, le=0.5, description="half width of the interval that is enough"
    )
    connections: int = Field(4, ge=1, le=16, description="most parallel connections")
    cross_limit: float = Field(
        0.1, gt=0, description="other traffic, of the test's own, that flags it"
    )
    ca_file: Path | None = Field(None, description="who signs; the system's by default")
    links: tuple[ThroughputLink, ...] = ()

    @model_validator(mode="after")
    def _servers_known(self) -> Self:
        for link in (None, *(own.link for own in self.links)):
            servers = self.of_link(link)
            for name, key in (("http", "server"), ("iperf3", "iperf3_server")):
                if name in servers.order() and servers.server_of(name) is None:
                    raise ValueError(f"{key} for the backend {name}")
        return self

    def of_link(self, link: str | None) -> ThroughputServers:
        """Where a link is measured."""
        common = {n: getattr(self, n) for n in ThroughputServers.model_fields}
        own = next((entry for entry in self.links if entry.link == link), None)
        given = own.model_dump(exclude_unset=True, exclude={"link"}) if own else {}
        return ThroughputServers.model_validate({**common, **given})
