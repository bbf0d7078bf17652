"""Tokens are sent to their collector only, and no text repeats them."""

from __future__ import annotations

import base64
import logging
from pathlib import Path
from traceback import format_exception

import pytest

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import QueryError, Server
from qos_agent.influx.responses import decide
from qos_agent.influx.secrets import without_token
from qos_agent.influx.transport import Exchange, InfluxTransport, pack
from qos_agent.influx.writer import WriteError, Writer
from qos_agent.model.errors import ConfigError
from tests.servers.raw import Reply, raw_server, response

TOKEN = "agent:PLANTED-secret-0123456789"
BODY = pack([b"a b=1 1"])


def _section(url: str, **changes: object) -> CollectorSection:
    values = {"url": url, "token": TOKEN, "timeout": "5s"} | changes
    return CollectorSection.model_validate(values)


def _post(section: CollectorSection) -> Exchange:
    transport = InfluxTransport(section)
    exchange = transport.post(BODY, 5.0)
    transport.close()
    return exchange


@pytest.mark.parametrize(
    ("url", "waits"),
    [
        ("http://collector.example.id:8086", True),
        ("http://192.0.2.7:8086", True),
        ("http://[2001:db8::1]:8086", True),
        ("http://localhost.example.id", True),
        ("http://127.0.0.1:8086", False),
        ("http://[::1]:8086", False),
        ("http://localhost:8086", False),
        ("https://collector.example.id", False),
    ],
)
def test_a_token_waits_for_tls(url: str, waits: bool) -> None:
    """Over plain HTTP it is sent to this device only, or if `insecure` is set."""
    section = _section(url)
    assert section.exposes_token() is waits
    assert _section(url, insecure=True).sendable_token() == TOKEN
    if not waits:
        assert section.sendable_token() == TOKEN
        return
    with pytest.raises(ConfigError, match="insecure: must be true before the token"):
        section.sendable_token()
    message = decide(_post(section).result).message
    assert message.startswith("insecure: must be true")
    assert message.endswith("or set insecure = true next to the URL")
    with pytest.raises(QueryError, match="set insecure = true"):
        list(Server(section, 1.0).select("SELECT 1"))


def test_without_a_token_plain_http_is_enough() -> None:
    """There is nothing to protect, so the request is made and fails by itself."""
    section = _section("http://192.0.2.7:8086", token="")
    assert section.sendable_token() == ""


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 P"])
def test_a_redirect_gets_no_token(status: str) -> None:
    """The other server receives no request at all."""
    with raw_server(response("204 No Content")) as other:
        location = f"Location: {other.url}/api/v2/write".encode()
        with raw_server(response(status, b"", location)) as server:
            message = decide(_post(_section(server.url)).result).message
            with pytest.raises(QueryError):
                list(Server(_section(server.url), 5.0).select("SELECT 1"))
            assert len(server.heads) == 2
        assert other.heads == []
    assert "redirected to another server" in message


ECHOES: dict[str, Reply] = {
    "rejection": response(
        "400 Bad Request",
        b'{"error":"unable to parse authorization: Token %s"}' % TOKEN.encode(),
        b"Content-Type: application/json",
    ),
    "page": response(
        "502 Bad Gateway", b"<title>Authorization: Token %s</title>" % TOKEN.encode()
    ),
    "redirect": response(
        "302 Found", b"", b"Location: http://x.test/?t=%s" % TOKEN.encode()
    ),
    "status line": response(f"299 {TOKEN}"),
    "no HTTP": [f"{TOKEN} is not accepted\r\n\r\n".encode()],
    "password": response(
        "401 Unauthorized", b'{"error":"wrong password PLANTED-secret-0123456789"}'
    ),
}


@pytest.mark.parametrize("echo", ECHOES)
def test_a_server_that_repeats_the_token_does_not_publish_it(
    echo: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Messages, tracebacks and the log are free of it."""
    caplog.set_level(logging.INFO)
    with raw_server(ECHOES[echo]) as server:
        section = _section(server.url)
        texts = [repr(_post(section)), repr(decide(_post(section).result))]
        with pytest.raises(QueryError) as query:
            list(Server(section, 5.0).select("SELECT 1"))
        writer = Writer(section, wait=lambda _: None)
        with pytest.raises(WriteError) as write:
            writer.write([b"a b=1 1"])
    texts += [repr(section), str(section)]
    texts += [*format_exception(query.value), *format_exception(write.value)]
    secret = TOKEN.partition(":")[2]
    assert secret not in "\n".join(texts)
    assert secret not in caplog.text


def test_short_passwords_do_not_garble_messages() -> None:
    """A password of three letters would be part of ordinary words."""
    assert without_token("a:id", "invalid") == "invalid"
    assert without_token(None, "invalid") == "invalid"
    assert without_token(TOKEN, f"x {TOKEN} y") == "x *** y"


def test_a_new_token_file_is_used_for_the_next_request(tmp_path: Path) -> None:
    """The server does not need to reject the old token first."""
    file = tmp_path / "token"
    file.write_text("first\n")
    with raw_server(response("204 No Content")) as server:
        section = _section(server.url, token=None, token_file=str(file))
        transport = InfluxTransport(section)
        transport.post(BODY, 5.0)
        file.write_text("second\n")
        transport.post(BODY, 5.0)
        file.unlink()
        missing = transport.post(BODY, 5.0)
        transport.close()
        assert [b"Token first" in head for head in server.heads] == [True, False]
        assert b"Token second" in server.heads[1]
    assert "token_file: cannot be read" in decide(missing.result).message


def test_the_token_is_in_one_header_only() -> None:
    """Neither the URL nor another header contains it, in any encoding."""
    with raw_server(response("204 No Content")) as server:
        _post(_section(server.url))
        (head,) = server.heads
    assert head.count(TOKEN.encode()) == 1
    assert base64.b64encode(TOKEN.encode()) not in head
