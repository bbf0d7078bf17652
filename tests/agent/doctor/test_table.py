"""The doctor reports what is missing and the command that fixes it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab.fixtures import CAP_SYS_ADMIN, MakeLab, has_capability
from tests.lab.network import CLIENT, CLIENT_IPV6, Lab
from tests.lab.shape import Shape
from tests.support.requirement import require


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
    assert checks["collector"]["health"] == "warn"


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
