"""Signatures on indexes and key sets, with the keys of the centre.

The configuration key is on the server and signs at once. Emergency keys are offline: a
folder with unsigned notes goes to each of two people, who sign with `noc config sign`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from qos_agent.config.remote.index import KEY_SET_NAME
from qos_agent.evidence import checkpoints, key_set, notes
from qos_agent.evidence.key_set import Authority, KeySet
from qos_agent.evidence.library import fastest_key, fastest_signer
from qos_agent.evidence.notes import Note
from qos_agent.evidence.signer import Signer
from qos_agent.model.errors import OperatorError
from qos_agent.system.files import read_bytes, replace_private

_FIX_KEY = "qos-agent noc config new-key, then a new key set"


def newest_keys(folder: Path) -> KeySet:
    """Return the newest key set in the published folder. Raises OperatorError.

    The first set is signed by two of its own emergency keys. Each later one is checked
    against the set before it, as devices do.
    """
    keys: KeySet | None = None
    try:
        for path in sorted(folder.glob(KEY_SET_NAME.format(number="*")), key=_number):
            content = read_bytes(path, notes.NOTE_MAX_BYTES)
            if keys is None:
                keys = key_set.parsed(notes.parse_note(content).text)
            else:
                keys = key_set.successor(content, keys, fastest_key)
    except (OSError, ValueError) as error:
        fix = "restore the published folder from the backup"
        raise OperatorError(f"{path}: cannot be used: {error}. Fix: {fix}.") from error
    if keys is None:
        fix = "qos-agent noc config new-set, or remove remote.url from noc.toml"
        raise OperatorError(f"{folder}: there is no key set. Fix: {fix}.")
    return keys


def signer_of(path: Path) -> Signer:
    """Return the signer of a key file. Raises OperatorError or SigningError."""
    signer = fastest_signer(path)
    if signer is None:
        raise OperatorError(f"{path}: there is no key. Fix: {_FIX_KEY}.")
    return signer


def name_of(signer: Signer, keys: KeySet) -> str:
    """Return the name with which a key signs. Raises OperatorError."""
    for one in (*keys.configuration, *keys.emergency):
        if one.key == signer.public_key:
            return one.name
    found = signer.public_key.fingerprint
    problem = f"the key {found} is not in key set {keys.number}"
    raise OperatorError(f"{problem}. Fix: sign with a key of the set.")


def signed(text: str, signer: Signer, name: str) -> Note:
    """Return a note with one signature. Raises SigningError."""
    return checkpoints.signed(name, text, signer)


def sign_file(path: Path, signer: Signer, name: str) -> int:
    """Add a signature to a note or a text; return the number of its signatures.

    Raises OperatorError for a file that is neither.
    """
    content = read_bytes(path, notes.NOTE_MAX_BYTES)
    try:
        note = notes.parse_note(content)
    except ValueError:
        note = Note(_text(path, content), ())
    line = checkpoints.signature(name, note.text, signer)
    others = tuple(one for one in note.signatures if one.name != name)
    signed_note = Note(note.text, (*others, line))
    replace_private(path, signed_note.to_bytes())
    return len(signed_note.signatures)


def need_two_people(contents: Iterable[bytes], keys: KeySet) -> None:
    """Raise OperatorError unless each note has two signatures of emergency keys."""
    for content in contents:
        try:
            note = notes.parse_note(content)
            found = key_set.authority(note, keys, fastest_key)
        except ValueError:
            found = None
        if found is not Authority.EMERGENCY:
            fix = "sign it with two emergency keys: qos-agent noc config sign"
            raise OperatorError(f"a file lacks its two signatures. Fix: {fix}.")


def _text(path: Path, content: bytes) -> str:
    try:
        text = content.decode("utf-8")
    except ValueError:
        text = ""
    if not text.endswith("\n"):
        raise OperatorError(f"{path}: is no text to be signed. Fix: copy it again.")
    return text


def _number(path: Path) -> int:
    digits = path.stem.rpartition("-")[2]
    return int(digits) if digits.isdecimal() else 0
