"""A first run on a device that has just booted: points that wait for a clock."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_output import RUN, environment
from tests.support.requirement import require

pytestmark = pytest.mark.lab

REASON = (
    "Reason: no time server has set the clock, and the device started less than 5 "
    "minutes ago."
)
# No battery-backed clock, and a boot clock that shows one minute.
SCRIPT = """
[ ! -d /sys/class/rtc ] || mount -t tmpfs none /sys/class/rtc || exit 99
exec "$@"
"""


def booted(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command as on a device that booted a minute ago."""
    uptime_s = int(float(Path("/proc/uptime").read_text().split()[0]))
    program = [sys.executable, "-m", "qos_agent", *arguments]
    boot = ["unshare", "--mount", "--time", f"--boottime=-{uptime_s - 60}"]
    done = subprocess.run(
        [*boot, "bash", "-c", SCRIPT, "bash", *program],
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    missing = "unshare" in done.stderr or done.returncode == 99
    require(not missing, "a time namespace", "run as root on Linux 5.6 or later")
    return done


def test_a_first_run_says_how_many_points_wait_and_why(tmp_path: Path) -> None:
    """The summary, both exports and the statistics have the same number and reason."""
    folder = tmp_path / "journal"
    folder.mkdir()
    run = booted(folder, *RUN, "--for", "1s")
    assert run.returncode == 0, run.stderr
    statistics = json.loads(booted(folder, "journal", "stats", "--json").stdout)
    assert (statistics["points"], statistics["kinds"]) == (0, [])
    pending = statistics["pending"]
    assert pending >= 2
    notice = f"which are not exported: {pending}. {REASON}"
    assert notice in run.stdout
    assert notice in booted(folder, "journal", "stats").stdout
    assert notice in booted(folder, "export", "--out", str(tmp_path / "out")).stdout
    for command in ("export", "tail"):
        printed = booted(folder, "journal", command)
        assert printed.stdout == ""
        assert notice in printed.stderr


def test_points_are_exported_after_a_run_with_a_trusted_clock(tmp_path: Path) -> None:
    """The statistics and the export have the same points, and the notice is gone."""
    folder = tmp_path / "journal"
    folder.mkdir()
    booted(folder, *RUN, "--for", "1s")
    later = environment(folder)
    for arguments in (
        [*RUN, "--for", "1s"],
        ["export", "--out", str(tmp_path / "out")],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "qos_agent", *arguments],
            env=later,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert "without a timestamp" not in done.stdout
    statistics = json.loads(booted(folder, "journal", "stats", "--json").stdout)
    exported = (tmp_path / "out" / "points.lp").read_bytes().splitlines()
    assert statistics["points"] == len(exported)
    assert statistics["points"] == sum(k["points"] for k in statistics["kinds"])
