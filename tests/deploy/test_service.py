"""The systemd unit: what the agent's own needs are, and that the bench measures it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.footprint import unit_environment

UNIT = Path(__file__).parents[2] / "deploy/systemd/qos-agent.service"


def _values(key: str) -> list[str]:
    pairs = (line.partition("=") for line in UNIT.read_text().splitlines())
    return [value for name, _, value in pairs if name == key]


def test_bytecode_is_kept_where_the_service_may_write() -> None:
    """ProtectSystem=strict leaves only the unit's own directories writable."""
    folders = [f"/var/cache/{name}" for name in _values("CacheDirectory")]
    prefixes = [
        v for v in _values("Environment") if v.startswith("PYTHONPYCACHEPREFIX")
    ]
    assert prefixes == [f"PYTHONPYCACHEPREFIX={folder}" for folder in folders]


def test_bench_runs_as_the_unit_does(tmp_path: Path) -> None:
    """Its environment gives Python what the unit's gives, and bytecode is kept."""
    environment = unit_environment(tmp_path)
    given = [v for v in _values("Environment") if not v.startswith("QOS_AGENT_")]
    names = {value.partition("=")[0] for value in given}
    assert {"PYTHONOPTIMIZE", "PYTHONPYCACHEPREFIX"} <= names
    for name in names - {"PYTHONPYCACHEPREFIX"}:
        assert f"{name}={environment[name]}" in given
    inherited = {name for name in environment if name.startswith("PYTHON")}
    assert inherited <= names


def test_agent_starts_without_docstrings_and_assertions(tmp_path: Path) -> None:
    """The commands' help comes of docstrings: without them they still run."""
    said = subprocess.run(
        [sys.executable, "-m", "qos_agent", "config", "check"],
        env=unit_environment(tmp_path / "cache"),
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert list((tmp_path / "cache").rglob("*.opt-2.pyc"))
