"""The result of a setup on its way from the command to the agent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qos_agent.model.errors import StorageError
from qos_agent.schedule import acceptance

OWNER = os.geteuid()


def test_a_result_is_taken_once(tmp_path: Path) -> None:
    """The agent stores one event for one setup."""
    acceptance.leave(tmp_path, "accepted, receipt AAAA-BBBB")
    assert acceptance.is_left(tmp_path)
    assert acceptance.take(tmp_path, OWNER) == "accepted, receipt AAAA-BBBB"
    assert acceptance.take(tmp_path, OWNER) is None
    # The command waits for the disk.
    assert acceptance.is_left(tmp_path)
    acceptance.stored(tmp_path)
    assert not acceptance.is_left(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_result_of_another_user_is_refused(tmp_path: Path) -> None:
    """Members of the group may write the folder, but they cannot accept a device."""
    acceptance.leave(tmp_path, "accepted")
    assert acceptance.take(tmp_path, OWNER + 1) is None


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_only_a_regular_file_is_read(tmp_path: Path, kind: str) -> None:
    """A link is not followed, and a pipe without a writer does not block."""
    path = tmp_path / "acceptance"
    if kind == "link":
        (tmp_path / "secret").write_text("secret")
        path.symlink_to(tmp_path / "secret")
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    assert acceptance.take(tmp_path, OWNER) is None


def test_an_existing_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """The command runs as root in a folder that others may write."""
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / "acceptance").symlink_to(victim)
    acceptance.leave(tmp_path, "accepted")
    assert victim.read_text() == "untouched"
    assert acceptance.take(tmp_path, OWNER) == "accepted"


def test_without_the_folder_the_error_has_a_fix(tmp_path: Path) -> None:
    """The folder exists only while the service runs."""
    with pytest.raises(StorageError, match="start the agent"):
        acceptance.leave(tmp_path / "missing", "accepted")
