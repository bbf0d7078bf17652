"""Configuration and keys in a backup, restored by the recovery key only."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from qos_agent.model.errors import OperatorError, SigningError
from qos_agent.noc import backup as backups
from qos_agent.noc import backup_config
from tests.noc.provision.endpoints import ONE, Issuer

SECRET = "admin:the-password"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Return a backup with configuration and keys."""
    issuer = Issuer(tmp_path / "centre")
    issuer.issue(ONE)
    folder = tmp_path / "etc"
    (folder / "ca").mkdir(parents=True)
    (folder / "noc.toml").write_text("x = 1\n")
    (folder / "ca/ca.key").write_text(SECRET)
    (folder / "ca/ca.key").chmod(0o600)
    (folder / "link").symlink_to("/etc/passwd")
    key = tmp_path / "recovery.pem"
    backup_config.create_recovery_key(key, folder / "ca/recovery.pem")
    assert key.stat().st_mode & 0o777 == 0o600
    path = tmp_path / "backup.tar.gz"
    config = backups.Config(folder, folder / "ca/recovery.pem")
    backups.backup(issuer.folder, path, config=config)
    return path


def test_keys_are_restored_with_their_modes(archive: Path, tmp_path: Path) -> None:
    """A file that differs is kept, and a link is not part of a backup."""
    new = tmp_path / "new"
    new.mkdir()
    (new / "noc.toml").write_text("x = 2\n")
    assert backups.restore_config(archive, tmp_path / "recovery.pem", new) == 3
    assert (new / "ca/ca.key").read_text() == SECRET
    assert (new / "ca/ca.key").stat().st_mode & 0o777 == 0o600
    assert (new / "noc.toml").read_text() == "x = 1\n"
    assert (new / "noc.toml.before-restore").read_text() == "x = 2\n"
    assert not (new / "link").exists()


def test_another_key_restores_nothing(archive: Path, tmp_path: Path) -> None:
    """The backup does not have the secret in a readable form."""
    other = tmp_path / "other.pem"
    backup_config.create_recovery_key(other, tmp_path / "other-certificate.pem")
    new = tmp_path / "new"
    with pytest.raises(SigningError, match="cannot decrypt"):
        backups.restore_config(archive, other, new)
    assert list(new.iterdir()) == []
    with tarfile.open(archive) as file:
        member = file.extractfile(backup_config.NAME)
        assert member is not None
        assert SECRET.encode() not in member.read()


def test_a_recovery_key_is_never_replaced(archive: Path, tmp_path: Path) -> None:
    """Older backups would be lost."""
    with pytest.raises(OperatorError, match="exists already"):
        backup_config.create_recovery_key(tmp_path / "recovery.pem", tmp_path / "c.pem")


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil"])
def test_no_file_leaves_the_folder(tmp_path: Path, name: str) -> None:
    """Anyone can encrypt to the certificate, so names are hostile."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for member in (tarfile.TarInfo("good"), tarfile.TarInfo(name)):
            archive.addfile(member, io.BytesIO())
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    with pytest.raises(OperatorError, match="is not a file"):
        backup_config.extract(content.getvalue(), folder)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
