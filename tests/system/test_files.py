"""A file is replaced in one step."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from qos_agent.system.files import write_atomically


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


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    """The call raises OSError."""
    with pytest.raises(OSError, match="No such file"):
        write_atomically(tmp_path / "missing" / "pause", "now")
