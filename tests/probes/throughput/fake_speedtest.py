"""A fake of speedtest.net: its configuration, its list of servers and one server.

It contains nothing of Ookla's software, and no request leaves the machine. It is the
HTTP proxy of the child process, so that speedtest-cli itself runs unchanged. Requests
over TLS arrive through CONNECT. They get a certificate for www.speedtest.net from an
authority of the tests.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from tests.probes.throughput.bad_server import RESET_ON_CLOSE

CONFIGURATION = b"""<?xml version="1.0" encoding="UTF-8"?>
<settings>
<client ip="192.0.2.7" lat="-6.2" lon="106.8" isp="Test" country="ID"/>
<server-config threadcount="4" ignoreids="" />
<download testlength="10" threadsperurl="4"/>
<upload testlength="10" ratio="5" maxchunkcount="50" threads="2"/>
</settings>"""
SERVERS = """<?xml version="1.0" encoding="UTF-8"?>
<settings><servers><server url="http://{0}/speedtest/upload.php" lat="-6.2" lon="106.8"
 name="Jakarta" country="Indonesia" cc="ID" sponsor="Test" id="1" host="{0}"/>
</servers></settings>"""
SIZES = {"350": 245_388, "500": 505_544, "750": 1_118_012, "1000": 1_986_284}
BLOCK = b"\x5a" * 65536


@dataclass
class FakeSpeedtest:
    """The port of the server, the requests to it, and responses set by the test."""

    port: int = 0
    instead: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    received_bytes: int = 0
    breaks_after: int | None = None
    tunnels: list[str] = field(default_factory=list)
    interim: bytes = b""
    more_headers: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the child, with this server as its proxy."""
        return {"http_proxy": self.url, "https_proxy": self.url}

    def response(self, path: str) -> tuple[int, bytes]:
        name = PurePosixPath(path).name
        self.requests.append(name)
        if name in self.instead:
            return self.instead[name]
        if (size := name.partition("x")[0].removeprefix("random")) in SIZES:
            return 200, (BLOCK * 40)[: SIZES[size]]
        bodies = {
            "speedtest-config.php": CONFIGURATION,
            "speedtest-servers-static.php": self._servers(),
            "latency.txt": b"test=test",
            "upload.php": b"size=500",
            "": b'upload_extension: "php"',
        }
        return (200, bodies[name]) if name in bodies else (404, b"")

    def _servers(self) -> bytes:
        return SERVERS.format(f"127.0.0.1:{self.port}").encode()


def _send(
    handler: BaseHTTPRequestHandler, body: bytes, limit_bytes: int | None
) -> None:
    """Send the body, or its beginning up to the limit and then a reset."""
    handler.wfile.write(body[:limit_bytes])
    if limit_bytes is not None and len(body) > limit_bytes:
        handler.close_connection = True
        level, option = socket.SOL_SOCKET, socket.SO_LINGER
        handler.connection.setsockopt(level, option, RESET_ON_CLOSE)


@contextmanager
def fake_speedtest(tls: ssl.SSLContext | None = None) -> Iterator[FakeSpeedtest]:
    """Serve on a free port of this machine; with `tls` also inside tunnels."""
    fake = FakeSpeedtest()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body = fake.response(urlsplit(self.path).path)
            self.wfile.write(fake.interim)
            self.send_response(status)
            for number in range(fake.more_headers):
                self.send_header(f"X-{number}", "y")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Location", "http://127.0.0.1:9/")
            self.end_headers()
            _send(self, body, fake.breaks_after)

        def do_CONNECT(self) -> None:
            assert tls is not None
            fake.tunnels.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.close_connection = True
            # A client that does not trust the certificate closes the connection.
            with suppress(OSError), tls.wrap_socket(self.connection, True) as inner:
                self.inside(inner)

        def inside(self, inner: ssl.SSLSocket) -> None:
            with inner.makefile("rb") as reader, inner.makefile("wb", 0) as writer:
                self.rfile = reader
                self.wfile = writer  # type: ignore[assignment]  # as the library does
                self.close_connection = False
                while not self.close_connection:
                    self.handle_one_request()

        def do_POST(self) -> None:
            left = int(self.headers["Content-Length"])
            while left > 0 and (chunk := self.rfile.read(min(left, 65536))):
                left -= len(chunk)
                fake.received_bytes += len(chunk)
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
