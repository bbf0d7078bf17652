"""The file with which a device enrols without a network, signed by the centre. Pure.

It is a signed note (c2sp.org/signed-note) of three lines: title, public key of the
centre, and JSON. It has no token. Its secret of 128 bits takes the place of a typed
code when the device reaches the centre for the first time.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from qos_agent.evidence import checkpoints, notes
from qos_agent.evidence.signer import PublicKey, Signer
from qos_agent.model import json_text
from qos_agent.model.enrolment_code import is_stick_secret

SUFFIX, REQUEST_SUFFIX = ".enrol", ".request"
# Next to the configuration, until the centre has confirmed the enrolment.
PENDING_NAME = "enrolment-pending.json"
MAX_BYTES = notes.NOTE_MAX_BYTES
_TITLE = "qos-agent enrolment file v1"
_NAME = "qos-agent-centre"


@dataclass(frozen=True, slots=True)
class EnrolmentFile:
    """The content of a file: what a device needs to measure and to enrol later."""

    station: str
    secret: str
    centre: str
    config: str
    calendar: str | None = None
    ca: str | None = None


def signed(file: EnrolmentFile, signer: Signer) -> bytes:
    """Return the signed file. Raises SigningError, ValueError if it is too large."""
    key = notes.verifier_key(_NAME, signer.public_key.raw)
    text = f"{_TITLE}\n{key}\n{json.dumps(asdict(file))}\n"
    content = checkpoints.signed(_NAME, text, signer).to_bytes()
    if len(content) > MAX_BYTES:
        raise ValueError(f"{len(content)} bytes, at most {MAX_BYTES} are allowed")
    return content


def parsed(content: bytes) -> tuple[EnrolmentFile, PublicKey]:
    """Read a file, and check that the key in it has signed it.

    The caller must check that the key is that of the centre. Raises ValueError for
    every other content, and SigningError.
    """
    note = notes.parse_note(content)
    lines = note.text.split("\n")
    if len(lines) != 4 or lines[0] != _TITLE or lines[-1]:
        raise ValueError("this is no enrolment file of version 1")
    name, raw = notes.parse_verifier_key(lines[1])
    key = PublicKey(raw)
    if name != _NAME or not checkpoints.is_signed_by(note, name, key):
        raise ValueError("its signature is wrong, so it was changed or is damaged")
    return _file(json_text.loads(lines[2])), key


def _file(values: Any) -> EnrolmentFile:
    """Return the content of the JSON text. Raises ValueError."""
    names = {field.name for field in fields(EnrolmentFile)}
    if not isinstance(values, dict) or set(values) != names:
        raise ValueError("it has not the values of version 1")
    optional = {"calendar", "ca"}
    for name, value in values.items():
        if not (isinstance(value, str) or (value is None and name in optional)):
            raise ValueError(f"{name} is not a text")
        (value or "").encode()  # a surrogate, which no file can have, is a ValueError
    found = EnrolmentFile(**values)
    if not is_stick_secret(found.secret):
        raise ValueError("its secret has not 128 bits")
    return found
