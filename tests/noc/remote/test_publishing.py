"""Publishing: what the centre accepts, and what it writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qos_agent.cli.noc_config import app
from qos_agent.config.remote import index as indexes
from qos_agent.config.remote.index import Pause, bucket, share
from qos_agent.evidence import notes
from qos_agent.model.errors import InvalidConfigError, OperatorError
from qos_agent.noc.remote import changes, signing
from tests.noc.remote.centre import NOW_S, STATION, Centre, make_centre

pytestmark = pytest.mark.unit
SLOW = '[schedule.voting]\nthroughput = "30m"\n'
QUICK = '[schedule.voting]\nthroughput = "10m"\n'


@pytest.fixture
def centre(tmp_path: Path) -> Centre:
    """Return a centre with a nation's settings in its source folder."""
    made = make_centre(tmp_path / "noc")
    made.write("nation/settings.toml", SLOW)
    return made


def test_each_province_gets_a_signed_index_of_the_same_version(centre: Centre) -> None:
    """39 notes have the version and name the same file of the nation."""
    assert centre.publish() == 1
    found = sorted(centre.published.glob("*.note"))
    assert len(found) == 40  # 38 provinces, devices without one, and the key set
    texts = [notes.parse_note(path.read_bytes()).text for path in found[:-1]]
    nations = {indexes.parsed(text).content.nation.settings for text in texts}
    assert len(nations) == 1
    digest = nations.pop()
    assert (centre.published / f"files/{digest}.toml").read_text() == SLOW


def test_an_unchanged_folder_publishes_nothing(centre: Centre) -> None:
    """The second publication has no version, and the notes keep their bytes."""
    centre.publish()
    before = centre.note()
    assert centre.publish() == 0
    assert centre.note() == before


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("nation/settings.toml", '[collector]\nurl = "https://x.id"', "cannot be set"),
        ("nation/settings.toml", "[station]\nid = 'x'", "cannot be set by the centre"),
        (
            "nation/settings.toml",
            "[remote]\nkey_set = 2",
            "cannot be set by the centre",
        ),
        ("nation/settings.toml", "[latency]\nstamp_key_file = '/x'", "cannot be set"),
        ("nation/settings.toml", "[latency]\ncount = 0", "must be at least 1"),
        ("nation/settings.toml", "latency = 1", "must be a table"),
        ("nation/settings.toml", "[form]\nurl = 'https://kpu.go.id/'", "commission"),
        ("nation/calendar.toml", "x = 1", "unknown key"),
        ("nation/thresholds.toml", "[loss]\nbad = 1", "loss.unit: is missing"),
        ("province/99/settings.toml", SLOW, "is not the code of a province"),
        ("station/317101/settings.toml", SLOW, "13-digit code"),
        (f"station/{STATION}/settings.toml", "[links]\n", "cannot be set"),
        ("nation/other.toml", "", "is not one of"),
        ("other/settings.toml", "", "must be nation, province or station"),
        ("nation/settings.toml", "#" * 70_000, "must be at most 49152 bytes"),
    ],
)
def test_a_wrong_source_is_refused_and_changes_nothing(
    centre: Centre, name: str, text: str, problem: str
) -> None:
    """The error names the problem, and the published version stays."""
    centre.publish()
    before = centre.note()
    centre.write(name, text)
    with pytest.raises(InvalidConfigError, match=problem):
        centre.publish()
    assert centre.note() == before


def test_the_layer_of_a_station_is_in_the_file_of_its_bucket(centre: Centre) -> None:
    """Only the index of its province names the file."""
    centre.write(f"station/{STATION}/settings.toml", QUICK)
    centre.publish()
    digest = centre.index("31").content.stations[bucket(STATION)]
    text = (centre.published / f"files/{digest}.toml").read_text()
    assert text.startswith(f'"{STATION}" = ')
    assert not centre.index("32").content.stations


def test_a_roll_out_keeps_the_content_before_for_the_others(centre: Centre) -> None:
    """The share of stations that a roll-out names receives the new content."""
    centre.publish()
    centre.write("nation/settings.toml", QUICK)
    assert centre.publish(percent=10) == 2
    index = centre.index()
    stations = [f"31710100{number:05d}" for number in range(2000)]
    chosen = [index.chosen(station).version for station in stations]
    assert 140 < chosen.count(2) < 260
    assert set(chosen) == {1, 2}
    assert centre.publish(percent=50) == 3
    wider = centre.index()
    # Nobody leaves a roll-out that grows.
    assert all(
        wider.chosen(station).version == 2
        for station, version in zip(stations, chosen, strict=True)
        if version == 2
    )
    assert centre.publish(percent=100) == 4
    assert centre.index().chosen(STATION).version == 2


def test_another_content_begins_with_other_stations() -> None:
    """The order of stations in a roll-out depends on the version."""
    first = [share(f"{n:013d}", 1) < 10 for n in range(1000)]
    second = [share(f"{n:013d}", 2) < 10 for n in range(1000)]
    assert first != second


def test_a_withdrawal_brings_the_content_before_back(centre: Centre) -> None:
    """The version is newer and the content is the older one."""
    centre.publish()
    centre.write("nation/settings.toml", QUICK)
    centre.publish()
    assert centre.withdraw() == 3
    index = centre.index()
    assert (index.content.version, index.withdrawn, index.before) == (1, (2,), None)
    with pytest.raises(OperatorError, match="no version is before"):
        centre.withdraw()


def test_a_pause_ends_with_its_time_or_by_its_name(centre: Centre) -> None:
    """A pause stands in every index until it ends; later versions drop it."""
    centre.publish()
    start = datetime.fromtimestamp(NOW_S, UTC)
    pause = Pause(
        name="national",
        probes=("throughput",),
        start=start,
        end=start + timedelta(hours=1),
        operators=("Telkomsel",),
    )
    publisher = centre.publisher
    publisher.change(lambda s, t: changes.pause(s, pause, t), NOW_S, None)
    assert centre.index("94").pause == (pause,)
    assert pause.operators == ("telkomsel",)
    publisher.change(changes.renewal, NOW_S + 3601, None)
    assert centre.index("94").pause == ()


def test_prepared_files_need_two_people(centre: Centre, tmp_path: Path) -> None:
    """One signature, or two of one key, publish nothing; two publish."""
    centre.publish()
    centre.write("nation/settings.toml", QUICK)
    folder = tmp_path / "usb"
    centre.publisher.content(100.0, NOW_S, folder)
    assert centre.index().version == 1
    for name, other in (("emergency-a", "emergency-a"), ("config-1", "emergency-a")):
        for signer in (name, other):
            for path in folder.glob("*.note"):
                signing.sign_file(path, centre.signers[signer], signer)
        with pytest.raises(OperatorError, match="two signatures"):
            centre.publisher.install(folder)
    for path in folder.glob("*.note"):
        signing.sign_file(path, centre.signers["emergency-b"], "emergency-b")
    assert centre.publisher.install(folder).version == 2
    with pytest.raises(OperatorError, match="not the next one"):
        centre.publisher.install(folder)


def test_an_interrupted_publication_is_completed(centre: Centre) -> None:
    """Indexes that a kill left out are written by the next command, byte for byte."""
    centre.publish()
    old = centre.note("94")
    centre.write("nation/settings.toml", QUICK)
    centre.publish()
    new = centre.note("94")
    (centre.published / "94.note").write_bytes(old)
    assert centre.publisher.complete()
    assert centre.note("94") == new
    assert not centre.publisher.complete()


def test_a_key_set_needs_two_emergency_keys_of_the_one_before(centre: Centre) -> None:
    """Rotation signs every index again; a set with one signature is refused."""
    centre.publish()
    centre.create_keys("config-3")
    with pytest.raises(OperatorError, match="two emergency keys"):
        centre.add_set(2, ("config-2", "config-3"), ("emergency-a",))
    with pytest.raises(OperatorError, match="not in key set 2"):
        centre.add_set(2, ("config-2", "config-3"))
    assert centre.index().key_set == 1


@pytest.mark.parametrize(
    ("layer", "place"), [("nation", "nation"), ("province/31", "province 31")]
)
def test_a_wrong_setting_names_its_layer(
    centre: Centre, layer: str, place: str
) -> None:
    """The station of the check is an invented one, which nobody can look for."""
    centre.write(
        f"{layer}/settings.toml", '[[targets]]\nname = "a"\nhost = "b.example.id"\n'
    )
    with pytest.raises(InvalidConfigError) as error:
        centre.publish()
    assert error.value.faults[0].key == f"{place}: targets.0.layer"


def test_the_commands_publish_show_and_compare(centre: Centre) -> None:
    """The commands print the version, the differences and the settings of a station."""
    noc = centre.folder / "noc.toml"
    key = centre.key("config-1")
    noc.write_text(
        f'folder = "{centre.folder}"\n[remote]\nkey_file = "{key}"\n'
        'url = "https://collector.example.id/config"\n'
    )

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(
            app, [*arguments, "-c", str(noc)], standalone_mode=False
        )
        assert done.exception is None, done.exception
        return done.return_value or 0, done.output

    assert run("publish")[1].startswith("published: version 1\nchecked: 1 combination")
    centre.write("province/31/settings.toml", QUICK)
    status, text = run("diff")
    assert (status, text) == (
        1,
        "province 31: schedule.voting.throughput unset -> '10m'\n",
    )
    assert run("publish")[1].startswith("published: version 2\n")
    assert 'throughput = "10m"  # remote 2 province' in run("show", STATION)[1]
    until = f"{datetime.now(UTC) + timedelta(hours=1):%Y-%m-%dT%H:%M:%S+00:00}"
    assert run("pause", "--until", until, "--area", "31")[1] == (
        "published: version 3\n"
    )
    assert "pause national: throughput, form of 31 until" in run("show")[1]
    assert run("resume") == (0, "published: version 4\n")
    assert run("withdraw") == (0, "published: version 5\n")
    assert "key_set = 1" in run("keys")[1]
