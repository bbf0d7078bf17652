"""The files that the setup writes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.agent import installation
from qos_agent.agent.installation import Answers
from qos_agent.model.errors import ConfigError, InvalidConfigError

ANSWERS = Answers("3171010001001", "telkomsel", "wwan0", "https://collector.example.id")


def test_the_file_has_the_answers(tmp_path: Path) -> None:
    """Province and regency follow from the code of the station."""
    path = tmp_path / "etc" / "agent.toml"
    loaded = installation.write_config(installation.config_text(ANSWERS), path)
    station = loaded.settings.station
    assert (station.id, station.province, station.regency) == (
        "3171010001001",
        "31",
        "3171",
    )
    assert loaded.settings.links[0].interface == "wwan0"
    assert path.stat().st_mode & 0o777 == 0o640


def test_an_invalid_configuration_changes_nothing(tmp_path: Path) -> None:
    """The earlier file stays in force, and no other file is left."""
    path = tmp_path / "agent.toml"
    path.write_text("# earlier\n")
    with pytest.raises(InvalidConfigError):
        installation.write_config("[station]\nid = 3\n", path)
    assert path.read_text() == "# earlier\n"
    assert list(tmp_path.iterdir()) == [path]


def test_the_earlier_file_is_kept(tmp_path: Path) -> None:
    """Settings that a person added are not lost."""
    path = tmp_path / "agent.toml"
    path.write_text("# earlier\n")
    installation.write_config(installation.config_text(ANSWERS), path)
    assert (tmp_path / "agent.toml.before-setup").read_text() == "# earlier\n"


@given(text=st.text(max_size=30))
def test_any_answer_is_valid_toml(text: str) -> None:
    """No answer can add a line or a key to the file."""
    answers = Answers("3171010001001", text, "eth0", text)
    table = tomllib.loads(installation.config_text(answers))
    assert table["links"][0]["operator"] == text
    assert set(table) <= {"station", "links", "collector"}


@pytest.mark.parametrize("code", ["", "31710100010", "31710100010012", "9999010001001"])
def test_a_wrong_station_code_is_one_line(code: str) -> None:
    """A code of another length or of no regency is refused."""
    with pytest.raises(ConfigError, match=r"^station: must "):
        installation.check_station(code)


def test_the_token_is_for_root_only(tmp_path: Path) -> None:
    """The file has mode 600, and an error does not contain the token."""
    path = tmp_path / "collector.token"
    installation.write_token(" secret-token\n", path)
    assert path.read_text() == "secret-token\n"
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError) as caught:
        installation.write_token("“secret-token”", path)
    assert "secret-token" not in str(caught.value)


def test_a_preseed_file_has_answers(tmp_path: Path) -> None:
    """Its keys are those of the options; other keys and types are errors."""
    path = tmp_path / "preseed.toml"
    path.write_text('station = "3171010001001"\noperator = "xl"\n')
    assert installation.preseed(path) == Answers("3171010001001", "xl")
    path.write_text('statoin = "3171010001001"\noperator = 3\n')
    with pytest.raises(InvalidConfigError) as caught:
        installation.preseed(path)
    assert [fault.key for fault in caught.value.faults] == ["statoin", "operator"]


def test_present_answers_come_from_the_installed_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second setup proposes them; a broken file proposes nothing."""
    path = tmp_path / "agent.toml"
    monkeypatch.setattr(installation, "DEFAULT_PATH", path)
    assert installation.present() == Answers()
    installation.write_config(installation.config_text(ANSWERS), path)
    assert installation.present() == ANSWERS
    path.write_text("[")
    assert installation.present() == Answers()


def test_given_answers_win() -> None:
    """Options replace what the file has, and the rest stays."""
    given_answers = Answers(operator="xl")
    assert given_answers.missing() == ["station", "interface", "collector"]
    merged = given_answers.or_else(ANSWERS)
    assert (merged.operator, merged.station) == ("xl", ANSWERS.station)
    assert merged.missing() == []
