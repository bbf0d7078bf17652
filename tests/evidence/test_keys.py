"""The key file, the signer that runs openssl, and hand-overs."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from qos_agent.evidence import checkpoints, handover, keys, last_seal, notes
from qos_agent.evidence.handover import Confirmation, Kind
from qos_agent.evidence.notes import Checkpoint, Note
from qos_agent.evidence.signer import OpensslSigner, PublicKey
from qos_agent.model.errors import OperatorError, SigningError
from tests.evidence.support import leaves

# RFC 8032 section 7.1, test 2: secret key, public key, message and signature.
SECRET = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
PUBLIC = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
MESSAGE = b"\x72"
SIGNATURE = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
# A private key in DER is this and its 32 bytes (RFC 8410).
_DER_PREFIX = bytes.fromhex("302e020100300506032b657004220420")
OLD, NEW = (Checkpoint(f"qos-agent/pi-1/{n}", 5, leaves(1)[0]) for n in "ab")


def _write(path: Path, secret: str) -> None:
    content = base64.b64encode(_DER_PREFIX + bytes.fromhex(secret)).decode()
    path.write_text(
        f"-----BEGIN PRIVATE KEY-----\n{content}\n-----END PRIVATE KEY-----\n"
    )
    path.chmod(0o600)


@pytest.fixture
def signer(tmp_path: Path) -> OpensslSigner:
    """Return the signer of a new key."""
    return keys.create_key(tmp_path / keys.FILE_NAME)


def test_the_signature_is_that_of_rfc_8032(tmp_path: Path) -> None:
    """The child signs and verifies the test vector of the standard."""
    _write(tmp_path / "key.pem", SECRET)
    signer = keys.load_signer(tmp_path / "key.pem")
    assert signer is not None
    assert signer.public_key.raw.hex() == PUBLIC
    assert signer.sign(MESSAGE).hex() == SIGNATURE
    assert signer.public_key.verifies(MESSAGE, bytes.fromhex(SIGNATURE))
    assert not signer.public_key.verifies(b"\x73", bytes.fromhex(SIGNATURE))
    assert not signer.public_key.verifies(MESSAGE, b"short")


def test_a_new_key_is_private_and_never_replaced(
    tmp_path: Path, signer: OpensslSigner
) -> None:
    """The file has mode 0600, and a second creation leaves it as it is."""
    assert signer.path.stat().st_mode & 0o777 == 0o600
    content = signer.path.read_bytes()
    with pytest.raises(OperatorError, match="--new-key"):
        keys.create_key(signer.path)
    assert signer.path.read_bytes() == content
    retired = keys.retire_key(signer.path, "20240214T000000")
    assert retired.name == "device-key-20240214T000000.pem"
    assert keys.load_signer(signer.path) is None
    assert keys.load_signer(retired) == OpensslSigner(retired, signer.public_key)


def test_a_credential_comes_before_the_file(tmp_path: Path) -> None:
    """systemd's folder is used if it has the key; its mode is systemd's."""
    folder, credentials = tmp_path / "data", tmp_path / "credentials"
    environment = {"CREDENTIALS_DIRECTORY": str(credentials)}
    assert keys.key_path(folder, {}) == folder / keys.FILE_NAME
    assert keys.key_path(folder, environment) == folder / keys.FILE_NAME
    credentials.mkdir()
    _write(credentials / keys.CREDENTIAL, SECRET)
    (credentials / keys.CREDENTIAL).chmod(0o440)
    path = keys.key_path(folder, environment)
    assert path.parent == credentials
    assert keys.load_signer(path) is not None
    _write(credentials / "witness-key", SECRET)
    (credentials / "witness-key").chmod(0o440)
    assert keys.load_signer(credentials / "witness-key") is not None


def test_an_unusable_key_is_named_without_its_content(tmp_path: Path) -> None:
    """A key that others may read, and a file that is no key, are errors."""
    path = tmp_path / "key.pem"
    _write(path, SECRET)
    path.chmod(0o644)
    with pytest.raises(SigningError, match=r"mode 0644.*Fix: chmod 600"):
        keys.load_signer(path)
    path.chmod(0o600)
    path.write_text("secret text")
    with pytest.raises(SigningError, match="hidden, 11 bytes") as caught:
        keys.load_signer(path)
    assert "secret text" not in str(caught.value)
    path.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n")
    with pytest.raises(SigningError, match="cannot read the key"):
        keys.load_signer(path)


def test_a_missing_openssl_is_named(
    signer: OpensslSigner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The error says which package to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SigningError, match="apt-get install openssl"):
        signer.sign(b"")


def test_a_handover_between_journals_has_one_signature(signer: OpensslSigner) -> None:
    """The same key signs old and new, and reading gives what was stated."""
    name, before = "qos-agent/pi-1", (OLD, signer.public_key)
    note = handover.statement(Kind.RECOVERED, before, (NEW, signer), (name, name), None)
    read = notes.parse_note(note.to_bytes())
    found = handover.verified(read, name, name)
    assert (found.kind, found.old, found.new) == (Kind.RECOVERED, OLD, NEW)
    assert found.confirmed_by is Confirmation.DEVICE
    assert len(read.signatures) == 1
    altered = Note(read.text.replace("recovered", "restored"), read.signatures)
    with pytest.raises(ValueError, match="new key did not sign"):
        handover.verified(altered, name, name)


def test_a_new_key_needs_the_old_one_or_the_centre(
    tmp_path: Path, signer: OpensslSigner
) -> None:
    """With the old key both sign; without it the centre must confirm the new key."""
    new = keys.create_key(tmp_path / "new.pem")
    name, before = "qos-agent/pi-1", (OLD, signer.public_key)
    both = handover.statement(Kind.KEY, before, (NEW, new), (name, name), signer)
    assert handover.verified(both, name, name).confirmed_by is Confirmation.DEVICE
    stripped = Note(both.text, both.signatures[:1])
    with pytest.raises(ValueError, match="old key did not sign"):
        handover.verified(stripped, name, name)
    alone = handover.statement(Kind.KEY, before, (NEW, new), (name, name), None)
    assert handover.verified(alone, name, name).confirmed_by is Confirmation.CENTRE


@pytest.mark.parametrize(
    "text", ["", "qos-agent handover v1\n", "qos-agent handover v2\n" + 11 * "\n"]
)
def test_a_malformed_handover_is_rejected(text: str) -> None:
    """Another version and missing lines are errors."""
    with pytest.raises(ValueError, match="no hand-over"):
        handover.parse_handover(text)


def test_the_last_seal_is_read_as_written(
    tmp_path: Path, signer: OpensslSigner
) -> None:
    """A damaged or missing file counts as none."""
    assert last_seal.read(tmp_path) is None
    note = checkpoints.signed(NEW.origin, NEW.text(), signer)
    last_seal.write(tmp_path, note, signer.public_key)
    found = last_seal.read(tmp_path)
    assert found is not None
    assert (found.checkpoint, found.key) == (NEW, signer.public_key)
    (tmp_path / last_seal.FILE_NAME).write_bytes(b"\xff\n")
    assert last_seal.read(tmp_path) is None


def test_a_public_key_has_32_bytes() -> None:
    """Another length is an error and not a key that verifies nothing."""
    with pytest.raises(ValueError, match="32 bytes"):
        PublicKey(b"short")
