"""Enrolling from a USB stick: complete at the first contact, never without trust."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qos_agent.agent import offline
from qos_agent.agent.enrolling import EnrolmentError
from qos_agent.config.loading import load
from qos_agent.config.sources import Sources
from qos_agent.evidence import enrolment_file, keys
from qos_agent.evidence.enrolment_file import PENDING_NAME, EnrolmentFile
from qos_agent.evidence.signer import OpensslSigner
from qos_agent.model.errors import ConfigError, OperatorError
from qos_agent.noc.provision.admission import REPEAT_S, Outcome
from qos_agent.noc.provision.intake import Intake
from qos_agent.noc.provision.ledger import State
from qos_agent.noc.provision.vault import KEY_NAME, Codes, Vault
from qos_agent.probes.registry import PROBES
from tests.noc.provision.endpoints import CALENDAR, ONE, Issuer, endpoint

AWAY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def centre_key(tmp_path_factory: pytest.TempPathFactory) -> OpensslSigner:
    """Return the key of the centre."""
    return keys.create_key(tmp_path_factory.mktemp("centre") / "centre.pem")


@pytest.fixture
def device_key(tmp_path: Path) -> OpensslSigner:
    """Return the key of the device."""
    return keys.create_key(tmp_path / "device.pem")


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    """Return a centre with an issue for one station."""
    issuer = Issuer(tmp_path / "centre")
    issuer.issue(ONE)
    return issuer


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return the configuration of a device that is not enrolled."""
    path = tmp_path / "device" / "agent.toml"
    path.parent.mkdir()
    path.write_text('[station]\ndevice = "pi-1"\n')
    return path


def _codes(issuer: Issuer) -> Codes:
    return Codes.of(issuer.ledger(), Vault.of(issuer.folder / KEY_NAME))


def _file(issuer: Issuer, centre: str) -> EnrolmentFile:
    """Return the file of the station, whose secret the ledger allows."""
    codes, ledger = _codes(issuer), issuer.ledger()
    secret = codes.stick_secret(ONE, 1)
    text = ledger.allow_stick(ledger.issues(ONE)[0].id, codes.hash(secret))
    assert text is not None
    return EnrolmentFile(ONE, secret, centre, text, CALENDAR)


def _stick(folder: Path, file: EnrolmentFile, key: OpensslSigner) -> Path:
    path = folder / f"{ONE}.enrol"
    path.write_bytes(enrolment_file.signed(file, key))
    return path


def _installed(
    config: Path,
    file: EnrolmentFile,
    centre_key: OpensslSigner,
    device_key: OpensslSigner,
    now_s: int,
) -> offline.Pending:
    public = centre_key.public_key
    return offline.install(file, public, config, device_key, "pi-1", {}, now_s)


def _issued_s(issuer: Issuer) -> int:
    return issuer.ledger().events(ONE)[-1].at_s


def test_a_device_measures_at_once_and_enrols_at_the_first_contact(
    issuer: Issuer, config: Path, centre_key: OpensslSigner, device_key: OpensslSigner
) -> None:
    """The token comes from the endpoint; the key is valid from the stick on."""
    with endpoint(issuer.desk()) as port:
        file = _file(issuer, f"http://127.0.0.1:{port}")
        start_s = _issued_s(issuer)
        token = config.with_name("collector.token")
        token.write_text("token of another station")
        _installed(config, file, centre_key, device_key, start_s)
        settings = load(Sources(config, {}, None), PROBES).settings
        assert (settings.station.id, settings.collector.current_token()) == (ONE, None)
        assert not token.exists()
        assert config.with_name(PENDING_NAME).exists()
        assert issuer.keys().history() == []
        offline.complete(config)
    settings = load(Sources(config, {}, None), PROBES).settings
    assert settings.collector.current_token() == f"st-{ONE}:secret-1"
    assert not config.with_name(PENDING_NAME).exists()
    (key,) = issuer.keys().history(ONE)
    assert (key.key, key.valid_from) == (device_key.public_key, start_s)
    with pytest.raises(OperatorError, match="no enrolment is pending"):
        offline.complete(config)


def test_a_request_from_the_stick_counts_once_and_the_token_follows(
    issuer: Issuer, config: Path, centre_key: OpensslSigner, device_key: OpensslSigner
) -> None:
    """The centre accepts the file at once; days later the device gets its token."""
    with endpoint(issuer.desk()) as port:
        file = _file(issuer, f"http://127.0.0.1:{port}")
        start_s = _issued_s(issuer)
        pending = _installed(config, file, centre_key, device_key, start_s)
        request = offline.write_request(config.parent, pending).read_bytes()
        intake = Intake(issuer.ledger(), issuer.keys(), _codes(issuer))
        assert intake.accept(request, start_s + 5).outcome is Outcome.ACCEPTED
        again = intake.accept(request, start_s + 5 + 3 * REPEAT_S)
        assert again.outcome is Outcome.REPEATED
        offline.complete(config)
    assert issuer.ledger().issues(ONE)[0].used_s == start_s + 5
    (key,) = issuer.keys().history(ONE)
    assert key.valid_from == start_s
    late = intake.accept(request, start_s + 9 * REPEAT_S)
    assert late.outcome is Outcome.USED


@pytest.mark.parametrize(("clock_s", "from_s"), [(0, 0), (4_000_000_000, 5)])
def test_a_wrong_clock_does_not_move_the_key(
    issuer: Issuer,
    config: Path,
    centre_key: OpensslSigner,
    device_key: OpensslSigner,
    clock_s: int,
    from_s: int,
) -> None:
    """A key is valid neither before its code existed nor in the future."""
    file, start_s = _file(issuer, AWAY), _issued_s(issuer)
    pending = _installed(config, file, centre_key, device_key, clock_s)
    intake = Intake(issuer.ledger(), issuer.keys(), _codes(issuer))
    intake.accept(pending.request.encode(), start_s + 5)
    (key,) = issuer.keys().history(ONE)
    assert key.valid_from == start_s + from_s


def test_a_stick_that_another_device_used_is_refused_and_visible(
    issuer: Issuer, config: Path, centre_key: OpensslSigner, tmp_path: Path
) -> None:
    """The thief may be first; then the refused attempt shows it."""
    with endpoint(issuer.desk()) as port:
        file = _file(issuer, f"http://127.0.0.1:{port}")
        start_s = _issued_s(issuer)
        for name in ("thief", "device"):
            key = keys.create_key(tmp_path / f"{name}.pem")
            _installed(config, file, centre_key, key, start_s)
            if name == "thief":
                offline.complete(config)
        with pytest.raises(EnrolmentError, match="was used already"):
            offline.complete(config)
    assert config.with_name(PENDING_NAME).exists()
    intake = Intake(issuer.ledger(), issuer.keys(), _codes(issuer))
    assert intake.admissions.suspicious() == [ONE]


def test_a_withdrawn_issue_gives_no_token(
    issuer: Issuer, config: Path, centre_key: OpensslSigner, device_key: OpensslSigner
) -> None:
    """A lost stick is worth nothing after `--revoke`."""
    with endpoint(issuer.desk()) as port:
        file = _file(issuer, f"http://127.0.0.1:{port}")
        _installed(config, file, centre_key, device_key, 0)
        issuer.ledger().end(ONE, State.REVOKED, 0, "tester")
        with pytest.raises(EnrolmentError, match="was withdrawn"):
            offline.complete(config)
    assert issuer.keys().history() == []


def test_only_the_centre_that_the_device_knows_is_trusted(
    issuer: Issuer, config: Path, centre_key: OpensslSigner, tmp_path: Path
) -> None:
    """The fingerprint is needed once; afterwards another signature is refused."""
    file, public = _file(issuer, AWAY), centre_key.public_key
    path = _stick(tmp_path, file, centre_key)
    assert offline.find(tmp_path, None) == path
    with pytest.raises(ConfigError, match="--fingerprint: missing"):
        offline.read(path, offline.trusted_centre(config), None)
    with pytest.raises(ConfigError, match="is not signed by the centre"):
        offline.read(path, None, "0" * 16)
    assert offline.read(path, None, public.fingerprint) == (file, public)
    device_key = keys.create_key(tmp_path / "device.pem")
    _installed(config, file, centre_key, device_key, 0)
    trusted = offline.trusted_centre(config)
    assert offline.read(path, trusted, None) == (file, public)
    forger = keys.create_key(tmp_path / "forger.pem")
    with pytest.raises(ConfigError, match="is not signed by the centre"):
        offline.read(_stick(tmp_path, file, forger), trusted, None)


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, b"x" * 70_000, None])
def test_a_damaged_stick_is_named(tmp_path: Path, content: bytes | None) -> None:
    """An empty, foreign or huge file, or a folder, is an error with a fix."""
    path = tmp_path / f"{ONE}.enrol"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(ConfigError, match="cannot be used: ") as caught:
        offline.read(path, None, "0" * 16)
    assert str(caught.value).count("Fix: ") == 1


def test_the_file_of_the_station_is_found(tmp_path: Path) -> None:
    """A stick may have the files of several stations, or none."""
    with pytest.raises(ConfigError, match="has 0 enrolment files"):
        offline.find(tmp_path, None)
    for station in (ONE, "3171010001002"):
        (tmp_path / f"{station}.enrol").touch()
    with pytest.raises(ConfigError, match="has 2 enrolment files"):
        offline.find(tmp_path, None)
    assert offline.find(tmp_path, ONE).name == f"{ONE}.enrol"


def test_a_damaged_file_of_the_device_is_named(config: Path) -> None:
    """Neither a wrong key of the centre nor a wrong request is a traceback."""
    config.with_name(offline.TRUST_NAME).write_text("no key")
    with pytest.raises(OperatorError, match="use --fingerprint"):
        offline.trusted_centre(config)
    for content in ("", "[]", "{}", json.dumps({"station": ONE})):
        config.with_name(PENDING_NAME).write_text(content)
        with pytest.raises(OperatorError, match="enrol from the stick again"):
            offline.complete(config)


def test_a_file_for_a_centre_without_tls_changes_nothing(
    issuer: Issuer, config: Path, centre_key: OpensslSigner, device_key: OpensslSigner
) -> None:
    """The token would cross the network in the clear."""
    before = config.read_text()
    file = _file(issuer, "http://192.0.2.1")
    with pytest.raises(ConfigError, match="must be an https URL"):
        _installed(config, file, centre_key, device_key, 0)
    assert config.read_text() == before
    assert sorted(path.name for path in config.parent.iterdir()) == ["agent.toml"]
