"""Parses a URL, builds the head of a request and classifies redirects.

Between the device and a server there may be a captive portal: the login page of a
hotspot, or the top-up page of an operator. It cannot answer over https. Over http it
shows itself by a redirect to another site, or by an HTML page that was not expected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, urljoin, urlsplit

from qos_agent import __version__
from qos_agent.model.addresses import host_in, in_url, without_zone
from qos_agent.model.errors import ProbeError

NETWORK_AUTHENTICATION_REQUIRED = 511
"""The status for captive portals; an origin server does not send it (RFC 6585, 6)."""

# Characters that need no escape in a path or query (RFC 3986, 3.3 and 3.4).
_UNESCAPED = "/?%:@!$&'()*+,;=~"


@dataclass(frozen=True, slots=True)
class RequestTarget:
    """A web server and the path to request there, in ASCII as on the wire."""

    secure: bool
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, url: str) -> Self:
        """Parse a URL that has passed the checks of the settings."""
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        # A name in TLS has no dot at its end (RFC 6066, 3).
        name = host_in(url).removesuffix(".")
        host = name.encode("idna").decode("ascii")
        query = f"?{parts.query}" if parts.query else ""
        path = quote((parts.path or "/") + query, safe=_UNESCAPED)
        return cls(secure, host, parts.port or (443 if secure else 80), path)

    @property
    def authority(self) -> str:
        """The host and the port, as the header Host has them."""
        host = in_url(self.host)
        default_port = self.port == (443 if self.secure else 80)
        return host if default_port else f"{host}:{self.port}"

    def head(self, method: str, *headers: str) -> bytes:
        """Return the head of a request that closes the connection afterwards."""
        return request_head(
            method,
            self.path,
            self.authority,
            "Accept: */*",
            "Accept-Encoding: identity",
            "Connection: close",
            *headers,
        )

    def page_error(self, detail: str) -> ProbeError:
        """Return the error for an HTML page that was not expected.

        Over http the page may come from a captive portal; over https it cannot.
        """
        return ProbeError("bad_answer" if self.secure else "captive_portal", detail)

    def redirect_error(self, location: str) -> ProbeError:
        """Return the error for a redirect to `location`.

        Over http, a redirect to another site is the mark of a captive portal.
        """
        try:
            address = urlsplit(urljoin(f"http://{in_url(self.host)}/", location))
            host = address.hostname or ""
        except ValueError:
            return ProbeError("bad_answer", f"redirected to {location!r}")
        expected = self.secure or _same_site(
            without_zone(host), without_zone(self.host)
        )
        cause = "redirected" if expected else "captive_portal"
        return ProbeError(cause, f"to {host}")


def request_head(method: str, path: str, host: str, *headers: str) -> bytes:
    """Return the head of an HTTP/1.1 request (RFC 9112)."""
    lines = (
        f"{method} {path} HTTP/1.1",
        f"Host: {host}",
        f"User-Agent: qos-agent/{__version__}",
        *headers,
    )
    return "\r\n".join((*lines, "", "")).encode()


def looks_like_html(body: bytes) -> bool:
    """Return True if a body begins like HTML, whatever its content type."""
    return body[:200].lstrip().lower().startswith((b"<!doctype html", b"<html"))


def _same_site(one: str, other: str) -> bool:
    """Return True if two host names are equal or one is a subdomain of the other."""
    a, b = one.removeprefix("www."), other.removeprefix("www.")
    return a == b or a.endswith(f".{b}") or b.endswith(f".{a}")
