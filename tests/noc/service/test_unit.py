"""The systemd unit of the census and its sample configuration fit the program."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qos_agent.cli.noc import app
from qos_agent.noc.service.witness import CREDENTIAL
from qos_agent.noc.settings import NocSettings, load
from tests.support.requirement import require

FOLDER = Path(__file__).parents[3] / "deploy" / "systemd"
UNIT = FOLDER / "qos-agent-census.service"


def unit() -> configparser.RawConfigParser:
    """Return the unit; of a repeated key only the last value."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return parser


def credentials() -> set[str]:
    """Return the names of the secrets that systemd passes to the program."""
    lines = UNIT.read_text().splitlines()
    prefix = "LoadCredential="
    values = [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]
    return {value.split(":")[0] for value in values}


def test_the_sample_configuration_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its keys are known, its folder is the unit's, its tokens are credentials."""
    path = FOLDER / "noc.toml"
    names = set(re.findall(r"/etc/qos-agent/([a-z-]+\.token)", path.read_text()))
    assert names <= credentials()
    assert {"collector.token", "rollup.token"} <= credentials(), "earlier versions"
    settings = _loaded_by_a_service(path, names, tmp_path, monkeypatch)
    state = unit()["Service"]["StateDirectory"]
    assert settings.folder == Path("/var/lib") / state
    assert settings.collectors[0].current_token() == "secret"
    assert settings.rollup.bucket != settings.collectors[0].bucket


def _loaded_by_a_service(
    path: Path, names: set[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> NocSettings:
    for name in names:
        (folder / name).write_text("secret")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    return load(path)


def test_the_unit_starts_an_existing_command() -> None:
    """The command and its option exist, and it reads the installed file."""
    program, *arguments = shlex.split(unit()["Service"]["ExecStart"])
    assert Path(program).name == "qos-agent"
    assert arguments[:2] == ["noc", "census"]
    assert arguments[2:] == ["--config", "/etc/qos-agent/noc.toml"]
    output = CliRunner().invoke(app, ["census", "--help"]).output
    assert "--config" in output


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """`systemd-analyze verify` reports nothing; the program is not installed here."""
    require(
        shutil.which("systemd-analyze") is not None,
        "systemd-analyze",
        "apt-get install systemd",
    )
    copy = tmp_path / UNIT.name
    installed = unit()["Service"]["ExecStart"].split()[0]
    copy.write_text(UNIT.read_text().replace(installed, "/bin/true"))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line for line in verified.stderr.splitlines() if UNIT.name in line] == []


def test_the_unit_and_the_sample_of_the_witness_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs `noc witness` as the user of the census, with the key as a credential."""
    path = FOLDER / "qos-agent-witness.service"
    lines = path.read_text().splitlines()
    assert {"User=qos-agent-census", "StateDirectory=qos-agent-census"} <= set(lines)
    command = "noc witness --config /etc/qos-agent/witness.toml"
    assert f"ExecStart=/usr/bin/qos-agent {command}" in lines
    given = [line for line in lines if line.startswith("LoadCredential=")]
    names = {line.partition("=")[2].split(":")[0] for line in given}
    assert names >= {"collector-read.token", "rollup-write.token", CREDENTIAL}
    sample = FOLDER / "witness.toml"
    settings = _loaded_by_a_service(sample, names, tmp_path, monkeypatch)
    assert settings.rollup.current_token() == "secret"
    assert settings.folder == Path("/var/lib/qos-agent-census")


def test_the_unit_and_the_sample_of_the_endpoint_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs `noc enrolment` as the user of the census, with the key of the centre."""
    path = FOLDER / "qos-agent-enrolment.service"
    lines = path.read_text().splitlines()
    assert {"User=qos-agent-census", "StateDirectory=qos-agent-census"} <= set(lines)
    command = "noc enrolment --config /etc/qos-agent/enrolment.toml"
    assert f"ExecStart=/usr/bin/qos-agent {command}" in lines
    assert "LoadCredential=centre-key.pem:/etc/qos-agent/centre-key.pem" in lines
    (tmp_path / "centre-key.pem").write_text("key")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    settings = load(FOLDER / "enrolment.toml")
    assert settings.folder == Path("/var/lib/qos-agent-census")
    assert settings.provision.key_file == tmp_path / "centre-key.pem"
