"""The doctor finds what is missing and names the command that mends it."""

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
from qos_agent.system.clock import system_clock
from tests.lab.fixtures import MakeLab
from tests.lab.network import Lab
from tests.lab.shape import Shape


def _checks(folder: Path, text: str = "") -> dict[str, Check]:
    path = folder / "agent.toml"
    path.write_text(f'[journal]\nfolder = "{folder}/journal"\n{text}')
    settings = load(Sources(path, {}, None), PROBES).settings
    return {check.name: check for check in diagnose(settings, system_clock())}


def _doctor(net: Lab, folder: Path) -> tuple[int, dict[str, dict[str, str]]]:
    """What the command finds inside the laboratory's client."""
    journal = f"QOS_AGENT_JOURNAL__FOLDER={folder}"
    command = ["env", journal, sys.executable, "-m", "qos_agent", "doctor", "--json"]
    got = net.run(command, check=False)
    return got.returncode, {each["name"]: each for each in json.loads(got.stdout)}


def test_in_a_working_network_all_is_well(lab: MakeLab, tmp_path: Path) -> None:
    """Gateway, resolver and link are found; only what is absent is reported."""
    net = lab(Shape())
    net.dns({"a.root-servers.net": ["198.41.0.4"]})
    status, found = _doctor(net, tmp_path)
    assert status == 0, found
    assert found["gateway default"]["result"].startswith("10.77.2.1 through")
    assert found["names default"]["result"].endswith("returned 198.41.0.4")


def test_without_a_network_each_fault_has_its_mend(
    lab: MakeLab, tmp_path: Path
) -> None:
    """No route, no resolver, no collector: each bad, each with a command."""
    net = lab(Shape(ipv6=False))
    net.run(["ip", "route", "del", "default"])
    status, found = _doctor(net, tmp_path)
    assert status == 1
    for name in ("gateway default", "binding default", "names default"):
        assert found[name]["health"] == "bad", name
        assert found[name]["fix"]
    assert found["collector"]["health"] == "degraded"


def test_a_collector_that_does_not_answer_is_bad(tmp_path: Path) -> None:
    """A closed port is said with the address that was tried."""
    found = _checks(tmp_path, '[collector]\nurl = "http://127.0.0.1:9"\n')
    assert found["collector"].health == Health.BAD
    assert "http://127.0.0.1:9" in found["collector"].result


def test_a_missing_interface_is_named(tmp_path: Path) -> None:
    """A link that names an interface which is not there is bad."""
    text = '[[links]]\nname = "main"\ninterface = "nonesuch0"\n'
    found = _checks(tmp_path, text)
    assert found["binding main"].health == Health.BAD
    assert found["binding main"].fix == "ip link show nonesuch0"


@pytest.mark.parametrize("language", ["en", "id"])
def test_the_doctor_speaks_the_technicians_language(
    tmp_path: Path, language: str
) -> None:
    """The command prints in the locale's language and exits with 1 on a fault."""
    environment = {
        "LC_ALL": f"{language}_XX.UTF-8",
        "QOS_AGENT_COLLECTOR__URL": "http://127.0.0.1:9",
        "QOS_AGENT_JOURNAL__FOLDER": str(tmp_path),
    }
    command = ["unshare", "--net", sys.executable, "-m", "qos_agent", "doctor"]
    got = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    )
    assert got.returncode == 1
    assert ("perbaikan:" if language == "id" else "fix:") in got.stdout


@pytest.mark.parametrize(
    ("backends", "want"),
    [('"iperf3"', Health.BAD), ('"http", "iperf3"', Health.DEGRADED),
     ('"http"', Health.OK)],
)  # fmt: skip
def test_throughput_names_its_terms_and_what_is_missing(
    backends: str, want: Health, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The licence of each backend is told; iperf3 that is not there has its mend."""
    monkeypatch.setenv("PATH", str(tmp_path))
    servers = 'server = "http://server.test"\niperf3_server = "server.test"\n'
    text = f"[throughput]\n{servers}backends = [{backends}]\n"
    check = _checks(tmp_path, text)["throughput default"]
    assert check.health == want
    assert "one's own" in check.result
    assert check.fix == ("" if want == Health.OK else "sudo apt-get install iperf3")
