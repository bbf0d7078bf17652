"""The places, ports and names of a centre on one machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from qos_agent.noc.authority import Authority

InfluxVersion = Literal["1.8", "2", "3"]


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of the parts; only that of the gateway is open to the network."""

    gateway: int = 443
    influxdb: int = 8086
    influxdb_backup: int = 8088
    enrolment: int = 8079
    status: int = 8078
    grafana: int = 3000


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders and ports of a centre."""

    config: Path = Path("/etc/qos-agent")
    state: Path = Path("/var/lib/qos-agent-census")
    influxdb: Path = Path("/var/lib/influxdb")
    run: Path = Path("/run/qos-gateway")
    cache: Path = Path("/var/cache/qos-gateway")
    published: Path = Path("/var/lib/qos-agent-published")
    source: Path = Path("/srv/qos-agent-config")
    backups: Path = Path("/var/backups/qos-agent")
    modules: Path = Path("/usr/lib/nginx/modules")
    user: str = "www-data"
    address: str = "0.0.0.0"  # noqa: S104  devices come from any network
    ports: Ports = field(default_factory=Ports)
    version: InfluxVersion = "1.8"

    @property
    def authority(self) -> Authority:
        """The folder of the authority and of the certificate of the gateway."""
        return Authority(self.config / "ca")

    @property
    def influxdb_url(self) -> str:
        """The address of InfluxDB on this machine."""
        return f"http://127.0.0.1:{self.ports.influxdb}"

    def devices_url(self, name: str) -> str:
        """Return the URL by which devices reach the gateway."""
        port = "" if self.ports.gateway == 443 else f":{self.ports.gateway}"
        return f"https://{name}{port}"
