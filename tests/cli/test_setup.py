"""The dialogue of `qos-agent setup`, without the service."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from qos_agent.agent import findings
from qos_agent.agent.answers import Answers
from qos_agent.agent.findings import Finding
from qos_agent.cli import setup
from qos_agent.model.errors import ConfigError, OperatorError
from qos_agent.probes.signal.radio import Radio
from qos_agent.system.language import Translator

MODEM = Radio("mmcli", technology="lte", rsrp_dbm=-97.0, plmn="51010")
NONE = Answers()
FOUND = [
    Finding("wwan0", ["10.64.0.2", "fe80::1"], is_default=True, radio=MODEM),
    Finding("eth0", [], is_default=False, radio=None),
]


class Terminal(io.StringIO):
    """A terminal on which a technician types."""

    def isatty(self) -> bool:
        return True


def _dialogue(
    monkeypatch: pytest.MonkeyPatch, typed: str, before: Answers = NONE
) -> Answers:
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    monkeypatch.setattr(findings, "findings", lambda clock: FOUND)
    return setup._completed(Answers(), before, Translator("id"))


def test_the_dialogue_shows_what_it_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Interfaces with modem, operator and signal are listed, in Indonesian."""
    answers = _dialogue(
        monkeypatch, "3171010001001\n\n\nhttps://collector.example.id\n"
    )
    assert answers == Answers(
        "3171010001001", "telkomsel", "wwan0", "https://collector.example.id"
    )
    printed = capsys.readouterr().out
    assert "wwan0  10.64.0.2  LTE  telkomsel  RSRP -97 dBm" in printed
    assert "Kode TPS (13 digit): " in printed


def test_a_wrong_answer_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each wrong answer gets one line with its fix."""
    typed = "123\n3171010001001\neth9\neth0\nx y\nxl\nc d\nc.example.id\n"
    answers = _dialogue(monkeypatch, typed)
    assert (answers.interface, answers.operator) == ("eth0", "xl")
    assert answers.collector == "https://c.example.id"
    printed = capsys.readouterr().out
    assert "station: must have 13 digits" in printed
    assert "interface: must be one of wwan0, eth0" in printed
    assert "collector: must " in printed


def test_the_present_answers_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second setup needs only the Enter key."""
    before = Answers(
        "3171010001001", "xl", "eth0", "https://c.example.id", "2024-02-14"
    )
    assert _dialogue(monkeypatch, "\n\n\n\n", before) == before


def test_the_end_of_the_input_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed terminal ends the dialogue."""
    with pytest.raises(OperatorError, match="no answer"):
        _dialogue(monkeypatch, "3171010001001\n")


def test_without_a_terminal_the_missing_options_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A script gets the names of all options that it must add."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(ConfigError, match="--operator, --interface, --collector"):
        setup._completed(Answers("3171010001001"), Answers(), Translator("en"))


def test_the_token_comes_from_a_file_or_standard_input(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is never an argument, and without a terminal nobody is asked."""
    path = tmp_path / "token"
    path.write_text("abc\n")
    translate = Translator("en")
    assert setup._token(path, translate) == "abc"
    monkeypatch.setattr("sys.stdin", io.StringIO("def\n"))
    assert setup._token(Path("-"), translate) == "def\n"
    assert setup._token(None, translate) is None


def test_another_user_than_root_gets_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names sudo."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(OperatorError, match="sudo qos-agent setup"):
        setup.setup(station="3171010001001")
