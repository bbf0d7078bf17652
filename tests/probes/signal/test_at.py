"""Modems read with AT commands: the answers of each vendor, and bad ports."""

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
    """Indices become levels by 27.007; 99 and 255 become None."""
    data = json.loads(path.read_text())
    assert bool(at.sim_problem(data["answers"])) == ("cause" in data)
    if "want" in data:
        assert radio_fields(at.parse(data["answers"])) == data["want"]


@given(st.dictionaries(st.sampled_from(COMMANDS), ANSWERS))
def test_any_answer_is_survived(answers: dict[str, str]) -> None:
    """Any answer of any vendor gives a radio and no exception."""
    assert at.parse(answers).reader == "at"


@pytest.mark.parametrize(
    ("technology", "number", "band"),
    [
        (4, "101", "B1"),
        (4, "103", "B3"),
        (4, "138", "B38"),
        (9, "505", "n5"),
        (9, "5005", "n5"),
        (9, "5079", "n79"),
        (4, "0", None),
        (9, "", None),
    ],
)
def test_fibocoms_bands(technology: int, number: str, band: str | None) -> None:
    """Recordings contain each number with a channel of that band (fibocom_fm350_*)."""
    cell = f"1,{technology},250,1,1234,001234567,1721,223,{number},50,6,62,62,18"
    answers = {"AT+CGMI": "Fibocom", "AT+GTCCINFO?": f"+GTCCINFO:\n{cell}\nOK\n"}
    assert at.parse(answers).band == band


def test_at_over_a_serial_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without mmcli the serial port is read, also with echo, and no IMEI is queried."""
    data = json.loads((CAPTURES / "at" / "lte.json").read_text())

    def reply(command: str) -> bytes:
        answer = data["answers"].get(command, "OK\n").replace("\n", "\r\n")
        return f"{command}\r\r\n{answer}".encode()

    with serial_modem(reply) as (port, commands):
        values = measured(no_mmcli(port, monkeypatch))
    assert (values["reader"], values["rsrp_dbm"]) == ("at", -101)
    assert not {"AT+CGSN", "AT+CIMI", "ATI", "AT+CCID"} & set(commands)
    assert not [command for command in commands if "QENG" in command]


def test_vendor_commands_give_the_band(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor's command of a Quectel modem gives the band; standard ones do not."""
    path = CAPTURES / "at" / "quectel_rg500q_nsa.json"
    answers = json.loads(path.read_text())["answers"]
    with serial_modem(talkative(answers)) as (port, commands):
        values = measured(no_mmcli(port, monkeypatch))
    assert (values["band"], values["technology"]) == ("B1", "nr5g_nsa")
    assert 'AT+QENG="servingcell"' in commands


@pytest.mark.slow
def test_an_incomplete_answer_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a modem stops in the middle of a line, its cut number is not used."""
    monkeypatch.setattr(serial_port, "_ANSWER_S", 1.0)
    path = CAPTURES / "at" / "quectel_b7.json"
    answers = json.loads(path.read_text())["answers"]
    answers |= {"AT+CSQ": "+CSQ: 2", "AT+COPS?": '+COPS: 0,2,"22288"\nOK\n'}
    answers['AT+QENG="servingcell"'] = answers['AT+QENG="servingcell"'][:75]
    with serial_modem(talkative(answers)) as (port, _):
        values = measured(no_mmcli(port, monkeypatch))
    assert values == {"plmn": "22288", "reader": "at", "technology": "unknown"}


def test_a_sim_that_is_locked_is_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A modem without its PIN may receive a network, but the SIM is the cause."""
    path = CAPTURES / "at" / "huawei_me909u_pin.json"
    with serial_modem(talkative(json.loads(path.read_text())["answers"])) as (port, _):
        assert cause(no_mmcli(port, monkeypatch)) == "sim"


def test_a_silent_serial_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a port without answers ends soon after the deadline."""
    with serial_modem(lambda _: b"") as (port, _):
        assert cause(no_mmcli(port, monkeypatch), seconds=0.5) == "deadline"


def test_a_port_without_a_modem(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that refuses all commands, or does not exist, has the cause modem."""
    with serial_modem(lambda _: b"\r\nERROR\r\n") as (port, _):
        assert cause(no_mmcli(port, monkeypatch)) == "modem"
    assert cause(no_mmcli(Path("/dev/nosuch"), monkeypatch)) == "modem"
