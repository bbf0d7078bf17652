"""TLS to InfluxDB: pinned authorities, certificates of devices, and old versions."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path

import pytest

from qos_agent.config.loading import load
from qos_agent.config.settings import CollectorSection
from qos_agent.config.sources import Sources
from qos_agent.influx.responses import decide
from qos_agent.influx.tls import tls_context
from qos_agent.influx.transport import InfluxTransport, pack
from qos_agent.model.errors import ConfigError, InvalidConfigError
from tests.servers.certificates import Authority
from tests.servers.hostile import HostileServer, fixed, hostile
from tests.servers.raw import response

ACCEPTED = fixed(response("204 No Content"))


def _message(server: HostileServer, **section: object) -> str:
    """Return the message of a write request to a server with TLS."""
    values = {"url": server.url("https"), "token": "secret", **section}
    transport = InfluxTransport(CollectorSection.model_validate(values))
    exchange = transport.post(pack([b"a b=1 1"]), 5.0)
    transport.close()
    return decide(exchange.result).message


def test_an_authority_can_be_pinned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `ca_file`, a certificate of an authority of the system is not trusted."""
    system, pinned = Authority(tmp_path), Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(system.file))
    with hostile(ACCEPTED, system.server_context()) as server:
        assert _message(server) == "HTTP 204"
        assert _message(server, ca_file=pinned.file).startswith("tls_untrusted")


def test_a_server_may_require_a_certificate(tmp_path: Path) -> None:
    """The device identifies itself with `client_cert_file`."""
    authority = Authority(tmp_path)
    context = authority.server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    # TLS 1.3 reports a missing certificate only with the response.
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    own = {"ca_file": authority.file, "client_cert_file": authority.identity_file("x")}
    with hostile(ACCEPTED, context) as server:
        assert _message(server, ca_file=authority.file).startswith("tls: ")
        assert _message(server, **own) == "HTTP 204"


def test_old_tls_is_refused(tmp_path: Path) -> None:
    """A server that speaks at most TLS 1.1 gets no request."""
    authority = Authority(tmp_path)
    context = authority.server_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with hostile(ACCEPTED, context) as server:
        assert _message(server, ca_file=authority.file).startswith("tls: ")
    assert server.requests == 0


@pytest.mark.parametrize("key", ["ca_file", "client_cert_file"])
def test_a_wrong_file_is_named(key: str, tmp_path: Path) -> None:
    """Delivery waits with the key in the message; nothing asks for a password."""
    authority = Authority(tmp_path)
    file = tmp_path / "wrong.pem"
    file.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n")
    values = {"url": "https://127.0.0.1:1", "ca_file": authority.file, key: file}
    with pytest.raises(ConfigError, match=key):
        tls_context(CollectorSection.model_validate(values))
    with hostile(ACCEPTED, authority.server_context()) as server:
        message = _message(server, **{"ca_file": authority.file, key: tmp_path / "no"})
    assert message.startswith(f"{key}: must be")
    assert "No such file" in message


def test_a_key_needs_its_certificate(tmp_path: Path) -> None:
    """A key alone identifies nobody."""
    file = tmp_path / "agent.toml"
    file.write_text('[collector]\nclient_key_file = "/x"\n')
    with pytest.raises(InvalidConfigError, match="client_key_file: needs client_cert"):
        load(Sources(file, {}, None), ())
