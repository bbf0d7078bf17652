"""Enrolling this device: asks the centre with a code, and installs its answer.

The answer comes from outside. It is checked completely before any file changes, and
the configuration is written last. If the answer was lost, the same command with the
same key asks again.
"""

from __future__ import annotations

import json
import os
import shutil
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from qos_agent import __version__
from qos_agent.agent import installation
from qos_agent.config import calendar_file
from qos_agent.config.loading import Loaded, load
from qos_agent.config.sources import DEFAULT_PATH, Sources
from qos_agent.config.token import checked_token, is_exposed
from qos_agent.evidence import enrolment, keys
from qos_agent.evidence.signer import Signer
from qos_agent.model import json_text, limits
from qos_agent.model.errors import ConfigError, InvalidConfigError, QosAgentError
from qos_agent.probes.registry import PROBES
from qos_agent.system.files import may_exist
from qos_agent.system.network.tls import client_context

_TIMEOUT_S = 60.0
_ORIGIN = "the answer of the centre"
CALENDAR_NAME, AUTHORITY_NAME = "calendar.toml", "collector-ca.pem"
CERTIFICATE_NAME = "device-certificate.pem"
_CERTIFICATE_MARK = "#device client_certificate\n"
_TEXTS = ("station", "token", "config")
_OPTIONAL_TEXTS = ("calendar", "ca", "certificate")


class EnrolmentError(QosAgentError):
    """An enrolment that failed; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Given:
    """The answer of the centre, checked; without a token if it came on a stick."""

    station: str
    token: str
    config: str
    calendar: str | None
    authority: str | None
    certificate: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """The files of the configuration that an enrolment writes."""

    config: Path

    @property
    def token(self) -> Path:
        """The file of the token; the service gets the installed one from systemd."""
        if self.config == DEFAULT_PATH:
            return installation.TOKEN_PATH
        return self.config.with_name(installation.TOKEN_PATH.name)

    @property
    def calendar(self) -> Path:
        """The file of the calendar."""
        return self.config.with_name(CALENDAR_NAME)

    @property
    def authority(self) -> Path:
        """The file of the collector's certificate authority."""
        return self.config.with_name(AUTHORITY_NAME)

    @property
    def certificate(self) -> Path:
        """The file of this device's certificate; its key is the one that seals."""
        return self.config.with_name(CERTIFICATE_NAME)


def device_signer(folder: Path, *, new_key: str | None) -> Signer:
    """Return the device's key; create it if there is none.

    `new_key` is the time for the name of a key that is replaced. Raises SigningError,
    OperatorError or OSError.
    """
    path = folder / keys.FILE_NAME
    if new_key is not None and may_exist(path):
        return keys.replace_key(path, new_key)
    return keys.load_signer(path) or keys.create_key(path)


def request(code: str, device: str, signer: Signer, now_s: int) -> bytes:
    """Return the signed request of this device. Raises SigningError."""
    return enrolment.signed(code, device, __version__, signer, now_s)


def ask(centre: str, ca_file: Path | None, body: bytes) -> Given:
    """Send a request and return the checked answer.

    Raises ConfigError, EnrolmentError or InvalidConfigError.
    """
    if is_exposed(centre):
        problem = "must be an https URL, because the answer has a token"
        raise ConfigError("--centre", repr(centre[:100]), problem, "use https://")
    status, content = _exchange(centre, ca_file, body)
    if status == HTTPStatus.OK:
        return given(content)
    reason = enrolment.REFUSALS.get(_reason(content))
    if reason is None:
        fix = "check the URL of --centre, or try again later"
        raise EnrolmentError(f"{centre}: HTTP {status}. Fix: {fix}.")
    raise EnrolmentError(f"the code {reason}.")


def given(content: bytes) -> Given:
    """Return the answer of the centre, checked. Raises InvalidConfigError."""
    try:
        values = json_text.loads(content)
        found = Given(
            *(_text(values, name) for name in _TEXTS),
            *(_text(values, name) or None for name in _OPTIONAL_TEXTS),
        )
        checked_token(found.token)
    except (ValueError, TypeError, AttributeError) as error:
        problem = "is not that of an enrolment endpoint"
        fault = ConfigError(_ORIGIN, None, problem, "check the URL of --centre")
        raise InvalidConfigError((fault,)) from error
    if not all((found.station, found.token, found.config)):
        fault = ConfigError(_ORIGIN, None, "is incomplete", "call the centre")
        raise InvalidConfigError((fault,))
    return found


def install(
    answer: Given, config: Path, device: str, interfaces: Mapping[str, str]
) -> Loaded:
    """Check the whole answer, then write its files; the configuration is the last.

    Raises InvalidConfigError, ConfigError or OSError. After a fault in the answer no
    file has changed.
    """
    place = Place(config)
    _check(answer, device, interfaces)
    if answer.token:
        installation.write_token(answer.token, place.token)
    if answer.calendar is not None:
        _write(place.calendar, answer.calendar)
    if answer.authority is not None:
        _write(place.authority, answer.authority)
    text = completed(answer, place, device, interfaces)
    loaded = installation.write_config(text, place.config)
    if not answer.token:
        # That of another station, perhaps.
        place.token.unlink(missing_ok=True)
    if answer.certificate is not None:
        return _use_certificate(answer.certificate, place)
    return loaded


def _use_certificate(certificate: str, place: Place) -> Loaded:
    """Name the certificate and its key in the configuration.

    Only the configuration in its place has the folder of the key.
    """
    _write(place.certificate, certificate)
    settings = load(Sources(place.config, {}, None), PROBES).settings
    key = settings.journal.folder.absolute() / keys.FILE_NAME
    lines = (
        f"client_cert_file = {json.dumps(str(place.certificate))}\n"
        f"client_key_file = {json.dumps(str(key))}\n"
    )
    text = place.config.read_text(encoding="utf-8").replace(_CERTIFICATE_MARK, lines)
    return installation.write_config(text, place.config, keep=False)


def completed(
    answer: Given, place: Place, device: str, interfaces: Mapping[str, str]
) -> str:
    """Return the configuration with what only this device knows.

    Raises ConfigError for an interface of a link that the configuration does not have.
    """
    values = {"name": f"device = {json.dumps(device)}"}
    if place.config != DEFAULT_PATH and answer.token:
        values["token_file"] = f"token_file = {json.dumps(str(place.token))}"
    if answer.authority is not None:
        values["ca_file"] = f"ca_file = {json.dumps(str(place.authority))}"
    for link, name in interfaces.items():
        values[f"interface {json.dumps(link)}"] = f"interface = {json.dumps(name)}"
    text = answer.config
    for key, line in values.items():
        mark = f"#device {key}\n"
        if mark not in text and key.startswith("interface"):
            problem, fix = "is not a link of this station", "use LINK=INTERFACE"
            raise ConfigError("--interface", key.partition(" ")[2], problem, fix)
        text = text.replace(mark, f"{line}\n")
    if answer.calendar is not None:
        path = json.dumps(str(place.calendar))
        text = f"{text.rstrip()}\n\n[election]\ncalendar = {path}\n"
    return text


def move_key(before: Path, after: Path) -> None:
    """Move the key to the folder of the journal, if the new configuration moves it."""
    source, target = before / keys.FILE_NAME, after / keys.FILE_NAME
    if before.resolve() != after.resolve() and source.exists() and not target.exists():
        after.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target)


def _check(answer: Given, device: str, interfaces: Mapping[str, str]) -> None:
    """Load the whole answer in a private folder. Raises InvalidConfigError."""
    with _private_folder() as folder:
        place = Place(folder / "agent.toml")
        if answer.token:
            place.token.write_text(answer.token)
        if answer.calendar is not None:
            place.calendar.write_text(answer.calendar, encoding="utf-8")
            calendar_file.load(place.calendar)
        if answer.authority is not None:
            place.authority.write_text(answer.authority, encoding="utf-8")
            _check_authority(place.authority)
        if answer.certificate is not None:
            _check_certificate(answer.certificate)
        text = completed(answer, place, device, interfaces)
        place.config.write_text(text, encoding="utf-8")
        loaded = load(Sources(place.config, {}, None), PROBES)
        if loaded.settings.station.id != answer.station:
            problem = "is the configuration of another station"
            fault = ConfigError(_ORIGIN, None, problem, "call the centre")
            raise InvalidConfigError((fault,))


def _check_authority(path: Path) -> None:
    try:
        client_context(path)
    except OSError as error:
        problem = f"has an unusable certificate authority: {error}"
        fault = ConfigError(_ORIGIN, None, problem, "call the centre")
        raise InvalidConfigError((fault,)) from error


def _check_certificate(text: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        problem = f"has an unusable certificate: {error}"
        fault = ConfigError(_ORIGIN, None, problem, "call the centre")
        raise InvalidConfigError((fault,)) from error


@contextmanager
def _private_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="qos-enrol-") as name:
        yield Path(name)


def _write(path: Path, text: str) -> None:
    """Replace a file that every user may read, on disk when this returns."""
    new = path.with_name(f".{path.name}.new")
    with new.open("w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o644)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _exchange(centre: str, ca_file: Path | None, body: bytes) -> tuple[int, bytes]:
    """Return status and body of the response. Raises EnrolmentError or ConfigError."""
    import urllib3

    from qos_agent.influx import fixes
    from qos_agent.influx.limited_http import limit_responses
    from qos_agent.influx.transport import failure_of

    try:
        context = client_context(ca_file)
    except OSError as error:
        problem = f"must be certificates in PEM format: {error.strerror or error}"
        fix = "correct the path or the file"
        raise ConfigError("--ca-file", repr(str(ca_file)), problem, fix) from error
    manager = urllib3.PoolManager(ssl_context=context)
    limit_responses(manager, limits.ENROLMENT)
    try:
        response = manager.request(
            "POST",
            centre.rstrip("/") + enrolment.PATH,
            body=body,
            headers={"Content-Type": "text/plain; charset=utf-8"},
            redirect=False,
            retries=False,
            timeout=urllib3.Timeout(total=_TIMEOUT_S),
        )
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        failure = failure_of(error)
        fix = fixes.for_cause(failure.cause) or "check the network, then try again"
        text = f"{centre}: {failure.cause}: {failure.detail}. Fix: {fix}."
        raise EnrolmentError(text) from error
    finally:
        manager.clear()
    return response.status, response.data


def _reason(content: bytes) -> str:
    try:
        value = json_text.loads(content)
    except ValueError:
        return ""
    found = value.get("error") if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def _text(values: Any, name: str) -> str:
    found = values.get(name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise TypeError(f"{name} is not a text")
    found.encode()  # a surrogate, which no file can have, is a ValueError
    return found
