"""A centre on this host from its own set-up: other folders and ports, same files."""

from __future__ import annotations

import http.client
import os
import pwd
import shutil
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from qos_agent.noc.installation import writing
from qos_agent.noc.installation.layout import Layout, Ports
from tests.servers.namespace import free_port
from tests.support.requirement import require
from tests.support.waiting import eventually

WRITE = "/api/v2/write?bucket=qos&org=qos&precision=ns"
LUA = Path("/usr/lib/nginx/modules/ngx_http_lua_module.so")


def layout_below(folder: Path, **ports: int) -> Layout:
    """Return the layout of a centre below a folder, with free ports."""
    names = ("gateway", "influxdb", "influxdb_backup", "enrolment", "status", "grafana")
    chosen = {name: free_port("127.0.0.1") for name in names if name not in ports}
    return Layout(
        config=folder / "etc",
        state=folder / "state",
        influxdb=folder / "influxdb",
        run=folder / "run",
        cache=folder / "cache",
        published=folder / "published",
        source=folder / "source",
        backups=folder / "backups",
        address="127.0.0.1",
        user=pwd.getpwuid(os.geteuid()).pw_name,
        ports=Ports(**chosen, **ports),
    )


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway, in the view of a device."""

    layout: Layout
    identity: tuple[Path, Path] | None = None
    trusted: Path | None = None

    def request(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Send a request, and return status, headers and body of the response."""
        trusted = self.trusted or self.layout.authority.trusted
        context = ssl.create_default_context(cafile=str(trusted))
        if self.identity is not None:
            context.load_cert_chain(*self.identity)
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.layout.ports.gateway, timeout=30, context=context
        )
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def post(
        self, path: str, body: bytes, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Send a POST request."""
        return self.request("POST", path, body, **headers)

    def write(self, line: str, token: str, **headers: str) -> int:
        """Write points as a device does, and return the status."""
        authorization = f"Token {token}"
        return self.post(WRITE, line.encode(), Authorization=authorization, **headers)[
            0
        ]


def prepared(
    folder: Path,
    *,
    certificates: bool = False,
    names: Sequence[str] = ("localhost", "127.0.0.1"),
    **ports: int,
) -> Layout:
    """Write the files of a centre, and return its layout."""
    require(shutil.which("nginx") is not None, "nginx", "apt-get install nginx-light")
    install = "apt-get install libnginx-mod-http-lua"
    require(LUA.exists(), "nginx's module for Lua", install)
    layout = layout_below(folder, **ports)
    writing.write(layout, names, certificates=certificates)
    for path in (layout.run, layout.cache):
        path.mkdir()
    return layout


@contextmanager
def gateway(layout: Layout, trusted: Path | None = None) -> Iterator[Gateway]:
    """Run nginx with the written configuration."""
    log = layout.run / "error.log"
    with log.open("wb") as errors:
        command = ["nginx", "-e", "stderr", "-c", str(layout.config / "nginx.conf")]
        process = subprocess.Popen(command, stderr=errors)
    try:
        found = Gateway(layout, trusted=trusted)
        eventually(lambda: _answers(found), 20)
        yield found
    finally:
        process.terminate()
        process.wait(20)


def _answers(found: Gateway) -> bool:
    try:
        return found.post("/", b"")[0] == 404
    except ConnectionRefusedError:
        return False
