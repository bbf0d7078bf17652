"""A small HTTP server for enrolment, behind nginx or with a certificate of its own.

Every part of a request is limited: its head, its body, its time, and the number of
connections. Each connection has one request. Requests are answered one after another
in a thread of their own, because an answer checks a signature and writes to the disk.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import sqlite3
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus

from qos_agent.evidence.enrolment import PATH, REQUEST_MAX_BYTES
from qos_agent.model.errors import QosAgentError
from qos_agent.noc.provision.answers import Answer, Desk

_HEAD_MAX_BYTES = 8192
_REQUEST_S = 10.0
_CONNECTIONS_MAX = 200
_RETRY_AFTER = {HTTPStatus.TOO_MANY_REQUESTS: 60, HTTPStatus.SERVICE_UNAVAILABLE: 30}
_BUSY = Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"{}")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Head:
    """The first line and the headers of a request, with lower-case names."""

    method: str
    path: str
    headers: dict[str, str]


class _RefusedError(Exception):
    """A request that is refused before it is read completely."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class Server:
    """The server of one address and port. It uses the desk in a thread of its own."""

    def __init__(self, desk: Desk, request_s: float = _REQUEST_S) -> None:
        self._desk = desk
        self._request_s = request_s
        self._thread = ThreadPoolExecutor(1, "enrolment")
        self._connections = 0

    async def start(
        self, host: str, port: int, tls: ssl.SSLContext | None
    ) -> asyncio.Server:
        """Open the port and begin to answer. Raises OSError."""
        limits = {"ssl_handshake_timeout": self._request_s} if tls else {}
        return await asyncio.start_server(
            self._serve, host, port, limit=_HEAD_MAX_BYTES, ssl=tls, **limits
        )

    def close(self) -> None:
        """Wait for the answer that is being made."""
        self._thread.shutdown()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._connections += 1
        try:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(self._request_s):
                    await self._exchange(reader, writer)
        finally:
            self._connections -= 1
            writer.transport.abort()

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            answer = _BUSY
            if self._connections <= _CONNECTIONS_MAX:
                answer = await self._answer(*await _request(reader, writer))
        except _RefusedError as error:
            answer = Answer(error.status, b"{}")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            answer = Answer(HTTPStatus.BAD_REQUEST, b"{}")
        writer.write(_response(answer))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def _answer(self, content: bytes, peer: str) -> Answer:
        """Return the answer of the desk; 503 if ledger or key cannot be used."""
        loop = asyncio.get_running_loop()
        try:
            answer = await loop.run_in_executor(
                self._thread, self._desk.answer, content, peer, int(time.time())
            )
        except (QosAgentError, sqlite3.Error, OSError) as error:
            _log.error("enrolment: cannot answer: %s", error)
            return _BUSY
        _log.info("enrolment: %s: HTTP %d", peer, answer.status)
        return answer


async def _request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[bytes, str]:
    """Read a request and return its body and the address of the device."""
    head = _parsed(await reader.readuntil(b"\r\n\r\n"))
    if head.path != PATH:
        raise _RefusedError(HTTPStatus.NOT_FOUND)
    if head.method != "POST":
        raise _RefusedError(HTTPStatus.METHOD_NOT_ALLOWED)
    length = head.headers.get("content-length", "")
    if not length.isascii() or not length.isdigit() or len(length) > 9:
        raise _RefusedError(HTTPStatus.LENGTH_REQUIRED)
    if int(length) > REQUEST_MAX_BYTES:
        raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    content = await reader.readexactly(int(length))
    return content, _peer(writer.get_extra_info("peername")[0], head)


def _parsed(content: bytes) -> _Head:
    lines = content.decode("latin-1").split("\r\n")[:-2]
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise _RefusedError(HTTPStatus.BAD_REQUEST)
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        # Two lengths, or a length and chunks, could mean different ends to a proxy.
        if (
            not colon
            or (name := name.lower()) in headers
            or name == "transfer-encoding"
        ):
            raise _RefusedError(HTTPStatus.BAD_REQUEST)
        headers[name] = value.strip(" \t")
    return _Head(words[0], words[1], headers)


def _peer(address: str, head: _Head) -> str:
    """Return the address of the device, which a proxy on this host passes on."""
    behind_proxy = ipaddress.ip_address(address.partition("%")[0]).is_loopback
    return head.headers.get("x-real-ip", address) if behind_proxy else address


def _response(answer: Answer) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(answer.body)}",
        "Cache-Control: no-store",
        "Connection: close",
    ]
    if (wait_s := _RETRY_AFTER.get(answer.status)) is not None:
        lines.append(f"Retry-After: {wait_s}")
    return "\r\n".join([*lines, "", ""]).encode() + answer.body
