"""Signed notes and tree checkpoints in the formats of C2SP. Pure.

c2sp.org/signed-note: a text that ends with a newline, an empty line, and signature
lines. c2sp.org/tlog-checkpoint: origin, tree size and root hash on three lines. A note
comes from outside, so its size and the number of its signatures are limited.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from qos_agent.evidence.merkle import HASH_BYTES

NOTE_MAX_BYTES = 64 * 1024
SIGNATURES_MAX = 100
# Signature types of c2sp.org/signed-note; the second is c2sp.org/tlog-cosignature.
ED25519 = 0x01
COSIGNATURE = 0x04
ED25519_KEY_BYTES, ED25519_SIGNATURE_BYTES = 32, 64
_ID_BYTES = 4
_MARK = "\u2014 "
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SIZE_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature line: name of the key, four bytes of its identity, signature."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """Return the line without its newline."""
        content = base64.b64encode(self.key_id + self.signature).decode("ascii")
        return f"{_MARK}{self.name} {content}"


@dataclass(frozen=True, slots=True)
class Note:
    """A text with signatures; a reader ignores signatures of keys it does not know."""

    text: str
    signatures: tuple[Signature, ...]

    def to_bytes(self) -> bytes:
        """Return the note in the form that `parse_note` reads."""
        lines = "".join(f"{signature.line()}\n" for signature in self.signatures)
        return f"{self.text}\n{lines}".encode()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a tree: its origin, the number of its leaves and its root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the text to be signed."""
        root = base64.b64encode(self.root).decode("ascii")
        return f"{self.origin}\n{self.size}\n{root}\n"


def key_id(name: str, public_key: bytes, kind: int = ED25519) -> bytes:
    """Return the identity of an Ed25519 key (c2sp.org/signed-note, Signatures)."""
    content = name.encode() + b"\n" + bytes([kind]) + public_key
    return hashlib.sha256(content).digest()[:_ID_BYTES]


def verifier_key(name: str, public_key: bytes, kind: int = ED25519) -> str:
    """Return the public key as text, as Go's sumdb/note reads it."""
    content = base64.b64encode(bytes([kind]) + public_key).decode("ascii")
    return f"{name}+{key_id(name, public_key, kind).hex()}+{content}"


def parse_verifier_key(text: str, kind: int = ED25519) -> tuple[str, bytes]:
    """Return name and public key of such a text. Raises ValueError.

    The identity in the middle finds a name or a key with a typing error.
    """
    name, _, rest = text.partition("+")
    identity, plus, encoded = rest.partition("+")
    if not plus or not is_key_name(name):
        raise ValueError("a public key has the form NAME+IDENTITY+KEY")
    content = decoded(encoded)
    if content[:1] != bytes([kind]) or len(content) != 1 + ED25519_KEY_BYTES:
        raise ValueError(f"the public key is not of type {kind}")
    public_key = content[1:]
    if key_id(name, public_key, kind).hex() != identity:
        raise ValueError("the identity does not match name and key")
    return name, public_key


def is_key_name(name: str) -> bool:
    """Return True if a key may have this name: not empty, no space and no plus."""
    return bool(name) and name.isprintable() and not re.search(r"[\s+]", name)


def parse_note(content: bytes) -> Note:
    """Read a note. Raises ValueError if it is not well-formed or too large."""
    if len(content) > NOTE_MAX_BYTES:
        raise ValueError(f"a note of {len(content)} bytes is too large")
    whole = content.decode("utf-8")
    if _CONTROL.search(whole):
        raise ValueError("the note contains a control character")
    text, separator, signatures = whole.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise ValueError("the note has no signature lines")
    lines = signatures.split("\n")[:-1]
    if len(lines) > SIGNATURES_MAX:
        raise ValueError(f"the note has {len(lines)} signature lines")
    return Note(text + "\n", tuple(_signature(line) for line in lines))


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint. Raises ValueError if it is not well-formed.

    Further lines are extensions, which c2sp.org/tlog-checkpoint says to ignore.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
        raise ValueError("a checkpoint has at least three lines, and none is empty")
    origin, number, encoded = lines[:3]
    if not _NUMBER.fullmatch(number) or int(number) > _SIZE_MAX:
        raise ValueError("the tree size is not a number")
    root = decoded(encoded)
    if len(root) != HASH_BYTES:
        raise ValueError(f"the root hash has {len(root)} bytes")
    return Checkpoint(origin, int(number), root)


def decoded(text: str) -> bytes:
    """Return the bytes of a base64 text. Raises ValueError if it is not canonical."""
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from error
    if base64.b64encode(content).decode("ascii") != text:
        raise ValueError("not canonical base64")
    return content


def _signature(line: str) -> Signature:
    name, space, encoded = line.removeprefix(_MARK).partition(" ")
    if not line.startswith(_MARK) or not space or not is_key_name(name):
        raise ValueError("a signature line is not well-formed")
    content = decoded(encoded)
    if len(content) <= _ID_BYTES:
        raise ValueError("a signature line is too short")
    return Signature(name, content[:_ID_BYTES], content[_ID_BYTES:])
