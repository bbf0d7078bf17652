"""Chains of copies of InfluxDB; `tests/deploy/test_centre.py` restores a real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.model.errors import OperatorError
from qos_agent.noc.backup_influxdb import backup_influxdb, chains, restore_influxdb
from qos_agent.noc.sections import BackupSection

_DAY_S = 86_400
_START_S = 1_800_000_000


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program in the place of influxd, and return the file of its calls."""
    tools, calls = tmp_path / "bin", tmp_path / "calls"
    tools.mkdir()
    program = tools / "influxd"
    program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n[ ! -e {tmp_path}/broken ]\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    return calls


@pytest.fixture
def section() -> BackupSection:
    """Return the settings of a centre with two databases."""
    return BackupSection.model_validate({"influxdb": ["qos", "qos-rollup"]})


def test_a_chain_has_the_changes_of_each_night(
    commands: Path, section: BackupSection, tmp_path: Path
) -> None:
    """The copy after the first has what changed since then, with an overlap."""
    for night in range(2):
        backup_influxdb(section, tmp_path, _START_S + night * _DAY_S)
    lines = commands.read_text().splitlines()
    assert ["-since" in line for line in lines] == [False, False, True, True]
    assert "-since 2027-01-15T07:50:00Z" in lines[2]
    (chain,) = chains(tmp_path)
    assert chain.starts_s == (_START_S, _START_S + _DAY_S)


def test_each_week_begins_a_chain_and_two_are_kept(
    commands: Path, section: BackupSection, tmp_path: Path
) -> None:
    """A clock that was set back begins a chain too."""
    for day in (0, 7, 14, 21):
        backup_influxdb(section, tmp_path, _START_S + day * _DAY_S)
    found = chains(tmp_path)
    assert [len(chain.starts_s) for chain in found] == [1, 1]
    assert [path for path in tmp_path.iterdir() if path.name.startswith("2027")] != []
    assert sum(path.is_dir() for path in tmp_path.glob("2027*")) == 2
    other = BackupSection.model_validate({"influxdb": ["qos"]})
    assert backup_influxdb(other, tmp_path, _START_S + 22 * _DAY_S).starts_s == (
        _START_S + 22 * _DAY_S,
    )


def test_a_copy_that_fails_is_not_part_of_a_chain(
    commands: Path, section: BackupSection, tmp_path: Path
) -> None:
    """The next night copies the same changes again."""
    backup_influxdb(section, tmp_path, _START_S)
    (tmp_path / "broken").touch()
    with pytest.raises(OperatorError, match="cannot back up InfluxDB"):
        backup_influxdb(section, tmp_path, _START_S + _DAY_S)
    (chain,) = chains(tmp_path)
    assert chain.starts_s == (_START_S,)


def test_present_data_are_not_overwritten(
    commands: Path, section: BackupSection, tmp_path: Path
) -> None:
    """Only an empty folder is restored into."""
    chain = backup_influxdb(section, tmp_path, _START_S)
    data = tmp_path / "influxdb"
    (data / "wal").mkdir(parents=True)
    with pytest.raises(OperatorError, match=r"is not empty\. Fix: stop InfluxDB"):
        restore_influxdb(chain, data)
    (tmp_path / f"{chain.folder.name}.manifest").write_text("{}")
    with pytest.raises(OperatorError, match="cannot be used"):
        chains(tmp_path)
