"""Connections of the web probes: each failure before the request has its cause."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from qos_agent.config.settings import Settings, WebSection
from qos_agent.model import Link
from qos_agent.model.errors import ConfigError, ProbeError
from qos_agent.probes.http.connection import HttpClient
from qos_agent.probes.web.page import Web
from qos_agent.system.network import Resolved
from tests.probes.scripted import Client, Play, Scripted, ok, responds
from tests.probes.web.pages import fields_of, load, probe, task
from tests.servers.certificates import Authority, Fault
from tests.support.children import nothing_left


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("expired", "tls_expired"),
        ("not_yet_valid", "tls_expired"),
        ("wrong_name", "tls_name"),
        ("self_signed", "tls_untrusted"),
    ],
)
def test_bad_certificates(authority: Authority, fault: Fault, cause: str) -> None:
    """Each fault of a certificate has its cause; the connect time is kept."""
    context = authority.server_context(fault)
    with nothing_left(5), Scripted(responds(ok()), context) as server:
        web = probe(server.url, context=authority.client_context())
        result = load(web, task(server.url))
    assert result.cause == cause
    assert "connect_ms" in fields_of(result)
    assert "tls_ms" not in fields_of(result)


def resets_at_once(client: Client) -> None:
    client.sock.recv(1)
    client.reset()


def closes_at_once(client: Client) -> None:
    client.sock.recv(65536)


def holds(client: Client) -> None:
    client.hold()


@pytest.mark.parametrize(
    ("play", "cause"),
    [
        (responds("HTTP/1.1 400 Bad Request\r\n\r\n"), "tls"),
        (resets_at_once, "reset"),
        (closes_at_once, "closed_early"),
        (holds, "timeout"),
    ],
)
def test_failed_handshakes(play: Play, cause: str) -> None:
    """Plain text, a reset, a close and silence have different causes."""

    def started(client: Client) -> None:
        client.head = lambda: client.sock.recv(65536)  # type: ignore[method-assign]
        play(client)

    with nothing_left(5), Scripted(started) as server:
        url = server.url.replace("http:", "https:")
        assert load(probe(url), task(url)).cause == cause


def test_server_gone() -> None:
    """A port without a listener is `refused`, not unreachable."""
    with Scripted(holds) as server:
        url = server.url
    result = load(probe(url), task(url))
    assert result.cause == "refused"


def test_name_that_does_not_resolve() -> None:
    """The failure of the resolver is the cause; there are no other fields."""

    def fails(*_: object) -> Resolved:
        raise ProbeError("name_not_resolved", "NXDOMAIN")

    web = Web(WebSection(), HttpClient(ssl.create_default_context(), 0.5, fails))
    result = load(web, task("http://nowhere.example.id/"))
    assert (result.cause, dict(fields_of(result))) == ("name_not_resolved", {})


def test_another_links_interface_is_never_used() -> None:
    """A link without its interface fails; no packet leaves by another one."""
    heads: list[bytes] = []
    with Scripted(lambda client: heads.append(client.head())) as server:
        gone = Link("sim1", "xl", interface="nosuch0")
        result = load(probe(server.url), task(server.url, link=gone))
    assert (result.cause, heads) == ("link_down", [])


def test_a_bad_authority_file_is_a_configuration_error(tmp_path: Path) -> None:
    """The message names the key and the file without certificates."""
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    settings = Settings(web=WebSection(ca_file=file))
    with pytest.raises(ConfigError, match=r"web\.ca_file: must be a file .*ca\.pem"):
        Web.of(settings)
