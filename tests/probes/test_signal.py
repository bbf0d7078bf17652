"""The radio is read as the modem tells it; what it does not tell is left out."""

from __future__ import annotations

import json
import os
import pty
import re
import threading
import time
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.errors import ProbeError
from qos_agent.model import Link, Probe, Task, Value
from qos_agent.probes.modems import at, mmcli, serial_port
from qos_agent.probes.modems.bands import lte_band
from qos_agent.probes.modems.radio import identifier, without_numbers
from qos_agent.probes.signal import Signal
from qos_agent.schema import MEASUREMENTS
from qos_agent.settings import ModemSection, Settings, SignalSection
from tests.probes.time_left import TimeLeft

CAPTURES = Path(__file__).parents[1] / "captures"
MMCLI = sorted((CAPTURES / "mmcli").glob("*.json"))
AT = sorted((CAPTURES / "at").glob("*.json"))
LINK = Link("sim1", "telkomsel", interface="wwan0")
TASK = Task("signal", 0, LINK)
NUMBER = "000000000000001"  # the IMEI of every capture
MADE_UP = {NUMBER, "0" * 40, "62000000000001", "179769313486231570000"}
# Of people and devices: IMEI, IMSI and ICCID have 15 to 20 digits, a MAC six octets.
IDENTITY = re.compile(r"\d{14,}|(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", re.I)

# Answers as mmcli would, from the files of a folder; tells of itself by a note.
FAKE = """#!/bin/sh
echo "$*" >> "{folder}/asked"
case "$*" in
  *-L*) cat "{folder}/list" ;;
  *--signal-setup*) cp "{folder}/signal-after" "{folder}/signal"
     echo "successfully setup extended signal information" ;;
  *--signal-get*) cat "{folder}/signal" || exit 1 ;;
  *--location-get*) cat "{folder}/location" || exit 1 ;;
  *--get-cell-info*) cat "{folder}/cells" || exit 1 ;;
  *"-m /M/"*) cat "{folder}/modem$(basename "$3")" ;;
esac
"""


NO_MANAGER = """
echo "error: couldn't find the ModemManager process in the bus" >&2
exit 1"""


def capture(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((CAPTURES / "mmcli" / name).read_text())
    return loaded


def radio_fields(finding_radio: object) -> dict[str, object]:
    given = asdict(finding_radio)  # type: ignore[call-overload]
    return {k: v for k, v in given.items() if v is not None and k != "reader"}


class FakeMmcli:
    """A program named mmcli, first on PATH, that answers from a folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.script(FAKE.format(folder=folder))
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def script(self, text: str) -> None:
        program = self.folder / "mmcli"
        program.write_text(text)
        program.chmod(0o755)

    def answer(
        self,
        *modems: Any,
        signal: Any = None,
        location: Any = None,
        cells: Any = None,
    ) -> None:
        paths = [f"/M/{number}" for number in range(len(modems))]
        self.put("list", {"modem-list": paths})
        for number, modem in enumerate(modems):
            self.put(f"modem{number}", modem)
        given = {"signal": signal, "location": location, "cells": cells}
        for name, content in given.items():
            if content is not None:
                self.put(name, content)

    def put(self, name: str, content: Any) -> None:
        (self.folder / name).write_text(json.dumps(content))


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeMmcli:
    return FakeMmcli(tmp_path, monkeypatch)


def measured(section: SignalSection | None = None) -> Mapping[str, Value]:
    probe = Signal(section or SignalSection())
    (sample,) = probe.measure(TASK, TimeLeft(15)).samples
    return {**sample.fields, **sample.tags}


def cause(section: SignalSection | None = None, seconds: float = 15) -> str:
    with pytest.raises(ProbeError) as raised:
        Signal(section or SignalSection()).measure(TASK, TimeLeft(seconds))
    assert NUMBER not in str(raised.value)
    return raised.value.cause


def test_is_a_probe_that_moves_nothing() -> None:
    """The probe fits the seam; its technology is unknown until the modem tells."""
    probe: Probe = Signal.of(Settings())
    assert (probe.measurement, probe.loads_link) == ("signal", False)
    assert probe.worst_case_bytes() == 0
    assert list(probe.tags(TASK)) == [{"technology": "unknown"}]


@pytest.mark.parametrize("path", MMCLI, ids=lambda p: p.stem)
def test_modems_by_mmcli(path: Path) -> None:
    """Of each modem's words the values are read, and nothing where there is none."""
    data = json.loads(path.read_text())
    signal = data["signal"] and data["signal"]["modem"]["signal"]
    location = data["location"] and data["location"]["modem"]["location"]["3gpp"]
    cells = data.get("cells") and data["cells"]["modem"]["generic"]["cell-info"]
    fault = mmcli.out_of_service(data["modem"]["modem"])
    assert (fault and fault.cause) == data.get("cause")
    if fault is None:
        radio = mmcli.parse(data["modem"]["modem"], signal, location, cells)
        assert radio_fields(radio) == data["want"]


@pytest.mark.parametrize("path", AT, ids=lambda p: p.stem)
def test_modems_by_at(path: Path) -> None:
    """Indices become levels by 27.007; 99 and 255 become nothing."""
    data = json.loads(path.read_text())
    assert bool(at.sim_missing(data["answers"])) == ("cause" in data)
    if "want" in data:
        assert radio_fields(at.parse(data["answers"])) == data["want"]


def test_captures_are_of_many_modems_and_of_nobody() -> None:
    """Recordings outnumber what was written, and name no real device or subscriber."""
    for paths, least in ((MMCLI, 15), (AT, 25)):
        recorded = [
            p for p in paths if "written" not in json.loads(p.read_text())["source"]
        ]
        assert len(recorded) >= least
        found = {m for p in paths for m in IDENTITY.findall(p.read_text())}
        assert found <= MADE_UP


@pytest.mark.parametrize(
    ("channel", "band"),
    [(150, 1), (425, 1), (500, 1), (522, 1), (1300, 3), (1325, 3), (1350, 3),
     (1424, 3), (1575, 3), (1650, 3), (1700, 3), (1725, 3), (1749, 3), (1802, 3),
     (1820, 3), (3350, 7), (3175, 7), (3764, 8), (6200, 20), (6300, 20), (6352, 20),
     (8615, 25), (10020, 32), (38100, 38), (39990, 41)],
)  # fmt: skip
def test_channels_lie_in_the_bands_that_modems_gave(channel: int, band: int) -> None:
    """Each pair was given by a modem; between bands there is none."""
    assert lte_band(channel) == f"B{band}"
    assert [lte_band(gap) for gap in (-1, 4950, 5400, 7450, 11000, 70000)] == [None] * 6


def test_the_whole_way_by_mmcli(fake: FakeMmcli) -> None:
    """A reading has the schema's fields, sums with counts, its technology as tag."""
    data = capture("lte.json")
    fake.answer(data["modem"], signal=data["signal"], location=data["location"])
    found = measured()
    assert (found["rsrp_dbm"], found["rsrp_sum_dbm"], found["rsrp_samples"]) == (
        -101, -101, 1,
    )  # fmt: skip
    assert (found["technology"], found["roaming"], found["rsrp_weak"]) == ("lte", 0, 0)
    known = {field.name for field in MEASUREMENTS["signal"].fields}
    assert set(found) - {"technology"} <= known
    assert NUMBER not in str(found)


def test_weak_and_roaming_are_counted(fake: FakeMmcli) -> None:
    """A weak signal counts as weak; a foreign network is said."""
    data = capture("nr5g_sa.json")
    fake.answer(data["modem"], signal=data["signal"])
    assert measured()["rsrp_weak"] == 1
    data = capture("gsm_roaming.json")
    fake.answer(data["modem"], signal=data["signal"])
    found = measured()
    assert (found["roaming"], "rsrp_weak" in found) == (1, False)


def test_a_modem_that_searches_is_a_finding(fake: FakeMmcli) -> None:
    """Without a network the reading says so; levels and roaming are absent."""
    data = capture("searching.json")
    fake.answer(data["modem"], signal=data["signal"], location=data["location"])
    found = measured()
    assert found == {
        "registration": "searching", "reader": "mmcli", "technology": "unknown",
    }  # fmt: skip


def test_signal_is_set_up_once_it_is_needed(fake: FakeMmcli) -> None:
    """Where ModemManager does not refresh the signal yet, it is told to, then read."""
    data = capture("lte.json")
    off = json.loads(json.dumps(data["signal"]).replace('"10"', '"0"'))
    off["modem"]["signal"]["lte"] = dict.fromkeys(off["modem"]["signal"]["lte"], "--")
    fake.answer(data["modem"], signal=off)
    fake.put("signal-after", data["signal"])
    assert measured()["rsrp_dbm"] == -101
    assert "--signal-setup=10" in (fake.folder / "asked").read_text()


def test_of_two_modems_the_links_own_is_read(fake: FakeMmcli) -> None:
    """The modem whose network port is the link's interface answers, not the first."""
    other = capture("umts.json")["modem"]
    other["modem"]["generic"]["ports"] = ["cdc-wdm1 (qmi)", "wwan1 (net)"]
    own = capture("lte.json")
    fake.answer(other, own["modem"], signal=own["signal"])
    assert measured()["plmn"] == "51010"


def test_another_modems_trouble_is_not_ours(fake: FakeMmcli) -> None:
    """Where mmcli fails on one modem, the link's own is read all the same."""
    own = capture("lte.json")
    fake.answer({}, own["modem"], signal=own["signal"])
    (fake.folder / "modem0").write_text('{"modem": {"gen')
    assert measured()["plmn"] == "51010"
    (fake.folder / "modem1").write_text('{"modem": {"gen')
    assert cause() == "child_output"


def test_another_links_modem_is_never_read(fake: FakeMmcli) -> None:
    """A lone modem with another interface is another link's, unless it is named."""
    other = capture("lte.json")
    other["modem"]["modem"]["generic"]["ports"] = ["wwan1 (net)"]
    fake.answer(other["modem"], signal=other["signal"])
    assert cause() == "modem"
    named = SignalSection(modems=(ModemSection(link="sim1", device="cdc-wdm0"),))
    assert measured(named)["rsrp_dbm"] == -101


def test_mmcli_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the program the cause names it as missing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cause() == "missing_tool"


@pytest.mark.parametrize(
    ("script", "want"),
    [
        ("exec sleep 60", "deadline"),
        ("sleep 60 & sleep 60", "deadline"),
        ('printf \'{"modem-list":["/M/0"\'', "child_output"),
        ("yes '{'", "child_output"),
        ("printf '\\377\\376'", "modem"),
        ("echo '{\"modem-list\":[]}'", "modem"),
        ("echo '[1,2]'", "modem"),
        ("true", "modem"),
        (f"echo 'error: {NUMBER}: no such modem' >&2; exit 1", "child_exit"),
        (NO_MANAGER, "modem_manager"),
        ('echo "error: couldn\'t find modem" >&2; exit 1', "modem"),
        ("echo 'Modem not JSON'", "modem"),
        ("kill -9 $$", "child_signal"),
    ],
)
def test_bad_mmcli(fake: FakeMmcli, script: str, want: str) -> None:
    """Hanging, half an answer, a flood, nothing, an error: each has its cause."""
    fake.script(f"#!/bin/sh\n{script}\n")
    started = time.monotonic()
    assert cause(seconds=1) == want
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("state", "reason", "want"),
    [
        ("failed", "sim-missing", "sim"),
        ("failed", "sim-error", "sim"),
        ("failed", "esim-without-profiles", "sim"),
        ("locked", "--", "sim"),
        ("failed", "unknown-capabilities", "modem"),
        ("disabled", "--", "modem"),
    ],
)
def test_a_modem_out_of_service_is_a_failure(
    fake: FakeMmcli, state: str, reason: str, want: str
) -> None:
    """A SIM that is missing or locked is told from a modem that does not work."""
    data = capture("lte.json")
    data["modem"]["modem"]["generic"] |= {"state": state, "state-failed-reason": reason}
    fake.answer(data["modem"])
    assert cause() == want


@pytest.mark.parametrize("path", MMCLI + AT, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_no_identity_is_ever_recorded(
    path: Path, fake: FakeMmcli, caplog: pytest.LogCaptureFixture
) -> None:
    """Readings of every modem, by mmcli and by AT, and the log hold no identity."""
    caplog.set_level(0)
    data = json.loads(path.read_text())
    section = SignalSection()
    with ExitStack() as stack:
        if path in MMCLI:
            parts = {n: data.get(n) for n in ("signal", "location", "cells")}
            fake.answer(data["modem"], **parts)
        else:
            fake.script("#!/bin/sh\nexit 1\n")
            answers = data["answers"]
            port, _ = stack.enter_context(serial_modem(talkative(answers)))
            modem = ModemSection(link="sim1", serial_port=port)
            section = SignalSection(modems=(modem,))
        try:
            said = str(Signal(section).measure(TASK, TimeLeft(15)))
        except ProbeError as error:
            said = str(error)
    assert not IDENTITY.search(said + caplog.text)


def talkative(answers: Mapping[str, str]) -> Callable[[str], bytes]:
    """A modem that tells of itself with each answer, asked or not."""
    about = f"+CGSN: {NUMBER}\r\nIMEI: {NUMBER}\r\n+CCID: 8900{NUMBER}\r\n"

    def reply(command: str) -> bytes:
        said = answers.get(command, "OK\n").replace("\n", "\r\n")
        return f"\r\n{about}{said}".encode()

    return reply


@given(
    st.recursive(
        st.none() | st.text() | st.integers() | st.floats(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_survived(data: object) -> None:
    """Whatever shape mmcli's answer has, reading it gives a radio and no crash."""
    for shape in (data, {"generic": data, "3gpp": data}, {"lte": data}):
        assert mmcli.parse(shape, shape, shape, shape).reader == "mmcli"


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


@given(st.dictionaries(st.sampled_from(COMMANDS), ANSWERS))
def test_any_answer_is_survived(answers: dict[str, str]) -> None:
    """Whatever a serial port says, of whichever maker, gives a radio and no crash."""
    assert at.parse(answers).reader == "at"


@pytest.mark.parametrize("text", ["0", "00000000", "FFFFFFFF", "FFFE", "xyz", "--"])
def test_identifiers_that_say_unknown(text: str) -> None:
    """All zeros, all ones and words are no cell."""
    assert identifier(text) is None


def test_long_numbers_are_blanked() -> None:
    """Anything as long as an IMEI never reaches a record or a log."""
    assert without_numbers(f"modem {NUMBER} gone") == "modem … gone"


@contextmanager
def serial_modem(reply: Callable[[str], bytes]) -> Iterator[tuple[Path, list[str]]]:
    """A pair of terminals: our end answers each command; the path is the modem's."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    asked: list[str] = []

    def serve() -> None:
        heard = b""
        while True:
            try:
                heard += os.read(ours, 100)
            except OSError:
                return
            while b"\r" in heard:
                command, _, heard = heard.partition(b"\r")
                asked.append(command.decode())
                os.write(ours, reply(command.decode()))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield Path(os.ttyname(theirs)), asked
    finally:
        os.close(theirs)
        thread.join(5)
        os.close(ours)


def no_mmcli(port: Path, monkeypatch: pytest.MonkeyPatch) -> SignalSection:
    monkeypatch.setenv("PATH", "/nonexistent")
    return SignalSection(modems=(ModemSection(link="sim1", serial_port=port),))


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
    monkeypatch.setattr(serial_port, "_ANSWER_S", 0.2)
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
