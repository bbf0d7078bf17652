"""The centre's own certificate authority: its keys, and the certificates it issues.

There are two authorities: the present one and the next. Devices and the gateway trust
both from the beginning, so the loss of the present key needs no visit to a device. The
key of the next authority belongs on a stick in a safe.

The `openssl` command makes all keys and certificates. Secrets never are arguments, and
files with keys have mode 0600.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qos_agent.evidence.signer import PublicKey, openssl
from qos_agent.model.errors import ConfigError, OperatorError, SigningError
from qos_agent.noc.certificates import Certificate, read_certificate
from qos_agent.system.files import replace_private, write_atomically

_AUTHORITY_DAYS = 3650
# Browsers accept certificates of at most 398 days (CA/Browser Forum, 6.3.2).
_SERVER_DAYS = 397
# From provisioning until the end of the dispute period, with a margin.
_DEVICE_DAYS = 1095
_NAME = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9-]{1,63}")
_STATION = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_CONFIG = """\
[req]
distinguished_name = name
prompt = no
x509_extensions = extensions
[name]
CN = {subject}
[extensions]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
{extensions}
"""
_OF_AUTHORITY = (
    "basicConstraints = critical,CA:TRUE,pathlen:0\n"
    "keyUsage = critical,keyCertSign,cRLSign\n"
)
_OF_END = "basicConstraints = critical,CA:FALSE\nkeyUsage = critical,digitalSignature\n"


@dataclass(frozen=True, slots=True)
class Authority:
    """The folder with the two authorities and the certificate of the gateway.

    A service may find the key elsewhere, as a credential of systemd.
    """

    folder: Path
    key_elsewhere: Path | None = None

    @property
    def certificate(self) -> Path:
        """The certificate of the present authority."""
        return self.folder / "ca.pem"

    @property
    def key(self) -> Path:
        """The key of the present authority."""
        return self.key_elsewhere or self.folder / "ca.key"

    @property
    def next_certificate(self) -> Path:
        """The certificate of the next authority."""
        return self.folder / "next.pem"

    @property
    def next_key(self) -> Path:
        """The key of the next authority, which belongs in a safe."""
        return self.folder / "next.key"

    @property
    def trusted(self) -> Path:
        """The certificates of both authorities, which devices trust."""
        return self.folder / "trusted.pem"

    @property
    def server_certificate(self) -> Path:
        """The certificate of the gateway."""
        return self.folder / "server.pem"

    @property
    def server_key(self) -> Path:
        """The key of the gateway."""
        return self.folder / "server.key"

    def certificates(self) -> list[Path]:
        """Return the certificates that exist; the ministry may issue the last one."""
        paths = (self.certificate, self.next_certificate, self.server_certificate)
        return [path for path in paths if path.exists()]


def create(authority: Authority) -> None:
    """Create both authorities. Raises OperatorError if there is one, SigningError."""
    if authority.certificate.exists():
        fix = "use `qos-agent noc ca replace` after the loss of its key"
        raise OperatorError(f"{authority.certificate}: exists already. Fix: {fix}.")
    authority.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    # The certificate is written last, so a killed command can be repeated.
    _create_pair(authority.next_key, authority.next_certificate)
    _create_pair(authority.key, authority.certificate)
    _write_trusted(authority)


def replace(authority: Authority) -> None:
    """Put the next authority in the place of the present one, and create its successor.

    The former certificate stays trusted, because devices still have certificates that
    it signed. Raises OperatorError if the key of the next authority is not there.
    """
    if _is_replaced(authority):
        _create_next(authority)
        return
    if not authority.next_key.exists():
        fix = f"copy it from the safe to {authority.next_key}"
        problem = "the key of the next authority is missing"
        raise OperatorError(f"{authority.next_key}: {problem}. Fix: {fix}.")
    former = authority.folder / f"former-{secrets.token_hex(4)}.pem"
    write_atomically(former, authority.certificate.read_text())
    write_atomically(authority.certificate, authority.next_certificate.read_text())
    authority.next_key.replace(authority.key)
    _create_next(authority)


def _is_replaced(authority: Authority) -> bool:
    """Return True if a killed command has replaced the authority already."""
    certificates = (authority.certificate, authority.next_certificate)
    first, second = (path.read_bytes() for path in certificates)
    return first == second and not authority.next_key.exists()


def _create_next(authority: Authority) -> None:
    _create_pair(authority.next_key, authority.next_certificate)
    _write_trusted(authority)


def issue_server(authority: Authority, names: Sequence[str]) -> Certificate:
    """Issue a certificate for the gateway with a new key. Raises ConfigError."""
    _need(authority)
    text = ",".join(_alternative(name) for name in names)
    extensions = f"{_OF_END}extendedKeyUsage = serverAuth\nsubjectAltName = {text}\n"
    content = _signed(authority, names[0], extensions, _SERVER_DAYS)
    key, certificate = _parts(content)
    # nginx reads both at a reload only, so it never sees a pair that does not match.
    replace_private(authority.server_key, key)
    write_atomically(authority.server_certificate, certificate.decode())
    return read_certificate(authority.server_certificate)


def renew_server(authority: Authority) -> Certificate:
    """Issue the certificate of the gateway again, with the same names.

    Raises OperatorError for a certificate of another authority.
    """
    if not is_own(authority, authority.server_certificate):
        fix = "ask its issuer for a new one"
        problem = "was issued by another authority"
        raise OperatorError(f"{authority.server_certificate}: {problem}. Fix: {fix}.")
    names = read_certificate(authority.server_certificate).names
    return issue_server(authority, names)


def is_own(authority: Authority, certificate: Path) -> bool:
    """Return True if a present or a former authority of the centre has issued it."""
    argv = ["verify", "-no_check_time", "-CAfile", str(authority.trusted)]
    try:
        openssl([*argv, str(certificate)], f"verify {certificate}")
    except SigningError:
        return False
    return True


def issue_device(authority: Authority, station: str, key: PublicKey) -> str:
    """Return a certificate for the key that a device enrols with, in PEM format.

    The signature of its request has proven that the device has the private key.
    """
    _need(authority)
    if not _STATION.fullmatch(station):
        fix = "rename the station in the register"
        problem = "has characters that a certificate must not have"
        raise ConfigError("station", repr(station), problem, fix)
    with tempfile.TemporaryDirectory(prefix="qos-ca-") as name:
        public, extensions = Path(name) / "key.der", Path(name) / "extensions"
        public.write_bytes(key.der)
        extensions.write_text(
            f"{_OF_END}extendedKeyUsage = clientAuth\n"
            "subjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n"
        )
        argv = ["x509", "-new", "-force_pubkey", str(public), "-subj", f"/CN={station}"]
        argv += ["-days", str(_DEVICE_DAYS), "-extfile", str(extensions)]
        argv += ["-set_serial", f"0x{secrets.token_hex(16)}", *_issuer(authority)]
        return openssl(argv, f"issue a certificate for {station}").decode()


def _create_pair(key: Path, certificate: Path) -> None:
    """Create the key and the certificate of an authority."""
    subject = f"QoS Agent authority {secrets.token_hex(4)}"
    config = _CONFIG.format(subject=subject, extensions=_OF_AUTHORITY)
    content = openssl(_request(_AUTHORITY_DAYS), "create an authority", config.encode())
    private, public = _parts(content)
    replace_private(key, private)
    write_atomically(certificate, public.decode())


def _signed(authority: Authority, subject: str, extensions: str, days: int) -> bytes:
    config = _CONFIG.format(subject=subject[:64], extensions=extensions)
    argv = [*_request(days), *_issuer(authority)]
    return openssl(argv, f"issue a certificate for {subject}", config.encode())


def _request(days: int) -> list[str]:
    argv = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    argv += ["-nodes", "-days", str(days), "-config", "/dev/stdin"]
    return [*argv, "-set_serial", f"0x{secrets.token_hex(16)}", "-keyout", "-"]


def _issuer(authority: Authority) -> list[str]:
    return ["-CA", str(authority.certificate), "-CAkey", str(authority.key)]


def _write_trusted(authority: Authority) -> None:
    """Write the file of all certificates that devices trust."""
    former = sorted(authority.folder.glob("former-*.pem"))
    paths = [authority.certificate, authority.next_certificate, *former]
    write_atomically(authority.trusted, "".join(path.read_text() for path in paths))


def _need(authority: Authority) -> None:
    for path in (authority.certificate, authority.key):
        if not path.exists():
            fix = "qos-agent noc ca create, or copy it from the safe"
            raise OperatorError(f"{path}: is missing. Fix: {fix}.")


def _parts(content: bytes) -> tuple[bytes, bytes]:
    """Split the output of openssl into the key and the certificate."""
    mark = b"-----BEGIN CERTIFICATE-----"
    key, _, certificate = content.partition(mark)
    return key, mark + certificate


def _alternative(name: str) -> str:
    """Return a name or an address as an entry of subjectAltName."""
    try:
        return f"IP:{ipaddress.ip_address(name)}"
    except ValueError:
        pass
    if len(name) > 253 or not _NAME.fullmatch(name):
        problem = "must be a host name in small letters, or an IP address"
        raise ConfigError("name", repr(name[:100]), problem, "correct the name")
    return f"DNS:{name}"
