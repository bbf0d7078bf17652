"""`qos-agent doctor --support`: everything that helps, and no secret."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from qos_agent.agent import support as archives
from qos_agent.agent.doctor import examine
from qos_agent.agent.support.redaction import Redactor
from qos_agent.config.loading import load
from qos_agent.config.settings import Settings
from qos_agent.config.sources import Sources
from qos_agent.journal.opening import open_journal
from qos_agent.model.errors import InvalidConfigError
from qos_agent.probes.registry import PROBES
from qos_agent.system.clock import system_clock

ROOT = Path(__file__).parents[2]

# Each secret is unlike the others, so that a leak shows its place.
SECRETS = {
    "file": "wN3kq8Zr-in-token-file",
    "password": "pa55-of-user-and-password",
    "variable": "zx81-of-the-environment",
    "key": "9f2c7be04d11e8a3b6705f4ce2918d7a",
    "credential": "mv77-of-the-credentials",
    "comment": "k0mmentar-with-old-token",
    "url_user": "url-user-77",
    "url_password": "url-pa55word",
    "log_token": "Xy7Qm2Lk9Rt4Vb6Nc8Zd1Wf3",
    "log_password": "hunter2-in-the-log",
    "log_basic": "YnVkaTpwYTU1LWluLXRoZS1sb2c=",
    "pem": "MC4CAQAwBQYDK2VwBCIEIPlantedPlantedPlantedPlanted",
}
PLACES = {
    "station": "3171010001001",
    "device": "tps-menteng-01",
    "coordinates": "-6.20881",
    "longitude": "106.84562",
    "cell": "01A2D3C4",
    "imsi": "510100123456789",
    "iccid": "8962100012345678901",
}
CONFIG = """
# old token: {comment}
[station]
id = "{station}"
province = "31"
regency = "3171"
device = "{device}"
[[links]]
name = "main"
interface = "lo"
[latency]
stamp_key_file = "{folder}/stamp.key"
[collector]
url = "http://127.0.0.1:9"
token_file = "{folder}/token"  # {comment}
[web]
pages = [{{name = "page", url = "http://127.0.0.1:9/?lat={coordinates}"}}]
[journal]
folder = "{folder}/journal"
"""
LOG = """
2026-11-27T08:00:00 WARNING uplink: token {file} refused
2026-11-27T08:00:01 get https://{url_user}:{url_password}@collector.example.id/ping
2026-11-27T08:00:02 other: Authorization: Token {log_token}
2026-11-27T08:00:03 other: Authorization: Basic {log_basic}
2026-11-27T08:00:04 other: password={log_password} imsi={imsi} iccid: {iccid}
2026-11-27T08:00:05 gps: {coordinates}, {longitude}
2026-11-27T08:00:05 gps: lat={coordinates} lon={longitude}
2026-11-27T08:00:06 signal main cell={cell} tracking_area=1F2E rsrp_dbm=-97
2026-11-27T08:00:07 started with {variable} and {credential} and {key}
2026-11-27T08:00:08 station {station} on {device}
2026-11-27T08:00:09 {{"token": "{file}", "device": "{device}"}}
2026-11-27T08:00:10 -----BEGIN PRIVATE KEY-----
{pem}
-----END PRIVATE KEY-----
"""


NAMES = (
    "configuration.json",
    "doctor.json",
    "log.txt",
    "readings.txt",
    "removed.txt",
    "status.json",
    "system.txt",
    "unit.txt",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a device whose every place has a secret."""
    values = {**SECRETS, **PLACES, "folder": str(tmp_path)}
    (tmp_path / "agent.toml").write_text(CONFIG.format(**values))
    (tmp_path / "token").write_text(f"budi:{SECRETS['file']}\n")
    (tmp_path / "stamp.key").write_text(f"{SECRETS['key']}\n")
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "fallback.token").write_text(SECRETS["credential"])
    journal = tmp_path / "journal"
    journal.mkdir()
    open_journal(journal, ["collector"], writable=True).connection.close()
    pem = f"-----BEGIN PRIVATE KEY-----\n{SECRETS['pem']}\n-----END PRIVATE KEY-----\n"
    (journal / "device-key.pem").write_text(pem)
    (journal / "device-key.pem").chmod(0o600)
    (journal / "status.json").write_text(f'{{"station": "{PLACES["station"]}"}}')
    programs = tmp_path / "bin"
    programs.mkdir()
    (tmp_path / "log").write_text(LOG.format(**values))
    for name in ("journalctl", "systemctl"):
        (programs / name).write_text(f"#!/bin/sh\nexec cat {tmp_path}/log\n")
        (programs / name).chmod(0o755)
    return tmp_path


def support(folder: Path, name: str = "support.tar.gz") -> str:
    """Write the archive and return what the command printed."""
    variables = {
        "PATH": f"{folder}/bin:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "CREDENTIALS_DIRECTORY": str(folder / "credentials"),
        "OTHER_API_TOKEN": SECRETS["variable"],
        "HTTPS_PROXY": f"http://{SECRETS['url_user']}:{SECRETS['url_password']}@proxy",
    }
    done = subprocess.run(
        [
            *(sys.executable, "-m", "qos_agent", "doctor", "--json"),
            *("--config", str(folder / "agent.toml"), "--support", str(folder / name)),
        ],
        env=variables,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    return done.stderr


def write(folder: Path, name: str = "support.tar.gz") -> Path:
    """Write the archive without the checks, and return it."""
    file = folder / "agent.toml"
    settings = load(Sources(file, {}, None), PROBES).settings
    archive = folder / name
    examined = examine(settings, system_clock(), file)
    archives.write(archives.collect(examined, lambda _: []), archive)
    return archive


def content(archive: Path) -> dict[str, str]:
    """Return the files of an archive."""
    with tarfile.open(archive) as opened:
        members = {m.name: opened.extractfile(m) for m in opened.getmembers()}
        return {name: f.read().decode() for name, f in members.items() if f}


@pytest.mark.slow
def test_no_planted_secret_and_no_place_is_in_the_archive(folder: Path) -> None:
    """Everything else is there, and the command prints what it removed."""
    printed = support(folder)
    archive = folder / "support.tar.gz"
    assert archive.stat().st_mode & 0o777 == 0o600
    files = content(archive)
    text = "\n".join(files.values())
    found = {k: v for k, v in {**SECRETS, **PLACES}.items() if v in text + printed}
    assert found == {}
    assert [*files] == [f"qos-support/{name}" for name in NAMES]
    log = files["qos-support/log.txt"]
    assert "WARNING uplink: " in log
    assert "rsrp_dbm=-97" in log
    assert '"timeout": 10.0' in files["qos-support/configuration.json"]
    for kind in ("token", "place", "private key", "identity of a SIM or modem"):
        assert f"{kind}: " in printed
        assert f"{kind}: " in files["qos-support/removed.txt"]


def test_a_wrong_configuration_hides_its_secrets_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings are not loaded, but the log may have repeated their secrets."""
    monkeypatch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")
    file = folder / "agent.toml"
    file.write_text(
        '[collector]\ntoken = "plain words"\nno_such_key = 1\n'
        f'[latency]\nstamp_key_file = "{folder}/stamp.key"\n'
    )
    with (folder / "log").open("a") as log:
        log.write("refused plain words\n")
    with pytest.raises(InvalidConfigError) as raised:
        load(Sources(file, {}, None), PROBES)
    faults = raised.value.faults
    examined = examine(Settings(), system_clock(), file, faults)
    archives.write(archives.collect(examined, lambda _: []), folder / "support.tar.gz")
    text = "\n".join(content(folder / "support.tar.gz").values())
    assert "no_such_key" in text
    assert "refused <secret>" in text
    assert SECRETS["key"] not in text


def test_equal_contents_give_equal_bytes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Order, times and owners of the files do not depend on the run."""
    monkeypatch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")
    one, two = write(folder, "one.tar.gz"), write(folder, "two.tar.gz")
    assert one.read_bytes() == two.read_bytes()
    with tarfile.open(one) as opened:
        assert {(m.mtime, m.uid, m.gid, m.mode) for m in opened} == {(0, 0, 0, 0o600)}


def test_a_large_log_is_cut_to_its_newest_part(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive stays small enough for a mobile network."""
    monkeypatch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}")
    with (folder / "log").open("a") as log:
        log.writelines(f"line {number} of many lines\n" for number in range(100_000))
    archive = write(folder)
    assert archive.stat().st_size < 1_000_000
    log_text = content(archive)["qos-support/log.txt"]
    assert len(log_text) <= 1_000_000
    assert log_text.rstrip().endswith("line 99999 of many lines")


def test_a_link_in_the_way_is_replaced_and_not_followed(folder: Path) -> None:
    """Another user may have put a link where root writes."""
    other = folder / "other"
    other.write_text("unchanged")
    (folder / "support.tar.gz").symlink_to(other)
    archive = write(folder)
    assert other.read_text() == "unchanged"
    assert not archive.is_symlink()
    assert archive.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("token not accepted", "token not accepted"),
        ('"token": "***"', '"token": "***"'),
        ('token_file = "/etc/x"', 'token_file = "/etc/x"'),
        ("QOS_AGENT_COLLECTOR__TOKEN=abc", "QOS_AGENT_COLLECTOR__TOKEN=<secret>"),
        ("latency,station=3171,link=main", "latency,station=<place>,link=main"),
        ('"cell": 42, "rsrp": 1', '"cell": "<place>", "rsrp": 1'),
        ("10.64.0.1 through wwan0", "10.64.0.1 through wwan0"),
        ('"boot_ns": 123456789012345', '"boot_ns": 123456789012345'),
        ("rtt_p50_ms=35.123 sent=20", "rtt_p50_ms=35.123 sent=20"),
        ("journal 9602ec7c671c6efe: 62.5 kB", "journal 9602ec7c671c6efe: 62.5 kB"),
    ],
)
def test_what_helps_stays(text: str, clean: str) -> None:
    """Only the value behind a key is replaced, and JSON stays JSON."""
    assert Redactor({}).clean(text) == clean


def test_a_known_value_is_found_in_every_form() -> None:
    """Programs write a secret in URLs, in JSON and in HTTP headers."""
    secret = 'a b"c/d'
    text = 'a b"c/d a%20b%22c%2Fd a+b%22c%2Fd a b\\"c/d YSBiImMvZA=='
    assert Redactor({secret: "token"}).clean(text) == " ".join(["<token>"] * 5)
