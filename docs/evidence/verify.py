"""Checks an exported journal without the programs of QoS Agent.

    python verify.py LINES --device KEY [--witness KEY] [--root KEY] [--proof FILE ...]

LINES is the output of `qos-agent journal export`. The keys are texts NAME+IDENTITY+KEY:
that of the device, the two of the witness (`qos-agent noc witness key`). The proofs are
those of `qos-agent noc witness proof`. docs/method/evidence.md describes the formats.
It needs Python 3.11 and the package `cryptography`.
"""

from __future__ import annotations

import argparse
import re
import sys
from base64 import b64decode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FIELD = re.compile(r'([^=,\s]+)=("(?:[^"\\]|\\.)*"|[^,]*)')
Key = tuple[str, bytes, int, Ed25519PublicKey]


def key_of(text: str) -> Key:
    """Return name, identity, type and key. The type is 1, or 4 for cosignatures."""
    name, _, encoded = text.split("+", 2)
    raw = b64decode(encoded, validate=True)
    identity = sha256(name.encode() + b"\n" + raw).digest()[:4]
    return name, identity, raw[0], Ed25519PublicKey.from_public_bytes(raw[1:])


def is_signed(note: str, key: Key, name: str) -> bool:
    """Return True if the note has a correct signature of the key."""
    text, _, lines = note.rpartition("\n\n")
    text += "\n"
    identity = key[1]
    if name != key[0]:  # A device signs with the origin of its journal as the name.
        raw = key[3].public_bytes_raw()
        identity = sha256(name.encode() + b"\n" + bytes([key[2]]) + raw).digest()[:4]
    for line in lines.splitlines():
        _, found, encoded = line.split(" ")
        content = b64decode(encoded, validate=True)
        if (found, content[:4]) != (name, identity):
            continue
        message, signature = text.encode(), content[4:]
        if key[2] == 4:
            time = int.from_bytes(signature[:8], "big")
            message = f"cosignature/v1\ntime {time}\n{text}".encode()
            signature = signature[8:]
        try:
            key[3].verify(signature, message)
        except InvalidSignature:
            return False
        return True
    return False


def fold(stack: list[tuple[int, bytes]], leaf: bytes) -> None:
    """Add a leaf to the complete subtrees (RFC 6962)."""
    stack.append((0, leaf))
    while len(stack) > 1 and stack[-1][0] == stack[-2][0]:
        level, right = stack.pop()
        stack[-1] = (level + 1, sha256(b"\x01" + stack[-1][1] + right).digest())


def root_of(stack: list[tuple[int, bytes]]) -> bytes:
    """Return the root over the complete subtrees, the largest of which is first."""
    result = stack[-1][1]
    for _, left in reversed(stack[:-1]):
        result = sha256(b"\x01" + left + result).digest()
    return result


def path_root(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes | None:
    """Return the root that an inclusion proof leads to (RFC 6962, 2.1.1)."""
    if size == 1:
        return leaf if index == 0 and not path else None
    if not path or not 0 <= index < size:
        return None
    half = 1 << (size - 1).bit_length() - 1
    in_left = index < half
    place = (index, half) if in_left else (index - half, size - half)
    inner = path_root(leaf, *place, path[:-1])
    if inner is None:
        return None
    pair = inner + path[-1] if in_left else path[-1] + inner
    return sha256(b"\x01" + pair).digest()


def checked(lines: list[bytes], key: Key, roots: dict[str, bytes]) -> Iterator[str]:
    """Yield the faults of the lines; fill `roots` with those that seals confirm."""
    journals: dict[str, dict[int, bytes]] = {}
    seals: dict[str, dict[int, str]] = {}
    for line in lines:
        series, rest = line.decode().split(" ", 1)
        found = FIELD.findall(rest.rpartition(" ")[0])
        fields = {name: text.strip('"') for name, text in found}
        origin = f"{key[0]}/{quote(fields['journal'], safe='')}"
        if f"qos-agent/{quote(fields['device'], safe='')}" != key[0]:
            yield f"point {fields['seq']}: of another device ({fields['device']})"
            continue
        points = journals.setdefault(origin, {})
        if points.setdefault(int(fields["seq"][:-1]), line) != line:
            yield f"{origin}: point {fields['seq']} is there twice"
        if series.startswith("seal,") and fields["cause"] != "handover":
            note = b64decode(fields["note"], validate=True).decode()
            named, size, _ = note.split("\n", 2)
            if not is_signed(note, key, named):
                yield f"{named}: the signature of the seal of {size} points is wrong"
            elif seals.setdefault(named, {}).setdefault(int(size), note) != note:
                yield f"{named}: two seals of {size} points (fork)"
    for origin, points in journals.items():
        yield from replayed(origin, points, seals.pop(origin, {}), roots)
    yield from (f"{origin}: seals without points" for origin in seals)


def replayed(
    origin: str,
    points: dict[int, bytes],
    seals: dict[int, str],
    roots: dict[str, bytes],
) -> Iterator[str]:
    """Build the tree of a journal and compare it with each seal."""
    stack: list[tuple[int, bytes]] = []
    last, sealed = max(points), max(seals, default=0)
    for seq in range(1, max(last, sealed) + 1):
        if seq not in points:
            yield f"{origin}: point {seq} is missing, so later seals are not checked"
            return
        fold(stack, sha256(b"\x00" + points[seq]).digest())
        if seq in seals:
            text = seals[seq].rpartition("\n\n")[0] + "\n"
            if root_of(stack) != b64decode(text.split("\n")[2]):
                yield f"{origin}: a point up to {seq} is not the one that was sealed"
                return
            roots[text] = root_of(stack)
    print(f"{origin}: {last} points, {len(seals)} seals, {last - sealed} not sealed")


def check_proof(content: str, keys: dict[str, Key], roots: dict[str, bytes]) -> str:
    """Return the fault of a proof of a national root, or nothing."""
    head, _, tree = content.partition("\n\n")
    _, extra, index, *hashes = head.split("\n")
    note = b64decode(extra.removeprefix("extra "), validate=True).decode()
    text = note.rpartition("\n\n")[0] + "\n"
    _, size, root, *_ = tree.split("\n")
    path = [b64decode(one, validate=True) for one in hashes]
    leaf = sha256(b"\x00" + text.encode()).digest()
    number = int(index.removeprefix("index "))
    if path_root(leaf, number, int(size), path) != b64decode(root):
        return "the national root does not contain the checkpoint"
    if not is_signed(note, keys["device"], text.split("\n")[0]):
        return "the device did not sign the checkpoint"
    if not is_signed(note, keys["witness"], keys["witness"][0]):
        return "the witness did not cosign the checkpoint"
    if not is_signed(tree, keys["root"], keys["root"][0]):
        return "the witness did not sign the national root"
    return "" if text in roots else "the journal has no such seal"


def main() -> int:
    """Print the result; the status is 0 if everything is proven."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lines", type=Path)
    for name in ("device", "witness", "root"):
        parser.add_argument(f"--{name}", type=key_of, required=name == "device")
    parser.add_argument("--proof", type=Path, nargs="*", default=[])
    options = parser.parse_args()
    roots: dict[str, bytes] = {}
    lines = options.lines.read_bytes().splitlines()
    try:
        faults = list(checked(lines, options.device, roots))
        for path in options.proof:
            fault = check_proof(path.read_text("utf-8"), vars(options), roots)
            print(f"{path.name}: {fault or 'in the national root'}")
            faults += [fault] if fault else []
    except (ValueError, KeyError, TypeError) as error:
        faults = [f"a line or a file is not well-formed: {error}"]
    print("\n".join(faults) or "valid")
    return 1 if faults or not roots else 0


if __name__ == "__main__":
    sys.exit(main())
