"""A server with recorded answers, for versions of InfluxDB that cannot run here."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


def _decoded(body: bytes) -> Any:
    """Return the JSON of a request; lines of points are kept as they are."""
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body


class Recorded:
    """A server that answers as the documentation of a version shows it."""

    def __init__(self, version: str, answers: dict[str, tuple[int, Any]]) -> None:
        self.requests: list[tuple[str, Any]] = []
        recorded = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                line = f"{self.command} {self.path}"
                recorded.requests.append((line, _decoded(body)))
                status, answer = answers.get(line.partition("?")[0], (404, {}))
                content = b"" if status == 204 else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("X-Influxdb-Version", version)
                self.send_header("Content-Type", "application/json")
                if status != 204:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_DELETE = do_GET  # noqa: N815  the names of http.server

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
