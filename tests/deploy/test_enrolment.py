"""Centre and device of the package: the service of the endpoint, and enrolment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qos_agent.noc.provision.ledger import FILE_NAME
from qos_agent.noc.provision.vault import KEY_NAME
from tests.deploy.container import Container
from tests.deploy.device import Device
from tests.noc.provision.endpoints import ONE, Issuer

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("device")]

FOLDER = "/var/lib/qos-agent-census"
SAMPLE = Path(__file__).parents[2] / "deploy/systemd/enrolment.toml"
CENTRE = ("--centre", "http://127.0.0.1:8079")


def _centre(container: Container, folder: Path, issuer: Issuer) -> None:
    """Install a centre with these issues, and start its endpoint."""
    issuer.keys().close()
    for name in (FILE_NAME, "register.sqlite3"):
        container.copy(folder / name, f"/var/lib/private/qos-agent-census/{name}")
    container.copy(folder / KEY_NAME, "/etc/qos-agent/centre-key.pem")
    container.run("chmod", "600", "/etc/qos-agent/centre-key.pem")
    container.write("/etc/qos-agent/enrolment.toml", SAMPLE.read_text())
    container.run("systemctl", "enable", "--now", "qos-agent-enrolment")


def test_a_device_enrols_at_the_service(
    installed_device: Device, tmp_path: Path
) -> None:
    """The unit writes ledger and register in its sandbox; the agent runs afterwards."""
    container = installed_device.container
    issuer = Issuer(tmp_path)
    code = issuer.issue(ONE)
    _centre(container, tmp_path, issuer)
    command = ("qos-agent", "enrol", code, *CENTRE, "--json")
    result = json.loads(container.output(*command))
    assert (result["station"], result["service"]) == (ONE, "started")
    # A command outside of the service cannot read the key of its credential.
    container.write("/root/noc.toml", f'folder = "{FOLDER}"\n')
    shown = ("qos-agent", "noc", "register", "keys", ONE, "-c", "/root/noc.toml")
    (key,) = json.loads(container.output(*shown, "--json"))
    assert key["fingerprint"] == result["fingerprint"]
    container.run("systemctl", "is-active", "qos-agent")
    owner = ("stat", "-c", "%U", "/var/lib/qos-agent/device-key.pem")
    assert container.output(*owner) == "qos-agent\n"
    log = container.output("journalctl", "--no-pager")
    assert code not in log
    assert f"st-{ONE}:secret" not in log
