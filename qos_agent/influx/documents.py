"""Fetches small files from a web server, over the collector's open connection.

The gateway serves the files next to the collector. A check that uses the connection of
the uplink costs no handshake and no second TLS context.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.responses import Failure
from qos_agent.influx.tls import tls_context
from qos_agent.influx.transport import failure_of
from qos_agent.influx.wire_size import wire_bytes
from qos_agent.model import Link, limits
from qos_agent.model.errors import ConfigError, ProbeError

if TYPE_CHECKING:
    from urllib3 import PoolManager

# Heads of a request and a response, measured with nginx.
_REQUEST_HEAD_BYTES = 260
_RESPONSE_HEAD_BYTES = 260
_USER_AGENT = "qos-agent"


@dataclass(frozen=True, slots=True)
class Document:
    """A response, and the bytes that it took on the wire."""

    status: int
    body: bytes
    etag: str | None
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A request without a response, and the bytes that it may have taken."""

    failure: Failure
    size_bytes: int


class DocumentClient:
    """Fetches files; `shared` returns the open connections of the uplink."""

    def __init__(
        self, section: CollectorSection, shared: Callable[[], PoolManager | None]
    ) -> None:
        self._section = section
        self._shared = shared

    def get(
        self, url: str, etag: str | None, timeout_s: float, link: Link | None = None
    ) -> Document | Failed:
        """Fetch a file. Never raises for a network or server error.

        With a link, a new connection is bound to it.
        """
        secure = url.startswith("https")
        try:
            shared = self._shared() if link is None else None
            manager = shared or self._new(link)
        except ConfigError as error:
            return Failed(Failure(error.key, error.problem), 0)
        try:
            return _fetched(manager, url, etag, timeout_s, secure=secure)
        finally:
            if shared is None:
                manager.clear()

    def _new(self, link: Link | None) -> PoolManager:
        import urllib3

        from qos_agent.influx.limited_http import limit_responses

        context = tls_context(self._section.model_copy(update={"url": "https://"}))
        manager = urllib3.PoolManager(ssl_context=context, maxsize=1)
        limit_responses(manager, limits.WRITE, link)
        return manager


def _fetched(
    manager: PoolManager, url: str, etag: str | None, timeout_s: float, *, secure: bool
) -> Document | Failed:
    import urllib3

    headers = {"User-Agent": _USER_AGENT}
    if etag is not None:
        headers["If-None-Match"] = etag
    pool = manager.connection_from_url(url)
    before = pool.num_connections

    def cost(body: bytes) -> int:
        opened = max(0, pool.num_connections - before)
        sent, received = _REQUEST_HEAD_BYTES, _RESPONSE_HEAD_BYTES + len(body)
        wire = wire_bytes(sent, received, opened, secure=secure)
        return wire.sent + wire.received

    try:
        response = manager.request(
            "GET",
            url,
            headers=headers,
            redirect=False,
            retries=False,
            timeout=urllib3.Timeout(total=timeout_s),
        )
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        return Failed(failure_of(error), cost(b""))
    except ProbeError as error:
        return Failed(Failure(error.cause, error.detail), 0)
    body = response.data
    return Document(response.status, body, response.headers.get("ETag"), cost(body))
