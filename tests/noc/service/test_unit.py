"""The census's unit and its sample configuration are what the program takes."""

from __future__ import annotations

import configparser
import shlex
import shutil
import subprocess
from pathlib import Path

from qos_agent.noc.settings import load
from tests.support.requirement import require

FOLDER = Path(__file__).parents[3] / "deploy" / "systemd"
UNIT = FOLDER / "qos-agent-census.service"
CREDENTIALS = "/run/credentials/qos-agent-census.service"


def unit() -> configparser.RawConfigParser:
    """The unit; of a key that stands twice the last one."""
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return parser


def credentials() -> set[str]:
    """The names under which systemd hands secrets over."""
    lines = UNIT.read_text().splitlines()
    given = [line for line in lines if line.startswith("LoadCredential=")]
    return {line.removeprefix("LoadCredential=").split(":")[0] for line in given}


def test_the_sample_configuration_loads(tmp_path: Path) -> None:
    """Every key is known; the folder is the unit's; the tokens are its credentials."""
    text = (FOLDER / "noc.toml").read_text()
    named = {line.rpartition("/")[2].strip('"') for line in text.splitlines()
             if CREDENTIALS in line}  # fmt: skip
    assert named == credentials() == {"collector.token", "rollup.token"}
    for name in named:
        (tmp_path / name).write_text("secret")
    path = tmp_path / "noc.toml"
    path.write_text(text.replace(CREDENTIALS, str(tmp_path)))
    settings = load(path)
    state = unit()["Service"]["StateDirectory"]
    assert settings.folder == Path("/var/lib") / state
    assert settings.collectors[0].current_token() == "secret"
    assert settings.rollup.bucket != settings.collectors[0].bucket


def test_the_unit_starts_what_there_is() -> None:
    """The command and its option exist; it reads what is installed."""
    from typer.testing import CliRunner

    from qos_agent.cli.noc import app

    program, *arguments = shlex.split(unit()["Service"]["ExecStart"])
    assert Path(program).name == "qos-agent"
    assert arguments[:2] == ["noc", "census"]
    assert arguments[2:] == ["--config", "/etc/qos-agent/noc.toml"]
    said = CliRunner().invoke(app, ["census", "--help"]).output
    assert "--config" in said


def test_systemd_finds_no_fault(tmp_path: Path) -> None:
    """`systemd-analyze verify` is silent, but for the program that is not installed."""
    require(
        shutil.which("systemd-analyze") is not None,
        "systemd-analyze",
        "apt-get install systemd",
    )
    copy = tmp_path / UNIT.name
    installed = unit()["Service"]["ExecStart"].split()[0]
    copy.write_text(UNIT.read_text().replace(installed, "/bin/true"))
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert [line for line in found.stderr.splitlines() if UNIT.name in line] == []
