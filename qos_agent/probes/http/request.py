"""Where a URL leads, the head of a request there, and what being sent away means.

On the way to a server stand things that answer in its place: a hotspot's login, an
operator's top-up page. Over https they cannot; over http they give themselves away
by where they send us, or by a page where none, or another, was expected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, urljoin, urlsplit

from qos_agent import __version__
from qos_agent.model.errors import ProbeError

AUTHENTICATE = 511
"""The status that portals send, and servers do not (RFC 6585, 6)."""

# What may stand unescaped in a path or query (RFC 3986, 3.3 and 3.4).
_UNESCAPED = "/?%:@!$&'()*+,;=~"


@dataclass(frozen=True, slots=True)
class RequestTarget:
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

    def wrong_page(self, detail: str) -> ProbeError:
        """A page where none, or another, was expected."""
        return ProbeError("bad_answer" if self.secure else "captive_portal", detail)

    def sent_away(self, location: str) -> ProbeError:
        """A redirection: over plain http, one to a stranger is the mark of a portal."""
        try:
            leads_to = (
                urlsplit(urljoin(f"http://{self.host}/", location)).hostname or ""
            )
        except ValueError:
            return ProbeError("bad_answer", f"redirected to {location!r}")
        akin = _akin(leads_to, self.host)
        cause = "redirected" if self.secure or akin else "captive_portal"
        return ProbeError(cause, f"to {leads_to}")


def begins_a_page(body: bytes) -> bool:
    """Whether a body begins as HTML does, whatever its server calls it."""
    return body[:200].lstrip().lower().startswith((b"<!doctype html", b"<html"))


def _akin(one: str, other: str) -> bool:
    """Whether two names are of one family: equal, or one under the other."""
    a, b = one.removeprefix("www."), other.removeprefix("www.")
    return a == b or a.endswith(f".{b}") or b.endswith(f".{a}")
