"""The certificate authority of the centre, checked by real TLS connections."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from qos_agent.evidence import keys
from qos_agent.model.errors import ConfigError, OperatorError
from qos_agent.noc import authority as authorities
from qos_agent.noc.authority import Authority
from tests.noc.commands import Centre

STATION = "3171010001001"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Return an authority with the certificate of a gateway."""
    made = Authority(tmp_path / "ca")
    authorities.create(made)
    authorities.issue_server(made, ["localhost", "127.0.0.1"])
    return made


@contextmanager
def _listening(authority: Authority) -> Iterator[tuple[int, list[str]]]:
    """Run a TLS server that requires a certificate, and list its clients' names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.server_certificate, authority.server_key)
    context.load_verify_locations(authority.trusted)
    context.verify_mode = ssl.CERT_REQUIRED
    names: list[str] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        try:
            with context.wrap_socket(connection, server_side=True) as secured:
                certificate = secured.getpeercert()
                assert certificate
                names.append(str(certificate["subject"][0][0][1]))
                secured.sendall(b"hello")
        except (OSError, ssl.SSLError):
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield listener.getsockname()[1], names
        thread.join(20)


def _greeting(port: int, trusted: Path, identity: tuple[Path, Path]) -> bytes:
    context = ssl.create_default_context(cafile=str(trusted))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_cert_chain(*identity)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as secured,
    ):
        return secured.recv(5)


def _device(authority: Authority, folder: Path) -> tuple[Path, Path]:
    """Return certificate and key of a device; the key is the one that seals."""
    key, certificate = folder / "device.pem", folder / "device.crt"
    signer = keys.load_signer(key) or keys.create_key(key)
    text = authorities.issue_device(authority, STATION, signer.public_key)
    certificate.write_text(text)
    return certificate, key


def test_a_device_and_the_gateway_accept_each_other(
    authority: Authority, tmp_path: Path
) -> None:
    """The key that seals readings also proves the device to the gateway."""
    with _listening(authority) as (port, names):
        identity = _device(authority, tmp_path)
        assert _greeting(port, authority.trusted, identity) == b"hello"
    assert names == [STATION]


def test_another_authority_is_refused_by_both(
    authority: Authority, tmp_path: Path
) -> None:
    """Anyone can create an authority, so only that of the centre counts."""
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other" / "ca")
    authorities.create(other)
    mine = _device(authority, tmp_path)
    with (
        _listening(authority) as (port, _),
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        _greeting(port, other.trusted, mine)
    forged = _device(other, tmp_path / "other")
    with _listening(authority) as (port, names), pytest.raises((OSError, ssl.SSLError)):
        assert _greeting(port, authority.trusted, forged) == b"hello"
    assert names == []


def test_keys_are_for_their_owner_only(authority: Authority) -> None:
    """Certificates are public, and keys have mode 600."""
    modes = {p.name: p.stat().st_mode & 0o777 for p in authority.folder.iterdir()}
    assert {name for name, mode in modes.items() if mode == 0o600} == {
        "ca.key",
        "next.key",
        "server.key",
    }


def test_devices_need_no_visit_after_the_loss_of_the_authority(
    authority: Authority, tmp_path: Path
) -> None:
    """They trust the next authority already, and their certificates stay valid."""
    carried = tmp_path / "collector-ca.pem"
    carried.write_text(authority.trusted.read_text())
    identity = _device(authority, tmp_path)
    safe = authority.next_key.rename(tmp_path / "stick.key")
    authority.key.unlink()
    with pytest.raises(OperatorError, match=r"next\.key: .* Fix: copy it from"):
        authorities.replace(authority)
    safe.rename(authority.next_key)
    authorities.replace(authority)
    authorities.renew_server(authority)
    with _listening(authority) as (port, names):
        assert _greeting(port, carried, identity) == b"hello"
    assert names == [STATION]
    assert authority.trusted.read_text().count("BEGIN CERTIFICATE") == 3


def test_a_killed_replacement_is_completed(authority: Authority) -> None:
    """The command can be repeated: the present authority is the next one already."""
    former = authority.folder / "former-1.pem"
    former.write_bytes(authority.certificate.read_bytes())
    authority.certificate.write_bytes(authority.next_certificate.read_bytes())
    authority.next_key.replace(authority.key)
    authorities.replace(authority)
    assert authority.next_key.exists()
    present = authority.certificate.read_bytes()
    assert authority.next_certificate.read_bytes() != present
    authorities.renew_server(authority)


def test_a_lost_server_key_is_replaced_by_one_command(
    authority: Authority, tmp_path: Path
) -> None:
    """The renewed certificate has the same names and another key."""
    before = authority.server_key.read_bytes()
    authority.server_key.unlink()
    path = tmp_path / "noc.toml"
    path.write_text(f'folder = "{tmp_path}"\n')
    assert "not renewed" in Centre(path).run("ca", "renew").stdout
    result = Centre(path).run("ca", "renew", "--now")
    assert "localhost, 127.0.0.1, valid until" in result.stdout
    assert "sudo systemctl reload qos-gateway" in result.stdout
    assert authority.server_key.read_bytes() != before
    with _listening(authority) as (port, _):
        identity = _device(authority, tmp_path)
        assert _greeting(port, authority.trusted, identity) == b"hello"


def test_the_commands_create_and_list_certificates(tmp_path: Path) -> None:
    """The exit status shows that a certificate ends soon."""
    path = tmp_path / "noc.toml"
    path.write_text(f'folder = "{tmp_path}"\n')
    centre = Centre(path)
    assert centre.run("ca", "create").returncode == 0
    assert centre.run("ca", "create").returncode == 2
    assert centre.run("ca", "server", "noc.example.id", "192.0.2.1").returncode == 0
    listed = centre.run("ca", "show", "--json")
    assert listed.returncode == 0
    *_, server = json.loads(listed.stdout)
    assert server["names"] == ["noc.example.id", "192.0.2.1"]
    path.write_text(f'folder = "{tmp_path}"\n[ca]\nwarn = "400d"\n')
    assert centre.run("ca", "show").returncode == 1


@pytest.mark.parametrize(
    "name", ["", "a b", "x\nextendedKeyUsage = any", "DNS:a,DNS:b", "A.id", "é.id"]
)
def test_a_name_cannot_add_to_a_certificate(authority: Authority, name: str) -> None:
    """A name is checked before openssl reads it."""
    with pytest.raises(ConfigError, match="must be a host name"):
        authorities.issue_server(authority, [name])


def test_openssl_verifies_the_purposes(authority: Authority, tmp_path: Path) -> None:
    """A certificate of a device cannot be used as that of a server."""
    certificate, _ = _device(authority, tmp_path)
    argv = ["openssl", "verify", "-CAfile", str(authority.trusted), "-purpose"]
    for purpose, status in (("sslclient", 0), ("sslserver", 2)):
        command = [*argv, purpose, str(certificate)]
        result = subprocess.run(command, check=False, capture_output=True)
        assert result.returncode == status, result
