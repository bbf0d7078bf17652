"""`qos-agent election`, run as a technician or the NOC would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qos_agent.cli.election import app
from qos_agent.model.errors import ConfigError, InvalidConfigError


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    return result.output


def test_show_prints_the_nation_zone_by_zone() -> None:
    """Each zone has local time and UTC. In the east, 07:00 is the day before in UTC."""
    lines = _run("show", "2024-02-14").splitlines()
    assert len(lines) == 1 + 3 * 6
    assert [line.split()[:7] for line in lines if " voting " in line] == [
        [zone, "2024-02-14", "07:00", date, f"{hour}:00Z", "voting", "voting"]
        for zone, date, hour in (
            ("WIB", "2024-02-14", "00"),
            ("WITA", "2024-02-13", "23"),
            ("WIT", "2024-02-13", "22"),
        )
    ]


def test_show_uses_the_zone_of_a_province() -> None:
    """Papua Tengah is in WIT."""
    rows = json.loads(_run("show", "2024-11-27", "--province", "94", "--json"))
    assert {row["zone"] for row in rows} == {"WIT"}
    phases = ["pre", "voting", "counting", "post", "post", "idle"]
    assert [row["phase"] for row in rows] == phases


def test_show_of_a_station_includes_its_repeat_vote(tmp_path: Path) -> None:
    """A repeat vote is shown only for the station it is held at."""
    path = tmp_path / "calendar.toml"
    path.write_text(
        '[[election]]\nname = "x"\n[[election.period]]\nkind = "voting"\n'
        'province = "33"\nstations = ["s1"]\n'
        "start = 2029-01-01T07:00:00\nend = 2029-01-01T13:00:00\n"
    )
    named = _run("show", str(path), "--province", "33", "--station", "s1")
    other = _run("show", str(path), "--province", "33", "--station", "s2")
    assert "2029-01-01 07:00  2029-01-01 00:00Z  voting" in named
    assert other == "No period applies: the phase is always idle.\n"


def test_show_without_a_file_uses_the_configuration(tmp_path: Path) -> None:
    """The calendar and the station are those of the configuration."""
    path = tmp_path / "agent.toml"
    path.write_text(
        '[station]\nid = "s"\nprovince = "51"\n[election]\ncalendar = "2024-02-14"\n'
    )
    rows = json.loads(_run("show", "--json", "-c", str(path)))
    assert {row["zone"] for row in rows} == {"WITA"}


def test_check_prints_one_line_for_a_valid_calendar() -> None:
    """The line has the elections and the hash that heartbeats contain."""
    assert _run("check", "2024-02-14").startswith(
        "ok: general-2024; 5 periods, calendar "
    )


def test_check_rejects_a_calendar_with_faults(tmp_path: Path) -> None:
    """The template is not valid until it is filled in."""
    path = tmp_path / "calendar.toml"
    path.write_text(_run("template"))
    with pytest.raises(InvalidConfigError, match=r"election\.0\.name: .*\(found: '<"):
        _run("check", str(path))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["show", "2024-02-14", "--station", "s"], "for example --province 31"),
        (["show", "2024-02-14", "--province", "99"], r"--province: .*\(found: '99'\)"),
    ],
)
def test_wrong_usage_names_the_fix(arguments: list[str], text: str) -> None:
    """A station needs its province, and a province must exist."""
    with pytest.raises(ConfigError, match=text):
        _run(*arguments)


def test_show_without_any_calendar_names_the_setting(tmp_path: Path) -> None:
    """The error of an agent without a calendar contains the fix."""
    path = tmp_path / "agent.toml"
    path.write_text("")
    with pytest.raises(ConfigError, match="qos-agent election show FILE"):
        _run("show", "-c", str(path))
