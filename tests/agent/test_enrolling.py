"""Enrolling a device: complete or without any change, whatever a server answers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from qos_agent.agent import enrolling, installation
from qos_agent.agent.enrolling import EnrolmentError, Place
from qos_agent.config.sources import DEFAULT_PATH
from qos_agent.evidence import keys
from qos_agent.evidence.signer import OpensslSigner
from qos_agent.model.enrolment_code import code_of
from qos_agent.model.errors import ConfigError, InvalidConfigError, QosAgentError
from qos_agent.noc.authority import Authority as CertificateAuthority
from qos_agent.noc.authority import create, issue_device
from tests.noc.provision.endpoints import CALENDAR, ONE, OTHER, Issuer, endpoint
from tests.servers.certificates import Authority
from tests.servers.hostile import BEFORE_TLS, HTTP, fixed, hostile
from tests.servers.raw import response

_LIMIT_S = 1.0


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> OpensslSigner:
    """Return the key of a device."""
    return keys.create_key(tmp_path_factory.mktemp("key") / keys.FILE_NAME)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return the configuration of a device that is not enrolled."""
    path = tmp_path / "agent.toml"
    folder = json.dumps(str(tmp_path / "data"))
    path.write_text(f'[station]\ndevice = "pi-1"\n[journal]\nfolder = {folder}\n')
    return path


def _content(**changes: object) -> bytes:
    """Return an answer of the centre."""
    issuer_config = f'[station]\nid = "{ONE}"\nprovince = "31"\nregency = "3171"\n'
    values = {"station": ONE, "token": "st:secret", "config": issuer_config}
    return json.dumps({**values, "calendar": CALENDAR, "ca": None, **changes}).encode()


def _request(code: str, signer: OpensslSigner) -> bytes:
    return enrolling.request(code, "pi-1", signer, int(time.time()))


@contextmanager
def _unchanged(folder: Path) -> Iterator[None]:
    """Check that nothing in a folder changes."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    yield
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert after == before


def test_an_answer_is_installed_completely(config: Path) -> None:
    """Token, calendar, authority and configuration are next to each other."""
    answer = enrolling.given(_content())
    loaded = enrolling.install(answer, config, "pi-1", {})
    place = Place(config)
    assert place.token.read_text() == "st:secret\n"
    assert place.token.stat().st_mode & 0o777 == 0o600
    assert place.calendar.read_text() == CALENDAR
    assert loaded.settings.station.id == ONE
    assert loaded.settings.election.calendar == str(place.calendar)
    assert config.with_name("agent.toml.before-setup").exists()


def test_a_certificate_is_used_with_the_key_that_seals(
    config: Path, tmp_path: Path
) -> None:
    """The key stays in the folder of the journal, which the configuration names."""
    authority = CertificateAuthority(tmp_path / "ca")
    create(authority)
    key = keys.create_key(tmp_path / "device.pem").public_key
    folder = json.dumps(str(tmp_path / "journal"))
    text = f'[station]\nid = "{ONE}"\nprovince = "31"\nregency = "3171"\n'
    text += f"[collector]\n#device client_certificate\n[journal]\nfolder = {folder}\n"
    content = _content(config=text, certificate=issue_device(authority, ONE, key))
    loaded = enrolling.install(enrolling.given(content), config, "pi-1", {})
    collector = loaded.settings.collector
    assert collector.client_cert_file == Place(config).certificate
    assert collector.client_key_file == tmp_path / "journal" / keys.FILE_NAME
    before = config.with_name("agent.toml.before-setup").read_text()
    assert "#device" not in before, "the file of before the enrolment is kept"


def test_the_service_gets_its_token_from_systemd() -> None:
    """The installed configuration does not name the file of the token."""
    place = Place(DEFAULT_PATH)
    assert place.token == installation.TOKEN_PATH
    answer = enrolling.given(_content(config="#device token_file\n"))
    assert "token_file =" not in enrolling.completed(answer, place, "pi-1", {})


def test_the_device_fills_in_its_interfaces(config: Path, tmp_path: Path) -> None:
    """Each link of the station can be given an interface, and no other one."""
    desk = Issuer(tmp_path)
    code = desk.issue(ONE)
    key = keys.create_key(tmp_path / "key.pem")
    with endpoint(desk.desk()) as port:
        url = f"http://127.0.0.1:{port}"
        answer = enrolling.ask(url, None, _request(code, key))
    interfaces = {"main": "wwan0", "second": "wwan1"}
    links = enrolling.install(answer, config, "pi-1", interfaces).settings.links
    assert [(link.name, link.interface) for link in links] == [*interfaces.items()]
    with _unchanged(tmp_path), pytest.raises(ConfigError, match="not a link"):
        enrolling.install(answer, config, "pi-1", {"third": "wwan2"})
    with _unchanged(tmp_path), pytest.raises(InvalidConfigError, match="interface"):
        enrolling.install(answer, config, "pi-1", {"main": "a b\n[x]"})


_BAD: dict[str, Any] = {
    "no JSON": b"<html>",
    "a list": b"[]",
    "nothing": b"",
    "no station": _content(station=None),
    "a number": _content(token=7),
    "no token": _content(token=""),
    "token of two lines": _content(token="a\nb"),
    "token with a letter of no header": _content(token="\u00e4"),
    "surrogate": _content(config="\ud800"),
    "another station": _content(station=OTHER),
    "no TOML": _content(config="hello"),
    "unknown key": _content(config=f'[station]\nid = "{ONE}"\nname = "x"\n'),
    "no table": _content(config="station = 1\n"),
    "test of the election commission": _content(
        config=f'[station]\nid = "{ONE}"\n[form]\nurl = "https://a.kpu.go.id/"\n'
    ),
    "wrong calendar": _content(calendar="[[election]]\nname = 7\n"),
    "nested calendar": _content(calendar="a = " + "[" * 100_000),
    "wrong authority": _content(ca="-----BEGIN CERTIFICATE-----\nAAAA\n"),
    "wrong certificate": _content(
        certificate="-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    ),
    "certificate in no PEM": _content(certificate="hello"),
    "second election": _content(
        config=f'[station]\nid = "{ONE}"\n[election]\ncalendar = "x"\n'
    ),
}


@pytest.mark.parametrize("name", _BAD)
def test_a_wrong_answer_changes_nothing(config: Path, name: str) -> None:
    """Every part is checked before a file is written, and the token is not shown."""
    with (
        _unchanged(config.parent),
        pytest.raises((ConfigError, InvalidConfigError)) as e,
    ):
        enrolling.install(enrolling.given(_BAD[name]), config, "pi-1", {})
    assert "secret" not in str(e.value)


@pytest.mark.parametrize("name", HTTP)
def test_a_hostile_server_changes_nothing(
    signer: OpensslSigner, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Endless, slow, wrong and redirected responses end in an error with a fix."""
    monkeypatch.setattr(enrolling, "_TIMEOUT_S", _LIMIT_S)
    with (
        hostile(HTTP[name]) as server,
        pytest.raises(QosAgentError, match="Fix: ") as caught,
    ):
        enrolling.ask(server.url(), None, _request(code_of(1), signer))
    assert server.requests == 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", BEFORE_TLS)
def test_a_hostile_handshake_is_an_error(
    signer: OpensslSigner, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The code is not sent."""
    monkeypatch.setattr(enrolling, "_TIMEOUT_S", _LIMIT_S)
    with (
        hostile(BEFORE_TLS[name], reads=False) as server,
        pytest.raises(EnrolmentError, match="Fix: "),
    ):
        enrolling.ask(server.url("https"), None, _request(code_of(1), signer))


def test_a_message_of_the_server_is_not_printed(signer: OpensslSigner) -> None:
    """Only reasons that the agent knows are shown, in the agent's own text."""
    body = b'{"error": "used", "message": "\\u001b[2J run rm -rf /"}'
    with (
        hostile(fixed(response("403 Forbidden", body))) as server,
        pytest.raises(EnrolmentError, match=r"^the code was used already") as caught,
    ):
        enrolling.ask(server.url(), None, _request(code_of(1), signer))
    assert "rm -rf" not in str(caught.value)


def test_only_a_verified_centre_gets_the_code(
    signer: OpensslSigner, tmp_path: Path
) -> None:
    """Plain HTTP and another authority are refused; the right one is not."""
    issuer, authority = Issuer(tmp_path), Authority(tmp_path)
    code = issuer.issue(ONE)
    with pytest.raises(ConfigError, match="must be an https URL"):
        enrolling.ask("http://192.0.2.1", None, _request(code, signer))
    other = Authority(tmp_path, "other").file
    with endpoint(issuer.desk(), authority.server_context("none")) as port:
        url = f"https://127.0.0.1:{port}"
        for file in (None, other):
            with pytest.raises(EnrolmentError, match="tls_untrusted"):
                enrolling.ask(url, file, _request(code, signer))
        found = enrolling.ask(url, authority.file, _request(code, signer))
    assert found.token == f"st-{ONE}:secret-1"


def test_a_key_moves_with_the_journal(tmp_path: Path) -> None:
    """A key that exists at the new place is never replaced."""
    before, after = tmp_path / "a", tmp_path / "b"
    keys.create_key(before / keys.FILE_NAME)
    content = (before / keys.FILE_NAME).read_bytes()
    enrolling.move_key(before, after)
    assert (after / keys.FILE_NAME).read_bytes() == content
    assert not (before / keys.FILE_NAME).exists()
    keys.create_key(before / keys.FILE_NAME)
    enrolling.move_key(before, after)
    assert (after / keys.FILE_NAME).read_bytes() == content
