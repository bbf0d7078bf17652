"""Certificates for the TLS tests: a valid one, and one for each common error."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Fault = Literal["none", "expired", "not_yet_valid", "wrong_name", "self_signed"]

NAMES = ("localhost", "127.0.0.1", "::1")
DAY = dt.timedelta(days=1)
AUTHORITY_USAGE = {"key_cert_sign": True, "crl_sign": True}
SERVER_USAGE = {"digital_signature": True}
NO_USAGE = dict.fromkeys(
    (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    ),
    False,
)


@dataclass(frozen=True, slots=True)
class CertificateSpec:
    """The content of a certificate; without names it is an authority's."""

    subject: str
    names: tuple[str, ...] = ()
    from_day: int = -1
    to_day: int = 30


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


class Authority:
    """A certificate authority for tests, with its files in a folder."""

    def __init__(self, folder: Path, name: str = "QoS test authority") -> None:
        self._folder = folder
        self._root = issue(CertificateSpec(name), None)
        self.file = folder / f"{self._root.certificate.serial_number:x}-authority.pem"
        self.file.write_bytes(self._root.pem)

    def server_context(
        self, fault: Fault = "none", names: tuple[str, ...] = NAMES
    ) -> ssl.SSLContext:
        """Return a server context with a valid certificate or one with a fault."""
        issuer = None if fault == "self_signed" else self._root
        return self._context(issue(_spec(fault, names), issuer))

    def identity_file(self, name: str) -> Path:
        """Write a certificate of a device with its key, and return the file."""
        identity = issue(CertificateSpec(name, (name,)), self._root)
        return self._chain(identity)

    def client_context(self) -> ssl.SSLContext:
        """Return a context that trusts only this authority."""
        return ssl.create_default_context(cafile=str(self.file))

    def _context(self, identity: Identity) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._chain(identity))
        return context

    def _chain(self, identity: Identity) -> Path:
        chain = self._folder / f"{identity.certificate.serial_number:x}.pem"
        key = identity.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        chain.write_bytes(identity.pem + key)
        return chain


def _spec(fault: Fault, names: tuple[str, ...]) -> CertificateSpec:
    match fault:
        case "expired":
            return CertificateSpec("expired", names, from_day=-30, to_day=-1)
        case "not_yet_valid":
            return CertificateSpec("not yet valid", names, from_day=1)
        case "wrong_name":
            return CertificateSpec("wrong name", ("collector.example",))
        case _:
            return CertificateSpec("collector", names)


def issue(spec: CertificateSpec, issuer: Identity | None) -> Identity:
    """Create a key and its certificate, signed by the issuer or self-signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    signer = issuer.key if issuer else key
    subject = _distinguished(spec.subject)
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + spec.from_day * DAY)
        .not_valid_after(now + spec.to_day * DAY)
    )
    for extension, critical in _extensions(spec, key, signer):
        builder = builder.add_extension(extension, critical)
    return Identity(builder.sign(signer, hashes.SHA256()), key)


def _extensions(
    spec: CertificateSpec,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
) -> Iterator[tuple[x509.ExtensionType, bool]]:
    """Yield the extensions that strict verifiers require, each with `critical`."""
    usage = SERVER_USAGE if spec.names else AUTHORITY_USAGE
    yield x509.BasicConstraints(ca=not spec.names, path_length=None), True
    yield x509.KeyUsage(**NO_USAGE | usage), True
    yield x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False
    yield (
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
        False,
    )
    if spec.names:
        names = [_general_name(name) for name in spec.names]
        yield x509.SubjectAlternativeName(names), False


def _distinguished(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
