"""Pauses and reloads: a command writes a file, and the agent reads it."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from qos_agent.model.errors import StorageError
from qos_agent.schedule.control import (
    Pauses,
    pause,
    request_reload,
    resume,
    take_reload,
)
from tests.support.clocks import FakeClock


def test_a_pause_covers_its_probe_and_ends_by_itself(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Throughput is paused for two hours, and no other probe is."""
    pauses = Pauses(tmp_path, clock)
    assert not pauses.is_paused("throughput")
    pause(tmp_path, "throughput", 7200, clock)
    assert pauses.is_paused("throughput")
    assert not pauses.is_paused("latency")
    clock.advance(7199.9)
    assert pauses.is_paused("throughput")
    clock.advance(0.1)
    assert not pauses.is_paused("throughput")


def test_all_pauses_every_probe(tmp_path: Path, clock: FakeClock) -> None:
    """A pause of `all` covers each probe."""
    pause(tmp_path, "all", 60, clock)
    assert all(Pauses(tmp_path, clock).is_paused(name) for name in ("latency", "web"))


def test_resume_ends_one_pause_or_all(tmp_path: Path, clock: FakeClock) -> None:
    """`resume` returns the names of ended pauses, and none without a pause."""
    pauses = Pauses(tmp_path, clock)
    pause(tmp_path, "throughput", 60, clock)
    pause(tmp_path, "web", 60, clock)
    assert resume(tmp_path, "throughput") == ["throughput"]
    assert not pauses.is_paused("throughput")
    assert pauses.is_paused("web")
    assert resume(tmp_path, "all") == ["web"]
    assert resume(tmp_path, "all") == []


@pytest.mark.parametrize("step_s", [365 * 86_400, -365 * 86_400])
def test_a_stepped_clock_neither_ends_nor_prolongs_a_pause(
    tmp_path: Path, clock: FakeClock, step_s: int
) -> None:
    """Boot time decides until the device restarts."""
    pauses = Pauses(tmp_path, clock)
    pause(tmp_path, "throughput", 3600, clock)
    clock.step(step_s)
    assert pauses.is_paused("throughput")
    clock.advance(3600)
    assert not pauses.is_paused("throughput")


def test_after_a_reboot_the_wall_clock_decides(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Boot time starts at zero, so it cannot measure a pause of the previous boot."""
    pause(tmp_path, "throughput", 3600, clock)
    later = FakeClock(boot_id="boot-2", now_boot_ns=10**9)
    later.offset_ns = clock.wall_ns() + 1800 * 10**9 - later.now_boot_ns
    pauses = Pauses(tmp_path, later)
    assert pauses.is_paused("throughput")
    later.advance(1801)
    assert not pauses.is_paused("throughput")


def test_each_change_is_reported_once(tmp_path: Path, clock: FakeClock) -> None:
    """Starting, extending and ending a pause each give one event."""
    pauses = Pauses(tmp_path, clock)
    assert pauses.changes() == []
    first = pause(tmp_path, "throughput", 60, clock)
    assert pauses.changes() == [("pause", f"throughput until {first.until()}")]
    assert pauses.changes() == []
    longer = pause(tmp_path, "throughput", 600, clock)
    assert pauses.changes() == [("pause", f"throughput until {longer.until()}")]
    resume(tmp_path, "throughput")
    assert pauses.changes() == [("resume", "throughput")]
    pause(tmp_path, "all", 60, clock)
    assert [kind for kind, _ in pauses.changes()] == ["pause"]
    assert [active.what for active in pauses.active()] == ["all"]
    clock.advance(61)
    assert pauses.changes() == [("resume", "all")]
    assert pauses.active() == []


_TIMES = {"until_boot_ns": 2**62, "until_wall_ns": 2 * 10**18}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"what": 1}',
        "null",
        '"x"',
        "\x00\xff",
        "[" * 9_000,
        " " * 20_000,
        json.dumps({"what": "web", "boot_id": "boot", **_TIMES}),
        json.dumps({"what": "latency", "boot_id": 5, **_TIMES}),
        *(
            json.dumps({"what": "latency", "boot_id": "boot", **_TIMES, **wrong})
            for wrong in (
                {"until_wall_ns": 10**30},
                {"until_wall_ns": 4_102_444_800 * 10**9, "boot_id": "boot-0"},
                {"until_wall_ns": float("nan")},
                {"until_boot_ns": "x"},
                {"until_boot_ns": 1e300},
                {"until_wall_ns": -(10**30)},
                {"until_wall_ns": None},
            )
        ),
    ],
    ids=lambda content: content[:90],
)
def test_a_damaged_file_pauses_nothing_and_is_logged_once(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    """A damaged file does not stop measurements; the log names it once."""
    (tmp_path / "pause-latency.json").write_bytes(content.encode("latin-1"))
    pauses = Pauses(tmp_path, clock)
    with caplog.at_level(logging.WARNING):
        assert not pauses.is_paused("latency")
        assert pauses.changes() == []
        assert pauses.active() == []
    assert [r for r in caplog.records if "pause-latency.json" in r.message] == (
        caplog.records[:1]
    )


@pytest.mark.parametrize("content", [b"\xff\xfe", b"now" * 10_000, b""])
def test_an_odd_reload_request_is_read_once(tmp_path: Path, content: bytes) -> None:
    """Bytes that are no text request a reload; a file without an end does not."""
    (tmp_path / "reload").write_bytes(content)
    assert take_reload(tmp_path) is (None if len(content) > 10_000 else False)


def test_an_unwritable_folder_is_an_error_with_a_fix(
    tmp_path: Path, clock: FakeClock
) -> None:
    """The error has the file, the cause and what to do."""
    missing = tmp_path / "nowhere"
    with pytest.raises(StorageError, match=r"pause-throughput.*start the agent first"):
        pause(missing, "throughput", 60, clock)
    (tmp_path / "pause-web.json").mkdir()
    with pytest.raises(
        StorageError, match=r"cannot remove .*pause-web.*run this command with sudo"
    ):
        resume(tmp_path, "web")


@pytest.mark.parametrize("now", [True, False])
def test_a_reload_request_is_taken_once(tmp_path: Path, now: bool) -> None:
    """The agent gets the request with its `now`, and not a second time."""
    assert take_reload(tmp_path) is None
    request_reload(tmp_path, now)
    assert take_reload(tmp_path) is now
    assert take_reload(tmp_path) is None


def test_an_unwritable_reload_request_is_an_error(tmp_path: Path) -> None:
    """The error has the file, as for a pause."""
    with pytest.raises(StorageError, match=r"cannot write .*reload"):
        request_reload(tmp_path / "nowhere", True)


@pytest.mark.parametrize("name", ["pause-latency.json", "reload"])
def test_a_symbolic_link_is_no_request(
    tmp_path: Path, clock: FakeClock, name: str
) -> None:
    """A link could point to any file that the reader may open."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    pause(elsewhere, "latency", 60, clock)
    request_reload(elsewhere, True)
    (tmp_path / name).symlink_to(elsewhere / name)
    assert not Pauses(tmp_path, clock).is_paused("latency")
    assert take_reload(tmp_path) is None


def test_a_request_replaces_a_symbolic_link(tmp_path: Path, clock: FakeClock) -> None:
    """Root must not write where a link of another user points."""
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    names = ("pause-latency.json", f".pause-latency.json.{os.getpid()}")
    for name in names:
        (tmp_path / name).symlink_to(victim)
    pause(tmp_path, "latency", 60, clock)
    assert victim.read_text() == "untouched"
    assert Pauses(tmp_path, clock).is_paused("latency")
    assert not (tmp_path / names[0]).is_symlink()


def test_a_strict_umask_hides_no_request(tmp_path: Path, clock: FakeClock) -> None:
    """The agent runs as another user than the technician, and must read the file."""
    before = os.umask(0o077)
    try:
        pause(tmp_path, "latency", 60, clock)
        request_reload(tmp_path, False)
    finally:
        os.umask(before)
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o777 == 0o644


def test_a_request_that_anyone_may_write_does_not_count(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Its content may be another user's."""
    pause(tmp_path, "latency", 60, clock)
    (tmp_path / "pause-latency.json").chmod(0o666)
    assert not Pauses(tmp_path, clock).is_paused("latency")
