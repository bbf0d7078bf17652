"""Where a URL leads, and the head of the one request that is sent there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, urlsplit

from qos_agent import __version__

# What may stand unescaped in a path or query (RFC 3986, 3.3 and 3.4).
_UNESCAPED = "/?%:@!$&'()*+,;=~"


@dataclass(frozen=True, slots=True)
class Place:
    """A web server and what to ask it for; all ASCII, ready for the wire."""

    secure: bool
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, url: str) -> Self:
        """The place of a URL that the settings have accepted."""
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        host = (parts.hostname or "").encode("idna").decode("ascii")
        query = f"?{parts.query}" if parts.query else ""
        path = quote((parts.path or "/") + query, safe=_UNESCAPED)
        return cls(secure, host, parts.port or (443 if secure else 80), path)

    def head(self, method: str, *headers: str) -> bytes:
        """A request's head (RFC 9112), for one exchange on its connection."""
        usual = self.port == (443 if self.secure else 80)
        lines = (
            f"{method} {self.path} HTTP/1.1",
            f"Host: {self.host}" if usual else f"Host: {self.host}:{self.port}",
            f"User-Agent: qos-agent/{__version__}",
            "Accept: */*",
            "Accept-Encoding: identity",
            "Connection: close",
            *headers,
        )
        return "\r\n".join((*lines, "", "")).encode("ascii")
