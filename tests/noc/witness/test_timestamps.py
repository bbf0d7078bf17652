"""Timestamps of a local authority, made and verified by openssl."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from qos_agent.noc.witness import timestamps
from qos_agent.noc.witness.timestamps import TimestampError

_CONFIG = """
[tsa]
default_tsa = one
[one]
dir = {folder}
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
"""


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with certificate and configuration of an authority."""
    folder = tmp_path_factory.mktemp("authority")
    (folder / "serial").write_text("01\n")
    (folder / "ts.cnf").write_text(_CONFIG.format(folder=folder))
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
        *("-keyout", str(folder / "tsa.key"), "-out", str(folder / "tsa.pem")),
        *("-subj", "/CN=Test authority"),
        *("-addext", "extendedKeyUsage=critical,timeStamping"),
    )
    return folder


def _server(answer: Callable[[bytes], tuple[int, bytes]]) -> HTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            status, body = answer(query)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


Serve = Callable[[Callable[[bytes], tuple[int, bytes]]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that starts a server and returns its URL."""
    servers: list[HTTPServer] = []

    def start(answer: Callable[[bytes], tuple[int, bytes]]) -> str:
        servers.append(_server(answer))
        return f"http://127.0.0.1:{servers[-1].server_port}/"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def _reply(folder: Path, query: bytes) -> tuple[int, bytes]:
    (folder / "query").write_bytes(query)
    _openssl(
        *("ts", "-reply", "-config", str(folder / "ts.cnf"), "-section", "one"),
        *("-queryfile", str(folder / "query"), "-out", str(folder / "reply")),
    )
    return 200, (folder / "reply").read_bytes()


def test_a_timestamp_is_obtained_and_verified(
    folder: Path, tmp_path: Path, serve: Serve
) -> None:
    """The stored response verifies for the file, and for no other content."""
    path = tmp_path / "national-root.txt"
    path.write_text("root\n")
    url = serve(lambda query: _reply(folder, query))
    result = timestamps.obtain(path, url, folder / "tsa.pem")
    assert result.name == "national-root.txt.tsr"
    assert "Time stamp" in timestamps.text(result)
    timestamps.verify(path, result.read_bytes(), folder / "tsa.pem")
    path.write_text("other\n")
    with pytest.raises(TimestampError, match=r"does not verify.*Fix"):
        timestamps.verify(path, result.read_bytes(), folder / "tsa.pem")


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer",
    [(200, b"no timestamp"), (200, b""), (500, b"x"), (200, b"x" * 100_000)],
    ids=["text", "empty", "error", "long"],
)
def test_another_answer_is_no_timestamp(
    folder: Path, tmp_path: Path, serve: Serve, answer: tuple[int, bytes]
) -> None:
    """Nothing is stored, and the error names the setting."""
    path = tmp_path / "national-root.txt"
    path.write_text("root\n")
    with pytest.raises(TimestampError, match=r"Fix: check witness\.timestamp_url"):
        timestamps.obtain(path, serve(lambda _: answer), folder / "tsa.pem")
    assert list(tmp_path.iterdir()) == [path]


def test_an_authority_that_is_down_is_named(folder: Path, tmp_path: Path) -> None:
    """A refused connection is an error of this timestamp only."""
    path = tmp_path / "national-root.txt"
    path.write_text("root\n")
    with pytest.raises(TimestampError, match=r"127\.0\.0\.1:9"):
        timestamps.obtain(path, "http://127.0.0.1:9/", folder / "tsa.pem")
