"""Centre and device of the package: the service of the endpoint, and enrolment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qos_agent.evidence import enrolment_file, keys
from qos_agent.evidence.enrolment_file import EnrolmentFile
from qos_agent.noc.backup import backup
from qos_agent.noc.provision.vault import KEY_NAME, Codes, Vault
from tests.deploy.container import Container
from tests.deploy.device import Device
from tests.noc.provision.endpoints import ONE, Issuer
from tests.support.waiting import eventually

pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("device")]

FOLDER = "/var/lib/qos-agent-census"
SAMPLE = Path(__file__).parents[2] / "deploy/systemd/enrolment.toml"
URL = "http://127.0.0.1:8079"
PENDING = "/etc/qos-agent/enrolment-pending.json"


def _centre(container: Container, folder: Path, issuer: Issuer) -> None:
    """Restore a centre with these issues on a new machine, and start its endpoint."""
    issuer.keys().close()
    backup(folder, folder / "centre.tar.gz")
    container.copy(folder / "centre.tar.gz", "/media/centre.tar.gz")
    # A command outside of the service cannot read the key of its credential.
    container.write("/root/noc.toml", f'folder = "{FOLDER}"\n')
    restore = ("qos-agent", "noc", "restore", "/media/centre.tar.gz", "--apply")
    container.run(*restore, "-c", "/root/noc.toml")
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
    command = ("qos-agent", "enrol", code, "--centre", URL, "--json")
    result = json.loads(container.output(*command))
    assert (result["station"], result["service"]) == (ONE, "started")
    shown = ("qos-agent", "noc", "register", "keys", ONE, "-c", "/root/noc.toml")
    (key,) = json.loads(container.output(*shown, "--json"))
    assert key["fingerprint"] == result["fingerprint"]
    container.run("systemctl", "is-active", "qos-agent")
    owner = ("stat", "-c", "%U", "/var/lib/qos-agent/device-key.pem")
    assert container.output(*owner) == "qos-agent\n"
    log = container.log()
    assert code not in log
    assert f"st-{ONE}:secret" not in log


def test_a_device_from_a_stick_enrols_when_the_centre_can_be_reached(
    installed_device: Device, tmp_path: Path
) -> None:
    """The agent measures without a token, and the service completes the enrolment."""
    container = installed_device.container
    issuer = Issuer(tmp_path)
    issuer.issue(ONE)
    fingerprint = _plug_in(container, tmp_path, issuer)
    command = ("qos-agent", "enrol", "--stick", "/media", "--fingerprint", fingerprint)
    result = json.loads(container.output(*command, "--json"))
    assert result["service"] == "started"
    assert (container.root / f"media/{ONE}.request").exists()
    before = _show(container, "qos-agent", "InvocationID")
    assert (container.root / PENDING[1:]).exists()
    _centre(container, tmp_path, issuer)
    # Its next attempt would be up to two minutes later.
    container.run("systemctl", "restart", "qos-agent-enrol")
    eventually(lambda: not (container.root / PENDING[1:]).exists())
    token = container.root / "etc/qos-agent/collector.token"
    assert token.read_text() == f"st-{ONE}:secret-1\n"
    eventually(lambda: _show(container, "qos-agent", "InvocationID") != before)
    container.run("systemctl", "restart", "qos-agent-enrol")
    assert _show(container, "qos-agent-enrol", "ActiveState") == "inactive"


def _show(container: Container, unit: str, key: str) -> str:
    return container.output("systemctl", "show", unit, "-P", key).strip()


def _plug_in(container: Container, folder: Path, issuer: Issuer) -> str:
    """Put the station's enrolment file on a stick; return the centre's fingerprint."""
    ledger = issuer.ledger()
    codes = Codes.of(ledger, Vault.of(folder / KEY_NAME))
    secret = codes.stick_secret(ONE, 1)
    config = ledger.allow_stick(ledger.issues(ONE)[0].id, codes.hash(secret))
    ledger.close()
    assert config is not None
    signer = keys.create_key(folder / "signing.pem")
    file = EnrolmentFile(ONE, secret, URL, config)
    path = folder / f"{ONE}.enrol"
    path.write_bytes(enrolment_file.signed(file, signer))
    container.copy(path, f"/media/{path.name}")
    return signer.public_key.fingerprint
