"""A reverse proxy in front of a real server that plays scripted answers.

    front = Front(influxdb.url).start()
    front.script(refused(503), Unheard())    # for the next two requests; then Pass

It records every request. Each connection has its own thread, so that an answer in
`answers.py` is a plain sequence of steps.
"""

from __future__ import annotations

import select
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Self

from tests.servers.answers import Answer, Pass, Request, Status
from tests.servers.database import HttpAnswer, connect, read_answer
from tests.servers.namespace import free_port, inside

Playable = Answer | Callable[[Request], Answer]

POLL_S = 0.02
HANDSHAKE_LIMIT_S = 10.0
# RFC 9110 section 7.6.1: these belong to one connection, not to the message.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


class Front:
    """A programmable server; without a target it can only play fixed answers."""

    def __init__(
        self,
        target: str = "",
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        namespace: str | None = None,
        target_namespace: str | None = None,
    ) -> None:
        self.target = target
        self.address = address
        self.port = port or free_port(address, namespace)
        self.tls = tls
        self.namespace = namespace
        self.target_namespace = target_namespace
        self.requests: list[Request] = []
        self.handshake_errors: list[Exception] = []
        self.errors: list[BaseException] = []
        self.stopping = threading.Event()
        self._script: list[Playable] = []
        self._default: Playable = Pass()
        self._changed = threading.Condition()
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{self.address}:{self.port}"

    def script(self, *answers: Playable) -> None:
        """Set the answers of the next requests, one for each."""
        with self._changed:
            self._script = list(answers)

    def always(self, answer: Playable) -> None:
        """Set the answer of all requests after the script; the default is Pass."""
        with self._changed:
            self._default = answer

    @property
    def unplayed(self) -> int:
        """The number of answers in the script that are not played yet."""
        with self._changed:
            return len(self._script)

    def wait_for(self, requests: int, limit_s: float = 10.0) -> None:
        """Wait until the front has received this number of requests in total."""
        with self._changed:
            complete = self._changed.wait_for(
                lambda: len(self.requests) >= requests, limit_s
            )
        assert complete, f"{len(self.requests)} of {requests} requests in {limit_s} s"

    def start(self) -> Self:
        """Listen; after a stop, on the same port as before."""
        self.stopping.clear()
        self._server = server = inside(self.namespace, lambda: _Server(self))
        threading.Thread(
            target=server.serve_forever, args=(POLL_S,), daemon=True
        ).start()
        return self

    def stop(self) -> None:
        """Refuse new connections and close the open ones."""
        self.stopping.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.cut_all()
            self._server = None

    def take(self, request: Request) -> Answer:
        """Return the answer for a request whose head has arrived."""
        with self._changed:
            chosen = self._script.pop(0) if self._script else self._default
        return chosen(request) if callable(chosen) else chosen

    def record(self, request: Request) -> None:
        """Record a request and wake the threads that wait for it."""
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, front: Front) -> None:
        self.front = front
        self._open: set[socket.socket] = set()
        super().__init__((front.address, front.port), _Handler)

    def finish_request(self, request: object, client_address: object) -> None:
        """Do the TLS handshake in the connection's thread, then serve it."""
        assert isinstance(request, socket.socket)
        connection = self._secured(request)
        if connection is None:
            return
        self._open.add(connection)
        try:
            _Handler(connection, client_address, self)
        finally:
            self._open.discard(connection)
            # Do not call shutdown(), which would send FIN before a reset.
            connection.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Record errors for the fixture, except those of a client that left."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            self.front.errors.append(error)

    def shutdown_request(self, request: object) -> None:
        """Close without the shutdown() that socketserver would call first."""
        assert isinstance(request, socket.socket)
        request.close()

    def cut_all(self) -> None:
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # The connection has already ended.

    def _secured(self, request: socket.socket) -> socket.socket | None:
        if self.front.tls is None:
            return request
        request.settimeout(HANDSHAKE_LIMIT_S)
        try:
            secured = self.front.tls.wrap_socket(request, server_side=True)
        except OSError as error:
            self.front.handshake_errors.append(error)
            return None
        secured.settimeout(None)
        return secured


class _Handler(BaseHTTPRequestHandler):
    """One connection, and the Exchange on which answers are played."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_one_exchange(self) -> None:
        front = self.server.front
        self._request = self._head()
        answer = front.take(self._request)
        if "chunked" in self._request.headers.get("transfer-encoding", ""):
            answer = Status(HTTPStatus.LENGTH_REQUIRED, early=True)
        self._request = replace(self._request, raw_body=self._body(answer.reads))
        front.record(self._request)
        answer.play(self)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = handle_one_exchange  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Log nothing, because the front records all requests."""

    def _head(self) -> Request:
        return Request(
            method=self.command,
            path=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            received_mono=time.monotonic(),
        )

    def _body(self, share: float) -> bytes:
        length = int(self._request.headers.get("content-length", "0"))
        return self.rfile.read(int(length * share))

    def forward(self, path: str, headers: Mapping[str, str]) -> HttpAnswer:
        front, request = self.server.front, self._request
        sent = {k: v for k, v in request.headers.items() if k not in HOP_BY_HOP}
        connection = connect(front.target, front.target_namespace)
        try:
            connection.request(
                request.method,
                path or request.path,
                request.raw_body or None,
                sent | dict(headers),
            )
            return read_answer(connection)
        finally:
            connection.close()

    def reply(
        self, answer: HttpAnswer, sent_share: float = 1.0, *, last: bool = False
    ) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        if answer.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(answer.body)))
        if last:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: int(len(answer.body) * sent_share)])

    def close(self) -> None:
        self.close_connection = True

    def reset(self) -> None:
        no_linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
        self.close_connection = True

    def wait(self, limit_s: float) -> bool:
        end_mono = time.monotonic() + limit_s
        watch = select.poll()
        watch.register(self.connection, select.POLLRDHUP | select.POLLHUP)
        while not self.server.front.stopping.is_set():
            left_s = end_mono - time.monotonic()
            if left_s <= 0:
                return True
            if watch.poll(min(left_s, POLL_S) * 1000):
                break
        self.close_connection = True
        return False
