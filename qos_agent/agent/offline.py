"""Enrolling from a USB stick: complete at the first contact with the centre.

The stick has a file that the centre signed. The device installs its configuration and
measures at once. It writes a signed request back to the stick and keeps a copy. The
first of both that reaches the centre makes its key valid. The token comes only from the
endpoint, so a stick that is lost discloses none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from qos_agent.agent import enrolling, installation
from qos_agent.agent.enrolling import Given, Place
from qos_agent.config.token import is_exposed
from qos_agent.evidence import enrolment_file
from qos_agent.evidence.enrolment_file import (
    PENDING_NAME,
    REQUEST_SUFFIX,
    SUFFIX,
    EnrolmentFile,
)
from qos_agent.evidence.signer import PublicKey, Signer
from qos_agent.model import json_text
from qos_agent.model.errors import ConfigError, OperatorError
from qos_agent.system.files import may_exist, read_bytes, regular, sync

TRUST_NAME = "centre.pub"
_MAX_BYTES = 64 * 1024
_FIX = "copy the file from the centre again"


@dataclass(frozen=True, slots=True)
class Pending:
    """An enrolment that the centre has still to confirm."""

    station: str
    device: str
    centre: str
    request: str
    interfaces: dict[str, str]
    ca: bool


def find(folder: Path, station: str | None) -> Path:
    """Return the enrolment file in a folder. Raises ConfigError if there is not one."""
    found = sorted(folder.glob(f"{station or '*'}{SUFFIX}"))
    if len(found) == 1:
        return found[0]
    problem = f"has {len(found)} enrolment files" + (f" of {station}" * bool(station))
    fix = "add the code of the station" if found else "name the folder of the stick"
    raise ConfigError("--stick", repr(str(folder)), problem, fix)


def read(
    path: Path, trusted: PublicKey | None, fingerprint: str | None
) -> tuple[EnrolmentFile, PublicKey]:
    """Return the content of a file and the key of the centre that signed it.

    The key must have the fingerprint, or be the trusted one. Raises ConfigError or
    SigningError.
    """
    try:
        file, key = enrolment_file.parsed(read_bytes(path, _MAX_BYTES, regular))
    except (OSError, ValueError) as error:
        problem = f"cannot be used: {getattr(error, 'strerror', None) or error}"
        raise ConfigError(str(path), None, problem, _FIX) from error
    if trusted is None and fingerprint is None:
        fix = "add the 16 characters from the letter of the centre"
        raise ConfigError("--fingerprint", None, "missing", fix)
    expected = fingerprint or (trusted.fingerprint if trusted else "")
    if key.fingerprint != expected or (fingerprint is None and key != trusted):
        problem = f"is not signed by the centre with the fingerprint {expected}"
        fix = "do not use this stick, and call the centre"
        raise ConfigError(str(path), key.fingerprint, problem, fix)
    return file, key


def trusted_centre(config: Path) -> PublicKey | None:
    """Return the key of the centre that an earlier enrolment stored, or None.

    Raises OperatorError if the file is damaged.
    """
    path = config.with_name(TRUST_NAME)
    if not may_exist(path):
        return None
    try:
        return PublicKey(bytes.fromhex(read_bytes(path, 1000, regular).decode("ascii")))
    except (OSError, ValueError) as error:
        fix = f"remove {path}, and use --fingerprint"
        raise OperatorError(f"{path}: cannot be used: {error}. Fix: {fix}.") from error


def install(
    file: EnrolmentFile,
    key: PublicKey,
    config: Path,
    signer: Signer,
    device: str,
    interfaces: Mapping[str, str],
    now_s: int,
) -> Pending:
    """Install the configuration without a token, and keep the request.

    Raises InvalidConfigError, ConfigError, SigningError or OSError. After a fault in
    the file nothing has changed.
    """
    if is_exposed(file.centre):
        problem = "must be an https URL, because the answer has a token"
        raise ConfigError("centre", repr(file.centre[:100]), problem, "call the centre")
    request = enrolling.request(file.secret, device, signer, now_s)
    given = Given(file.station, "", file.config, file.calendar, file.ca)
    enrolling.install(given, config, device, interfaces)
    installation.write_private(config.with_name(TRUST_NAME), key.raw.hex().encode())
    pending = Pending(
        file.station,
        device,
        file.centre,
        request.decode(),
        dict(interfaces),
        file.ca is not None,
    )
    content = json.dumps(asdict(pending)).encode()
    installation.write_private(config.with_name(PENDING_NAME), content)
    return pending


def write_request(folder: Path, pending: Pending) -> Path:
    """Write the request to the stick, on disk when this returns. Raises OSError."""
    path = folder / f"{pending.station}{REQUEST_SUFFIX}"
    with path.open("w", encoding="utf-8") as file:
        file.write(pending.request)
        file.flush()
        os.fsync(file.fileno())
    sync(folder)
    return path


def complete(config: Path) -> Pending:
    """Send the request, and install the answer. Nothing is pending afterwards.

    Raises OperatorError if nothing is pending, EnrolmentError, InvalidConfigError,
    ConfigError or OSError.
    """
    path = config.with_name(PENDING_NAME)
    pending = _pending(path)
    authority = Place(config).authority if pending.ca else None
    answer = enrolling.ask(pending.centre, authority, pending.request.encode())
    enrolling.install(answer, config, pending.device, pending.interfaces)
    path.unlink()
    sync(path.parent)
    return pending


def _pending(path: Path) -> Pending:
    if not may_exist(path):
        raise OperatorError("enrol: no enrolment is pending. Fix: nothing to do.")
    try:
        values = json_text.loads(read_bytes(path, 2 * _MAX_BYTES, regular))
        return Pending(**{field.name: values[field.name] for field in fields(Pending)})
    except (OSError, ValueError, TypeError, KeyError) as error:
        fix = "enrol from the stick again"
        raise OperatorError(f"{path}: cannot be used: {error}. Fix: {fix}.") from error
