"""A web server for a folder, with ETag and open connections, as nginx serves it."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class StaticServer:
    """The server's URL, and the requests that it has answered."""

    folder: Path
    url: str = ""
    requests: list[tuple[str, int]] = field(default_factory=list)
    connections: int = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, server: StaticServer, *args: object) -> None:
        self._served = server
        server.connections += 1
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Answer 200, 304 or 404."""
        path = self._served.folder / self.path.lstrip("/")
        content = path.read_bytes() if path.is_file() else None
        etag = f'"{hashlib.sha256(content or b"").hexdigest()[:16]}"'
        status = 404 if content is None else 200
        if status == 200 and self.headers.get("If-None-Match") == etag:
            status = 304
        body = content if status == 200 and content is not None else b""
        self._served.requests.append((self.path, status))
        self.send_response(status)
        self.send_header("ETag", etag)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def static_server(folder: Path) -> Iterator[StaticServer]:
    """Serve a folder for the time of a test."""
    served = StaticServer(folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, served)) as server:
        server.daemon_threads = True
        served.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield served
        server.shutdown()
