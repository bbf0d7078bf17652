"""Answers of servers: pages, InfluxDB and DNS, and the files that name resolvers."""

from __future__ import annotations

import ipaddress
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import dns.message
import pytest
from hypothesis import HealthCheck, given, settings

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import QueryError, Server
from qos_agent.influx.responses import Response, decide, retry_after_s
from qos_agent.model import Link
from qos_agent.model.errors import ProbeError
from qos_agent.model.schema.codes import CAUSES
from qos_agent.system.network import hosts, routes
from qos_agent.system.network.resolvers import resolvers_of
from tests.fuzz.mutations import FACTOR, fuzz, mutated, seeds
from tests.probes.web.pages import load, probe, task

pytestmark = pytest.mark.slow

_SLOW = settings(
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class RawServer:
    """Answers every request with the same bytes, and closes the connection."""

    def __init__(self) -> None:
        self.answer = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with sock, suppress(OSError):
                sock.settimeout(5)
                sock.recv(65536)
                sock.sendall(self.answer)
                sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End the thread."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    """Return a server of raw bytes."""
    raw = RawServer()
    yield raw
    raw.close()


@settings(_SLOW, max_examples=100 * FACTOR)
@given(mutated(seeds("http")))
def test_pages(server: RawServer, data: bytes) -> None:
    """Whatever a server sends, the reading is a page or has a cause of the network."""
    server.answer = data
    with suppress(ProbeError):
        result = load(probe(server.url), task(f"{server.url}/"))
        assert result.cause in {None, *CAUSES} - {"internal"}


@settings(_SLOW, max_examples=200 * FACTOR)
@given(mutated(seeds("influx_answer")))
def test_answers_to_queries(server: RawServer, data: bytes) -> None:
    """An answer of any shape gives rows or a QueryError."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d"
    server.answer = head % len(data) + b"\r\nConnection: close\r\n\r\n" + data
    client = Server(CollectorSection(url=server.url), 5.0)
    try:
        with suppress(QueryError):
            for row in client.select("SELECT 1"):
                assert isinstance(row.values, dict)
    finally:
        client.close()


@fuzz(seeds("influx_write"), 800)
def test_answers_to_writes(data: bytes) -> None:
    """An answer of any status and body gives a decision."""
    text = data.decode("latin-1")
    for status in (200, 201, 204, 302, 400, 401, 413, 422, 429, 500, 503):
        decide(Response(status, {"retry-after": text[:40], "date": text[:40]}, text))
    wait_s = retry_after_s({"retry-after": text})
    assert wait_s is None or 0 <= wait_s <= 3600


_RESOLVER_FILES = (
    "run/systemd/resolve/netif/{index}",
    "run/systemd/netif/leases/{index}",
    "run/dhcpcd/hook-state/resolv.conf/lo.dhcp",
    "var/lib/dhcp/dhclient.lo.leases",
    "etc/resolv.conf",
)


@fuzz(seeds("resolv_conf"), 100)
def test_resolver_files(data: bytes) -> None:
    """Each server in a file of any program is an address; other bytes are left out."""
    link = Link("main", "x", "lo")
    index = socket.if_nametoindex("lo")
    for name in _RESOLVER_FILES:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name.format(index=index)
            path.parent.mkdir(parents=True)
            path.write_bytes(data)
            for server in resolvers_of(link, Path(folder)).servers:
                ipaddress.ip_address(server)


@fuzz(seeds("hosts"), 150)
def test_hosts_files(data: bytes) -> None:
    """Each address of a name in /etc/hosts is an address."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "etc").mkdir()
        (Path(folder) / "etc/hosts").write_bytes(data)
        for address in hosts.addresses_of("host.test", Path(folder)):
            ipaddress.ip_address(address)


@fuzz(seeds("routes"), 150)
def test_routing_tables(data: bytes) -> None:
    """A line of another shape is no route."""
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name in ("route", "ipv6_route"):
            (Path(folder) / name).write_bytes(data)
        patch.setattr(routes, "_ROUTES", Path(folder))
        route = routes.default_route()
        assert (
            route is None
            or route.gateway is None
            or ipaddress.ip_address(route.gateway)
        )


@fuzz(seeds("dns"), 800)
def test_dns_responses(data: bytes) -> None:
    """A damaged message raises only errors that the product catches."""
    with suppress(dns.exception.DNSException, ValueError):
        dns.message.from_wire(data, ignore_trailing=True)


def test_every_parser_has_a_corpus() -> None:
    """A folder of the corpus that no test reads would protect nothing."""
    here = Path(__file__).parent
    code = "".join(path.read_text() for path in here.glob("test_*.py"))
    for folder in (here / "corpus").iterdir():
        assert f'seeds("{folder.name}"' in code, folder.name
