"""Checks for a new configuration: what changes a device, and what never does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from qos_agent.agent.remote.check import ACCEPTED, REFUSED
from qos_agent.cli.config import app
from qos_agent.config.remote.index import Index, Pause
from qos_agent.evidence import notes
from qos_agent.evidence.signer import PublicKey
from qos_agent.model.errors import SigningError
from qos_agent.noc.remote import changes, signing
from tests.agent.remote.device import Device
from tests.noc.remote.centre import NOW_S, STATION, VALID_S, Centre, make_centre

pytestmark = pytest.mark.unit
UPGRADE = Path(__file__).parents[3] / "deploy/packages/files/upgrade"
SLOW_S, QUICK_S, OWN_S = 1800.0, 600.0, 3600.0
SLOW = '[schedule.voting]\nthroughput = "30m"\n'
QUICK = '[schedule.voting]\nthroughput = "10m"\n'


@pytest.fixture
def centre(tmp_path: Path) -> Centre:
    """Return a centre that has published version 1."""
    made = make_centre(tmp_path / "noc")
    made.write("nation/settings.toml", SLOW)
    made.publish()
    return made


@pytest.fixture
def device(centre: Centre, tmp_path: Path) -> Device:
    """Return a device that has loaded version 1."""
    made = Device(centre, tmp_path / "device")
    result = made.run()
    assert (result.reached, result.apply) == (True, True)
    assert result.events == ((ACCEPTED, "version 1, normal key"),)
    return made


def test_layers_are_merged_from_nation_to_station(
    centre: Centre, device: Device
) -> None:
    """The station has priority over the province, the nation and the device's file."""
    assert device.interval_s() == SLOW_S
    centre.write("province/31/settings.toml", '[schedule.voting]\nweb = "7m"\n')
    centre.write(f"station/{STATION}/settings.toml", QUICK)
    centre.publish()
    assert device.run().apply
    loaded = device.loaded()
    assert loaded.settings.schedule.voting == {"throughput": QUICK_S, "web": 420.0}
    assert loaded.origins["schedule.voting.throughput"] == "remote 2 station"
    assert loaded.origins["schedule.voting.web"] == "remote 2 province"
    assert loaded.remote is not None
    assert loaded.remote.version == 2


def test_a_check_without_a_change_fetches_one_file(device: Device) -> None:
    """The index is asked for with its ETag, and nothing else."""
    device.asked.clear()
    assert device.run().events == ()
    assert device.asked == ["31.note"]


def test_a_calendar_and_thresholds_replace_those_of_the_device(
    centre: Centre, device: Device
) -> None:
    """The settings name the files that the centre signed."""
    package = Path(__file__).parents[3] / "qos_agent/config"
    calendar = (package / "elections/2024-02-14.toml").read_text()
    centre.write("nation/calendar.toml", calendar)
    limits = (package / "data/thresholds.toml").read_text()
    centre.write(f"station/{STATION}/thresholds.toml", limits)
    centre.publish()
    assert device.run().apply
    found = device.loaded().settings
    assert Path(str(found.election.calendar)).read_text() == calendar
    assert Path(str(found.verdict.thresholds)).read_text() == limits


def test_the_wanted_version_is_for_the_updater(centre: Centre, device: Device) -> None:
    """The program of the package reads `upgrade.version` from `config show --json`."""
    pattern = r"qos-agent config show --json \| /usr/bin/python3 -c '([^']+)'"
    (program,) = re.findall(pattern, UPGRADE.read_text())
    centre.write("nation/settings.toml", '[upgrade]\nversion = "1.4.0"\n')
    centre.publish()
    assert device.run().apply
    shown = CliRunner().invoke(app, ["show", "--json", "-c", str(device.config)]).stdout
    assert json.loads(shown)["origins"]["fleet.version"] == "remote 2 nation"
    argv = [sys.executable, "-c", program]
    wanted = subprocess.run(
        argv, input=shown, capture_output=True, text=True, check=True
    )
    assert wanted.stdout == "1.4.0\n"


def test_a_roll_back_is_older_content_under_a_newer_version(
    centre: Centre, device: Device
) -> None:
    """The device loads version 3, which has the files of version 1."""
    centre.write("nation/settings.toml", QUICK)
    centre.publish()
    device.run()
    assert device.interval_s() == QUICK_S
    centre.write("nation/settings.toml", SLOW)
    assert centre.publish() == 3
    assert device.run().apply
    assert device.interval_s() == SLOW_S


def test_an_older_index_is_refused_and_reported_once(
    centre: Centre, device: Device
) -> None:
    """A replayed version changes nothing, also after a restart."""
    old = centre.note()
    centre.write("nation/settings.toml", QUICK)
    centre.publish()
    device.run()
    device.instead["31.note"] = old
    expected = ((REFUSED, "version 1 is not newer than version 2"),)
    assert device.run().events == expected
    assert device.run().events == ()
    device.restart()
    assert device.run().events == expected
    assert device.interval_s() == QUICK_S


def test_another_index_of_the_same_version_is_refused(
    centre: Centre, device: Device
) -> None:
    """A version has one content; a second one is not accepted."""
    index = centre.index()
    other = index.model_copy(
        update={"valid_until": index.valid_until + timedelta(days=1)}
    )
    device.instead["31.note"] = _signed(centre, other, "config-1")
    (event,) = device.run().events
    assert event == (REFUSED, "version 1 is not newer than version 1")


def _signed(centre: Centre, index: Index, *names: str) -> bytes:
    signatures = tuple(
        signing.signed(index.text(), centre.signers[name], name).signatures[0]
        for name in names
    )
    return notes.Note(index.text(), signatures).to_bytes()


def test_wrong_signers_change_nothing(centre: Centre, device: Device) -> None:
    """No signature, an unknown key and only one emergency key are refused."""
    centre.create_keys("unknown-1")
    index = centre.index().model_copy(update={"version": 99})
    text = index.text().encode()
    forged = notes.Signature(
        "config-1",
        notes.key_id("config-1", centre.signers["config-1"].public_key.raw),
        centre.signers["unknown-1"].sign(text),
    )
    for content in (
        text,
        _signed(centre, index, "unknown-1"),
        _signed(centre, index, "emergency-a"),
        _signed(centre, index, "emergency-a", "emergency-a"),
        notes.Note(index.text(), (forged,)).to_bytes(),
        notes.Note(index.text() + "#\n", _note(centre).signatures).to_bytes(),
    ):
        device.instead["31.note"] = content
        assert not device.run().apply
        assert device.check.index is not None
        assert device.check.index.version == 1
    assert device.check.refusals == 6


def _note(centre: Centre) -> notes.Note:
    return notes.parse_note(centre.note())


def test_the_index_of_another_province_is_refused(
    centre: Centre, device: Device
) -> None:
    """A correct index with a newer version is refused, because of its scope."""
    centre.publisher.change(changes.renewal, NOW_S, None)
    device.instead["31.note"] = centre.note("32")
    assert device.run().events == ((REFUSED, "version 2 is for province 32"),)


def test_an_expired_index_is_refused_with_a_trusted_clock(
    centre: Centre, tmp_path: Path
) -> None:
    """A new device takes no expired index; without a trusted clock it cannot know."""
    device = Device(centre, tmp_path / "late", now_s=NOW_S + VALID_S + 1)
    (event,) = device.run().events
    assert event[0] == REFUSED
    assert event[1].startswith("version 1 expired at")
    assert device.interval_s() == OWN_S
    device.now_s = None
    assert device.run().apply


def test_a_configuration_that_expires_stays_in_force(device: Device) -> None:
    """It is reported once, because a newer one is withheld."""
    device.now_s = NOW_S + VALID_S + 1
    (event,) = device.run().events
    assert event == (
        REFUSED,
        "the newest version has expired, and no newer one arrives",
    )
    assert device.run().events == ()
    assert device.check.expired
    assert device.interval_s() == SLOW_S


def test_files_without_their_hash_are_refused(centre: Centre, device: Device) -> None:
    """A missing, changed or truncated file keeps the old content until it arrives."""
    centre.write("nation/settings.toml", QUICK)
    centre.publish()
    name = f"files/{centre.index().content.nation.settings}.toml"
    for content in (None, b"", QUICK.encode()[:-1], b"\x1f\x8b" + b"0" * 49_000):
        device.instead[name] = content
        assert not device.run().apply
        assert device.interval_s() == SLOW_S
    del device.instead[name]
    assert device.run().apply
    assert device.interval_s() == QUICK_S


def test_a_content_that_does_not_fit_the_device_is_not_loaded(
    centre: Centre, device: Device
) -> None:
    """The device has a link of its own, which the centre cannot know."""
    text = device.config.read_text().replace(
        "[journal]", '[allowance]\ndaily = "10MB"\nmonthly = "1GB"\n[journal]'
    )
    device.config.write_text(text)
    centre.write("nation/settings.toml", '[allowance]\nmonthly = "1GB"\n')
    centre.publish()
    assert device.run().apply
    centre.write(
        "nation/settings.toml",
        '[allowance]\nmonthly = "1GB"\nvoting_reserve = "100MB"\n',
    )
    centre.publish()
    (_, event) = device.run().events
    assert event[0] == REFUSED
    assert "must be at most daily" in event[1]
    assert device.run().events == ()
    assert device.loaded().remote is not None


def test_a_damaged_store_is_as_no_store(device: Device) -> None:
    """A flipped bit in any stored file leaves the device's own settings in force."""
    for path in (device.folder / "journal/remote").rglob("*"):
        if path.is_file() and path.name != "newest.note":
            content = path.read_bytes()
            path.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])
            assert device.interval_s() == OWN_S
            path.write_bytes(content)
    assert device.interval_s() == SLOW_S


def test_a_device_that_cannot_verify_uses_its_own_settings(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without openssl or a temporary folder, loading raises nothing."""
    for error in (OSError("full"), SigningError("no openssl")):

        def fail(*_: object, error: Exception = error) -> bool:
            raise error

        monkeypatch.setattr(PublicKey, "verifies", fail)
        assert device.interval_s() == OWN_S
    monkeypatch.undo()
    assert device.interval_s() == SLOW_S


def test_a_damaged_old_file_does_not_stop_a_new_content(
    centre: Centre, device: Device
) -> None:
    """Removing files that are not needed any more may fail."""
    centre.write(f"station/{STATION}/settings.toml", SLOW)
    centre.publish()
    assert device.run().apply
    for path in (device.folder / "journal/remote/files").glob("*.toml"):
        path.write_bytes(b"damaged")
    (device.folder / "journal/remote/applied.note").write_bytes(b"damaged")
    centre.write("nation/settings.toml", QUICK)
    centre.publish()
    assert device.run().apply
    assert device.interval_s() == SLOW_S


def test_voting_defers_a_content_of_the_normal_key(
    centre: Centre, device: Device
) -> None:
    """It is loaded when the counting has ended; its pauses count at once."""
    centre.write("nation/settings.toml", QUICK)
    centre.publish()
    result = device.run(frozen=True)
    assert (result.events, result.apply) == (
        ((ACCEPTED, "version 2, normal key"),),
        False,
    )
    assert device.interval_s() == SLOW_S
    assert device.run().apply
    assert device.interval_s() == QUICK_S


def test_voting_allows_the_withdrawal_of_a_bad_version(
    centre: Centre, device: Device
) -> None:
    """The device returns to the content before, without any file of the server."""
    centre.write("nation/settings.toml", QUICK)
    centre.publish()
    device.run()
    centre.withdraw()
    device.asked.clear()
    assert device.run(frozen=True).apply
    assert device.asked == ["31.note"]
    assert device.interval_s() == SLOW_S
    assert not device.run(frozen=True).apply


def test_a_withdrawal_brings_no_new_content_while_voting(
    centre: Centre, device: Device
) -> None:
    """The normal key cannot send new settings as if they were a withdrawal."""
    centre.write("nation/settings.toml", QUICK)
    source = centre.publisher
    source.content(100.0, NOW_S, None)
    index = centre.index()
    forged = index.model_copy(update={"version": 3, "withdrawn": (1,)})
    device.instead["31.note"] = _signed(centre, forged, "config-1")
    assert device.run(frozen=True).apply
    assert device.interval_s() == OWN_S  # nothing came before version 1


def test_two_emergency_keys_change_a_device_while_voting(
    centre: Centre, device: Device, tmp_path: Path
) -> None:
    """A later version of the normal key still brings their content."""
    centre.write("nation/settings.toml", QUICK)
    folder = tmp_path / "usb"
    centre.publisher.content(100.0, NOW_S, folder)
    for name in ("emergency-a", "emergency-c"):
        for path in folder.glob("*.note"):
            signing.sign_file(path, centre.signers[name], name)
    centre.publisher.install(folder)
    other = Device(centre, tmp_path / "other")
    assert device.run(frozen=True).apply
    assert device.interval_s() == QUICK_S
    centre.publisher.change(changes.renewal, NOW_S, None)
    assert other.run(frozen=True).apply
    assert other.interval_s() == QUICK_S


def test_a_roll_out_reaches_its_share_and_no_other(
    centre: Centre, tmp_path: Path
) -> None:
    """Devices outside of the share load the content before."""
    centre.write("nation/settings.toml", QUICK)
    centre.publish(percent=50)
    found = []
    for number in range(12):
        device = Device(centre, tmp_path / f"d{number}", f"31710100{number:05d}")
        device.run()
        found.append(device.interval_s())
    assert set(found) == {SLOW_S, QUICK_S}


def test_a_device_that_was_off_for_months_comes_back_right(
    centre: Centre, device: Device, tmp_path: Path
) -> None:
    """It missed two key sets and three versions, and its own version has expired."""
    centre.create_keys("config-3", "config-4")
    centre.write("nation/settings.toml", QUICK)
    centre.publish()
    for number, pair in ((2, ("config-2", "config-1")), (3, ("config-1", "config-3"))):
        centre.add_set(number, pair)
    later = NOW_S + 90 * 86400
    centre.write("nation/settings.toml", SLOW.replace("30m", "20m"))
    centre.publish(now_s=later)
    device.restart()
    device.now_s = later
    assert device.interval_s() == SLOW_S
    result = device.run()
    assert result.apply
    assert [kind for kind, _ in result.events] == [ACCEPTED]
    assert device.interval_s() == 1200.0
    assert device.store.keys().number == 3


def test_a_stolen_configuration_key_ends_with_the_next_key_set(
    centre: Centre, device: Device
) -> None:
    """Its last index had the highest version, and newer ones are accepted again."""
    stolen = centre.index().model_copy(update={"version": 2**53 - 1})
    device.instead["31.note"] = _signed(centre, stolen, "config-1")
    assert device.run().events == ((ACCEPTED, "version 9007199254740991, normal key"),)
    device.instead.clear()
    centre.create_keys("config-3")
    key = centre.key("config-1")
    key.write_bytes(centre.key("config-2").read_bytes())
    centre.add_set(2, ("config-2", "config-3"))
    assert device.run().events == ((ACCEPTED, "version 2, normal key"),)
    device.instead["31.note"] = _signed(
        centre, stolen.model_copy(update={"key_set": 2}), "config-1"
    )
    (event,) = device.run().events
    assert event[0] == REFUSED
    assert "not signed by a key that this device trusts" in event[1]


def test_a_pause_is_in_the_index(centre: Centre, device: Device) -> None:
    """A device has the pause before it has any other file."""
    start = datetime.fromtimestamp(NOW_S, UTC)
    pause = Pause(
        name="p", probes=("form",), start=start, end=start + timedelta(hours=1)
    )
    centre.publisher.change(lambda s, t: changes.pause(s, pause, t), NOW_S, None)
    device.run(frozen=True)
    assert device.check.index is not None
    assert device.check.index.pause == (pause,)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_changed_note_is_never_accepted(data: st.DataObject) -> None:
    """Any change of bytes leaves the version and the settings as they were."""
    device, note = _shared()
    position = data.draw(st.integers(0, len(note) - 1))
    part = data.draw(st.binary(max_size=8))
    length = data.draw(st.integers(0, 8))
    content = note[:position] + part + note[position + length :]
    device.instead["31.note"] = content
    assert not device.run().apply
    assert device.check.index is not None
    assert device.check.index.version == (2 if content == note else 1)
    if content == note:
        _SHARED.clear()


_SHARED: list[tuple[Device, bytes]] = []


def _shared() -> tuple[Device, bytes]:
    """Return a device with version 1, and the note of version 2, made once."""
    if not _SHARED:
        import tempfile

        folder = Path(tempfile.mkdtemp(prefix="qos-check-"))
        centre = make_centre(folder / "noc")
        centre.write("nation/settings.toml", SLOW)
        centre.publish()
        device = Device(centre, folder / "device")
        device.run()
        centre.publisher.change(changes.renewal, NOW_S, None)
        _SHARED.append((device, centre.note()))
    return _SHARED[0]
