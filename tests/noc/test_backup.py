"""Backup and restore of the centre: complete or without any change."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from qos_agent.evidence.signer import PublicKey
from qos_agent.model.errors import OperatorError
from qos_agent.noc import backup as backups
from qos_agent.noc.provision.ledger import Issue, State
from qos_agent.noc.register.keys import DeviceKey
from tests.noc.commands import Centre
from tests.noc.provision.endpoints import ONE, OTHER, Issuer


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    """Return a centre with a register, a ledger and keys."""
    issuer = Issuer(tmp_path / "centre")
    issuer.issue(ONE)
    with closing(issuer.keys()) as keys:
        keys.enrol(DeviceKey(ONE, "qos-agent/pi-1", PublicKey(bytes(32)), 100))
    return issuer


@pytest.fixture
def archive(issuer: Issuer, tmp_path: Path) -> Path:
    """Return a backup of the centre."""
    path = tmp_path / "backup.tar.gz"
    backups.backup(issuer.folder, path)
    return path


def _issues(issuer: Issuer, station: str) -> list[Issue]:
    with closing(issuer.ledger()) as ledger:
        return ledger.issues(station)


def test_a_restored_centre_has_the_same_rows(issuer: Issuer, tmp_path: Path) -> None:
    """The counts of all tables are equal, and the code is the same one."""
    writer = issuer.ledger()
    writer.database.execute("BEGIN IMMEDIATE")
    writer.end(ONE, State.REVOKED, 1, "not committed")
    path, folder = tmp_path / "backup.tar.gz", tmp_path / "other"
    copies = backups.backup(issuer.folder, path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert backups.check(path) == backups.restore(path, folder) == copies
    counts = {copy.name: copy.rows for copy in copies}
    assert list(counts) == ["provision.sqlite3", "register.sqlite3"]
    assert counts["provision.sqlite3"]["issue"] == 1
    assert counts["register.sqlite3"]["device_key"] == 1
    restored = Issuer(folder)
    assert [issue.state for issue in restored.ledger().issues(ONE)] == [State.ISSUED]
    assert len(restored.keys().history(ONE)) == 1
    assert sorted(p.name for p in folder.iterdir() if p.name.startswith(".")) == []


def test_a_restore_keeps_the_present_databases(issuer: Issuer, archive: Path) -> None:
    """A wrong restore can be taken back, and a log does not mix with the old file."""
    issuer.issue(OTHER)
    backups.restore(archive, issuer.folder)
    assert _issues(issuer, OTHER) == []
    old = issuer.folder / "provision.sqlite3.before-restore"
    with closing(sqlite3.connect(old)) as database:
        assert database.execute("SELECT count(*) FROM issue").fetchone() == (2,)


def test_a_database_in_use_is_not_replaced(issuer: Issuer, archive: Path) -> None:
    """A service would go on with a file that no longer has a name."""
    ledger = issuer.ledger()
    with pytest.raises(OperatorError, match=r"is in use by process .* Fix: .* stop"):
        backups.restore(archive, issuer.folder)
    ledger.close()
    backups.restore(archive, issuer.folder)


def _changed(archive: Path, name: str) -> bytes:
    """Return a backup in which one thing is wrong."""
    content = archive.read_bytes()
    tar = gzip.decompress(content)
    changes = {
        "empty": b"",
        "no archive": b"hello",
        "half": content[: len(content) // 2],
        "a bit": gzip.compress(tar.replace(b"tester", b"Tester")),
        "a name": gzip.compress(
            tar.replace(b'"provision.sqlite3"', b'"../vision.sqlite3"')
        ),
        "a version": gzip.compress(tar.replace(b'"version": 1', b'"version": 9')),
        "no tar": gzip.compress(b"x" * 20_000),
        "another tar": _tar({"other.txt": b"hello"}),
        "only a manifest": _tar({"manifest.json": _manifest(tar)}),
        "a manifest without values": _tar({"manifest.json": b"{}"}),
        "a list": _tar({"manifest.json": b"[]"}),
    }
    assert changes[name] != content
    return changes[name]


def _manifest(tar: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(tar)) as file:
        found = file.extractfile("manifest.json")
        assert found is not None
        return found.read()


def _tar(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "empty",
        "no archive",
        "half",
        "a bit",
        "a name",
        "a version",
        "no tar",
        "another tar",
        "only a manifest",
        "a manifest without values",
        "a list",
    ],
)
def test_a_damaged_backup_changes_nothing(
    issuer: Issuer, archive: Path, name: str
) -> None:
    """Every file is checked before the first one is replaced."""
    issuer.issue(OTHER)
    archive.write_bytes(_changed(archive, name))
    before = sorted(path.name for path in issuer.folder.iterdir())
    with pytest.raises(OperatorError, match=r"is damaged: .* Fix: use another backup"):
        backups.restore(archive, issuer.folder)
    assert sorted(path.name for path in issuer.folder.iterdir()) == before
    assert len(_issues(issuer, OTHER)) == 1


def test_a_damaged_database_is_named_at_the_backup(
    issuer: Issuer, tmp_path: Path
) -> None:
    """The operator learns it while earlier backups still exist."""
    path = issuer.folder / "register.sqlite3"
    path.write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with pytest.raises(OperatorError, match=r"register.sqlite3: is damaged"):
        backups.backup(issuer.folder, tmp_path / "backup.tar.gz")
    assert not (tmp_path / "backup.tar.gz").exists()


def test_the_commands_back_up_check_and_restore(issuer: Issuer, tmp_path: Path) -> None:
    """Without --apply a restore only checks, and both print the same counts."""
    path = tmp_path / "noc.toml"
    path.write_text(f"folder = {json.dumps(str(issuer.folder))}\n")
    file = str(tmp_path / "backup.tar.gz")
    made = Centre(path).run("backup", file)
    assert made.returncode == 0, made.stderr
    assert "register.sqlite3: 1 device_key" in made.stdout
    checked = Centre(path).run("restore", file)
    assert (
        checked.stdout
        == f"{made.stdout}The backup is complete. To restore it, add --apply.\n"
    )
    (issuer.folder / "register.sqlite3").unlink()
    restored = Centre(path).run("restore", file, "--apply")
    assert (restored.returncode, restored.stdout) == (0, made.stdout)
    assert len(issuer.keys().history(ONE)) == 1
    missing = Centre(path).run("restore", str(tmp_path / "none"))
    assert missing.returncode == 1
    assert "Traceback" not in missing.stderr
