"""A whole centre as processes, from the files of `noc setup` alone.

The same files configure the systemd units and the containers. A device enrols and
delivers through the gateway, and the census and the witness see it.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from qos_agent.noc.installation.databases import create_databases
from qos_agent.noc.installation.layout import Layout
from qos_agent.noc.provision.vault import Codes, Vault
from qos_agent.noc.service.service import Service
from qos_agent.noc.settings import load
from tests.deploy.centres import Gateway, gateway, prepared
from tests.noc.commands import ROOT, Centre
from tests.noc.provision.centres import ledger_of
from tests.noc.register.registers import GOOD, OTHER, csv_of
from tests.noc.remote.centre import make_centre
from tests.servers.database import Database
from tests.servers.influxd import Influxd
from tests.servers.namespace import free_port

_COMMON = """\
[[targets]]
name = "anchor-1"
layer = "anchor"
host = "127.0.0.1"
method = "tcp"
port = 9
"""


@dataclass(frozen=True, slots=True)
class Site:
    """A running centre, and a folder for a device."""

    layout: Layout
    device: Path

    def noc(self, *arguments: str, config: str = "noc.toml", **environment: str) -> str:
        """Run a command of the centre, and return its output."""
        config = str(self.layout.config / config)
        return self._run("noc", *arguments, "-c", config, **environment)

    def agent(self, *arguments: str) -> str:
        """Run a command of the device, and return its output."""
        return self._run(*arguments, "-c", str(self.device / "agent.toml"))

    def _run(self, *arguments: str, **environment: str) -> str:
        result = subprocess.run(
            [sys.executable, "-m", "qos_agent", *arguments],
            cwd=self.device,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def database(self, name: str) -> Database:
        """Return a database, in the view of the administrator."""
        token = (self.layout.config / "admin.token").read_text().strip()
        return Database(self.layout.influxdb_url, token, "qos", name)

    def code(self, station: str) -> str:
        """Return the enrolment code on the label of a station."""
        ledger = ledger_of(self.layout.state)
        codes = Codes.of(ledger, Vault.of(self.layout.config / "centre-key.pem"))
        return codes.code(station, ledger.issues(station)[-1].serial)


@pytest.fixture
def prepared_site(tmp_path: Path) -> Site:
    """Write the files of a centre, with certificates of devices."""
    layout = prepared(tmp_path, certificates=True)
    site = Site(layout, tmp_path / "device")
    site.device.mkdir()
    (layout.config / "common.toml").write_text(_COMMON)
    path = layout.config / "noc.toml"
    common = f'[provision]\ncommon = "{layout.config}/common.toml"'
    path.write_text(path.read_text().replace("[provision]", common))
    keys = make_centre(tmp_path / "keys")
    shutil.copy(keys.key("config-1"), layout.config / "config-key.pem")
    site.noc("config", "add-set", str(keys.folder / "set-1.note"))
    return site


@pytest.fixture
def site(prepared_site: Site, influxd_program: Influxd) -> Iterator[Site]:
    """Start InfluxDB, the endpoint and the gateway."""
    with running(prepared_site, influxd_program):
        yield prepared_site


@contextmanager
def running(site: Site, program: Influxd) -> Iterator[None]:
    """Run InfluxDB, the endpoint and the gateway."""
    layout = site.layout
    with ExitStack() as started:
        configuration = layout.config / "influxdb.conf"
        _start(started, [str(program.path), "run", "-config", str(configuration)])
        create_databases(layout)
        noc = [sys.executable, "-m", "qos_agent", "noc", "enrolment", "-c"]
        _start(started, [*noc, str(layout.config / "enrolment.toml")])
        started.enter_context(gateway(layout))
        yield


def _start(started: ExitStack, command: list[str]) -> None:
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    started.callback(process.wait, 20)
    started.callback(process.terminate)


def test_a_device_delivers_through_a_new_centre(site: Site, tmp_path: Path) -> None:
    """From the register to the census, with a certificate for the device.

    The device knows the URL of the remote configuration, and the gateway serves it.
    """
    station = GOOD["station"]
    stations = csv_of(site.layout.config, GOOD, OTHER)
    site.noc("register", "import", str(stations), "--apply")
    assert site.noc("provision") == "issued: 2 station(s)\n"
    token, identity = _enrolled(site, station)
    remote = tomllib.loads((site.device / "agent.toml").read_text())["remote"]
    assert remote["url"] == f"{site.layout.devices_url('localhost')}/config"
    summary = site.agent("run", "--for", "4s", "--without", "throughput")
    assert "sent 0 points" not in summary, summary
    (row,) = site.database("qos").query("SELECT count(seq) FROM host")
    assert row["count"] > 0
    assert site.noc("config", "publish").startswith("published: version 1\n")
    assert Gateway(site.layout).request("GET", "/config/31.note")[0] == 200
    front = Gateway(site.layout, identity)
    # The agent's first heartbeat would be a minute later.
    beat = "agent,phase=pre,province=31,regency=3171,station={} beats=1i {}"
    now_ns = time.time_ns()
    assert front.write(beat.format(station, now_ns), token) == 204
    assert front.write(beat.format(OTHER["station"], now_ns), token) == 422
    # The next census: the present minute is not complete yet.
    with closing(Service(load(site.layout.config / "noc.toml"))) as census:
        assert not census.minute(time.time_ns() + 61 * 10**9).failed
    (row,) = site.database("qos-rollup").query(
        "SELECT expected, reporting FROM census WHERE regency = '3171' "
        "AND operator = 'all'"
    )
    assert (row["expected"], row["reporting"]) == (2, 1)
    # systemd and compose give a service its keys and tokens in this way.
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    shutil.copy(site.layout.config / "witness-key.pem", credentials / "witness-key")
    report = site.noc(
        "witness",
        "--once",
        config="witness.toml",
        CREDENTIALS_DIRECTORY=str(credentials),
    )
    assert "2 cosigned" in report
    (key,) = json.loads(site.noc("register", "keys", station, "--json"))
    assert key["station"] == station


def test_the_centre_reports_each_of_its_parts(site: Site) -> None:
    """Every part has a heartbeat, and a part that is down has a problem and its fix."""
    site.noc("register", "import", str(csv_of(site.layout.config, GOOD)), "--apply")
    site.noc("provision")
    with closing(Service(load(site.layout.config / "noc.toml"))) as census:
        census.minute(time.time_ns())
    path = site.layout.config / "noc.toml"
    # This machine may have a full disk.
    path.write_text(path.read_text().replace("[health]", "[health]\ndisk_share = 0.99"))
    (result,) = [Centre(path).run("health")]
    assert "!! backup keys: the backups have no configuration" in result.stdout
    site.noc("ca", "recovery", str(site.device / "recovery.pem"))
    site.noc("backup")
    parts = json.loads(site.noc("health", "--write", "--json"))
    assert {part["part"]: part["ok"] for part in parts} == {
        "gateway": 1,
        "collector": 1,
        "rollup": 1,
        "census": 1,
        "enrolment": 1,
        "certificate": 1,
        "disk": 1,
        "backup": 1,
    }
    names = [part["name"] for part in parts if part["part"] == "certificate"]
    assert names == ["served", "ca", "next", "server"]
    rows = site.database("qos-rollup").query("SELECT ok FROM platform")
    assert len(rows) == len(parts)
    gateway = f'gateway = "https://localhost:{free_port("127.0.0.1")}"'
    path.write_text(path.read_text().replace("[health]", f"[health]\n{gateway}"))
    result = Centre(path).run("health")
    assert result.returncode == 1
    problems = [line for line in result.stdout.splitlines() if line.startswith("!!")]
    assert [line.split()[1] for line in problems] == ["gateway"]
    assert all("Fix: " in line for line in problems)


def test_a_centre_that_burned_is_restored_on_a_new_machine(
    prepared_site: Site, influxd_program: Influxd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Backups and the recovery key are enough: devices deliver without a visit."""
    site, layout = prepared_site, prepared_site.layout
    # `influxd` is on the path of a centre.
    tools = site.device / "bin"
    tools.mkdir()
    (tools / "influxd").symlink_to(influxd_program.path)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    grafana = site.device / "grafana.db"
    with closing(sqlite3.connect(grafana)) as database:
        database.execute("CREATE TABLE user (name)")
        database.execute("INSERT INTO user VALUES ('sari')")
        database.commit()
    path = layout.config / "noc.toml"
    path.write_text(
        path.read_text().replace("/var/lib/grafana/grafana.db", str(grafana))
    )
    station = GOOD["station"]
    now_ns = time.time_ns()
    point = f"agent,province=31,regency=3171,station={station} beats=1i {{}}"
    with running(site, influxd_program):
        site.noc("register", "import", str(csv_of(site.device, GOOD)), "--apply")
        site.noc("provision")
        token, identity = _enrolled(site, station)
        front = Gateway(layout, identity)
        recovery = site.device / "recovery.pem"
        site.noc("ca", "recovery", str(recovery))
        site.noc("config", "publish")
        assert front.write(point.format(now_ns), token) == 204
        site.noc("backup")
        assert front.write(point.format(now_ns + 1), token) == 204
        site.noc("backup")
        before = _counts(site)
    for folder in (layout.config, layout.state, layout.influxdb, layout.published):
        shutil.rmtree(folder)
    grafana.unlink()
    newest = max(layout.backups.glob("centre-*.tar.gz"))
    chain = str(layout.backups / "influxdb")
    site.noc(
        *("restore", str(newest), "--apply", "--influxdb", chain),
        *("--recovery-key", str(recovery)),
    )
    assert (layout.config / "admin.token").stat().st_mode & 0o777 == 0o600
    with running(site, influxd_program):
        assert _counts(site) == before
        assert front.write(point.format(now_ns + 2), token) == 204
    with closing(sqlite3.connect(grafana)) as database:
        assert database.execute("SELECT name FROM user").fetchall() == [("sari",)]


def _enrolled(site: Site, station: str) -> tuple[str, tuple[Path, Path]]:
    """Enrol the device, and return its token and its certificate with the key."""
    centre = site.layout.devices_url("localhost")
    authority = str(site.layout.authority.trusted)
    command = ("enrol", site.code(station), "--centre", centre, "--ca-file", authority)
    site.agent(*command)
    collector = tomllib.loads((site.device / "agent.toml").read_text())["collector"]
    token = (site.device / "collector.token").read_text().strip()
    identity = Path(collector["client_cert_file"]), Path(collector["client_key_file"])
    return token, identity


def _counts(site: Site) -> dict[str, object]:
    """Return numbers of points, accounts, stations, keys, and the version."""
    raw = site.database("qos")
    counts: dict[str, object] = {
        "points": raw.query("SELECT count(beats) FROM agent"),
        "users": len(raw.query("SHOW USERS")),
        "stations": site.noc("register", "count"),
        "issues": site.noc("provision", "--show"),
        "keys": site.noc("register", "keys", GOOD["station"]),
        "ca": site.noc("ca", "show"),
        "remote": site.noc("config", "show"),
    }
    return counts
