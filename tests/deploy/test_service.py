"""The systemd units: exposure, restarts, and the environment that the benches use."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.footprint import unit_environment
from tests.support.requirement import require

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "systemd/qos-agent.service"
UNITS = sorted(DEPLOY.glob("*/*.service"))
DROP_INS = sorted(DEPLOY.glob("systemd/drop-ins/*.conf"))
# The maximum of `systemd-analyze security`, in tenths as its option counts.
MAX_EXPOSURE = 15
# It replaces programs as root, so many directives are not possible. It runs only if the
# repository was set up and another version is wanted.
UPGRADE = DEPLOY / "systemd/qos-agent-upgrade.service"
EXPOSURE = {UPGRADE: 50}
RUNNING = [unit for unit in UNITS if unit != UPGRADE]


def _values(key: str) -> list[str]:
    pairs = (line.partition("=") for line in UNIT.read_text().splitlines())
    return [value for name, _, value in pairs if name == key]


def _analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    require(
        shutil.which("systemd-analyze") is not None,
        "systemd-analyze",
        "apt-get install systemd",
    )
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_exposure_is_within_the_limit(unit: Path) -> None:
    """Each unit of a server scores 1.5 or less in `systemd-analyze security`."""
    limit = EXPOSURE.get(unit, MAX_EXPOSURE)
    analyzed = _analyze("security", "--offline=true", f"--threshold={limit}", str(unit))
    assert analyzed.returncode == 0, analyzed.stdout + analyzed.stderr


@pytest.mark.parametrize("drop_in", [None, *DROP_INS], ids=str)
def test_the_unit_has_no_syntax_error(drop_in: Path | None, tmp_path: Path) -> None:
    """systemd accepts every line of the unit and of its drop-ins."""
    unit = tmp_path / UNIT.name
    # The program is not installed here.
    unit.write_text(UNIT.read_text().replace("/usr/bin/qos-agent", "/bin/true"))
    if drop_in is not None:
        folder = tmp_path / f"{UNIT.name}.d"
        folder.mkdir()
        shutil.copy(drop_in, folder)
    verified = _analyze("verify", "--man=no", str(unit))
    lines = [line for line in verified.stderr.splitlines() if UNIT.name in line]
    assert lines == []


@pytest.mark.parametrize("unit", RUNNING, ids=lambda path: path.name)
def test_restarts_never_end(unit: Path) -> None:
    """systemd restarts each service, however often it fails."""
    lines = unit.read_text().splitlines()
    assert {"Restart=always", "StartLimitIntervalSec=0"} <= set(lines)


def test_bench_runs_as_the_unit_does(tmp_path: Path) -> None:
    """The environment of the bench has Python's variables of the unit and a cache."""
    environment = unit_environment(tmp_path)
    assignments = [v for v in _values("Environment") if not v.startswith("QOS_AGENT_")]
    names = {assignment.partition("=")[0] for assignment in assignments}
    assert "PYTHONOPTIMIZE" in names
    for name in names:
        assert f"{name}={environment[name]}" in assignments
    inherited = {name for name in environment if name.startswith("PYTHON")}
    assert inherited <= names | {"PYTHONPYCACHEPREFIX"}


@pytest.mark.slow
def test_agent_starts_without_docstrings_and_assertions(tmp_path: Path) -> None:
    """The help of commands comes from docstrings. Without them commands still run."""
    checked = subprocess.run(
        [sys.executable, "-m", "qos_agent", "config", "check"],
        env=unit_environment(tmp_path / "cache"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert list((tmp_path / "cache").rglob("*.opt-2.pyc"))
