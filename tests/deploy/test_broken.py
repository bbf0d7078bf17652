"""Ten situations that a technician meets, on one booted device.

Each test breaks one thing. The first bad line of the doctor must name it, and the
command of that line, run as it stands, must repair it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.container import Container
from tests.deploy.device import SETUP, STATION, Device, booted
from tests.lab.network import CLIENT, GATEWAY, SERVER
from tests.servers.front import Front
from tests.servers.influxd import Influxd
from tests.servers.influxdb import InfluxDB, Settings

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("device")]

DOCTOR = ("qos-agent", "doctor", "--json")
CONFIG = "/etc/qos-agent/agent.toml"
NETWORK = f"""
[Match]
Name=eth0
[Network]
Address={CLIENT}/24
Gateway={GATEWAY}
LinkLocalAddressing=no
IPv6AcceptRA=no
"""


@dataclass(frozen=True, slots=True)
class Station:
    """A device that measures and delivers, and what repairs need."""

    container: Container
    device: Device
    token: str

    def checks(self, *prefix: str) -> list[dict[str, str]]:
        """Return the results of the doctor as root."""
        command = ("sh", "-c", '"$@" 2>/dev/null', "-", *prefix, *DOCTOR)
        found = self.container.run(*command, check=False).stdout
        checks: list[dict[str, str]] = json.loads(found)
        return checks

    def first_bad(self, *prefix: str) -> dict[str, str]:
        """Return the first bad check."""
        return next(c for c in self.checks(*prefix) if c["health"] == "bad")

    def bad(self) -> list[str]:
        """Return the names of all bad checks."""
        return [c["name"] for c in self.checks() if c["health"] == "bad"]

    def repair(self, check: dict[str, str], stdin: str = "") -> None:
        """Run the command of a check, as a technician who is root."""
        command = check["fix"].replace("sudo ", "")
        self.container.run("sh", "-c", command, stdin=stdin)

    def edit(self, old: str, new: str) -> None:
        """Change the configuration."""
        text = self.container.output("cat", CONFIG)
        assert old in text
        self.container.write(CONFIG, text.replace(old, new))


@pytest.fixture(scope="module")
def station(
    installed: Path,
    influxd_program: Influxd,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Station]:
    """Return a device that passes all checks, with InfluxDB behind TLS."""
    folder = tmp_path_factory.mktemp("station")
    with booted(folder, installed) as device, ExitStack() as servers:
        namespace = device.lab.name("server")
        database = folder / "influxdb"
        server = InfluxDB(influxd_program, database, Settings(auth=True)).start()
        servers.callback(server.kill)
        tls = device.authority.server_context(names=(SERVER,))
        front = Front(server.url, address=SERVER, tls=tls, namespace=namespace).start()
        servers.callback(front.stop)
        container = device.container
        container.write("/etc/systemd/network/80-eth0.network", NETWORK)
        container.run("systemctl", "enable", "--now", "systemd-networkd")
        ready = Station(container, device, server.token)
        setup = [*SETUP]
        setup[setup.index("--collector") + 1] = front.url
        done = container.run(*setup, stdin=f"{server.token}\n", check=False)
        assert "\nACCEPTED\n" in done.stdout, done.stdout
        yield ready


def test_no_network(station: Station) -> None:
    """An interface that is down explains all that follows."""
    station.container.run("ip", "link", "set", "eth0", "down")
    checks = [c for c in station.checks() if c["health"] == "bad"]
    assert checks[0]["name"] == "binding main"
    causes = {c["name"]: c["cause"] for c in checks}
    assert causes["names main"] in {"binding main", "gateway main"}
    assert causes["collector"] == "binding main"
    station.repair(checks[0])
    _until_routed(station)
    assert station.bad() == []


def _until_routed(station: Station) -> None:
    wait = "for i in $(seq 100); do ip route | grep -q default && exit; sleep 0.1; done"
    station.container.run("sh", "-c", wait)


def test_no_dns(station: Station) -> None:
    """A resolver that does not answer is replaced in the file that names it."""
    station.container.write("/etc/resolv.conf", "nameserver 192.0.2.53\n")
    first = station.first_bad()
    assert first["name"] == "names main", first
    assert "192.0.2.53 (/etc/resolv.conf)" in first["result"]
    station.repair(first)
    assert station.bad() == []


@pytest.mark.parametrize(
    ("shift", "text"),
    [("+1500d", "the collector's certificate is not valid"), ("-900d", "in the past")],
)
def test_wrong_clock(station: Station, shift: str, text: str) -> None:
    """The clock explains the refused certificate; nothing can set it in a container."""
    moved = ("env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "faketime", "-f", shift)
    first = station.first_bad(*moved)
    assert first["name"] == "clock", first
    assert text in first["result"]
    assert first["fix"].startswith("sudo ")
    assert "timesyncd" in first["fix"]


def test_wrong_token(station: Station) -> None:
    """The command reads the new token and lets the service use it."""
    station.container.write("/etc/qos-agent/collector.token", "qos:wrong-password\n")
    first = station.first_bad()
    assert first["name"] == "collector", first
    assert "token not accepted" in first["result"]
    station.repair(first, stdin=f"{station.token}\n")
    assert station.bad() == []
    mode = station.container.output(
        "stat", "-c", "%a", "/etc/qos-agent/collector.token"
    )
    assert mode == "600\n"


def test_wrong_bucket(station: Station) -> None:
    """The command sets the only database of the server."""
    station.edit("[collector]\n", '[collector]\nbucket = "nonesuch"\n')
    first = station.first_bad()
    assert first["name"] == "collector", first
    assert "bucket or organisation not found" in first["result"]
    station.repair(first)
    assert 'bucket = "qos"' in station.container.output("cat", CONFIG)
    assert station.bad() == []


def test_tls_fault(station: Station) -> None:
    """The command reads the certificate of the authority and trusts it."""
    station.device.trust("")
    first = station.first_bad()
    assert first["name"] == "collector", first
    assert "tls_untrusted" in first["result"]
    station.repair(first, stdin=station.device.authority.file.read_text())
    assert station.bad() == []


def test_disk_full(station: Station) -> None:
    """The command frees what the package manager keeps."""
    free = "df --output=avail -B1 /var/lib/qos-agent | tail -1"
    free_bytes = int(station.container.output("sh", "-c", free))
    limit = f"[journal]\ndisk_reserve = '{free_bytes // 1000 - 20_000}kB'\n"
    station.edit("[collector]", f"{limit}[collector]")
    archive = "/var/cache/apt/archives/old_1_all.deb"
    station.container.run("fallocate", "-l", "40000000", archive)
    first = station.first_bad()
    assert first["name"] == "disk", first
    station.repair(first)
    assert station.bad() == []
    station.edit(limit, "")


def test_journal_damaged(station: Station) -> None:
    """A restart moves the damaged file aside and keeps what is readable."""
    run = station.container.run
    run("systemctl", "stop", "qos-agent")
    junk = "head -c 8192 /dev/urandom | dd conv=notrunc bs=4096 seek=1 of="
    run("sh", "-c", f"{junk}/var/lib/qos-agent/journal.sqlite3")
    first = station.first_bad()
    assert first["name"] == "journal", first
    assert first["result"].startswith("damaged: ")
    station.repair(first)
    assert station.bad() == []
    assert "damaged-" in station.container.output("ls", "/var/lib/qos-agent")


def test_journal_locked(station: Station) -> None:
    """The process that blocks the agent is named and ended."""
    script = (
        "import sqlite3, time\n"
        "file = '/var/lib/qos-agent/journal.sqlite3'\n"
        "db = sqlite3.connect(file, timeout=20)\n"
        "db.execute('BEGIN IMMEDIATE')\n"
        "print('locked', flush=True)\n"
        "time.sleep(1000)"
    )
    other = station.container.start("python3", "-c", script)
    assert other.stdout is not None
    assert other.stdout.readline() == b"locked\n"
    first = station.first_bad()
    assert first["name"] == "journal", first
    assert "locked by another process: python3" in first["result"]
    station.repair(first)
    assert station.bad() == []
    with other:
        other.kill()


def test_no_ping_permission(station: Station) -> None:
    """The command lasts, because it writes a file that is read at boot."""
    container = station.container
    setting = "/proc/sys/net/ipv4/ping_group_range"
    container.run("sh", "-c", f"echo 1 0 >{setting}")
    first = station.first_bad()
    assert first["name"] == "probes", first
    assert first["result"] == "qos-agent may not send pings"
    station.repair(first)
    assert station.bad() == []
    assert "2147483647" in container.output("cat", "/etc/sysctl.d/99-qos-agent.conf")


def test_interface_missing(station: Station) -> None:
    """An interface with another name is used after its command."""
    run = station.container.run
    _rename(station, "eth0", "wwan9")
    first = station.first_bad()
    assert first["name"] == "binding main", first
    assert "there is no interface eth0; this device has: wwan9" in first["result"]
    station.repair(first)
    assert "gateway main" not in station.bad()
    run("ip", "link", "set", "wwan9", "down")
    run("ip", "link", "set", "wwan9", "name", "eth0")
    # The program that configures interfaces knows this name.
    run("networkctl", "up", "eth0")
    run("networkctl", "reconfigure", "eth0")
    _until_routed(station)
    run("sed", "-i", "s/wwan9/eth0/", CONFIG)
    run("systemctl", "reload", "qos-agent")
    assert station.bad() == []


def _rename(station: Station, old: str, new: str) -> None:
    for line in (
        f"link set {old} down",
        f"link set {old} name {new}",
        f"link set {new} up",
        f"addr replace {CLIENT}/24 dev {new}",
        f"route replace default via {GATEWAY} dev {new}",
    ):
        station.container.run("ip", *line.split())


def test_modem_missing(station: Station) -> None:
    """The first bad line is the modem, not the network behind it."""
    modem = '[[signal.modems]]\nlink = "main"\n\n[collector]'
    station.edit("[collector]", modem)
    first = station.first_bad()
    assert first["name"] == "modem main", first
    assert "ModemManager" in first["fix"]
    station.edit(modem, "[collector]")


@pytest.mark.parametrize(
    "breaking", ["systemctl disable --now qos-agent", "systemctl mask --now qos-agent"]
)
def test_service_stopped(station: Station, breaking: str) -> None:
    """The service runs afterwards, and at the next boot."""
    station.container.run(*breaking.split(), check=False)
    first = station.first_bad()
    assert first["name"] == "service", first
    station.repair(first)
    assert station.bad() == []
    enabled = station.container.output("systemctl", "is-enabled", "qos-agent")
    assert enabled == "enabled\n"


def test_files_of_root_in_the_journal(station: Station) -> None:
    """Root may write them, and the service may not."""
    run = station.container.run
    run("systemctl", "stop", "qos-agent")
    run("sh", "-c", "chown root: /var/lib/qos-agent/journal.*")
    first = station.first_bad()
    assert first["name"] == "permissions", first
    assert "qos-agent cannot write" in first["result"]
    station.repair(first)
    assert station.bad() == []


def test_a_member_of_the_group_gets_no_false_alarm(station: Station) -> None:
    """The checks that need root are left to the agent's own results or to sudo."""
    station.container.run("useradd", "--groups", "qos-agent", "budi")
    checks = station.checks("runuser", "--user", "budi", "--")
    assert [c for c in checks if c["health"] == "bad"] == []
    (collector,) = [c for c in checks if c["name"] == "collector"]
    assert "this user may not read the token" in collector["result"]


def test_the_support_file_has_the_log_and_no_secret(station: Station) -> None:
    """On a device the token is in the credentials, the log and the environment."""
    run = station.container.run
    password = station.token.partition(":")[2]
    line = f"uplink: the server repeated {station.token} and {password}"
    run("systemd-run", "--wait", "--unit", "qos-agent-echo", "echo", line)
    run("systemd-cat", "--identifier", "qos-agent", "echo", line)
    done = run("qos-agent", "doctor", "--support", "/root/support.tar.gz")
    assert "Removed: " in done.stdout
    run("sh", "-c", "cd /root && tar xzf support.tar.gz")
    text = station.container.output("sh", "-c", "cat /root/qos-support/*")
    for secret in (station.token, password, STATION):
        assert secret not in text
    assert password not in done.stdout
    assert "Started qos-agent.service" in text
