"""`qos-agent enrol --self` creates and replaces the device key."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qos_agent.cli.enrol import PUBLIC_NAME
from qos_agent.cli.main import build
from qos_agent.evidence import keys
from qos_agent.model.errors import ConfigError, OperatorError
from qos_agent.noc.register.keys import read_keys


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return a configuration with its journal in the folder of the test."""
    path = tmp_path / "agent.toml"
    station = '[station]\nid = "S1"\nprovince = "31"\n'
    path.write_text(f'{station}[journal]\nfolder = "{tmp_path}/data"\n')
    return path


def _enrol(config: Path, *arguments: str) -> str:
    command = ["enrol", *arguments, "-c", str(config)]
    app = build(command)
    result = CliRunner().invoke(app, command, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.output


def test_it_creates_the_key_and_prints_the_public_one(config: Path) -> None:
    """The output has fingerprint and public key, and nothing of the private key."""
    output = _enrol(config, "--self")
    path = config.parent / "data" / keys.FILE_NAME
    signer = keys.load_signer(path)
    assert signer is not None
    assert signer.public_key.fingerprint in output
    secret = path.read_text().splitlines()[1]
    assert secret not in output


def test_the_public_key_is_a_file_for_the_centre(config: Path) -> None:
    """The register reads it as the key of the station, valid from now."""
    text = config.read_text().replace("S1", "3171010001001")
    config.write_text(text)
    created = json.loads(_enrol(config, "--self", "--json"))
    path = config.parent / "data" / PUBLIC_NAME
    (key,) = read_keys(path, int(time.time()) + 1)
    assert (key.station, key.text()) == ("3171010001001", created["public_key"])
    assert 0 <= time.time() - key.valid_from < 60


def test_a_key_is_replaced_only_on_request(config: Path) -> None:
    """The replaced key keeps another name, for the hand-over."""
    first = json.loads(_enrol(config, "--self", "--json"))
    with pytest.raises(OperatorError, match="there is a key already"):
        _enrol(config, "--self")
    second = json.loads(_enrol(config, "--self", "--new-key", "--json"))
    assert first["fingerprint"] != second["fingerprint"]
    (old,) = keys.retired_keys(config.parent / "data")
    retired = keys.load_signer(old)
    assert retired is not None
    assert retired.public_key.fingerprint == first["fingerprint"]


def test_without_self_the_usage_is_wrong(config: Path) -> None:
    """There is no centre yet that could enrol a device."""
    with pytest.raises(ConfigError, match="--self"):
        _enrol(config)
