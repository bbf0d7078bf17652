"""A pause names an operator and areas that the register has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from qos_agent.cli.noc_config import app
from qos_agent.config.remote.index import Pause
from qos_agent.model.errors import ConfigError
from qos_agent.noc.register.store import Register
from qos_agent.noc.remote.pause_places import check_places
from tests.noc.register.registers import GOOD, csv_of, imported
from tests.noc.remote.centre import NOW_S


def _pause(**limits: Any) -> Pause:
    start = datetime.fromtimestamp(NOW_S, UTC)
    end = start + timedelta(hours=1)
    return Pause(name="p", probes=("throughput",), start=start, end=end, **limits)


@pytest.fixture
def register(tmp_path: Path) -> Path:
    """Return a register with a station of telkomsel in regency 3171."""
    path = tmp_path / "register.sqlite3"
    opened = Register(path)
    imported(opened, csv_of(tmp_path, GOOD), NOW_S - 60)
    opened.close()
    return path


@pytest.mark.parametrize(
    ("limits", "option"),
    [
        ({"operators": ("telkomsl",)}, "--operator: .*'telkomsl'.*one of telkomsel"),
        ({"areas": ("31", "3172")}, "--area: .*'3172'.*one of 31, 3171"),
    ],
)
def test_a_pause_of_nobody_is_refused(
    register: Path, limits: dict[str, Any], option: str
) -> None:
    """A misspelt operator would pause nothing, and the command would say published."""
    with pytest.raises(ConfigError, match=option):
        check_places(_pause(**limits), register, NOW_S)


def test_known_places_and_a_missing_register_are_accepted(
    register: Path, tmp_path: Path
) -> None:
    """The comparison creates no register."""
    known = _pause(operators=("telkomsel",), areas=("31", "3171"))
    check_places(known, register, NOW_S)
    missing = tmp_path / "missing.sqlite3"
    check_places(_pause(operators=("any",)), missing, NOW_S)
    assert not missing.exists()


@pytest.mark.parametrize("hours", [-1, 73])
def test_the_command_names_the_option_of_a_wrong_end(
    tmp_path: Path, hours: int
) -> None:
    """A past end and one after 72 hours are refused."""
    noc = tmp_path / "noc.toml"
    noc.write_text(f'folder = "{tmp_path}"\n')
    until = (datetime.now(UTC) + timedelta(hours=hours)).isoformat(timespec="seconds")
    arguments = ["pause", "--until", until, "-c", str(noc)]
    result = CliRunner().invoke(app, arguments)
    assert "--until: must be within 72 hours" in str(result.exception)
