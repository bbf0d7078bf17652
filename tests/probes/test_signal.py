"""The radio is read as the modem tells it; what it does not tell is left out."""

from __future__ import annotations

import json
import os
import pty
import threading
import time
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.errors import ProbeError
from qos_agent.model import Link, Probe, Task, Value
from qos_agent.probes.modems import at, mmcli
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

# Answers as mmcli would, from the files of a folder; tells of itself by a note.
FAKE = """#!/bin/sh
echo "$*" >> "{folder}/asked"
case "$*" in
  *-L*) cat "{folder}/list" ;;
  *--signal-setup*) cp "{folder}/signal-after" "{folder}/signal"
     echo "successfully setup extended signal information" ;;
  *--signal-get*) cat "{folder}/signal" || exit 1 ;;
  *--location-get*) cat "{folder}/location" || exit 1 ;;
  *"-m /M/"*) cat "{folder}/modem$(basename "$3")" ;;
esac
"""


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

    def answer(self, *modems: Any, signal: Any = None, location: Any = None) -> None:
        paths = [f"/M/{number}" for number in range(len(modems))]
        self.put("list", {"modem-list": paths})
        for number, modem in enumerate(modems):
            self.put(f"modem{number}", modem)
        for name, content in (("signal", signal), ("location", location)):
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
    radio = mmcli.parse(data["modem"]["modem"], signal, location)
    assert radio_fields(radio) == data["want"]


@pytest.mark.parametrize("path", AT, ids=lambda p: p.stem)
def test_modems_by_at(path: Path) -> None:
    """Indices become levels by 27.007; 99 and 255 become nothing."""
    data = json.loads(path.read_text())
    assert radio_fields(at.parse(data["answers"])) == data["want"]


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
        ("kill -9 $$", "child_signal"),
    ],
)
def test_bad_mmcli(fake: FakeMmcli, script: str, want: str) -> None:
    """Hanging, half an answer, a flood, nothing, an error: each has its cause."""
    fake.script(f"#!/bin/sh\n{script}\n")
    started = time.monotonic()
    assert cause(seconds=1) == want
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("state", ["failed", "locked", "disabled"])
def test_a_modem_out_of_service_is_a_failure(fake: FakeMmcli, state: str) -> None:
    """A modem without SIM, or locked, is no radio: the state is the detail."""
    data = capture("lte.json")
    data["modem"]["modem"]["generic"]["state"] = state
    fake.answer(data["modem"])
    assert cause() == "modem"


@given(
    st.recursive(
        st.none() | st.text() | st.integers() | st.floats(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_survived(data: object) -> None:
    """Whatever shape mmcli's answer has, reading it gives a radio and no crash."""
    for shape in (data, {"generic": data, "3gpp": data}, {"lte": data}):
        assert mmcli.parse(shape, shape, shape).reader == "mmcli"


ANSWERS = st.text() | st.from_regex(r"\+(CESQ|COPS|CEREG): [0-9,\"-]*")


@given(st.dictionaries(st.sampled_from(["AT+CESQ", "AT+COPS?", "AT+CEREG?"]), ANSWERS))
def test_any_answer_is_survived(answers: dict[str, str]) -> None:
    """Whatever a serial port says, reading it gives a radio and no crash."""
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


def test_a_silent_serial_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that answers nothing ends with the deadline, soon after it."""
    with serial_modem(lambda _: b"") as (port, _):
        assert cause(no_mmcli(port, monkeypatch), seconds=0.5) == "deadline"


def test_a_port_that_is_no_modem(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that refuses every command tells nothing; one that is absent says so."""
    with serial_modem(lambda _: b"\r\nERROR\r\n") as (port, _):
        assert cause(no_mmcli(port, monkeypatch)) == "modem"
    assert cause(no_mmcli(Path("/dev/nosuch"), monkeypatch)) == "modem"
