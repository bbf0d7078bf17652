"""The files that the setup writes."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.agent import installation
from qos_agent.agent.answers import Answers, Preseed, check_station, preseed
from qos_agent.model.errors import ConfigError, InvalidConfigError
from tests.servers.certificates import Authority

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
    answers = Answers("3171010001001", "xl", text, calendar=None, ca_file=text)
    answers = replace(answers, collector="https://c.example.id")
    table = tomllib.loads(installation.config_text(answers))
    assert table["links"][0]["interface"] == text
    assert table["collector"].get("ca_file", "") == text
    assert set(table) == {"station", "links", "collector"}


@given(text=st.text(max_size=30))
def test_a_wrong_answer_names_its_question(text: str) -> None:
    """The error names the answer, not a file that the technician does not know."""
    for name in ("operator", "collector"):
        answers = replace(ANSWERS, **{name: text})
        with suppress(ConfigError):
            assert tomllib.loads(installation.config_text(answers))
            continue
        with pytest.raises(ConfigError, match=f"^{name}: ") as caught:
            installation.config_text(answers)
        assert ".toml" not in caught.value.fix


@pytest.mark.parametrize("code", ["", "31710100010", "31710100010012", "9999010001001"])
def test_a_wrong_station_code_is_one_line(code: str) -> None:
    """A code of another length or of no regency is refused."""
    with pytest.raises(ConfigError, match=r"^station: must "):
        check_station(code)


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
    assert preseed(path) == Preseed(Answers("3171010001001", "xl"))
    path.write_text('token_file = "token"\nca_file = "/ca.pem"\n')
    assert preseed(path) == Preseed(Answers(), tmp_path / "token", Path("/ca.pem"))
    path.write_text('statoin = "3171010001001"\noperator = 3\n')
    with pytest.raises(InvalidConfigError) as caught:
        preseed(path)
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


def test_the_certificate_of_the_authority_is_copied(tmp_path: Path) -> None:
    """The service's user may read the copy, and another file is refused."""
    authority = Authority(tmp_path)
    path = tmp_path / "etc/collector-ca.pem"
    installation.write_authority(authority.file, path)
    assert path.read_bytes() == authority.file.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o644
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("a token by mistake")
    for source in (wrong, tmp_path / "missing.pem"):
        with pytest.raises(ConfigError, match=r"^ca_file: "):
            installation.write_authority(source, path)
    assert path.read_bytes() == authority.file.read_bytes()
