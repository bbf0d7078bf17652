"""`qos-agent election`, as a technician or the NOC types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qos_agent.cli.election import app
from qos_agent.model.errors import ConfigError, InvalidConfigError


def _run(*arguments: str) -> str:
    answer = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert answer.exit_code == 0
    return answer.output


def test_show_prints_the_nation_zone_by_zone() -> None:
    """Three zones, local time and UTC: the day before in UTC for the east."""
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


def test_show_knows_the_zone_of_a_province() -> None:
    """Papua Tengah is in WIT."""
    rows = json.loads(_run("show", "2024-11-27", "--province", "94", "--json"))
    assert {row["zone"] for row in rows} == {"WIT"}
    assert [row["phase"] for row in rows] == [
        "pre", "voting", "counting", "post", "post", "idle",
    ]  # fmt: skip


def test_show_of_a_station_has_its_special_days(tmp_path: Path) -> None:
    """A repeat vote shows for the named station only."""
    path = tmp_path / "calendar.toml"
    path.write_text(
        '[[election]]\nname = "x"\n[[election.period]]\nkind = "voting"\n'
        'province = "33"\nstations = ["s1"]\n'
        "start = 2029-01-01T07:00:00\nend = 2029-01-01T13:00:00\n"
    )
    named = _run("show", str(path), "--province", "33", "--station", "s1")
    other = _run("show", str(path), "--province", "33", "--station", "s2")
    assert "2029-01-01 07:00  2029-01-01 00:00Z  voting" in named
    assert other == "no period holds there: idle for ever\n"


def test_show_without_a_file_is_the_agents_own(tmp_path: Path) -> None:
    """The configured calendar, for the configured station."""
    path = tmp_path / "agent.toml"
    path.write_text(
        '[station]\nid = "s"\nprovince = "51"\n[election]\ncalendar = "2024-02-14"\n'
    )
    rows = json.loads(_run("show", "--json", "-c", str(path)))
    assert {row["zone"] for row in rows} == {"WITA"}


def test_check_says_that_a_calendar_is_well() -> None:
    """One line with its elections and the hash that heartbeats carry."""
    assert _run("check", "2024-02-14").startswith(
        "well: general-2024; 5 periods, calendar "
    )


def test_check_refuses_a_calendar_with_faults(tmp_path: Path) -> None:
    """The unfilled template is not well."""
    path = tmp_path / "calendar.toml"
    path.write_text(_run("template"))
    with pytest.raises(InvalidConfigError, match=r"election\.0\.name: found '<"):
        _run("check", str(path))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "2024-02-14", "--station", "s"], "add --province 31"),
        (["show", "2024-02-14", "--province", "99"], "--province: found '99'"),
    ],
)
def test_wrong_usage_says_what_to_type(arguments: list[str], words: str) -> None:
    """A station needs its province, a province must be one."""
    with pytest.raises(ConfigError, match=words):
        _run(*arguments)


def test_show_without_any_calendar_says_where_to_set_one(tmp_path: Path) -> None:
    """An agent without a calendar is idle; the mend is in the line."""
    path = tmp_path / "agent.toml"
    path.write_text("")
    with pytest.raises(ConfigError, match="qos-agent election show FILE"):
        _run("show", "-c", str(path))
