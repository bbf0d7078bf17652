"""Key sets: the keys of the centre that devices trust for remote configuration. Pure.

A set has a number, the configuration keys (the current and the next one) and the
emergency keys. It is a signed note (c2sp.org/signed-note). Two emergency keys of a set
sign the set that replaces it, as the root role of The Update Framework does (TUF 1.0,
section 5.3). A device walks from its own set to the newest one, one number at a time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from qos_agent.evidence import checkpoints, notes
from qos_agent.evidence.notes import Note
from qos_agent.evidence.signer import PublicKey, Verifier

_TITLE = "qos-agent key set v1"
_LINE = re.compile(r"(number|configuration|emergency) (\S+)")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
# Two people must agree: one of them alone, or one stolen key, is not enough.
EMERGENCY_SIGNATURES = 2
_KEYS_MAX = 8
# A device checks each signature with a child process.
_SIGNATURES_MAX = 8
# The agent verifies with openssl; the centre and the benches pass a faster key.
Verifying = Callable[[PublicKey], Verifier]


class Authority(StrEnum):
    """The kind of keys that have signed a note."""

    NORMAL = "normal"
    EMERGENCY = "emergency"


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A public key and the name that it signs with."""

    name: str
    key: PublicKey

    @classmethod
    def parsed(cls, text: str) -> NamedKey:
        """Read a key of the form NAME+IDENTITY+KEY. Raises ValueError."""
        name, raw = notes.parse_verifier_key(text)
        return cls(name, PublicKey(raw))

    def text(self) -> str:
        """Return the key in the form that `parsed` reads."""
        return notes.verifier_key(self.name, self.key.raw)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys that are valid together."""

    number: int
    configuration: tuple[NamedKey, ...]
    emergency: tuple[NamedKey, ...]

    def __post_init__(self) -> None:
        """Raise ValueError for a set that could not be used or replaced."""
        if not 1 <= len(self.configuration) <= _KEYS_MAX:
            raise ValueError(f"a key set has 1 to {_KEYS_MAX} configuration keys")
        if not EMERGENCY_SIGNATURES <= len(self.emergency) <= _KEYS_MAX:
            raise ValueError(f"a key set has 2 to {_KEYS_MAX} emergency keys")
        everything = [key.key.raw for key in (*self.configuration, *self.emergency)]
        if len(set(everything)) < len(everything):
            raise ValueError("a key stands twice in the key set")

    def text(self) -> str:
        """Return the text to be signed."""
        lines = [_TITLE, f"number {self.number}"]
        lines += [f"configuration {key.text()}" for key in self.configuration]
        lines += [f"emergency {key.text()}" for key in self.emergency]
        return "\n".join(lines) + "\n"


def parsed(text: str) -> KeySet:
    """Read the text of a key set. Raises ValueError if it is not canonical."""
    title, *lines = text.split("\n")
    found: dict[str, list[str]] = {"number": [], "configuration": [], "emergency": []}
    for line in lines[:-1]:
        if (match := _LINE.fullmatch(line)) is None:
            raise ValueError("a line of the key set is not well-formed")
        found[match[1]].append(match[2])
    numbers = found["number"]
    if title != _TITLE or len(numbers) != 1 or not _NUMBER.fullmatch(numbers[0]):
        raise ValueError("this is no key set of version 1")
    key_set = KeySet(
        int(numbers[0]),
        tuple(map(NamedKey.parsed, found["configuration"])),
        tuple(map(NamedKey.parsed, found["emergency"])),
    )
    if key_set.text() != text:
        raise ValueError("the key set is not in its canonical form")
    return key_set


def authority(note: Note, keys: KeySet, verifying: Verifying) -> Authority | None:
    """Return the authority of a note's signatures, or None if it has none.

    Lines of other keys are ignored. Raises SigningError if nothing can be verified.
    """
    if len(note.signatures) > _SIGNATURES_MAX:
        return None

    def count(named: tuple[NamedKey, ...]) -> int:
        return sum(
            checkpoints.is_signed_by(note, one.name, verifying(one.key))
            for one in named
        )

    if count(keys.emergency) >= EMERGENCY_SIGNATURES:
        return Authority.EMERGENCY
    return Authority.NORMAL if count(keys.configuration) else None


def successor(content: bytes, keys: KeySet, verifying: Verifying) -> KeySet:
    """Return the key set that replaces `keys`. Raises ValueError or SigningError."""
    note = notes.parse_note(content)
    following = parsed(note.text)
    if following.number != keys.number + 1:
        wanted = keys.number + 1
        raise ValueError(f"key set {following.number} instead of {wanted}")
    if authority(note, keys, verifying) is not Authority.EMERGENCY:
        raise ValueError(
            f"key set {following.number} is not signed by two emergency keys of the "
            "set before"
        )
    return following
