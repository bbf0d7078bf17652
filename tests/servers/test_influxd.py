"""Selection of the server program: installed, built, and reported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import influxd

# A fake Go that slowly "builds" a program with a version, and counts its builds.
GO = """#!/bin/sh
echo built >> {count}
sleep 0.2
printf '#!/bin/sh\\necho "InfluxDB v1.8.10 (git: 1.8 -)"' > "$GOBIN/influxd"
chmod +x "$GOBIN/influxd"
exit {status}
"""


def program(path: Path, output: str) -> Path:
    """Write a program that prints one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{output}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set an empty cache and a PATH with a shell only; return their folder."""
    for name in ("QOS_TEST_INFLUXDB_URL", "QOS_TEST_INFLUXD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    for tool in ("sh", "sleep", "chmod"):
        (tmp_path / "bin" / tool).symlink_to(f"/bin/{tool}")
    return tmp_path


def find() -> influxd.Influxd | None:
    """Find the program without the cached result of earlier tests."""
    return influxd.find.__wrapped__()


def install_go(bare: Path, status: int = 0) -> Path:
    """Put the fake Go on PATH and return the file with its count."""
    count = bare / "count"
    go = bare / "bin" / "go"
    go.write_text(GO.format(count=count, status=status))
    go.chmod(0o755)
    return count


@pytest.mark.parametrize(
    ("output", "version"),
    [
        ("InfluxDB v1.8.10 (git: 1.8 abc)", "1.8.10"),
        ("InfluxDB v1.6.7~rc0 (git: unknown unknown)", "1.6.7"),
        ("InfluxDB vunknown (git: unknown unknown)", "1.8.10"),
        ("InfluxDB 2.7.1 (git: 407fa622e9)", None),
        ("influxdb3 InfluxDB 3 Core", None),
        ("", None),
    ],
)
def test_version_is_read(tmp_path: Path, output: str, version: str | None) -> None:
    """A program of 1.x is recognised by its output; other programs are rejected."""
    inspected = influxd.inspect(program(tmp_path / "influxd", output))
    assert (inspected and inspected.version) == version


def test_without_a_server_or_go_there_is_none(bare: Path) -> None:
    """Without a server and without Go the description says how to install one."""
    assert find() is None
    assert influxd.INSTALL in influxd.describe()


def test_named_program_comes_first(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """QOS_TEST_INFLUXD has priority over PATH, even if it is older."""
    program(bare / "bin" / "influxd", "InfluxDB v1.8.10 (git)")
    named = program(bare / "mine", "InfluxDB v1.7.9 (git)")
    monkeypatch.setenv("QOS_TEST_INFLUXD", str(named))
    assert find() == influxd.Influxd(named, "1.7.9")


def test_wrong_named_program_is_an_error(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong QOS_TEST_INFLUXD is an error and not ignored."""
    monkeypatch.setenv("QOS_TEST_INFLUXD", "/nowhere/influxd")
    with pytest.raises(FileNotFoundError, match="QOS_TEST_INFLUXD: /nowhere"):
        influxd.find.__wrapped__()


def test_recent_program_on_path_needs_no_build(bare: Path) -> None:
    """An influxd of 1.8 or later on PATH is used even if Go is installed."""
    count = install_go(bare)
    on_path = program(bare / "bin" / "influxd", "InfluxDB v1.11.8 (git)")
    assert (find(), count.exists()) == (influxd.Influxd(on_path, "1.11.8"), False)


def test_build_is_preferred_to_an_old_program_and_cached(bare: Path) -> None:
    """Go builds 1.8.10 once, instead of using Debian's 1.6.7."""
    count = install_go(bare)
    program(bare / "bin" / "influxd", "InfluxDB v1.6.7~rc0 (git)")
    assert "built by Go" in influxd.describe()
    programs = [find(), find()]
    assert [p and p.version for p in programs] == ["1.8.10", "1.8.10"]
    assert count.read_text() == "built\n"
    assert "1.8.10, " in influxd.describe()


def test_failed_build_falls_back_to_the_old_program(bare: Path) -> None:
    """If the build fails, nothing is cached and the old server is used."""
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
    """If two processes start together, one builds and the other waits for it."""
    count = install_go(bare)
    command = [sys.executable, "-m", "tests.servers.influxd"]
    root = Path(__file__).parents[2]
    processes = [
        subprocess.Popen(command, cwd=root, env=os.environ, stdout=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [process.wait(20) for process in processes] == [0, 0]
    assert count.read_text() == "built\n"


def test_external_server_is_described(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header of the test run contains the URL of an external server."""
    url = "http://127.0.0.1:8086"
    monkeypatch.setenv("QOS_TEST_INFLUXDB_URL", url)
    assert influxd.describe() == f"InfluxDB: {url} (QOS_TEST_INFLUXDB_URL)"
