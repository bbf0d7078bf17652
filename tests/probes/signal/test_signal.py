"""Readings of modems contain the reported values only, and no identities."""

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
    FICTITIOUS,
    IDENTITY,
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


def test_is_a_probe_without_traffic() -> None:
    """It satisfies the Probe protocol; its first technology is unknown."""
    probe: Probe = Signal.of(Settings())
    assert (probe.measurement, probe.loads_link) == ("signal", False)
    assert probe.worst_case_bytes() == 0
    assert list(probe.tags(TASK)) == [{"technology": "unknown"}]


@pytest.mark.parametrize("path", MMCLI, ids=lambda p: p.stem)
def test_modems_by_mmcli(path: Path) -> None:
    """The values of each recording are read; missing values stay missing."""
    data = json.loads(path.read_text())
    signal = data["signal"] and data["signal"]["modem"]["signal"]
    location = data["location"] and data["location"]["modem"]["location"]["3gpp"]
    cells = data.get("cells") and data["cells"]["modem"]["generic"]["cell-info"]
    failure = mmcli.out_of_service(data["modem"]["modem"])
    assert (failure and failure.cause) == data.get("cause")
    if failure is None:
        radio = mmcli.parse(data["modem"]["modem"], signal, location, cells)
        assert radio_fields(radio) == data["want"]


def test_captures_have_many_modems_and_no_identities() -> None:
    """Enough captures are real recordings, and none contains a real identity."""
    for paths, minimum in ((MMCLI, 15), (AT, 25)):
        recorded = [
            p for p in paths if "written" not in json.loads(p.read_text())["source"]
        ]
        assert len(recorded) >= minimum
        identities = {m for p in paths for m in IDENTITY.findall(p.read_text())}
        assert identities <= FICTITIOUS


CHANNELS_OF_BANDS = {
    1: (150, 425, 500, 522),
    3: (1300, 1325, 1350, 1424, 1575, 1650, 1700, 1725, 1749, 1802, 1820),
    7: (3350, 3175),
    8: (3764,),
    20: (6200, 6300, 6352),
    25: (8615,),
    32: (10020,),
    38: (38100,),
    41: (39990,),
}


@pytest.mark.parametrize(
    ("channel", "band"),
    [(c, band) for band, channels in CHANNELS_OF_BANDS.items() for c in channels],
)
def test_channels_are_in_the_bands_of_recordings(channel: int, band: int) -> None:
    """Each pair is from a recording; channels between bands have no band."""
    assert lte_band(channel) == f"B{band}"
    assert [lte_band(gap) for gap in (-1, 4950, 5400, 7450, 11000, 70000)] == [None] * 6


def test_a_reading_by_mmcli(fake: FakeMmcli) -> None:
    """A reading has the schema's fields, sums with counts, its technology as tag."""
    data = capture("lte.json")
    fake.answer(data["modem"], signal=data["signal"], location=data["location"])
    values = measured()
    rsrp = (values["rsrp_dbm"], values["rsrp_sum_dbm"], values["rsrp_samples"])
    assert rsrp == (-101, -101, 1)
    assert values["technology"] == "lte"
    assert (values["roaming"], values["rsrp_weak"]) == (0, 0)
    known = {field.name for field in MEASUREMENTS["signal"].fields}
    assert set(values) - {"technology"} <= known
    assert NUMBER not in str(values)


def test_weak_and_roaming_are_counted(fake: FakeMmcli) -> None:
    """A weak signal and a foreign network are in the reading."""
    data = capture("nr5g_sa.json")
    fake.answer(data["modem"], signal=data["signal"])
    assert measured()["rsrp_weak"] == 1
    data = capture("gsm_roaming.json")
    fake.answer(data["modem"], signal=data["signal"])
    values = measured()
    assert (values["roaming"], "rsrp_weak" in values) == (1, False)


def test_a_modem_that_searches_is_a_valid_result(fake: FakeMmcli) -> None:
    """Without a network the reading has a registration, but no levels or roaming."""
    data = capture("searching.json")
    fake.answer(data["modem"], signal=data["signal"], location=data["location"])
    assert measured() == {
        "registration": "searching",
        "reader": "mmcli",
        "technology": "unknown",
    }


def test_signal_refresh_is_set_up_when_needed(fake: FakeMmcli) -> None:
    """If ModemManager does not refresh the signal, the probe enables it and reads."""
    data = capture("lte.json")
    off = json.loads(json.dumps(data["signal"]).replace('"10"', '"0"'))
    off["modem"]["signal"]["lte"] = dict.fromkeys(off["modem"]["signal"]["lte"], "--")
    fake.answer(data["modem"], signal=off)
    fake.put("signal-after", data["signal"])
    assert measured()["rsrp_dbm"] == -101
    assert "--signal-setup=10" in (fake.folder / "calls").read_text()


def test_a_refused_query_is_in_the_detail(fake: FakeMmcli) -> None:
    """A reading without levels because of a missing permission is still valid."""
    data = capture("lte.json")
    off = json.loads(json.dumps(data["signal"]).replace('"10"', '"0"'))
    off["modem"]["signal"]["lte"] = {}
    fake.answer(data["modem"], signal=off)
    error = "GDBus.Error:org.freedesktop.ModemManager1.Error.Core.Unauthorized: no"
    refusal = f'case "$*" in *--signal-setup*) echo "{error}" >&2; exit 1 ;; esac'
    fake.script(FAKE.format(folder=fake.folder).replace("\n", f"\n{refusal}\n", 1))
    result = Signal(SignalSection()).measure(TASK, TimeLeft(15))
    assert result.cause is None
    assert "refuses --signal-setup=10" in result.detail


def test_the_links_modem_is_read(fake: FakeMmcli) -> None:
    """The probe reads the modem with the link's network port, not the first modem."""
    other = capture("umts.json")["modem"]
    other["modem"]["generic"]["ports"] = ["cdc-wdm1 (qmi)", "wwan1 (net)"]
    own = capture("lte.json")
    fake.answer(other, own["modem"], signal=own["signal"])
    assert measured()["plmn"] == "51010"


def test_a_failure_of_another_modem_does_not_matter(fake: FakeMmcli) -> None:
    """If mmcli fails for one modem, the link's modem is still read."""
    own = capture("lte.json")
    fake.answer({}, own["modem"], signal=own["signal"])
    (fake.folder / "modem0").write_text('{"modem": {"gen')
    assert measured()["plmn"] == "51010"
    (fake.folder / "modem1").write_text('{"modem": {"gen')
    assert cause() == "child_output"


def test_another_links_modem_is_never_read(fake: FakeMmcli) -> None:
    """A single modem with another interface is not read unless it is configured."""
    other = capture("lte.json")
    other["modem"]["modem"]["generic"]["ports"] = ["wwan1 (net)"]
    fake.answer(other["modem"], signal=other["signal"])
    assert cause() == "modem"
    named = SignalSection(modems=(ModemSection(link="sim1", device="cdc-wdm0"),))
    assert measured(named)["rsrp_dbm"] == -101


def test_mmcli_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without mmcli the cause is missing_tool."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cause() == "missing_tool"


@pytest.mark.slow
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
    """A hang, an incomplete answer, a flood, no output and an error have causes."""
    fake.script(f"#!/bin/sh\n{script}\n")
    with nothing_left(3):
        assert cause(seconds=1) == want


@pytest.mark.slow
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
    """If any answer hangs or is incomplete, that is the cause; no process remains."""
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
    """A missing or locked SIM has another cause than a modem that does not work."""
    data = capture("lte.json")
    data["modem"]["modem"]["generic"] |= {"state": state, "state-failed-reason": reason}
    fake.answer(data["modem"])
    assert cause() == want


@pytest.mark.parametrize("path", MMCLI + AT, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_no_identity_is_ever_recorded(
    path: Path, fake: FakeMmcli, caplog: pytest.LogCaptureFixture
) -> None:
    """Readings of every modem by mmcli and AT, and the log, contain no identity."""
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
            text = str(Signal(section).measure(TASK, TimeLeft(15)))
        except ProbeError as error:
            text = str(error)
    assert not IDENTITY.search(text + caplog.text)


@pytest.mark.slow
@given(
    st.recursive(
        st.none() | st.text() | st.integers() | st.floats(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_survived(data: object) -> None:
    """An answer of any shape gives a radio and no exception."""
    for shape in (data, {"generic": data, "3gpp": data}, {"lte": data}):
        assert mmcli.parse(shape, shape, shape, shape).reader == "mmcli"


@pytest.mark.parametrize("text", ["0", "00000000", "FFFFFFFF", "FFFE", "xyz", "--"])
def test_identifiers_that_mean_unknown(text: str) -> None:
    """All zeros, all ones and other text are not a cell."""
    assert identifier(text) is None


def test_long_numbers_are_hidden() -> None:
    """Numbers as long as an IMEI are hidden in details and logs."""
    assert without_numbers(f"modem {NUMBER} gone") == "modem … gone"
