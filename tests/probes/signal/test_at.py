"""A modem by AT commands: what each maker's say, and what a bad port does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.probes.signal import at, serial_port
from tests.probes.signal.modems import (
    AT,
    CAPTURES,
    cause,
    measured,
    no_mmcli,
    radio_fields,
    serial_modem,
    talkative,
)

COMMANDS = sorted(
    {command for p in AT for command in json.loads(p.read_text())["answers"]}
)
NAMES = "CESQ|COPS|CEREG|QENG|CPSI|GTCCINFO|XMCI"
ANSWERS = (
    st.text()
    | st.from_regex(rf"[+^]({NAMES}): [0-9A-Fx,\"-]*")
    | st.sampled_from(
        [a for p in AT for a in json.loads(p.read_text())["answers"].values()]
    )
)


@pytest.mark.parametrize("path", AT, ids=lambda p: p.stem)
def test_modems_by_at(path: Path) -> None:
    """Indices become levels by 27.007; 99 and 255 become nothing."""
    data = json.loads(path.read_text())
    assert bool(at.sim_missing(data["answers"])) == ("cause" in data)
    if "want" in data:
        assert radio_fields(at.parse(data["answers"])) == data["want"]


@given(st.dictionaries(st.sampled_from(COMMANDS), ANSWERS))
def test_any_answer_is_survived(answers: dict[str, str]) -> None:
    """Whatever a serial port says, of whichever maker, gives a radio and no crash."""
    assert at.parse(answers).reader == "at"


@pytest.mark.parametrize(
    ("technology", "number", "band"),
    [(4, "101", "B1"), (4, "103", "B3"), (4, "138", "B38"), (9, "505", "n5"),
     (9, "5005", "n5"), (9, "5079", "n79"), (4, "0", None), (9, "", None)],
)  # fmt: skip
def test_fibocoms_bands(technology: int, number: str, band: str | None) -> None:
    """Each number was given beside a channel of that band (see fibocom_fm350_*)."""
    cell = f"1,{technology},250,1,1234,001234567,1721,223,{number},50,6,62,62,18"
    answers = {"AT+CGMI": "Fibocom", "AT+GTCCINFO?": f"+GTCCINFO:\n{cell}\nOK\n"}
    assert at.parse(answers).band == band


def test_at_over_a_serial_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without mmcli the serial port is read, in pieces and with echo, for no IMEI."""
    data = json.loads((CAPTURES / "at" / "lte.json").read_text())

    def reply(command: str) -> bytes:
        said = data["answers"].get(command, "OK\n").replace("\n", "\r\n")
        return f"{command}\r\r\n{said}".encode()

    with serial_modem(reply) as (port, asked):
        found = measured(no_mmcli(port, monkeypatch))
    assert (found["reader"], found["rsrp_dbm"]) == ("at", -101)
    assert not {"AT+CGSN", "AT+CIMI", "ATI", "AT+CCID"} & set(asked)
    assert not [command for command in asked if "QENG" in command]


def test_a_maker_is_asked_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a Quectel the band comes along, which the standard's commands do not give."""
    path = CAPTURES / "at" / "quectel_rg500q_nsa.json"
    answers = json.loads(path.read_text())["answers"]
    with serial_modem(talkative(answers)) as (port, asked):
        found = measured(no_mmcli(port, monkeypatch))
    assert (found["band"], found["technology"]) == ("B1", "nr5g_nsa")
    assert 'AT+QENG="servingcell"' in asked


def test_half_an_answer_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a modem falls silent in a line, half its number is not taken for one."""
    monkeypatch.setattr(serial_port, "_ANSWER_S", 1.0)
    path = CAPTURES / "at" / "quectel_b7.json"
    answers = json.loads(path.read_text())["answers"]
    answers |= {"AT+CSQ": "+CSQ: 2", "AT+COPS?": '+COPS: 0,2,"22288"\nOK\n'}
    answers['AT+QENG="servingcell"'] = answers['AT+QENG="servingcell"'][:75]
    with serial_modem(talkative(answers)) as (port, _):
        found = measured(no_mmcli(port, monkeypatch))
    assert found == {"plmn": "22288", "reader": "at", "technology": "unknown"}


def test_a_sim_that_is_locked_is_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its PIN a modem may hear a net, and is no way into it."""
    path = CAPTURES / "at" / "huawei_me909u_pin.json"
    with serial_modem(talkative(json.loads(path.read_text())["answers"])) as (port, _):
        assert cause(no_mmcli(port, monkeypatch)) == "sim"


def test_a_silent_serial_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that answers nothing ends with the deadline, soon after it."""
    with serial_modem(lambda _: b"") as (port, _):
        assert cause(no_mmcli(port, monkeypatch), seconds=0.5) == "deadline"


def test_a_port_that_is_no_modem(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that refuses every command tells nothing; one that is absent says so."""
    with serial_modem(lambda _: b"\r\nERROR\r\n") as (port, _):
        assert cause(no_mmcli(port, monkeypatch)) == "modem"
    assert cause(no_mmcli(Path("/dev/nosuch"), monkeypatch)) == "modem"
