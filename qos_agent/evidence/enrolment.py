"""The request of a device to be enrolled: its code and its public key, signed. Pure.

The signature proves that the device has the private key. The request is a signed note
(c2sp.org/signed-note) of five lines: title, code or secret of an enrolment file, public
key, version of the agent, and the moment from which the device uses the key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote

from qos_agent.evidence import checkpoints, notes
from qos_agent.evidence.notes import Note
from qos_agent.evidence.signer import PublicKey, Signer
from qos_agent.model.enrolment_code import checked_code, is_stick_secret
from qos_agent.model.errors import ConfigError

PATH = "/v1/enrol"
REQUEST_MAX_BYTES = 4096
TITLE = "qos-agent enrolment v1"
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
# The reasons for which the centre refuses a request, each with its fix.
REFUSALS = {
    "used": "was used already. Fix: ask the centre for a new code",
    "expired": "has expired. Fix: ask the centre for a new code",
    "revoked": "was withdrawn by the centre. Fix: call the centre",
    "replaced": "was replaced by a newer one. Fix: use the newer code",
    "unknown": "is not known to this centre. Fix: compare it with the label",
    "malformed": "was sent in an unknown form. Fix: upgrade the agent",
    "unsigned": "was sent without a signature. Fix: upgrade the agent",
    "limited": "was tried too often. Fix: wait a minute, then try again",
}
_PREFIX = "qos-agent/"
_DEVICE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_VERSION = re.compile(r"[A-Za-z0-9_.+-]{1,64}")


@dataclass(frozen=True, slots=True)
class Request:
    """The content of a request. Its signature was checked if `verified` returned it."""

    code: str
    device: str
    key: PublicKey
    version: str
    since_s: int

    def text(self) -> str:
        """Return the text to be signed."""
        key = notes.verifier_key(checkpoints.device_name(self.device), self.key.raw)
        since = datetime.fromtimestamp(self.since_s, UTC).strftime(_TIME_FORMAT)
        return f"{TITLE}\n{self.code}\n{key}\n{self.version}\n{since}\n"


def signed(code: str, device: str, version: str, signer: Signer, since_s: int) -> bytes:
    """Return a signed request. Raises SigningError."""
    request = Request(code, device, signer.public_key, version, since_s)
    name = checkpoints.device_name(device)
    return checkpoints.signed(name, request.text(), signer).to_bytes()


def parsed(content: bytes) -> tuple[Request, Note]:
    """Read a request whose signature is still to be checked.

    Raises ValueError if it is not well-formed or its code has a typing error.
    """
    if len(content) > REQUEST_MAX_BYTES:
        raise ValueError(f"a request of {len(content)} bytes is too large")
    note = notes.parse_note(content)
    lines = note.text.split("\n")
    if len(lines) != 6 or lines[0] != TITLE or lines[-1]:
        raise ValueError("this is no request of version 1")
    code = lines[1] if is_stick_secret(lines[1]) else _code(lines[1])
    device, key = _device_and_key(lines[2])
    since = datetime.strptime(lines[4], _TIME_FORMAT).replace(tzinfo=UTC)
    request = Request(code, device, key, lines[3], int(since.timestamp()))
    if not _VERSION.fullmatch(request.version) or request.text() != note.text:
        raise ValueError("the request is not in its canonical form")
    return request, note


def is_signed(request: Request, note: Note) -> bool:
    """Return True if the device signed the request. Raises SigningError."""
    name = checkpoints.device_name(request.device)
    return checkpoints.is_signed_by(note, name, request.key)


def _code(text: str) -> str:
    try:
        return checked_code(text)
    except ConfigError as error:
        raise ValueError(f"code: {error.problem}") from error


def _device_and_key(text: str) -> tuple[str, PublicKey]:
    name, _, rest = text.partition("+")
    raw = notes.decoded(rest.partition("+")[2])
    device = unquote(name.removeprefix(_PREFIX))
    if not _DEVICE.fullmatch(device) or raw[:1] != bytes([notes.ED25519]):
        raise ValueError("the public key is not that of a device")
    return device, PublicKey(raw[1:])
