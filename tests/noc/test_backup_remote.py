"""The remote configuration in a backup: devices accept what follows a restore."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from qos_agent.model.errors import OperatorError
from qos_agent.noc import backup as backups
from qos_agent.noc import backup_remote
from qos_agent.noc.remote.places import Places
from tests.noc.provision.endpoints import ONE, Issuer
from tests.noc.remote.centre import Centre, make_centre

pytestmark = pytest.mark.unit
SLOW = '[schedule.voting]\nthroughput = "30m"\n'


@pytest.fixture
def centre(tmp_path: Path) -> Centre:
    """Return a centre with a ledger that has published version 2."""
    made = make_centre(tmp_path / "noc")
    Issuer(made.folder).issue(ONE)
    made.write("nation/settings.toml", SLOW)
    made.publish()
    made.write("nation/settings.toml", SLOW.replace("30m", "20m"))
    assert made.publish() == 2
    return made


@pytest.fixture
def archive(centre: Centre, tmp_path: Path) -> Path:
    """Return a backup of the centre."""
    path = tmp_path / "backup.tar.gz"
    copies = backups.backup(centre.folder, path, remote=Places.of(centre.settings))
    assert [c.name for c in copies if c.name == backup_remote.NAME]
    return path


def _restored(archive: Path, centre: Centre) -> None:
    backups.restore(archive, centre.folder, remote=Places.of(centre.settings))


def test_a_publication_after_a_restore_has_the_next_version(
    centre: Centre, archive: Path, tmp_path: Path
) -> None:
    """A new machine has the version, the key set, and the files of both folders."""
    new = Centre(tmp_path / "new")
    new.folder.mkdir()
    shutil.copy2(centre.key("config-1"), new.key("config-1"))
    _restored(archive, new)
    assert new.note() == centre.note()
    assert (new.published / "31.note").stat().st_mode & 0o777 == 0o644
    assert new.publish() == 0  # The edited folder is the published one.
    new.write("nation/settings.toml", SLOW)
    assert new.publish() == 3
    assert new.publisher.keys() == centre.publisher.keys()


def test_a_restore_leaves_no_file_of_a_later_version(
    centre: Centre, archive: Path
) -> None:
    """The present folders are kept with a suffix, and hidden files are not copied."""
    centre.write("province/31/settings.toml", SLOW)
    centre.write(".git/HEAD", "")
    assert centre.publish() == 3
    _restored(archive, centre)
    assert sorted(path.name for path in (centre.folder / "config").iterdir()) == [
        "nation"
    ]
    assert centre.index().version == 2
    kept = centre.folder / "config.before-restore/province/31/settings.toml"
    assert kept.read_text() == SLOW
    _restored(archive, centre)
    assert centre.index().version == 2


def test_a_backup_waits_for_a_publication(
    centre: Centre, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """State and files of different versions are never in one backup."""
    monkeypatch.setattr("qos_agent.noc.remote.places._PATIENCE_S", 0.0)
    places = Places.of(centre.settings)
    with (
        centre.publisher.alone(),
        pytest.raises(OperatorError, match="another command publishes"),
    ):
        backup_remote.pack(places, archive.with_name("remote.tar"))


@pytest.mark.parametrize("name", ["published/../../x", "/etc/x", "other/x"])
def test_a_name_outside_of_the_folders_is_refused(tmp_path: Path, name: str) -> None:
    """A changed archive writes nothing elsewhere."""
    path = tmp_path / "remote.tar"
    with tarfile.open(path, "w") as file:
        file.addfile(tarfile.TarInfo(name), io.BytesIO())
    with pytest.raises(ValueError, match="is not a file of this archive"):
        backup_remote.check(path)
