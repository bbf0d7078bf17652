"""TLS contexts trust a CA file instead of the system store."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from qos_agent.influx.transport import failure_of as delivery_failure
from qos_agent.probes.throughput.speedtest_child import _failure as speedtest_failure
from qos_agent.system.network.connection import connection_error
from qos_agent.system.network.tls import client_context
from tests.servers.certificates import Authority


@pytest.fixture
def system_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the number of certificates in a system store of one authority."""
    folder = tmp_path / "system"
    folder.mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(Authority(folder).file))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    return 1


def authorities(context: ssl.SSLContext | None) -> int:
    assert context is not None
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    return len(context.get_ca_certs())


def test_a_file_replaces_the_system_store(tmp_path: Path, system_store: int) -> None:
    """Only the authorities in the file are trusted, so an authority can be pinned."""
    assert authorities(client_context(None)) == system_store
    assert authorities(client_context(Authority(tmp_path).file)) == 1


def test_tls_below_1_2_is_refused() -> None:
    """The minimum does not depend on the configuration of OpenSSL."""
    assert client_context(None).minimum_version == ssl.TLSVersion.TLSv1_2


def test_a_file_without_certificates_is_an_error(tmp_path: Path) -> None:
    """The caller decides how to report an invalid CA file."""
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(OSError, match="certificate"):
        client_context(file)


@pytest.mark.parametrize(
    "error",
    [
        ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
        ssl.SSLZeroReturnError(6, "TLS/SSL connection has been closed (EOF)"),
    ],
    ids=["Python 3.11.4 and newer", "Python 3.11.2"],
)
def test_a_server_that_hangs_up_has_one_cause_on_every_python(
    error: ssl.SSLError,
) -> None:
    """Probes, deliveries and speedtest-cli report that the server closed early."""
    assert connection_error(error).cause == "closed_early"
    assert delivery_failure(error).cause == "closed_early"
    assert speedtest_failure(error)["cause"] == "closed_early"


def test_a_system_without_authorities_trusts_those_of_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A minimal Debian has neither the file nor the folder that OpenSSL reads."""
    default = ssl.get_default_verify_paths()
    found = default._replace(cafile="", capath="")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: found)
    assert len(client_context(None).get_ca_certs()) > 100
    found = default._replace(cafile="", capath=str(tmp_path))
    assert len(client_context(None).get_ca_certs()) > 100


def test_an_empty_list_of_the_system_is_obeyed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An administrator who trusts nobody gets no authorities of the package."""
    empty = tmp_path / "cert.pem"
    empty.write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(empty))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert client_context(None).get_ca_certs() == []
