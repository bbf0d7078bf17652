"""Sends one write request to one collector with influxdb-client.

The canonical lines are sent unchanged: compressed with gzip, in nanosecond precision,
without redirects, with TLS verification. The library's retries are off, because
`responses` decides what to do after each response.
"""

from __future__ import annotations

import socket
import ssl
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.responses import Failure, Response, date_of
from qos_agent.influx.secrets import without_token
from qos_agent.influx.tls import tls_context
from qos_agent.influx.wire_size import WireBytes, wire_bytes
from qos_agent.model import limits
from qos_agent.model.errors import ConfigError
from qos_agent.model.time_span import is_plausible
from qos_agent.system.network import cause_of
from qos_agent.system.network.tls import cause_of_tls, message_of_tls

if TYPE_CHECKING:
    from influxdb_client import InfluxDBClient, WriteService
    from urllib3 import PoolManager

_USER_AGENT = "qos-agent"
_BODY_MAX_CHARACTERS = 4000

_BEFORE_SENDING = (
    "token",
    "token_file",
    "insecure",
    "ca_file",
    "client_cert_file",
    "name_not_resolved",
    "no_route",
    "unreachable",
    "refused",
    "link_down",
    "tls",
    "tls_expired",
    "tls_untrusted",
    "tls_name",
)
_REQUEST_HEAD_BYTES = 420
_RESPONSE_HEAD_BYTES = 330


@dataclass(frozen=True, slots=True)
class Exchange:
    """The result of one request, its bytes on the wire, and the clock difference.

    `offset_ms` is this device's clock minus the collector's Date header, which has a
    resolution of one second.
    """

    result: Response | Failure
    sent_bytes: int
    received_bytes: int
    offset_ms: float | None = None


class Transport(Protocol):
    """A collector that accepts write requests."""

    def post(self, body: bytes, timeout_s: float) -> Exchange:
        """Send compressed lines. Never raises for a network or server error."""
        ...

    def cost_bytes(self, body: bytes) -> int:
        """Return the maximum bytes that a request with this body may transfer."""
        ...

    def renew(self) -> None:
        """Read the token again before the next request."""
        ...

    def close(self) -> None:
        """Close connections."""
        ...


class InfluxTransport:
    """Sends to the v2 write API of InfluxDB, which 1.8, 2.x and 3.x have."""

    def __init__(self, section: CollectorSection) -> None:
        self._section = section
        self._secure = str(section.url).startswith("https")
        self._token: str | None = None
        self._client: InfluxDBClient | None = None
        self._connections = 0

    def post(self, body: bytes, timeout_s: float) -> Exchange:
        """Send compressed lines. Never raises for a network or server error."""
        before_ns = time.time_ns()
        result = self._request(body, timeout_s)
        middle_ns = (before_ns + time.time_ns()) // 2
        offset_ms = None
        # Other servers such as captive portals have clocks too: only an
        # acknowledgement comes from the collector for sure.
        if isinstance(result, Response) and result.status == 204:
            offset_ms = _offset_ms(result, middle_ns)
        cost = self._cost(body, result)
        return Exchange(result, cost.sent, cost.received, offset_ms)

    def cost_bytes(self, body: bytes) -> int:
        """Return the maximum bytes of a request with this body and a new connection."""
        sent = _REQUEST_HEAD_BYTES + len(body)
        cost = wire_bytes(sent, _RESPONSE_HEAD_BYTES, 1, secure=self._secure)
        return cost.sent + cost.received

    def renew(self) -> None:
        """Open a new connection for the next request, which reads the token again."""
        self.close()

    def close(self) -> None:
        """Close connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def manager(self) -> PoolManager | None:
        """Return the open connections, which other requests may use too."""
        client = self._client
        if client is None:
            return None
        manager: PoolManager = client.api_client.rest_client.pool_manager
        return manager

    def _read_token(self) -> None:
        """Read the token, which may have a new value. Raises ConfigError."""
        token = self._section.sendable_token()
        if token != self._token:
            self._token = token
            self.close()

    def _cost(self, body: bytes, result: Response | Failure) -> WireBytes:
        sent, received = _REQUEST_HEAD_BYTES + len(body), 0
        if isinstance(result, Failure) and result.cause in _BEFORE_SENDING:
            sent = 0
        if isinstance(result, Response):
            received = _RESPONSE_HEAD_BYTES + len(result.body)
        return wire_bytes(sent, received, self._opened(), secure=self._secure)

    def _request(self, body: bytes, timeout_s: float) -> Response | Failure:
        """Return the result; its texts do not contain the token."""
        result = self._exchange(body, timeout_s)
        token = self._token
        if isinstance(result, Failure):
            return replace(result, detail=without_token(token, result.detail))
        headers = {k: without_token(token, v) for k, v in result.headers.items()}
        text = without_token(token, result.body)[:_BODY_MAX_CHARACTERS]
        return Response(result.status, headers, text)

    def _exchange(self, body: bytes, timeout_s: float) -> Response | Failure:
        import urllib3
        from influxdb_client.rest import ApiException

        try:
            self._read_token()
            _, status, headers = self._service().post_write_with_http_info(
                self._section.org,
                self._section.bucket,
                body,
                precision="ns",
                content_encoding="gzip",
                _request_timeout=timeout_s * 1000,
                urlopen_kw={"redirect": False},
            )
        except ConfigError as error:
            return Failure(error.key, f"{error.problem} (found: {error.found})")
        except ApiException as error:
            if not error.status:
                return failure_of(error)
            return _response(error.status, error.headers, error.body)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return failure_of(error)
        return _response(status, headers, "")

    def _service(self) -> WriteService:
        from influxdb_client import WriteService

        if self._client is None:
            self._client = make_client(self._section, self._token)
        return WriteService(self._client.api_client)

    def _opened(self) -> int:
        """Return the number of connections opened since the last call."""
        if self._client is None:
            return 0
        pools = self._client.api_client.rest_client.pool_manager
        pool = pools.connection_from_url(str(self._section.url))
        before, self._connections = self._connections, int(pool.num_connections)
        return max(0, self._connections - before)


def make_client(section: CollectorSection, token: str | None) -> InfluxDBClient:
    """Return a client of a collector, without retries and with one connection."""
    from influxdb_client import InfluxDBClient

    from qos_agent.influx.limited_http import limit_responses

    client = InfluxDBClient(
        url=str(section.url).rstrip("/"),
        token=token or "",
        org=section.org,
        timeout=int(section.timeout * 1000),
        ssl_context=tls_context(section),
        retries=False,
        connection_pool_maxsize=1,
    )
    client.api_client.user_agent = _USER_AGENT
    limit_responses(client.api_client.rest_client.pool_manager, limits.WRITE)
    return client


def _response(status: int, headers: object, body: object) -> Response:
    pairs = headers.items() if isinstance(headers, Mapping) else ()
    lower = {str(name).lower(): str(value) for name, value in pairs}
    text = body if isinstance(body, str) else ""
    return Response(status, lower, text)


def _offset_ms(response: Response, now_ns: int) -> float | None:
    """Return our clock minus the collector's, whose Date is cut to the second.

    It is None without a Date, and for a Date that no working clock shows.
    """
    date = date_of(response.headers.get("date", ""))
    if date is None or not is_plausible(date.timestamp() * 1e9):
        return None
    return now_ns / 1e6 - date.timestamp() * 1e3 - 500.0


def failure_of(error: BaseException) -> Failure:
    """Return the innermost known cause of an error that the library raised."""
    chain = list(_chain(error))
    for inner in chain:
        if isinstance(inner, ssl.SSLError):
            return Failure(cause_of_tls(inner), message_of_tls(inner))
        if isinstance(inner, socket.gaierror):
            return Failure("name_not_resolved", str(inner.strerror))
    return _network_failure(chain)


def _network_failure(chain: Sequence[BaseException]) -> Failure:
    import http.client

    from urllib3.exceptions import TimeoutError as LibraryTimeout

    for inner in chain:
        if isinstance(inner, LibraryTimeout | TimeoutError):
            return Failure("timeout", "no complete response in time")
        if isinstance(inner, http.client.RemoteDisconnected):
            return Failure("closed_early", "closed without a response")
        if isinstance(inner, http.client.BadStatusLine):
            return Failure("closed_early", "the response is not HTTP")
        if isinstance(inner, http.client.HTTPException):
            return Failure("closed_early", str(inner) or type(inner).__name__)
        if isinstance(inner, OSError) and inner.errno is not None:
            return Failure(cause_of(inner), str(inner.strerror))
    return Failure("closed_early", str(chain[0]) or type(chain[0]).__name__)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the innermost cause of the error first, and the error itself last."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        inner = next((a for a in error.args if isinstance(a, BaseException)), None)
        error = error.__cause__ or error.__context__ or inner
    yield from reversed(seen)


_GZIP = zlib.MAX_WBITS | 16
# Lines are joined in parts to avoid a second copy of a large batch.
_PART_LINES = 250
# A latency line of 757 bytes compresses to 113 bytes at level 1, 84 at level 6 and 79
# at level 9, in 3, 8 and 20 us. Data costs a station more than processor time.
_LEVEL = 6


def pack(lines: Sequence[bytes]) -> bytes:
    """Compress lines without name or time, so that equal lines give equal bytes."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    parts = [
        packer.compress(b"\n".join(lines[start : start + _PART_LINES]) + b"\n")
        for start in range(0, len(lines), _PART_LINES)
    ]
    return b"".join([*parts, packer.flush()])
