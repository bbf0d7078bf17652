"""One write request to one collector through influxdb-client.

The canonical lines go as they are: gzipped, nanosecond precision, no redirects, TLS
verified. The library's own retries are off: a decision is taken elsewhere.
"""

from __future__ import annotations

import math
import socket
import ssl
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.decision import Answer, Failure, date_of
from qos_agent.system.network import cause_of

if TYPE_CHECKING:
    from influxdb_client import InfluxDBClient, WriteService

_USER_AGENT = "qos-agent"
_BODY_MAX_CHARACTERS = 4000

# X509_V_ERR_* of OpenSSL's x509_vfy.h.
_NOT_YET_VALID, _EXPIRED, _HOST, _ADDRESS = 9, 10, 62, 64
_TLS_CAUSES = {
    _NOT_YET_VALID: "tls_expired",
    _EXPIRED: "tls_expired",
    _HOST: "tls_name",
    _ADDRESS: "tls_name",
}

_BEFORE_SENDING = (
    "name_not_resolved", "no_route", "unreachable", "refused", "link_down",
    "tls", "tls_expired", "tls_untrusted", "tls_name",
)  # fmt: skip

# The wire costs more than the bytes handed to it: IPv4 and TCP headers with time
# stamps, an acknowledgement for every second segment, a TLS record's frame.
_SEGMENT_BYTES = 1348
_HEADERS_BYTES = 52
_RECORD_BYTES = 29
_RECORD_MAX_BYTES = 16384
# Opening and closing TCP, and the name's resolution; TLS 1.3 with a chain of two.
_CONNECTION_BYTES = 9 * 60 + 300
_HANDSHAKE_BYTES = 6000
_REQUEST_HEAD_BYTES = 420
_ANSWER_HEAD_BYTES = 330


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and what came of it: answer, bytes on the wire, clock difference.

    `offset_ms` is our clock less the collector's, to its Date header's second.
    """

    heard: Answer | Failure
    sent_bytes: int
    received_bytes: int
    offset_ms: float | None = None


class Transport(Protocol):
    """Where lines are posted to."""

    def post(self, body: bytes, timeout_s: float) -> Exchange:
        """Write gzipped lines. Never raises for what the world does."""
        ...

    def cost_bytes(self, body: bytes) -> int:
        """What a request with this body would move at the most."""
        ...

    def renew(self) -> None:
        """Read the token again."""
        ...

    def close(self) -> None:
        """Close connections."""
        ...


class InfluxTransport:
    """A collector that speaks InfluxDB's v2 write."""

    def __init__(self, section: CollectorSection) -> None:
        self._section = section
        self._secure = str(section.url).startswith("https")
        self._token = section.current_token()
        self._client: InfluxDBClient | None = None
        self._connections = 0

    def post(self, body: bytes, timeout_s: float) -> Exchange:
        """Write gzipped lines. Never raises for what the world does."""
        before_ns = time.time_ns()
        heard = self._request(body, timeout_s)
        now_ns = (before_ns + time.time_ns()) // 2
        opened = self._opened()
        sent, received, offset_ms = _REQUEST_HEAD_BYTES + len(body), 0, None
        if isinstance(heard, Failure) and heard.cause in _BEFORE_SENDING:
            sent = 0
        if isinstance(heard, Answer):
            received = _ANSWER_HEAD_BYTES + len(heard.body)
            # A captive portal has a clock too: only an acknowledgement's counts.
            offset_ms = _offset_ms(heard, now_ns) if heard.status == 204 else None
        cost = wire_bytes(sent, received, opened, secure=self._secure)
        return Exchange(heard, *cost, offset_ms)

    def cost_bytes(self, body: bytes) -> int:
        """What a request with this body would move at the most, a connection too."""
        sent = _REQUEST_HEAD_BYTES + len(body)
        return sum(wire_bytes(sent, _ANSWER_HEAD_BYTES, 1, secure=self._secure))

    def renew(self) -> None:
        """Read the token again, where it is in a file."""
        try:
            token = self._section.current_token()
        except (OSError, UnicodeDecodeError):
            return  # it may be being replaced just now
        if token != self._token:
            self._token = token
            self.close()

    def close(self) -> None:
        """Close connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _request(self, body: bytes, timeout_s: float) -> Answer | Failure:
        import urllib3
        from influxdb_client.rest import ApiException

        try:
            _, status, headers = self._service().post_write_with_http_info(
                self._section.org,
                self._section.bucket,
                body,
                precision="ns",
                content_encoding="gzip",
                _request_timeout=timeout_s * 1000,
                urlopen_kw={"redirect": False},
            )
        except ApiException as error:
            if not error.status:
                return _failure(error)
            return _answer(error.status, error.headers, error.body)
        except UnicodeDecodeError:
            # A page in the encoding of its country; a collector speaks UTF-8.
            return Answer(200, {"content-type": "text/html"})
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return _failure(error)
        return _answer(status, headers, "")

    def _service(self) -> WriteService:
        from influxdb_client import InfluxDBClient, WriteService

        if self._client is None:
            section = self._section
            self._client = InfluxDBClient(
                url=str(section.url).rstrip("/"),
                token=self._token or "",
                org=section.org,
                timeout=int(section.timeout * 1000),
                ssl_context=_tls(section),
                retries=False,
                connection_pool_maxsize=1,
            )
            self._client.api_client.user_agent = _USER_AGENT
        return WriteService(self._client.api_client)

    def _opened(self) -> int:
        """Connections opened since the last time asked."""
        if self._client is None:
            return 0
        pools = self._client.api_client.rest_client.pool_manager
        pool = pools.connection_from_url(str(self._section.url))
        before, self._connections = self._connections, int(pool.num_connections)
        return max(0, self._connections - before)


def _tls(section: CollectorSection) -> ssl.SSLContext | None:
    if not str(section.url).startswith("https"):
        return None
    context = ssl.create_default_context()
    if section.ca_file is not None:
        context.load_verify_locations(section.ca_file)
    return context


def _answer(status: int, headers: object, body: object) -> Answer:
    given = headers if isinstance(headers, Mapping) else {}
    lower = {str(name).lower(): str(value) for name, value in given.items()}
    text = body if isinstance(body, str) else ""
    return Answer(status, lower, text[:_BODY_MAX_CHARACTERS])


def _offset_ms(answer: Answer, now_ns: int) -> float | None:
    """Our clock less the collector's; its Date is cut to the second."""
    date = date_of(answer.headers.get("date", ""))
    return None if date is None else now_ns / 1e6 - date.timestamp() * 1e3 - 500.0


def wire_bytes(
    sent: int, received: int, connections: int, *, secure: bool
) -> tuple[int, int]:
    """Bytes both ways on the wire for bytes of HTTP: an estimate from above.

    The kernel's own count of the connection is out of reach below the library, and
    the interface's counts what others send too.
    """
    ways = [_framed(sent, secure=secure), _framed(received, secure=secure)]
    out = ways[0] + _acknowledgements(ways[1])
    back = ways[1] + _acknowledgements(ways[0])
    opening = _CONNECTION_BYTES + (_HANDSHAKE_BYTES if secure else 0)
    return out + connections * opening // 2, back + connections * opening // 2


def _framed(size: int, *, secure: bool) -> int:
    records = math.ceil(size / _RECORD_MAX_BYTES) if secure else 0
    payload = size + records * _RECORD_BYTES
    return payload + math.ceil(payload / _SEGMENT_BYTES) * _HEADERS_BYTES


def _acknowledgements(size: int) -> int:
    return math.ceil(size / (2 * (_SEGMENT_BYTES + _HEADERS_BYTES))) * _HEADERS_BYTES


def _failure(error: BaseException) -> Failure:
    """The cause that lies deepest in what the library raised."""
    chain = list(_chain(error))
    for inner in chain:
        if isinstance(inner, ssl.SSLCertVerificationError):
            cause = _TLS_CAUSES.get(inner.verify_code, "tls_untrusted")
            return Failure(cause, inner.verify_message)
        if isinstance(inner, ssl.SSLError):
            return Failure("tls", str(inner.reason or inner))
        if isinstance(inner, socket.gaierror):
            return Failure("name_not_resolved", str(inner.strerror))
    return _network_failure(chain)


def _network_failure(chain: Sequence[BaseException]) -> Failure:
    import http.client

    from urllib3.exceptions import TimeoutError as LibraryTimeout

    for inner in chain:
        if isinstance(inner, LibraryTimeout | TimeoutError):
            return Failure("timeout", "no answer in time")
        if isinstance(inner, http.client.HTTPException) and not isinstance(
            inner, OSError
        ):
            return Failure("closed_early", str(inner) or type(inner).__name__)
        if isinstance(inner, http.client.RemoteDisconnected):
            return Failure("closed_early", "closed without an answer")
        if isinstance(inner, OSError) and inner.errno is not None:
            return Failure(cause_of(inner), str(inner.strerror))
    return Failure("closed_early", str(chain[0]) or type(chain[0]).__name__)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it came of, the deepest first."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        inner = next((a for a in error.args if isinstance(a, BaseException)), None)
        error = error.__cause__ or error.__context__ or inner
    yield from reversed(seen)


_GZIP = zlib.MAX_WBITS | 16
# Joined piece by piece, so that there is no second copy of a large batch.
_PIECE_LINES = 250
# Of a train's line of 757 bytes level 1 leaves 113, 6 leaves 84, 9 leaves 79, in
# 3, 8 and 20 us: bytes cost the station more than time does.
_LEVEL = 6


def pack(lines: Sequence[bytes]) -> bytes:
    """A gzip member without name or time: the same lines are the same body."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    parts = [
        packer.compress(b"\n".join(lines[start : start + _PIECE_LINES]) + b"\n")
        for start in range(0, len(lines), _PIECE_LINES)
    ]
    return b"".join([*parts, packer.flush()])
