"""Own files are replaced in one step; files of the system are untrusted input."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from qos_agent.system import files
from qos_agent.system.files import (
    create_private,
    from_administrator,
    matching,
    may_exist,
    read_bytes,
    read_number,
    read_text,
    write_atomically,
)


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """While a long text replaces another, each read returns one of them whole."""
    path = tmp_path / "status.json"
    texts = ("a" * 1_000_000, "b" * 1_000_000)
    write_atomically(path, texts[0])
    finished = threading.Event()

    def replace() -> None:
        for number in range(20):
            write_atomically(path, texts[number % 2])
        finished.set()

    writer = threading.Thread(target=replace)
    writer.start()
    while not finished.is_set():
        assert path.read_text() in texts
    writer.join()


def test_no_other_file_is_left(tmp_path: Path) -> None:
    """The temporary file is gone after the write."""
    write_atomically(tmp_path / "pause", "now")
    assert [path.name for path in tmp_path.iterdir()] == ["pause"]


def test_a_private_file_is_its_owners_alone(tmp_path: Path) -> None:
    """It replaces a link of this name, and the target of the link is not written."""
    other, path = tmp_path / "other", tmp_path / "token"
    other.write_bytes(b"kept")
    path.symlink_to(other)
    create_private(path, b"secret")
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"secret", 0o600)
    assert other.read_bytes() == b"kept"
    assert not path.is_symlink()


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """The call raises OSError."""
    with pytest.raises(OSError, match="No such file"):
        write_atomically(tmp_path / "missing" / "pause", "now")


def _folder(path: Path) -> None:
    path.mkdir()


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _large(path: Path) -> None:
    path.write_bytes(b"1" * 2_000_000)


@pytest.mark.parametrize("create", [_folder, _loop, _endless, _large])
def test_a_file_that_cannot_be_read_is_missing_and_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, create: Callable[[Path], None]
) -> None:
    """The log has one line with the path, however often the file is read."""
    path = tmp_path / "rx_bytes"
    create(path)
    with caplog.at_level(logging.WARNING):
        assert [read_text(path), read_text(path)] == [None, None]
        assert read_number(path) is None
    assert [str(path) in record.getMessage() for record in caplog.records] == [True]


def test_a_missing_file_is_normal(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Boards differ, so nothing is logged."""
    assert read_text(tmp_path / "temp") is None
    assert read_number(tmp_path / "folder" / "temp") is None
    assert matching(tmp_path / "folder", "*") == []
    assert caplog.records == []


@pytest.mark.parametrize(
    ("number", "silent"), [(errno.EIO, False), (errno.ENODATA, True)]
)
def test_a_sensor_may_have_no_value_for_now(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    silent: bool,
) -> None:
    """ENODATA is an ordinary answer of a driver; EIO is not."""

    def fail(_path: Path, _max_bytes: int) -> bytes:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files, "read_bytes", fail)
    assert read_text(tmp_path / f"temp{number}") is None
    assert (caplog.records == []) is silent


def test_a_pipe_without_a_writer_does_not_wait(tmp_path: Path) -> None:
    """A read never waits for another process."""
    os.mkfifo(tmp_path / "pipe")
    assert read_bytes(tmp_path / "pipe") == b""


def test_a_folder_in_place_of_a_file_leaves_nothing_open(tmp_path: Path) -> None:
    """Docker creates a folder for a file that is missing; it is read often."""
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        assert files.read_lines(tmp_path, 10) == []
        with pytest.raises(IsADirectoryError) as raised:
            files.read_bytes(tmp_path)
    assert raised.value.filename == str(tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before


def test_bytes_that_are_not_utf_8_are_replaced(tmp_path: Path) -> None:
    """One bad line hides no other line."""
    path = tmp_path / "resolv.conf"
    path.write_bytes(b"# caf\xe9\nnameserver 10.0.0.1\n")
    assert read_text(path) == "# caf\ufffd\nnameserver 10.0.0.1\n"


@pytest.mark.parametrize(
    ("content", "number"),
    [
        ("12\n", 12),
        ("-1", None),
        ("9" * 30, None),
        ("9" * 99, None),
        ("", None),
        ("0x10", None),
        ("n/a", None),
        ("1.5", None),
        ("\ufffd", None),
    ],
)
def test_a_number_must_be_within_its_range(
    tmp_path: Path, content: str, number: int | None
) -> None:
    """By default it is a counter of 64 bits."""
    path = tmp_path / "rx_bytes"
    path.write_text(content)
    assert read_number(path) == number


def test_a_folder_that_may_not_be_searched_may_have_the_file(tmp_path: Path) -> None:
    """Only an error that proves the absence does."""
    path = tmp_path / "loop"
    path.symlink_to(path)
    assert may_exist(path / "agent.toml")
    assert may_exist(tmp_path)
    assert not may_exist(tmp_path / "agent.toml")


_OTHER, _ADMINISTRATORS = 54321, 54322


@pytest.mark.parametrize(
    ("mode", "user", "group", "is_accepted"),
    [
        (0o100644, 0, 0, True),
        (0o100644, os.geteuid(), 0, True),
        (0o100640, _OTHER, _ADMINISTRATORS, True),
        (0o100644, _OTHER, _OTHER, False),
        (0o100646, 0, 0, False),
        (0o010644, 0, 0, False),
        (0o120777, 0, 0, False),
    ],
    ids=["root", "own", "group", "other", "writable", "pipe", "link"],
)
def test_files_of_administrators(
    monkeypatch: pytest.MonkeyPatch,
    mode: int,
    user: int,
    group: int,
    is_accepted: bool,
) -> None:
    """The user of the process, root and one group may control the agent."""
    monkeypatch.setattr(files, "_group", lambda: _ADMINISTRATORS)
    status = os.stat_result((mode, 1, 1, 1, user, group, 5, 0, 0, 0))
    if is_accepted:
        from_administrator(status)
        return
    with pytest.raises(OSError, match=r"regular|another user"):
        from_administrator(status)
