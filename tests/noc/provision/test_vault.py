"""The vault: only the centre's key reads credentials, and codes are repeatable."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.model.enrolment_code import checked_code
from qos_agent.model.errors import OperatorError, SigningError
from qos_agent.noc.provision.vault import KEY_NAME, Codes, Vault
from tests.noc.provision.ledgers import ONE, opened


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """Return a vault with a new key."""
    return Vault.of(tmp_path / KEY_NAME)


def test_only_the_key_of_the_centre_reads_a_secret(
    vault: Vault, tmp_path: Path
) -> None:
    """The encrypted form differs each time; another key and a changed byte fail."""
    sealed = vault.seal("user:p\u00e4ss")
    assert b"user" not in sealed
    assert sealed != vault.seal("user:p\u00e4ss")
    assert Vault.of(vault.path).unseal(sealed) == "user:p\u00e4ss"
    other = Vault.of(tmp_path / "other.pem")
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for key, content in ((other, sealed), (vault, changed), (vault, b"")):
        with pytest.raises(SigningError, match="restore the key of the centre"):
            key.unseal(content)


def test_the_key_file_is_private_and_never_replaced(vault: Vault) -> None:
    """The mode is 0600, and a key that others may read is refused."""
    content = vault.path.read_bytes()
    assert vault.path.stat().st_mode & 0o777 == 0o600
    assert Vault.of(vault.path).path.read_bytes() == content
    assert [p.name for p in vault.path.parent.iterdir()] == [KEY_NAME]
    vault.path.chmod(0o640)
    with pytest.raises(OperatorError, match="Fix: chmod 600"):
        Vault.of(vault.path)


def test_codes_are_the_same_in_each_run(vault: Vault, tmp_path: Path) -> None:
    """The ledger has no code, and the codes of two issues or centres differ."""
    ledger = opened(tmp_path)
    codes = Codes.of(ledger, vault)
    code = codes.code(ONE, 1)
    assert checked_code(code) == code
    again = Codes.of(opened(tmp_path), vault)
    assert again.code(ONE, 1) == code
    assert again.hash(code) == codes.hash(code)
    assert codes.code(ONE, 2) != code
    other = Codes.of(opened(tmp_path / "other"), vault)
    assert other.code(ONE, 1) != code
    assert other.hash(code) != codes.hash(code)
    assert codes.secret.hex().encode() not in (ledger.secret("codes") or b"")
