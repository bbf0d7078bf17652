"""The systemd unit of the agent, whose environment the benches use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.footprint import unit_environment

UNIT = Path(__file__).parents[2] / "deploy/systemd/qos-agent.service"


def _values(key: str) -> list[str]:
    pairs = (line.partition("=") for line in UNIT.read_text().splitlines())
    return [value for name, _, value in pairs if name == key]


def test_bytecode_is_stored_in_a_writable_directory() -> None:
    """With ProtectSystem=strict, only the unit's own directories are writable."""
    folders = [f"/var/cache/{name}" for name in _values("CacheDirectory")]
    prefixes = [
        v for v in _values("Environment") if v.startswith("PYTHONPYCACHEPREFIX")
    ]
    assert prefixes == [f"PYTHONPYCACHEPREFIX={folder}" for folder in folders]


def test_bench_runs_as_the_unit_does(tmp_path: Path) -> None:
    """The environment of the bench has Python's variables of the unit and a cache."""
    environment = unit_environment(tmp_path)
    assignments = [v for v in _values("Environment") if not v.startswith("QOS_AGENT_")]
    names = {assignment.partition("=")[0] for assignment in assignments}
    assert {"PYTHONOPTIMIZE", "PYTHONPYCACHEPREFIX"} <= names
    for name in names - {"PYTHONPYCACHEPREFIX"}:
        assert f"{name}={environment[name]}" in assignments
    inherited = {name for name in environment if name.startswith("PYTHON")}
    assert inherited <= names


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
