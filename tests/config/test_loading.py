"""Settings are read from file, environment and credentials; errors are one line."""

from __future__ import annotations

from pathlib import Path
from traceback import format_exception

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
def test_each_error_is_one_line(path: Path) -> None:
    """Each error names the key, the problem, the value found and the fix."""
    with pytest.raises(InvalidConfigError) as caught:
        load(Sources(path, {}, None), PROBES)
    line = str(caught.value).replace(str(path), "FILE")
    assert line == EXPECTED[path.stem]


def test_all_errors_are_reported_at_once(tmp_path: Path) -> None:
    """Three wrong keys give three lines in one run."""
    text = '[latency]\ncount = "a"\nspacing = 5\n[station]\nid = "a/b"\n'
    with pytest.raises(InvalidConfigError) as caught:
        _load(text, tmp_path)
    keys = {fault.key for fault in caught.value.faults}
    assert {"latency.count", "latency.spacing", "station.id"} <= keys


def test_a_regency_of_another_province_is_an_error() -> None:
    """The register refuses such a station; without a province there is no error."""
    with pytest.raises(InvalidConfigError) as caught:
        _load(STATION__PROVINCE="31", STATION__REGENCY="3271")
    problem = "station.regency: is not in province 31 (found: '3271')"
    assert problem in str(caught.value)
    _load(STATION__PROVINCE="31", STATION__REGENCY="3171")
    _load(STATION__TIME_ZONE="Asia/Jakarta", STATION__REGENCY="3271")


def test_a_missing_file_is_an_error_with_its_fix(tmp_path: Path) -> None:
    """The defaults never replace a file that was named and does not exist."""
    with pytest.raises(InvalidConfigError, match="qos-agent config init"):
        load(Sources(tmp_path / "none.toml", {}, None), PROBES)


def test_the_environment_has_priority_over_the_file(tmp_path: Path) -> None:
    """QOS_AGENT_SECTION__KEY replaces one value of the file and no other."""
    text = "[latency]\ncount = 7\nspacing = '1s'\n"
    loaded = _load(text, tmp_path, LATENCY__COUNT="9")
    assert loaded.settings.latency.count == 9
    assert loaded.settings.latency.spacing == 1.0
    assert loaded.origins["latency.count"] == "environment"


def test_credentials_have_priority_over_all(tmp_path: Path) -> None:
    """The token in systemd's credentials directory is used."""
    (tmp_path / "collector.token").write_text("from-systemd\n")
    names = {"QOS_AGENT_COLLECTOR__TOKEN": "from-environment"}
    loaded = load(Sources(None, names, tmp_path), PROBES)
    assert loaded.settings.collector.current_token() == "from-systemd"


def test_a_credential_of_a_file_setting_is_its_path(tmp_path: Path) -> None:
    """A key given by LoadCredential is used as a file, and its content is not shown."""
    key = tmp_path / "latency.stamp_key_file"
    key.write_text("0123456789abcdef0123\n")
    loaded = load(Sources(None, {}, tmp_path), PROBES)
    assert loaded.settings.latency.stamp_key_file == key
    key.write_text("short-secret")
    with pytest.raises(InvalidConfigError) as caught:
        load(Sources(None, {}, tmp_path), PROBES)
    assert "short-secret" not in str(caught.value)


def test_the_installed_file_has_the_folders_of_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands of an installed system need no variables. The file has priority."""
    file = tmp_path / "agent.toml"
    file.write_text("[runtime]\nfolder = '/elsewhere'\n")
    monkeypatch.setattr("qos_agent.config.loading.DEFAULT_PATH", file)
    settings = load(Sources(file, {}, None), PROBES).settings
    assert settings.journal.folder == Path("/var/lib/qos-agent")
    assert settings.runtime_folder() == Path("/elsewhere")


def test_an_installed_file_that_may_not_be_read_names_the_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error tells a user who is not in the group how to get access."""
    monkeypatch.setattr("qos_agent.config.loading.DEFAULT_PATH", tmp_path)
    with pytest.raises(InvalidConfigError, match="usermod -aG qos-agent"):
        load(Sources(tmp_path, {}, None), PROBES)


def test_an_unknown_name_in_the_environment_is_an_error() -> None:
    """The error of a mistyped variable names the nearest key."""
    with pytest.raises(
        InvalidConfigError, match="rename it to latency in the environment"
    ):
        _load(LATENCI__COUNT="3")
    with pytest.raises(InvalidConfigError, match="rename it to count"):
        _load(LATENCY__CUONT="3")


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    """No output of the settings and no error contains the token."""
    loaded = _load('[collector]\ntoken = "hunter2"\n', tmp_path)
    assert "hunter2" not in str(shown(loaded.settings))
    assert "hunter2" not in repr(loaded.settings)
    with pytest.raises(InvalidConfigError) as caught:
        _load("[collector]\ntoken = 31415926535\n", tmp_path)
    assert "31415926535" not in str(caught.value)
    assert "(found: hidden, 11 characters)" in str(caught.value)


def test_tracebacks_hide_secrets(tmp_path: Path) -> None:
    """The chain of an error has pydantic's own, which print the values by default."""
    text = '[collector]\ntoken = "PLANTED"\nclient_key_file = "/x"\nurl = "ftp://x"\n'
    with pytest.raises(InvalidConfigError) as caught:
        _load(text, tmp_path)
    assert "PLANTED" not in "".join(format_exception(caught.value))


def test_user_information_of_urls_is_masked(tmp_path: Path) -> None:
    """Neither `config show` nor an error contains the user of a URL."""
    loaded = _load('[form]\nurl = "https://user@example.id/a"\n', tmp_path)
    assert shown(loaded.settings)["form"]["url"] == "https://***@example.id/a"
    loaded = _load('[form]\nurl = "https://example.id:8443/@a"\n', tmp_path)
    assert shown(loaded.settings)["form"]["url"] == "https://example.id:8443/@a"
    with pytest.raises(InvalidConfigError) as caught:
        _load('[form]\nurl = "https://user:pa/ss@example.id/a"\n', tmp_path)
    assert "(found: 'https://***@example.id/a')" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "shown_as"),
    [
        ("collector.url", "http://bob:pass word@h", "'http://***@h'"),
        ("collector.url", "https:/bob:hunter2@h", "'***@h'"),
        ("collector.url", "bob:pass@x.example", "'***@x.example'"),
        ("throughput.iperf3_server", "u:p@h", "'***@h'"),
    ],
)
def test_user_information_of_wrong_addresses_is_masked(
    tmp_path: Path, key: str, value: str, shown_as: str
) -> None:
    """Everything before the last "@" is hidden, whatever is wrong with the value."""
    section, _, name = key.partition(".")
    with pytest.raises(InvalidConfigError) as caught:
        _load(f'[{section}]\n{name} = "{value}"\n', tmp_path)
    (fault,) = caught.value.faults
    assert (fault.key, fault.found) == (key, shown_as)


def test_a_password_in_a_url_is_an_error(tmp_path: Path) -> None:
    """The error shows the place of a collector's token, and not the password."""
    with pytest.raises(InvalidConfigError) as caught:
        _load('[collector]\nurl = "http://bob:pw@x"\n', tmp_path)
    assert str(caught.value) == (
        "collector.url: must not contain a user name and a password "
        "(found: 'http://***@x'). Fix: remove them; the collector's token belongs in "
        "token_file."
    )


def test_an_error_names_the_variable_that_was_set() -> None:
    """A value in the JSON of a table is not blamed on a variable that is not set."""
    with pytest.raises(
        InvalidConfigError, match=r"environment \(QOS_AGENT_COLLECTOR\)"
    ):
        _load(COLLECTOR='{"url": "ftp://x"}')
    with pytest.raises(InvalidConfigError, match=r"\(QOS_AGENT_COLLECTOR__URL\)"):
        _load(COLLECTOR__URL="ftp://x")


def test_a_table_in_the_environment_must_be_json() -> None:
    """A list or table in a variable that is not JSON is an error, not a traceback."""
    with pytest.raises(InvalidConfigError, match="QOS_AGENT_LINKS: must be a list"):
        _load(LINKS="main")


def test_a_token_file_is_read_again(tmp_path: Path) -> None:
    """A token that was replaced on disk takes effect."""
    token = tmp_path / "token"
    token.write_text("old\n")
    collector = _load(f'[collector]\ntoken_file = "{token}"\n', tmp_path)
    token.write_text("new\n")
    assert collector.settings.collector.current_token() == "new"


def test_the_province_gives_the_time_zone(tmp_path: Path) -> None:
    """A technician who sets the province need not know the time zone."""
    text = '[station]\nid = "9471010001001"\nprovince = "94"\n'
    assert _load(text, tmp_path).settings.station.time_zone == "Asia/Jayapura"


def test_phases_have_intervals(tmp_path: Path) -> None:
    """Intervals are set by phase; "off" is never, and None is the default."""
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


NAMED = {
    "targets.0.host": '[[targets]]\nname = "a"\nlayer = "anchor"\nhost = "{}"\n',
    "web.pages.0.url": '[web]\npages = [{{name = "a", url = "http://{}:80/x"}}]\n',
    "form.url": '[form]\nurl = "https://{}/"\n',
    "throughput.server": '[throughput]\nserver = "http://{}"\n',
    "throughput.iperf3_server": '[throughput]\niperf3_server = "{}:5201"\n',
}


@pytest.mark.parametrize("key", NAMED)
def test_a_name_that_needs_a_search_domain_is_an_error(
    key: str, tmp_path: Path
) -> None:
    """Search domains are not used, so the name of a measured host is complete."""
    with pytest.raises(InvalidConfigError) as caught:
        _load(NAMED[key].format("server"), tmp_path)
    (fault,) = caught.value.faults
    assert (fault.key, "search domains" in fault.problem) == (key, True)
    for name in ("server.", "server.lan", "localhost", "10.0.0.1"):
        _load(NAMED[key].format(name), tmp_path)


def test_the_name_of_a_collector_may_need_a_search_domain(tmp_path: Path) -> None:
    """The system resolves it, with its search domains and /etc/hosts."""
    _load('[collector]\nurl = "http://influxdb:8086"\n', tmp_path)


@pytest.mark.parametrize("host", ["2001:db8::1", "fe80::1%eth0", "@gateway"])
def test_addresses_and_places_are_complete(host: str, tmp_path: Path) -> None:
    """An IPv6 address is no name, although its parts have no dots."""
    _load(NAMED["targets.0.host"].format(host), tmp_path)


def test_an_unknown_probe_is_an_error(tmp_path: Path) -> None:
    """The error of a mistyped probe names the nearest one, also for one link."""
    with pytest.raises(InvalidConfigError, match="rename it to latency"):
        _load('[schedule.voting]\nlatencyy = "1m"\n', tmp_path)
    with pytest.raises(InvalidConfigError, match=r"links\.0\.schedule\.pre\.wbe"):
        _load('[[links]]\nname = "a"\n[links.schedule.pre]\nwbe = "1m"\n', tmp_path)


def test_the_hash_follows_what_is_in_force(tmp_path: Path) -> None:
    """The hash depends on the values only, not on their sources."""
    from_file = _load("[latency]\ncount = 9\n", tmp_path)
    other = _load("[latency]\ncount = 8\n", tmp_path)
    again = _load("[latency]\ncount = 8\n", tmp_path, LATENCY__COUNT="9")
    assert from_file.hash == again.hash
    assert from_file.hash != other.hash


@pytest.mark.parametrize(
    ("text", "key", "table"),
    [
        ('[[allowance.links]]\nlink = "a"\n', "allowance", "allowance"),
        ('[[throughput.links]]\nlink = "a"\n', "throughput", "throughput"),
        ('[[schedule.pre.links]]\nlink = "a"\n', "schedule.pre", "schedule.pre"),
    ],
)
def test_the_former_overrides_of_a_link_show_the_new_form(
    tmp_path: Path, text: str, key: str, table: str
) -> None:
    """Overrides outside of [[links]] are one error that names the new table."""
    with pytest.raises(InvalidConfigError) as caught:
        _load(text, tmp_path)
    assert str(caught.value) == (
        f"{key}.links: values of one link belong below its [[links]] entry. "
        f"Fix: move them there, as [links.{table}] without the key link."
    )


def test_values_of_a_link_are_checked_with_the_common_ones(tmp_path: Path) -> None:
    """The reserve of a link must fit the common limit, and a backend needs a server."""
    text = (
        '[allowance]\nmonthly = "1GB"\n[[links]]\nname = "a"\n'
        '[links.allowance]\nvoting_reserve = "2GB"\n'
        '[links.throughput]\nbackends = ["iperf3"]\n'
    )
    with pytest.raises(InvalidConfigError) as caught:
        _load(text, tmp_path)
    assert [fault.key for fault in caught.value.faults] == [
        "links.0.allowance.voting_reserve",
        "links.0.throughput.iperf3_server",
    ]
