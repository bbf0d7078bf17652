"""The script on the USB stick, with programs that only print how they are called."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from deploy.packages.tree import FILES

FILE = "qos-agent_0.9.0_armhf.deb"
OLDER = ("qos-agent_0.10.0~dev3_armhf.deb", "qos-agent_0.9.0_amd64.deb")


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """Return a stick with packages of three versions and two processors."""
    folder = tmp_path / "stick"
    folder.mkdir()
    for name in (FILE, *OLDER, "qos-agent_0.10.0_armhf.deb", "qos-agent_1_armhf.run"):
        (folder / name).write_text(name)
    _sums(folder)
    return folder


def _sums(folder: Path) -> None:
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in folder.glob("qos-agent_*")
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))


def _run(
    stick: Path,
    *arguments: str,
    configured: bool = False,
    outputs: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.CompletedProcess[str]:
    """Run the script as root of a device with a 32-bit system."""
    programs = stick.parent / "bin"
    programs.mkdir(exist_ok=True)
    for name, output in {"id": "0", "dpkg": "armhf", "agent": "", **outputs}.items():
        # Only what the script cannot do here is replaced.
        line = f'echo {output}; [ -n "{output}" ] || echo {name} "$@"'
        if name == "dpkg":
            line = f'[ "$1" = --install ] && echo dpkg "$@" || echo {output}'
        path = programs / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)
    present = "/" if configured else str(stick / "nothing")
    text = (FILES / "stick.sh").read_text()
    text = text.replace("/usr/bin/qos-agent", str(programs / "agent"))
    text = text.replace("/etc/qos-agent/agent.toml", present)
    text = text.replace("/etc/apt/sources.list.d", str(stick.parent))
    script = stick / "install.sh"
    script.write_text(text)
    return subprocess.run(
        ["sh", str(script), *arguments],
        env={"PATH": f"{programs}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_newest_file_for_the_processor_is_installed(stick: Path) -> None:
    """A release is newer than its development versions. The setup follows."""
    done = _run(stick, "--language", "id")
    lines = done.stdout.split("\n")
    assert lines[0] == f"dpkg --install {stick}/qos-agent_0.10.0_armhf.deb"
    assert "agent setup --language id" in lines
    assert done.returncode == 0, done.stderr


def test_the_answers_of_the_stick_are_used(stick: Path) -> None:
    """Options of the command have priority, because they come last."""
    (stick / "setup.toml").write_text("")
    done = _run(stick, "--station", "3171010001001")
    expected = f"agent setup --preseed {stick}/setup.toml --station 3171010001001\n"
    assert done.stdout.endswith(expected)


def test_a_stick_with_a_repository_prepares_upgrades(stick: Path) -> None:
    """Without the file nothing is prepared."""
    prepared = stick.parent / "qos-agent.sources"
    _run(stick)
    assert not prepared.exists()
    (stick / "qos-agent.sources").write_text("Types: deb\n")
    assert _run(stick).returncode == 0
    assert prepared.read_text() == "Types: deb\n"
    assert prepared.stat().st_mode & 0o777 == 0o644


def test_a_device_that_is_set_up_is_checked(stick: Path) -> None:
    """An upgrade asks nothing, unless options are given."""
    assert _run(stick, configured=True).stdout.endswith("agent doctor\n")
    given = _run(stick, "--operator", "xl", configured=True)
    assert given.stdout.endswith("agent setup --operator xl\n")


def test_a_damaged_file_is_not_installed(stick: Path) -> None:
    """A stick that was pulled out too early has short files."""
    (stick / "qos-agent_0.10.0_armhf.deb").write_text("qos")
    _refused(_run(stick), "is damaged. Fix: copy it to the stick again")
    (stick / "SHA256SUMS").write_text("")
    _refused(_run(stick), "does not name qos-agent_0.10.0_armhf.deb")


@pytest.mark.parametrize(
    ("outputs", "problem"),
    [
        ({"id": "1000"}, "needs root. Fix: sudo sh "),
        ({"dpkg": "riscv64"}, "this device needs a file qos-agent_*_riscv64.deb"),
    ],
)
def test_what_cannot_work_is_one_line(
    outputs: dict[str, str], problem: str, stick: Path
) -> None:
    """The line names what is missing; nothing is installed."""
    _refused(_run(stick, outputs=outputs), problem)


def _refused(done: subprocess.CompletedProcess[str], problem: str) -> None:
    assert done.returncode == 1
    assert problem in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
