"""The radio is read as the modem tells it; what it does not tell is left out."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.config.settings import ModemSection, Settings, SignalSection
from qos_agent.model import Probe
from qos_agent.model.errors import ProbeError
from qos_agent.model.schema import MEASUREMENTS
from qos_agent.probes.signal import mmcli
from qos_agent.probes.signal.bands import lte_band
from qos_agent.probes.signal.probe import Signal
from qos_agent.probes.signal.radio import identifier, without_numbers
from tests.probes.signal.modems import (
    AT,
    FAKE,
    IDENTITY,
    MADE_UP,
    MMCLI,
    NO_MANAGER,
    NUMBER,
    TASK,
    FakeMmcli,
    capture,
    cause,
    measured,
    radio_fields,
    serial_modem,
    talkative,
)
from tests.probes.time_left import TimeLeft
from tests.support.children import nothing_left


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeMmcli:
    return FakeMmcli(tmp_path, monkeypatch)


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


def test_what_is_refused_is_in_the_record(fake: FakeMmcli) -> None:
    """A reading without levels for want of leave says so, and is a finding still."""
    data = capture("lte.json")
    off = json.loads(json.dumps(data["signal"]).replace('"10"', '"0"'))
    off["modem"]["signal"]["lte"] = {}
    fake.answer(data["modem"], signal=off)
    said = "GDBus.Error:org.freedesktop.ModemManager1.Error.Core.Unauthorized: no"
    refusal = f'case "$*" in *--signal-setup*) echo "{said}" >&2; exit 1 ;; esac'
    fake.script(FAKE.format(folder=fake.folder).replace("\n", f"\n{refusal}\n", 1))
    finding = Signal(SignalSection()).measure(TASK, TimeLeft(15))
    assert finding.cause is None
    assert "refuses --signal-setup=10" in finding.detail


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
    with nothing_left(3):
        assert cause(seconds=1) == want


@pytest.mark.parametrize(
    "option", ["-L", "-m /M/0", "--signal-get", "--location-get", "--get-cell-info"]
)
@pytest.mark.parametrize(
    ("instead", "want"),
    [("sleep 60 & sleep 60", "deadline"), ("echo '{\"modem\": {'", "child_output")],
    ids=["hangs", "half"],
)
def test_an_mmcli_that_is_bad_later(
    fake: FakeMmcli, option: str, instead: str, want: str
) -> None:
    """Whichever of its answers hangs or is half, that is the cause; none is left."""
    data = capture("lte.json")
    fake.answer(data["modem"], signal=data["signal"], location=data["location"])
    bad = f'case "$*" in *"{option}") {instead}; exit 0 ;; esac'
    fake.script(FAKE.format(folder=fake.folder).replace("\n", f"\n{bad}\n", 1))
    with nothing_left(4):
        assert cause(seconds=1) == want


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


@pytest.mark.parametrize("text", ["0", "00000000", "FFFFFFFF", "FFFE", "xyz", "--"])
def test_identifiers_that_say_unknown(text: str) -> None:
    """All zeros, all ones and words are no cell."""
    assert identifier(text) is None


def test_long_numbers_are_blanked() -> None:
    """Anything as long as an IMEI never reaches a record or a log."""
    assert without_numbers(f"modem {NUMBER} gone") == "modem … gone"
