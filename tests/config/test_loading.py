"""Settings from file, environment and credentials; what is wrong is said in a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.config.loading import Loaded, load, shown
from qos_agent.config.sources import Sources
from qos_agent.model import Phase
from qos_agent.model.errors import InvalidConfigError
from qos_agent.probes.registry import PROBES

BAD = Path(__file__).parent / "bad"
EXPECTED = dict(
    row.split(": ", 1) for row in (BAD / "expected.txt").read_text().splitlines()
)


def _load(
    text: str | None = None, folder: Path | None = None, **environment: str
) -> Loaded:
    file = None
    if text is not None:
        assert folder is not None
        file = folder / "agent.toml"
        file.write_text(text)
    names = {f"QOS_AGENT_{key}": value for key, value in environment.items()}
    return load(Sources(file, names, None), PROBES)


@pytest.mark.parametrize("path", sorted(BAD.glob("*.toml")), ids=lambda p: p.stem)
def test_a_bad_file_is_said_in_one_line(path: Path) -> None:
    """Each fault names the key, what was found, what is allowed, and the mend."""
    with pytest.raises(InvalidConfigError) as caught:
        load(Sources(path, {}, None), PROBES)
    got = str(caught.value).replace(str(path), "FILE")
    assert got == EXPECTED[path.stem]


def test_every_fault_is_said_at_once(tmp_path: Path) -> None:
    """Three wrong keys give three lines, not the first one three times over."""
    text = '[latency]\ncount = "a"\nspacing = 5\n[station]\nid = "a/b"\n'
    with pytest.raises(InvalidConfigError) as caught:
        _load(text, tmp_path)
    keys = {fault.key for fault in caught.value.faults}
    assert {"latency.count", "latency.spacing", "station.id"} <= keys


def test_a_missing_file_is_an_error_with_its_mend(tmp_path: Path) -> None:
    """A file that was named and is not there is not silently the defaults."""
    with pytest.raises(InvalidConfigError, match="qos-agent config init"):
        load(Sources(tmp_path / "none.toml", {}, None), PROBES)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    """QOS_AGENT_SECTION__KEY replaces the file's value and leaves its neighbours."""
    loaded = _load("[latency]\ncount = 7\nspacing = '1s'\n", tmp_path,
                   LATENCY__COUNT="9")  # fmt: skip
    assert loaded.settings.latency.count == 9
    assert loaded.settings.latency.spacing == 1.0
    assert loaded.origins["latency.count"] == "environment"


def test_credentials_win_over_all(tmp_path: Path) -> None:
    """A token in systemd's credentials directory is the one that is used."""
    (tmp_path / "collector.token").write_text("from-systemd\n")
    names = {"QOS_AGENT_COLLECTOR__TOKEN": "from-environment"}
    loaded = load(Sources(None, names, tmp_path), PROBES)
    assert loaded.settings.collector.current_token() == "from-systemd"


def test_an_unknown_name_in_the_environment_is_an_error() -> None:
    """A mistyped variable is said, with the name that was meant."""
    with pytest.raises(InvalidConfigError, match="did you mean latency"):
        _load(LATENCI__COUNT="3")
    with pytest.raises(InvalidConfigError, match="did you mean count"):
        _load(LATENCY__CUONT="3")


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    """Neither what is in force, nor its hash, nor an error contains the token."""
    loaded = _load('[collector]\ntoken = "hunter2"\n', tmp_path)
    assert "hunter2" not in str(shown(loaded.settings))
    assert "hunter2" not in repr(loaded.settings)
    with pytest.raises(InvalidConfigError) as caught:
        _load("[collector]\ntoken = 42\n", tmp_path)
    assert "42" not in str(caught.value)


def test_a_token_file_is_read_again(tmp_path: Path) -> None:
    """A token that was replaced on disk is the one used next."""
    token = tmp_path / "token"
    token.write_text("old\n")
    collector = _load(f'[collector]\ntoken_file = "{token}"\n', tmp_path)
    token.write_text("new\n")
    assert collector.settings.collector.current_token() == "new"


def test_the_province_gives_the_time_zone(tmp_path: Path) -> None:
    """A technician who names Papua need not know its zone."""
    text = '[station]\nid = "9471010001001"\nprovince = "94"\n'
    assert _load(text, tmp_path).settings.station.time_zone == "Asia/Jayapura"


def test_profiles_have_their_intervals(tmp_path: Path) -> None:
    """A profile is per phase, and "off" means never."""
    loaded = _load('[schedule.voting]\nthroughput = "off"\nlatency = "30s"\n', tmp_path)
    intervals = [
        loaded.settings.interval_s(Phase.VOTING, probe, "default")
        for probe in ("throughput", "latency", "host")
    ]
    assert intervals == [0.0, 30.0, None]


def test_a_link_has_its_own_intervals(tmp_path: Path) -> None:
    """The setting of a link comes before the phase's."""
    loaded = _load(
        '[[links]]\nname = "a"\n[links.schedule.voting]\nlatency = "5m"\n'
        '[[links]]\nname = "b"\n[schedule.voting]\nlatency = "30s"\n',
        tmp_path,
    )
    intervals = [
        loaded.settings.interval_s(Phase.VOTING, "latency", link)
        for link in ("a", "b", None)
    ]
    assert intervals == [300.0, 30.0, 30.0]


def test_an_unknown_probe_is_an_error(tmp_path: Path) -> None:
    """A mistyped probe is reported with the name that was meant, also for one link."""
    with pytest.raises(InvalidConfigError, match="did you mean latency"):
        _load('[schedule.voting]\nlatencyy = "1m"\n', tmp_path)
    with pytest.raises(InvalidConfigError, match=r"links\.0\.schedule\.pre\.wbe"):
        _load('[[links]]\nname = "a"\n[links.schedule.pre]\nwbe = "1m"\n', tmp_path)


def test_the_hash_follows_what_is_in_force(tmp_path: Path) -> None:
    """Another value gives another hash; the same values, from anywhere, the same."""
    from_file = _load("[latency]\ncount = 9\n", tmp_path)
    other = _load("[latency]\ncount = 8\n", tmp_path)
    again = _load("[latency]\ncount = 8\n", tmp_path, LATENCY__COUNT="9")
    assert from_file.hash == again.hash
    assert from_file.hash != other.hash
