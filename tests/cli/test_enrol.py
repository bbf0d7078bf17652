"""`qos-agent enrol` with a code, and --self for the device key alone."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qos_agent.agent.enrolling import EnrolmentError
from qos_agent.cli.enrol import PUBLIC_NAME
from qos_agent.cli.main import build
from qos_agent.config.loading import load
from qos_agent.config.sources import Sources
from qos_agent.evidence import keys
from qos_agent.model.enrolment_code import code_of, shown_code
from qos_agent.model.errors import ConfigError, OperatorError
from qos_agent.noc.provision.admission import Admissions
from qos_agent.noc.provision.ledger import State
from qos_agent.noc.register.keys import read_keys
from qos_agent.probes.registry import PROBES
from tests.noc.provision.endpoints import ONE, Issuer, endpoint


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a configuration with its journal in the folder of the test."""
    monkeypatch.chdir(tmp_path)
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "enrol: needs an enrolment code, or one of --stick"),
        (("--self", code_of(1)), "enrol: needs an enrolment code"),
        ((code_of(1),), "--centre: missing"),
        ((code_of(1)[:-1], "--centre", "https://a.example"), "must be 12 letters"),
        ((code_of(1)[:-1] + "0", "--centre", "https://a.example"), "typing error"),
        ((code_of(1), "--centre", "http://a.example"), "must be an https URL"),
        (
            (code_of(1), "--centre", "https://a.example", "--interface", "wwan0"),
            "must be LINK=NAME",
        ),
    ],
)
def test_wrong_usage_is_named(
    config: Path, arguments: tuple[str, ...], message: str
) -> None:
    """A typing error is found before anything is sent."""
    with pytest.raises(ConfigError, match=message):
        _enrol(config, *arguments)


def test_a_device_enrols_and_may_ask_again(config: Path, tmp_path: Path) -> None:
    """The same command repeats without harm, and the key stays the same."""
    issuer = Issuer(tmp_path)
    code = shown_code(issuer.issue(ONE)).lower()
    with endpoint(issuer.desk()) as port:
        centre = ("--centre", f"http://127.0.0.1:{port}", "--interface", "main=wwan0")
        first = json.loads(_enrol(config, code, *centre, "--json"))
        again = json.loads(_enrol(config, code, *centre, "--json"))
    assert first == again
    assert (first["station"], first["service"]) == (ONE, "not started")
    settings = load(Sources(config, {}, None), PROBES).settings
    assert settings.station.id == ONE
    assert settings.collector.current_token() == f"st-{ONE}:secret-1"
    assert settings.links[0].interface == "wwan0"
    (key,) = issuer.keys().history(ONE)
    assert key.key.fingerprint == first["fingerprint"]
    assert key.name == f"qos-agent/{first['device']}"


def test_a_replaced_device_keeps_the_history_of_the_station(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One command on each side; the old key ends when the new one is valid."""
    issuer = Issuer(tmp_path)
    code = issuer.issue(ONE)
    spare = tmp_path / "spare" / "agent.toml"
    spare.parent.mkdir()
    spare.write_text(config.read_text().replace("data", "spare-data"))
    with endpoint(issuer.desk()) as port:
        centre = ("--centre", f"http://127.0.0.1:{port}")
        _enrol(config, code, *centre)
        ledger = issuer.ledger()
        ledger.end(ONE, State.REPLACED, int(time.time()), "tester")
        # The spare device has a folder, and therefore a key, of its own.
        monkeypatch.chdir(spare.parent)
        new_code = issuer.issue(ONE)
        with pytest.raises(EnrolmentError, match="replaced by a newer one"):
            _enrol(spare, code, *centre)
        _enrol(spare, new_code, *centre)
        monkeypatch.chdir(tmp_path)
        with pytest.raises(EnrolmentError, match="was used already"):
            _enrol(config, new_code, *centre)
    old, new = issuer.keys().history(ONE)
    assert old.valid_to is not None
    assert new.valid_to is None
    assert old.key != new.key
    assert Admissions(issuer.ledger()).suspicious() == [ONE]


def test_the_code_can_come_from_standard_input(config: Path) -> None:
    """A code that nobody shall see in the list of processes is read as a line."""
    command = ["enrol", "-", "--centre", "http://192.0.2.1", "-c", str(config)]
    result = CliRunner().invoke(
        build(command), command, input=f"{code_of(1)}\n", standalone_mode=False
    )
    assert "https" in str(result.exception)
