"""The doctor reports what is missing and the command that fixes it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from qos_agent.agent.doctor import Check, Health, diagnose
from qos_agent.config.loading import load
from qos_agent.config.sources import Sources
from qos_agent.probes.registry import PROBES
from qos_agent.probes.throughput import BACKENDS
from qos_agent.system import network
from qos_agent.system.clock import system_clock
from tests.lab.fixtures import CAP_SYS_ADMIN, MakeLab, has_capability
from tests.lab.network import CLIENT, CLIENT_IPV6, Lab
from tests.lab.shape import Shape
from tests.support.requirement import require


def _checks(folder: Path, text: str = "") -> dict[str, Check]:
    path = folder / "agent.toml"
    path.write_text(f'[journal]\nfolder = "{folder}/journal"\n{text}')
    settings = load(Sources(path, {}, None), PROBES).settings
    return {check.name: check for check in diagnose(settings, system_clock())}


def _doctor(net: Lab, folder: Path) -> tuple[int, dict[str, dict[str, str]]]:
    """Run the command in the laboratory's client; return exit status and checks."""
    journal = f"QOS_AGENT_JOURNAL__FOLDER={folder}"
    command = ["env", journal, sys.executable, "-m", "qos_agent", "doctor", "--json"]
    process = net.run(command, check=False)
    checks = json.loads(process.stdout)
    return process.returncode, {check["name"]: check for check in checks}


def test_a_working_network_passes_all_checks(lab: MakeLab, tmp_path: Path) -> None:
    """The checks of gateway, resolver and link pass."""
    net = lab(Shape())
    net.dns({"a.root-servers.net": ["198.41.0.4"]})
    status, checks = _doctor(net, tmp_path)
    assert status == 0, checks
    assert checks["gateway default"]["result"].startswith("10.77.2.1 through")
    assert checks["names default"]["result"].endswith("returned 198.41.0.4")


@pytest.mark.parametrize("source", [CLIENT, CLIENT_IPV6])
def test_a_link_by_source_address_is_bound(
    lab: MakeLab, tmp_path: Path, source: str
) -> None:
    """The check binds in the IP version of the address, as the probes do."""
    net = lab(Shape())
    file = tmp_path / "agent.toml"
    journal = f'[journal]\nfolder = "{tmp_path}/journal"\n'
    link = f'[[links]]\nname = "main"\nsource_address = "{source}"\n'
    file.write_text(journal + link)
    command = [sys.executable, "-m", "qos_agent", "doctor", "--json", "--config"]
    output = net.run([*command, str(file)], check=False).stdout
    checks = {check["name"]: check for check in json.loads(output)}
    assert checks["binding main"]["health"] == "ok", checks["binding main"]


def test_without_a_network_each_problem_has_a_fix(lab: MakeLab, tmp_path: Path) -> None:
    """Each failed check has a command."""
    net = lab(Shape(ipv6=False))
    net.run(["ip", "route", "del", "default"])
    status, checks = _doctor(net, tmp_path)
    assert status == 1
    for name in ("gateway default", "binding default", "names default"):
        assert checks[name]["health"] == "bad", name
        assert checks[name]["fix"]
    assert checks["collector"]["health"] == "degraded"


def test_an_unreachable_collector_is_bad(tmp_path: Path) -> None:
    """The result has the URL with the closed port."""
    checks = _checks(tmp_path, '[collector]\nurl = "http://127.0.0.1:9"\n')
    assert checks["collector"].health == Health.BAD
    assert "http://127.0.0.1:9" in checks["collector"].result


@pytest.mark.parametrize(
    ("insecure", "health", "text"),
    [
        ("false", Health.BAD, "delivery waits"),
        ("true", Health.DEGRADED, "sent over plain HTTP"),
    ],
)
def test_a_token_over_plain_http_is_reported(
    insecure: str, health: Health, text: str, tmp_path: Path
) -> None:
    """The fix names the setting, and the user name of the URL stays hidden."""
    values = f'url = "http://bob@192.0.2.7"\ntoken = "x"\ninsecure = {insecure}\n'
    check = _checks(tmp_path, f"[collector]\n{values}")["collector"]
    assert check.health == health
    assert text in check.result
    assert "set collector.url to https://" in check.fix
    assert "bob" not in check.result + check.fix


def test_a_missing_interface_is_named(tmp_path: Path) -> None:
    """The check of a link with a missing interface is bad."""
    text = '[[links]]\nname = "main"\ninterface = "nonesuch0"\n'
    checks = _checks(tmp_path, text)
    assert checks["binding main"].health == Health.BAD
    assert checks["binding main"].fix == "ip link show nonesuch0"


@pytest.mark.parametrize("language", ["en", "id"])
def test_the_doctor_prints_in_the_language_of_the_locale(
    tmp_path: Path, language: str
) -> None:
    """The command prints in English or Indonesian and exits with 1 on a problem."""
    require(
        has_capability(CAP_SYS_ADMIN), "the right to create a namespace", "run as root"
    )
    environment = {
        "LC_ALL": f"{language}_XX.UTF-8",
        "QOS_AGENT_COLLECTOR__URL": "http://127.0.0.1:9",
        "QOS_AGENT_JOURNAL__FOLDER": str(tmp_path),
    }
    command = ["unshare", "--net", sys.executable, "-m", "qos_agent", "doctor"]
    process = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    )
    assert process.returncode == 1
    assert ("perbaikan:" if language == "id" else "fix:") in process.stdout


@pytest.mark.parametrize(
    ("backends", "health"),
    [
        ('"iperf3"', Health.BAD),
        ('"http", "iperf3"', Health.DEGRADED),
        ('"http"', Health.OK),
    ],
)
def test_throughput_reports_licences_and_missing_programs(
    backends: str, health: Health, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The result has each backend's licence, and a missing iperf3 has a fix."""
    monkeypatch.setenv("PATH", str(tmp_path))
    servers = 'server = "http://server.test"\niperf3_server = "server.test"\n'
    text = f"[throughput]\n{servers}backends = [{backends}]\n"
    check = _checks(tmp_path, text)["throughput default"]
    assert check.health == health
    for backend in json.loads(f"[{backends}]"):
        assert BACKENDS[backend].licence in check.result
    assert check.fix == ("" if health == Health.OK else "sudo apt-get install iperf3")


def test_a_check_that_raises_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exception is the result of its check."""

    def fail() -> None:
        raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")

    monkeypatch.setattr(network, "resolvers_of", fail)
    checks = _checks(tmp_path)
    assert checks["names default"].health == Health.BAD
    assert "bug" in checks["names default"].text
    assert list(checks)[-1] == "disk"
