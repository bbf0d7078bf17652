"""The agent and its commands on a system whose files are not as expected.

Each test hides or replaces files in a mount namespace of its own, which needs root.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_output import RUN, environment, kinds, records
from tests.lab.fixtures import CAP_SYS_ADMIN, has_capability
from tests.support.requirement import require

pytestmark = pytest.mark.lab

JUNK = bytes(range(256)) * 8
# What is mounted over which files before the command starts.
SYSTEMS = {
    "restricted": ("mount -t proc -o subset=pid proc /proc", ()),
    "endless": ("ulimit -v 2000000", ("/proc/stat", "/proc/meminfo")),
    "pipe": ("", ("/proc/stat", "/proc/meminfo")),
    "empty": ("", ("/proc/stat", "/proc/meminfo", "/proc/loadavg")),
    "junk": (
        "",
        (
            "/proc/stat",
            "/proc/meminfo",
            "/proc/loadavg",
            "/proc/sys/kernel/random/boot_id",
            "/etc/resolv.conf",
            "/etc/hosts",
        ),
    ),
}


def odd(folder: Path, system: str, *arguments: str) -> tuple[int, str]:
    """Run a command on a system; return its exit status and what it printed."""
    require(has_capability(CAP_SYS_ADMIN), "the right to mount", "run as root")
    replacement = folder.parent / f"{folder.name}.replacement"
    if system == "endless":
        replacement = Path("/dev/zero")
    elif system == "pipe":
        replacement.unlink(missing_ok=True)
        os.mkfifo(replacement)
    else:
        replacement.write_bytes(JUNK if system == "junk" else b"")
    first, hidden = SYSTEMS[system]
    first = first and f"{first} || exit 99"
    mounts = [f"mount --bind {replacement} {path} || exit 99" for path in hidden]
    command = " ".join([sys.executable, "-m", "qos_agent", *arguments])
    script = "\n".join([first, *mounts, command])
    done = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "bash", "-c", script],
        env=environment(folder),
        capture_output=True,
        timeout=60,
        check=False,
    )
    require(done.returncode != 99, "the right to mount", "run as root")
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace")


@pytest.mark.parametrize("system", SYSTEMS)
def test_it_measures_and_names_each_file_once(tmp_path: Path, system: str) -> None:
    """Figures that cannot be read are missing, and everything else is measured."""
    status, text = odd(tmp_path, system, *RUN, "--for", "1s")
    assert status == 0, text
    assert "Traceback" not in text
    assert text.count("/proc/stat: ") == 1, text
    hosts = [r for r in records(tmp_path) if r.measurement == "host"]
    measured = [r for r in hosts if r.fields["ok"]]
    assert measured
    assert "uptime_s" in measured[-1].fields
    assert "cpu_share" not in measured[-1].fields
    assert "memory_used_share" not in measured[-1].fields
    assert (kinds(tmp_path)[0], kinds(tmp_path)[-1]) == ("start", "stop")


@pytest.mark.parametrize("system", SYSTEMS)
def test_its_commands_print_what_they_can(tmp_path: Path, system: str) -> None:
    """The doctor makes all its checks, and the others end as usual."""
    assert odd(tmp_path, system, "once", "--probe", "host")[0] == 0
    status, text = odd(tmp_path, system, "doctor")
    assert status in {0, 1}
    assert "bug" not in text
    for check in ("configuration", "binding", "names", "clock", "disk"):
        assert check in text, text
    assert odd(tmp_path, system, "journal", "stats")[0] == 0
    assert odd(tmp_path, system, "pause", "host")[0] == 0
