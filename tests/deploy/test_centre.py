"""A whole centre as processes, from the files of `noc setup` alone.

The same files configure the systemd units and the containers. A device enrols and
delivers through the gateway, and the census and the witness see it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from qos_agent.noc.installation.databases import create_databases
from qos_agent.noc.installation.layout import Layout
from qos_agent.noc.provision.vault import Codes, Vault
from qos_agent.noc.service.service import Service
from qos_agent.noc.settings import load
from tests.deploy.centres import Gateway, gateway, prepared
from tests.noc.commands import ROOT
from tests.noc.provision.centres import ledger_of
from tests.noc.register.registers import GOOD, OTHER, csv_of
from tests.servers.database import Database
from tests.servers.influxd import Influxd
from tests.support.waiting import eventually

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
def site(influxd_program: Influxd, tmp_path: Path) -> Iterator[Site]:
    """Start InfluxDB, the endpoint and the gateway, with certificates of devices."""
    layout = prepared(tmp_path, certificates=True)
    site = Site(layout, tmp_path / "device")
    site.device.mkdir()
    (layout.config / "common.toml").write_text(_COMMON)
    path = layout.config / "noc.toml"
    common = f'[provision]\ncommon = "{layout.config}/common.toml"'
    path.write_text(path.read_text().replace("[provision]", common))
    with ExitStack() as started:
        configuration = layout.config / "influxdb.conf"
        command = [str(influxd_program.path), "run", "-config", str(configuration)]
        _start(started, command)
        eventually(lambda: _answers(site.database("qos")), 30)
        create_databases(layout)
        noc = [sys.executable, "-m", "qos_agent", "noc", "enrolment", "-c"]
        _start(started, [*noc, str(layout.config / "enrolment.toml")])
        started.enter_context(gateway(layout))
        yield site


def _start(started: ExitStack, command: list[str]) -> None:
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    started.callback(process.wait, 20)
    started.callback(process.terminate)


def _answers(database: Database) -> bool:
    try:
        return bool(database.version())
    except OSError:
        return False


def test_a_device_delivers_through_a_new_centre(site: Site, tmp_path: Path) -> None:
    """From the register to the census, with a certificate for the device."""
    station = GOOD["station"]
    stations = csv_of(site.layout.config, GOOD, OTHER)
    site.noc("register", "import", str(stations), "--apply")
    assert site.noc("provision") == "issued: 2 station(s)\n"
    site.agent(
        "enrol",
        site.code(station),
        "--centre",
        site.layout.devices_url("localhost"),
        "--ca-file",
        str(site.layout.authority.trusted),
    )
    config = tomllib.loads((site.device / "agent.toml").read_text())
    assert config["collector"]["client_cert_file"]
    summary = site.agent("run", "--for", "6s", "--without", "throughput")
    assert "sent 0 points" not in summary
    (row,) = site.database("qos").query("SELECT count(seq) FROM host")
    assert row["count"] > 0
    collector = config["collector"]
    token = (site.device / "collector.token").read_text().strip()
    identity = Path(collector["client_cert_file"]), Path(collector["client_key_file"])
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
