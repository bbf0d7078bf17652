"""A receiver on this machine for the demonstration's alerts, which writes them down.

Every contact point of the demonstration sends to it, so no message leaves the machine.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

# Grafana's messages are a few kilobytes; a longer one is cut off.
_MAX_BYTES = 1_000_000


class AlertLog:
    """A small web server that appends each message to a file as one line of JSON."""

    def __init__(self, path: Path, address: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        self._server = ThreadingHTTPServer(address, _handler(path))

    @property
    def url(self) -> str:
        """The address for the contact points of this machine."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def start(self) -> None:
        """Receive messages in a thread until `stop`."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        """Close the server."""
        self._server.shutdown()
        self._server.server_close()


def _handler(path: Path) -> type[BaseHTTPRequestHandler]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        """Appends the body of each POST to the file."""

        timeout = 10

        def do_POST(self) -> None:
            """Store one message."""
            text = self.rfile.read(_length(self.headers.get("Content-Length")))
            with lock, path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(_decoded(text), ensure_ascii=False) + "\n")
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Print nothing for a request."""

    return Handler


def _length(header: str | None) -> int:
    if header is None or not header.isascii() or not header.isdigit():
        return 0
    return min(int(header), _MAX_BYTES)


def _decoded(body: bytes) -> Any:
    """Return the JSON of a message, or its text if it is not JSON."""
    text = body.decode("utf-8", errors="replace")
    try:
        return json.loads(text)
    except ValueError:
        return text
