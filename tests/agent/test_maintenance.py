"""The permission to upgrade while votes are cast or counted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from qos_agent.agent import maintenance
from qos_agent.config.loading import load
from qos_agent.config.sources import Sources
from qos_agent.model import Phase
from qos_agent.model.errors import OperatorError
from qos_agent.probes.registry import PROBES
from tests.support.calendars import VALID_CALENDAR
from tests.support.clocks import FakeClock


def test_a_permission_ends_after_its_time(tmp_path: Path, clock: FakeClock) -> None:
    """The boot clock decides, which nobody can set."""
    path = tmp_path / "maintenance"
    assert maintenance.allowed_s(clock, path) == 0.0
    maintenance.allow(1800, clock, path)
    assert maintenance.allowed_s(clock, path) == 1800
    clock.advance(1801)
    assert maintenance.allowed_s(clock, path) == 0.0


@pytest.mark.parametrize("content", ["", "yes", "-1", f"{2**62}", "9" * 200])
def test_a_damaged_file_allows_nothing(
    tmp_path: Path, clock: FakeClock, content: str
) -> None:
    """A file without a sensible time gives no permission, and no exception."""
    path = tmp_path / "maintenance"
    path.write_text(content)
    assert maintenance.allowed_s(clock, path) == 0.0


def test_a_link_allows_nothing(tmp_path: Path, clock: FakeClock) -> None:
    """Only a regular file counts, so that no other file of root is taken for one."""
    target, path = tmp_path / "target", tmp_path / "maintenance"
    maintenance.allow(60, clock, target)
    path.symlink_to(target)
    assert maintenance.allowed_s(clock, path) == 0.0


def test_a_folder_that_cannot_be_written_is_one_line(
    tmp_path: Path, clock: FakeClock
) -> None:
    """The error names the command to use."""
    with pytest.raises(OperatorError, match="sudo qos-agent maintenance"):
        maintenance.allow(60, clock, tmp_path / "missing" / "file")


def test_the_calendar_gives_the_phase_without_an_agent(
    tmp_path: Path, clock: FakeClock
) -> None:
    """A stopped agent is protected too."""
    (tmp_path / "calendar.toml").write_text(VALID_CALENDAR)
    config = tmp_path / "agent.toml"
    config.write_text(
        f'[station]\nid = "3171010001001"\nprovince = "31"\nregency = "3171"\n'
        f'[election]\ncalendar = "{tmp_path}/calendar.toml"\n'
        f'[runtime]\nfolder = "{tmp_path}"\n'
    )
    settings = load(Sources(config, {}, None), PROBES).settings
    assert maintenance.phase(settings, clock) is Phase.IDLE
    voting = datetime(2029, 1, 10, 1, tzinfo=UTC)  # 08:00 in Jakarta
    clock.step(voting.timestamp() - clock.wall_ns() / 1e9)
    assert maintenance.phase(settings, clock) is Phase.VOTING
