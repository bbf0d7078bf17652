"""The configuration of nginx, from the collectors of noc.toml. Pure, except reading.

Each collector has the provinces of its table. `noc provision` gives the devices there
its devices_url, and nginx selects the InfluxDB by the host name in it. Both read the
same table, and an account exists on one InfluxDB only. A request that reaches another
one is therefore refused, and nothing is stored in a wrong place.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from importlib import resources
from urllib.parse import urlsplit

from qos_agent.model.errors import ConfigError
from qos_agent.noc.installation.layout import Layout
from qos_agent.noc.settings import ShardSection

_SAFE = re.compile(r"[A-Za-z0-9_.:\[\]-]+")
_UPSTREAM = """\
    upstream {name} {{
        server {server};
        keepalive 64;
    }}"""


def template(name: str) -> str:
    """Return a file of the package."""
    place = resources.files("qos_agent.noc.installation").joinpath("files", name)
    return place.read_text(encoding="utf-8")


def gateway_config(
    layout: Layout,
    collectors: Sequence[ShardSection],
    names: Sequence[str],
    *,
    certificates: bool,
) -> str:
    """Return nginx.conf. Raises ConfigError for a collector that it cannot reach."""
    upstreams = [f"qos_collector_{number}" for number in range(1, len(collectors) + 1)]
    hosts = [
        f"        {_host(collector)} {upstream};"
        for collector, upstream in zip(collectors, upstreams, strict=True)
        if collector.devices_url is not None
    ]
    servers = [
        _UPSTREAM.format(name=upstream, server=_server(collector))
        for collector, upstream in zip(collectors, upstreams, strict=True)
    ]
    values = {
        "MAP": "\n".join([f"        default {_default(collectors)};", *hosts]),
        "UPSTREAMS": "\n".join(servers),
        "NAMES": " ".join(name for name in names if not _is_address(name)) or "_",
        "CLIENTS": "required" if certificates else "optional",
        "USER": layout.user,
        "ADDRESS": layout.address,
        "PORT": str(layout.ports.gateway),
        "STATUS_PORT": str(layout.ports.status),
        "ENROLMENT_PORT": str(layout.ports.enrolment),
        "CA": str(layout.authority.folder),
        "CONFIG": str(layout.config),
        "RUN": str(layout.run),
        "CACHE": str(layout.cache),
        "MODULES": str(layout.modules),
        "PUBLISHED": str(layout.published),
    }
    text = template("gateway.conf")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def _default(collectors: Sequence[ShardSection]) -> str:
    """Return the upstream of provinces that no table names, else the first one."""
    rest = [n for n, found in enumerate(collectors, 1) if not found.provinces]
    return f"qos_collector_{next(iter(rest), 1)}"


def _host(collector: ShardSection) -> str:
    return _checked(urlsplit(str(collector.devices_url)).hostname or "")


def _server(collector: ShardSection) -> str:
    """Return address and port of a collector. Raises ConfigError if it uses TLS."""
    url = urlsplit(str(collector.url or ""))
    if url.scheme != "http" or not url.hostname:
        problem = "must be an http URL, because nginx adds TLS for the devices"
        fix = "use the address of InfluxDB in the network of the centre"
        raise ConfigError("collectors.url", repr(str(collector.url)), problem, fix)
    return _checked(url.netloc if url.port else f"{url.netloc}:80")


def _checked(text: str) -> str:
    if not _SAFE.fullmatch(text):
        problem = "has characters that nginx would read as its own"
        raise ConfigError("collectors", repr(text), problem, "use a plain host name")
    return text


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
