"""Responses of real servers and proxies that RFC 9110 and RFC 9112 allow."""

from __future__ import annotations

INTERIM = {
    "100": "HTTP/1.1 100 Continue\r\n\r\n",
    "102": "HTTP/1.1 102 Processing\r\n\r\n",
    "103": "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n",
    "three": "HTTP/1.1 100 Continue\r\n\r\n"
    "HTTP/1.1 102 Processing\r\nX: y\r\n\r\n"
    "HTTP/1.1 103 Early Hints\r\n\r\n",
}
LONG_LINE = f"Content-Security-Policy: {'x' * 70_000}\r\n"
MANY_LINES = "".join(f"X-{number}: y\r\n" for number in range(300))
# The head of a response that no server sends.
TOO_LONG = f"HTTP/1.1 200 OK\r\nX: {'x' * 300_000}\r\n\r\n"


def chunked(*bodies: str, extension: str = ';a=b;c="d e"') -> str:
    """Return a chunked body with extensions and a trailer field (RFC 9112, 7.1)."""
    chunks = (f"{len(body):x}{extension}\r\n{body}\r\n" for body in bodies)
    return "".join(chunks) + f"0{extension}\r\nX-Checksum: 1\r\n\r\n"
