"""Answers of servers: pages, InfluxDB and DNS, and the files that name resolvers."""

from __future__ import annotations

import ipaddress
import socket
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import dns.entropy
import dns.exception
import pytest

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import QueryError, Server
from qos_agent.influx.responses import Action, Response, decide, retry_after_s
from qos_agent.influx.transport import InfluxTransport, pack
from qos_agent.model import Link
from qos_agent.model.errors import ProbeError
from qos_agent.model.schema.codes import CAUSES
from qos_agent.noc.census import queries
from qos_agent.noc.rollup.baseline import baseline_lines
from qos_agent.noc.rollup.sums import ROLLUPS, read_lines
from qos_agent.probes.http.chunks import ChunkDecoder
from qos_agent.probes.http.head import HeadReader
from qos_agent.system.network import dns_query, hosts, routes
from qos_agent.system.network.dns_query import ask
from qos_agent.system.network.resolvers import resolvers_of
from tests.fuzz.mutations import SECONDS, fuzz, seeds
from tests.probes.web.pages import load, probe, task

pytestmark = pytest.mark.slow


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


def test_pages(server: RawServer) -> None:
    """Whatever a server sends, the reading is a page or has a cause of the network."""

    @fuzz(seeds("http"))
    def check(data: bytes) -> None:
        server.answer = data
        with suppress(ProbeError):
            result = load(probe(server.url), task(f"{server.url}/"))
            assert result.cause in {None, *CAUSES} - {"internal"}

    check()


@fuzz(seeds("http"))
def test_responses_in_parts(data: bytes) -> None:
    """The same bytes give the same response, however they are split into segments."""
    whole, parts = _response([data]), _response([data[:7], data[7:50], data[50:]])
    assert whole == parts


def _response(segments: Iterable[bytes]) -> tuple[object, ...]:
    """Return the head and the payload that arrived, or the cause of an error."""
    reader, head, decoder, payload = HeadReader(), None, None, b""
    try:
        for segment in segments:
            body = segment
            if head is None and (head := reader.feed(segment)) is not None:
                head.length_bytes()
                body = reader.rest
                decoder = ChunkDecoder() if head.chunked else None
            if head is not None and decoder is not None:
                payload += b"".join(decoder.feed(memoryview(body)))
            elif head is not None:
                payload += body
    except ProbeError as error:
        return error.cause, None
    return head, payload


def test_answers_to_queries(server: RawServer) -> None:
    """An answer of any shape gives rows or a QueryError, and so does the census."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d"
    client = Server(CollectorSection(url=server.url), 5.0)

    @fuzz(seeds("influx_answer"))
    def check(data: bytes) -> None:
        length = head % len(data)
        server.answer = length + b"\r\nConnection: close\r\n\r\n" + data
        client.wake()
        with suppress(QueryError):
            for row in client.select("SELECT 1"):
                assert isinstance(row.values, dict)
        span = (0, 60 * 10**9)
        for read in (
            queries.newest,
            queries.links_with_verdict,
            queries.links_not_good,
        ):
            with suppress(QueryError):
                read(client, "31", span)
        with suppress(QueryError):
            list(read_lines(client, ROLLUPS[0], "31", *span))
        with suppress(QueryError):
            baseline_lines(client, "31", *span)

    check()
    client.close()


def test_heads_of_collectors(server: RawServer) -> None:
    """Any bytes are a response or a failure, and only a status 204 acknowledges."""
    section = CollectorSection(url=server.url)

    @fuzz(seeds("http"))
    def check(data: bytes) -> None:
        server.answer = data
        transport = InfluxTransport(section)
        exchange = transport.post(pack([b"a b=1 1"]), 5.0)
        transport.close()
        if decide(exchange.result).action is Action.DELIVERED:
            assert b" 204" in data
        client = Server(section, 5.0)
        with suppress(QueryError):
            list(client.select("SELECT 1"))
        client.close()

    check()


@fuzz(seeds("influx_write"))
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


@fuzz(seeds("resolv_conf"))
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


@fuzz(seeds("hosts"))
def test_hosts_files(data: bytes) -> None:
    """Each address of a name in /etc/hosts is an address."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "etc").mkdir()
        (Path(folder) / "etc/hosts").write_bytes(data)
        for address in hosts.addresses_of("host.test", Path(folder)):
            ipaddress.ip_address(address)


@fuzz(seeds("routes"))
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


class _DnsSocket(socket.socket):
    """A socket that receives the same bytes once, and then an error."""

    def __init__(self, data: bytes) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_DGRAM)
        self._stream = BytesIO(data)

    def connect(self, address: object) -> None:
        """Connect nowhere."""

    def send(self, data: object, flags: int = 0) -> int:
        """Send nowhere."""
        return 0

    def sendall(self, data: object, flags: int = 0) -> None:
        """Send nowhere."""

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return the next bytes."""
        if not (data := self._stream.read(size)):
            raise ConnectionRefusedError
        return data


@fuzz(seeds("dns"))
def test_dns_responses(data: bytes) -> None:
    """A damaged message gives addresses, or errors that the resolver catches."""
    wire = b"\0\0" + data[2:]
    sockets = {
        socket.SOCK_DGRAM: wire,
        socket.SOCK_STREAM: len(wire).to_bytes(2, "big") + wire,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dns.entropy, "random_16", lambda: 0)
        patch.setattr(dns_query, "_socket", lambda _, kind: _DnsSocket(sockets[kind]))
        for version in (4, 6):
            with suppress(OSError, dns.exception.DNSException):
                end_s = time.monotonic() + 5
                for address in ask("host.test", version, "127.0.0.1", None, end_s)[0]:
                    assert ipaddress.ip_address(address).version == version


def test_every_parser_has_a_corpus() -> None:
    """A folder of the corpus that no test reads would protect nothing."""
    here = Path(__file__).parent
    code = "".join(path.read_text() for path in here.glob("test_*.py"))
    for folder in (here / "corpus").iterdir():
        assert f'seeds("{folder.name}"' in code, folder.name


def test_fuzzing_takes_half_a_minute() -> None:
    """All parsers together take it in CI, and each one in `make check-full`."""
    here = Path(__file__).parent
    code = "".join(path.read_text() for path in here.glob("test_*.py"))
    assert code.count("@fuzz(") * SECONDS >= 30
