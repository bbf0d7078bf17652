"""The choice of the server program: what is there, what is built, what is said."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import influxd

# Stands in for Go: "builds" a program that knows its version, slowly, and counts.
GO = """#!/bin/sh
echo built >> {count}
sleep 0.2
printf '#!/bin/sh\\necho "InfluxDB v1.8.10 (git: 1.8 -)"' > "$GOBIN/influxd"
chmod +x "$GOBIN/influxd"
exit {status}
"""


def program(path: Path, says: str) -> Path:
    """Write a program that prints one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty cache and nothing but a shell on PATH."""
    for name in ("QOS_TEST_INFLUXDB_URL", "QOS_TEST_INFLUXD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "sleep", "chmod"):
        (tmp_path / "bin" / tool).symlink_to(f"/bin/{tool}")
    return tmp_path


def find() -> influxd.Influxd | None:
    """Find anew, past what an earlier test found."""
    return influxd.find.__wrapped__()


def install_go(bare: Path, status: int = 0) -> Path:
    """Put the stand-in for Go on PATH and return the file it counts in."""
    count = bare / "count"
    go = bare / "bin" / "go"
    go.write_text(GO.format(count=count, status=status))
    go.chmod(0o755)
    return count


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ("InfluxDB v1.8.10 (git: 1.8 abc)", "1.8.10"),
        ("InfluxDB v1.6.7~rc0 (git: unknown unknown)", "1.6.7"),
        ("InfluxDB vunknown (git: unknown unknown)", "1.8.10"),
        ("InfluxDB 2.7.1 (git: 407fa622e9)", None),
        ("influxdb3 InfluxDB 3 Core", None),
        ("", None),
    ],
)
def test_version_is_read(tmp_path: Path, says: str, version: str | None) -> None:
    """A program of the 1.x line is known by what it prints; others are not taken."""
    found = influxd.inspect(program(tmp_path / "influxd", says))
    assert (found and found.version) == version


def test_nothing_there_is_nothing_found(bare: Path) -> None:
    """Without any server or Go the answer is none, with the mend."""
    assert find() is None
    assert influxd.MEND in influxd.plan()


def test_named_program_comes_first(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """QOS_TEST_INFLUXD wins over PATH, even when it is older."""
    program(bare / "bin" / "influxd", "InfluxDB v1.8.10 (git)")
    named = program(bare / "mine", "InfluxDB v1.7.9 (git)")
    monkeypatch.setenv("QOS_TEST_INFLUXD", str(named))
    assert find() == influxd.Influxd(named, "1.7.9")


def test_named_program_that_is_none_is_an_error(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong QOS_TEST_INFLUXD is said and not passed over."""
    monkeypatch.setenv("QOS_TEST_INFLUXD", "/nowhere/influxd")
    with pytest.raises(FileNotFoundError, match="QOS_TEST_INFLUXD names /nowhere"):
        influxd.find.__wrapped__()


def test_recent_program_on_path_needs_no_build(bare: Path) -> None:
    """An influxd of 1.8 or later on PATH is used although Go is there."""
    count = install_go(bare)
    on_path = program(bare / "bin" / "influxd", "InfluxDB v1.11.8 (git)")
    assert (find(), count.exists()) == (influxd.Influxd(on_path, "1.11.8"), False)


def test_build_is_preferred_to_an_old_program_and_kept(bare: Path) -> None:
    """Go builds 1.8.10 before Debian's 1.6.7 is used, and builds it once."""
    count = install_go(bare)
    program(bare / "bin" / "influxd", "InfluxDB v1.6.7~rc0 (git)")
    assert "built by Go" in influxd.plan()
    found = [find(), find()]
    assert [one and one.version for one in found] == ["1.8.10", "1.8.10"]
    assert count.read_text() == "built\n"
    assert "1.8.10, " in influxd.plan()


def test_failed_build_falls_back_to_the_old_program(bare: Path) -> None:
    """When the build fails nothing is cached and the old server serves."""
    install_go(bare, status=1)
    old = program(bare / "bin" / "influxd", "InfluxDB v1.6.7~rc0 (git)")
    assert find() == influxd.Influxd(old, "1.6.7")
    assert sorted(
        path.name for path in (bare / "cache" / "qos-agent-tests").iterdir()
    ) == [
        "build.log",
        "lock",
    ]


def test_two_processes_build_once(bare: Path) -> None:
    """Of two suites that start together one builds and the other waits for it."""
    count = install_go(bare)
    command = [sys.executable, "-m", "tests.servers.influxd"]
    root = Path(__file__).parents[2]
    suites = [
        subprocess.Popen(command, cwd=root, env=os.environ, stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [suite.wait(20) for suite in suites] == [0, 0]
    assert count.read_text() == "built\n"


def test_server_of_the_environment_is_named(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header says when an outside server is used."""
    monkeypatch.setenv("QOS_TEST_INFLUXDB_URL", "http://127.0.0.1:8086")
    assert influxd.plan() == "InfluxDB: http://127.0.0.1:8086 (QOS_TEST_INFLUXDB_URL)"
