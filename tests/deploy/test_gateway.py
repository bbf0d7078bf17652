"""deploy/noc/gateway.conf as shipped: real nginx, InfluxDB and enrolment endpoint."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from qos_agent.evidence import enrolment, keys
from qos_agent.noc.provision.admission import Admissions
from tests.noc.provision.endpoints import ONE, Issuer, endpoint
from tests.servers.certificates import Authority
from tests.servers.fixtures import MakeInfluxDB
from tests.servers.influxdb import InfluxDB, Settings
from tests.servers.namespace import free_port
from tests.support.requirement import require
from tests.support.waiting import eventually

CONFIG = Path(__file__).parents[2] / "deploy/noc/gateway.conf"
_MAIN = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{ {temporary} include {folder}/gateway.conf; }}
"""
_KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
WRITE = "/api/v2/write?bucket=qos&org=qos&precision=ns"


@dataclass(frozen=True, slots=True)
class Gateway:
    """The address of a running gateway and the authority of its certificate."""

    port: int
    authority: Authority

    def post(
        self, path: str, body: bytes, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Send a request, and return status, headers and body of the response."""
        context = self.authority.client_context()
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=30, context=context
        )
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def write(self, line: str, token: str) -> int:
        """Write a point as a device does, and return the status."""
        authorization = f"Token {token}"
        return self.post(WRITE, line.encode(), Authorization=authorization)[0]


@contextmanager
def gateway(folder: Path, collector: int, enrolment_port: int) -> Iterator[Gateway]:
    """Run nginx with the shipped file; only ports and certificates are replaced."""
    require(shutil.which("nginx") is not None, "nginx", "apt-get install nginx-light")
    authority = Authority(folder)
    chain, port = authority.identity_file("127.0.0.1"), free_port("127.0.0.1")
    text = CONFIG.read_text()
    for old, new in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("    listen [::]:443 ssl;\n", ""),
        ("/etc/nginx/collector.pem", str(chain)),
        ("/etc/nginx/collector.key", str(chain)),
        ("127.0.0.1:8086", f"127.0.0.1:{collector}"),
        ("127.0.0.1:8079", f"127.0.0.1:{enrolment_port}"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "gateway.conf").write_text(text)
    temporary = "".join(f"{kind}_temp_path {folder}/{kind}; " for kind in _KINDS)
    main = folder / "nginx.conf"
    main.write_text(_MAIN.format(folder=folder, temporary=temporary))
    process = subprocess.Popen(["nginx", "-c", str(main)])
    try:
        found = Gateway(port, authority)
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


@pytest.fixture
def server(make_influxdb: MakeInfluxDB) -> InfluxDB:
    """Return an InfluxDB 1.8 that requires a token."""
    return make_influxdb(Settings(auth=True))


def test_only_the_collector_acknowledges(server: InfluxDB, tmp_path: Path) -> None:
    """While InfluxDB is killed, a device gets 503 and keeps its readings."""
    with gateway(tmp_path, server.port, 1) as front:
        assert front.write("latency,station=1 rtt=1 1", server.token) == 204
        assert front.write("latency,station=1 rtt=2 2", "nobody:wrong") == 401
        server.kill()
        status, headers, _ = front.post(WRITE, b"latency,station=1 rtt=3 3")
        assert (status, headers["Retry-After"]) == (503, "30")
        server.start()
        assert front.write("latency,station=1 rtt=3 3", server.token) == 204
    assert server.count("latency", "rtt") == 2


def test_devices_reach_nothing_but_writing_and_enrolling(
    server: InfluxDB, tmp_path: Path
) -> None:
    """A token that may delete on InfluxDB 1.8 cannot reach the path for it."""
    with gateway(tmp_path, server.port, 1) as front:
        front.write("latency,station=1 rtt=1 1", server.token)
        token = {"Authorization": f"Token {server.token}"}
        for path in (
            "/query?db=qos&q=DROP+MEASUREMENT+latency",
            "/api/v2/write/../../query?db=qos&q=DROP+MEASUREMENT+latency",
            "/api/v2/write/x",
            "/api/v2/delete",
            "/write?db=qos",
            "/debug/vars",
            "/v1/enrol/x",
        ):
            assert front.post(path, b"", **token)[0] == 404, path
        assert front.post(WRITE, b"x" * 9_000_000, **token)[0] == 413
    assert server.count("latency", "rtt") == 1


def test_a_device_enrols_behind_the_gateway(tmp_path: Path) -> None:
    """The ledger has the real address, whatever a device writes into the header."""
    issuer = Issuer(tmp_path / "centre")
    code = issuer.issue(ONE)
    signer = keys.create_key(tmp_path / "device.pem")
    body = enrolment.signed(code, "pi-1", "1", signer, 0)
    forged = {"X-Real-IP": "192.0.2.66"}
    with endpoint(issuer.desk()) as port, gateway(tmp_path, 1, port) as front:
        status, _, content = front.post(enrolment.PATH, body, **forged)
        assert (status, json.loads(content)["station"]) == (200, ONE)
        assert front.post(enrolment.PATH, b"x" * 5000)[0] == 413
    (attempt,) = Admissions(issuer.ledger()).attempts(ONE)
    assert attempt.peer == "127.0.0.1"


def test_an_endpoint_that_is_down_costs_no_code(tmp_path: Path) -> None:
    """The device is asked to come back."""
    with gateway(tmp_path, 1, 1) as front:
        status, headers, _ = front.post(enrolment.PATH, b"x")
    assert (status, headers["Retry-After"]) == (503, "30")
