"""The compose file and the units of a centre: structure, limits and secrets.

No container engine and no Grafana run here. `test_centre` starts the same parts as
processes from the same files, and `test_noc_machine` starts the units.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.packages.tree import _grouped
from deploy.packages.wheels import ROOT
from qos_agent.noc.installation import writing
from qos_agent.noc.installation.layout import Layout, Ports
from tests.deploy.test_demo import NEEDED
from tests.support.requirement import require

FOLDER = Path(__file__).parents[2] / "deploy/noc"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
UNITS = sorted((FOLDER / "systemd").glob("*.service"))
# nginx binds port 443 and changes its user; the others need the files of other users.
EXPOSURE = {"qos-gateway.service": 26, "qos-influxdb.service": 15}
ONCE = {"setup", "databases"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_limited(name: str) -> None:
    """Memory, processes, log files and rights have a limit, and it starts again."""
    service = SERVICES[name]
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"]
    assert name in ONCE or service["restart"] == "always"
    assert "healthcheck" in service
    assert "privileged" not in service
    # One network for all: the files have the same addresses as with systemd.
    assert service["network_mode"] == "host"
    assert "ports" not in service


def test_images_have_versions() -> None:
    """A newer image never starts by itself."""
    text = (FOLDER / "Dockerfile").read_text()
    images = [s["image"] for s in SERVICES.values() if "build" not in s]
    images += re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    for image in images:
        assert re.fullmatch(r"docker\.io/[a-z-]+/[a-z-]+:[a-z]*-?\d[\w.-]*", image), (
            image
        )


def test_secrets_come_from_files() -> None:
    """No value of an environment variable is a secret, and each secret is a file."""
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            assert (name, value) in {
                ("CREDENTIALS_DIRECTORY", "/run/secrets"),
                ("CREDENTIALS_DIRECTORY", ""),
            }
    used = {
        secret["source"]
        for service in SERVICES.values()
        for secret in service.get("secrets", ())
    }
    assert used == COMPOSE["secrets"].keys()
    assert all(value.keys() == {"file"} for value in COMPOSE["secrets"].values())


def test_every_file_of_the_containers_is_written_by_setup(tmp_path: Path) -> None:
    """A missing file would be created as a folder by the container engine."""
    layout = Layout(
        config=tmp_path / "etc",
        state=tmp_path / "state",
        published=tmp_path / "pub",
        source=tmp_path / "source",
    )
    writing.write(layout, ["collector.example.id"], certificates=True)
    mounted = [
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", ())
    ]
    mounted += [secret["file"] for secret in COMPOSE["secrets"].values()]
    mounted += [s["env_file"] for s in SERVICES.values() if "env_file" in s]
    files = [name for name in mounted if name.startswith("/etc/qos-agent/")]
    assert len(files) > 10
    for name in files:
        assert (layout.config / Path(name).relative_to("/etc/qos-agent")).exists(), name
    for name in (name for name in mounted if name.startswith("../../")):
        assert (FOLDER / name).exists(), name


def test_grafana_has_all_variables_and_files_of_its_provisioning(
    tmp_path: Path,
) -> None:
    """It does not start if a variable is missing; boards come with the package."""
    layout = Layout(
        config=tmp_path / "etc",
        state=tmp_path / "state",
        published=tmp_path / "pub",
        source=tmp_path / "source",
    )
    writing.write(layout, ["collector.example.id"])
    lines = (layout.config / "grafana.env").read_text().splitlines()
    names = {line.partition("=")[0] for line in lines}
    assert names >= NEEDED
    assert all(line.partition("=")[2] for line in lines if not line.startswith("#"))
    installed = {name for name, _ in _grouped()}
    for path in (ROOT / "grafana/provisioning").rglob("*.yaml"):
        name = path.relative_to(ROOT)
        assert f"usr/share/qos-agent/{name}" in installed
    drop_in = (FOLDER / "systemd/noc-grafana.conf").read_text()
    for folder in re.findall(r"/(usr/share/qos-agent/grafana/\w+)", drop_in):
        assert any(name.startswith(f"{folder}/") for name in installed), folder


def test_containers_and_units_run_the_same_commands() -> None:
    """A container runs the command that is tested with systemd."""
    for name in ("census", "witness", "enrolment"):
        unit = FOLDER.parent / f"systemd/qos-agent-{name}.service"
        command = " ".join(SERVICES[name]["command"])
        assert f"ExecStart=/usr/bin/qos-agent noc {command}\n" in unit.read_text()
    for name, service in (
        ("qos-noc-backup", "backup"),
        ("qos-noc-health", "health"),
        ("qos-noc-certificates", "certificates"),
        ("qos-noc-rollout", "rollout"),
        ("qos-noc-renewal", "renewal"),
    ):
        text = (FOLDER / f"systemd/{name}.service").read_text()
        (command,) = re.findall(r"^ExecStart=/usr/bin/(.*)$", text, re.MULTILINE)
        assert command in SERVICES[service]["entrypoint"][-1]
    influxdb = (FOLDER / "systemd/qos-influxdb.service").read_text()
    assert " ".join(SERVICES["influxdb-1.8"]["entrypoint"]) in influxdb
    ports = str(Ports())
    for number in re.findall(r"127\.0\.0\.1[:/'\", ]+(\d{4})", str(SERVICES)):
        assert number in ports


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """`systemd-analyze verify` reports nothing about them."""
    require(
        shutil.which("systemd-analyze") is not None,
        "systemd-analyze",
        "apt-get install systemd",
    )
    for path in FOLDER.glob("systemd/*.*"):
        text = re.sub(
            r"^(Exec\w+=[+]?)\S+", r"\1/bin/true", path.read_text(), flags=re.M
        )
        (tmp_path / path.name).write_text(text)
    for pattern in ("*.service", "*.timer", "*.target"):
        for path in tmp_path.glob(pattern):
            verified = subprocess.run(
                ["systemd-analyze", "verify", "--man=no", str(path)],
                capture_output=True,
                text=True,
                check=False,
            )
            lines = verified.stderr.splitlines()
            assert [line for line in lines if path.name in line] == []


@pytest.mark.parametrize("path", UNITS, ids=lambda p: p.name)
def test_a_unit_is_confined_and_limited(path: Path) -> None:
    """Exposure, memory and restarts have a limit."""
    threshold = EXPOSURE.get(path.name, 20)
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager"]
    result = subprocess.run(
        [*command, f"--threshold={threshold}", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout.splitlines()[-1]
    text = path.read_text()
    # The kernel ends the other services before InfluxDB.
    assert "MemoryMax=" in text or "OOMScoreAdjust=-500" in text
    assert "Restart=" in text or "Type=oneshot" in text


def test_the_package_has_the_units_and_the_target_starts_them() -> None:
    """Each unit is installed, and something starts it."""
    installed = {name for name, _ in _grouped()}
    target = (FOLDER / "systemd/qos-noc.target").read_text()
    for path in [*UNITS, *FOLDER.glob("systemd/*.timer")]:
        assert f"usr/lib/systemd/system/{path.name}" in installed
        timer = path.with_suffix(".timer")
        assert path.name in target or timer.exists(), path.name
    for name in ("noc-grafana.conf", "noc-certificates.conf"):
        assert f"usr/share/qos-agent/drop-ins/{name}" in installed
