"""Every kind of change of a bundle is found and named, at many random places.

The checksums are written after each change, so that only the proofs can find it. A
second test proves that the checksums find each change, too.
"""

from __future__ import annotations

import base64
import os
import random
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from qos_agent.archive.bundle import bag, layout
from qos_agent.archive.bundle.findings import Kind
from qos_agent.archive.bundle.journal_check import JournalReport
from qos_agent.archive.bundle.register import read_keys, write_keys
from qos_agent.archive.bundle.verifying import Expected, Verdict, verify
from qos_agent.evidence import checkpoints, notes
from qos_agent.evidence.merkle import leaf_hash
from qos_agent.model.line_protocol import decode, encode
from tests.archive.bundle.support import (
    bundle_of,
    lines_of,
    sealed_device,
    station_key,
    witnessed,
)
from tests.evidence.support import MemorySigner
from tests.noc.witness.support import WITNESS, WITNESS_NAME

# The long form tries hundreds of places.
PLACES = 300 if os.environ.get("QOS_FAULTS") == "full" else 6
NOTHING = Expected()
COUNTS = (40, 7, 120, 1, 300, 16)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A copy of a bundle that a test may change."""

    folder: Path

    @property
    def data(self) -> Path:
        """The folder of the payload."""
        return self.folder / bag.PAYLOAD

    @property
    def journal(self) -> Path:
        """The folder of its journal."""
        return next((self.data / layout.JOURNALS).glob("*/*"))

    @property
    def lines(self) -> list[bytes]:
        """The lines of the points."""
        return (self.journal / layout.POINTS).read_bytes().splitlines()

    def write(self, lines: list[bytes]) -> None:
        """Replace the points."""
        content = b"".join(line + b"\n" for line in lines)
        (self.journal / layout.POINTS).write_bytes(content)

    def change_leaf(self, seq: int, leaf: bytes) -> None:
        """Replace the hash of a point."""
        path = self.journal / layout.LEAVES
        content = bytearray(path.read_bytes())
        content[32 * (seq - 1) : 32 * seq] = leaf
        path.write_bytes(content)

    def verdict(self, expected: Expected = NOTHING) -> Verdict:
        """Make the checksums and verify; the centre's signature is removed."""
        (self.folder / layout.SIGNATURE).unlink(missing_ok=True)
        bag.write_manifest(self.folder)
        bag.finish(self.folder, [])
        return verify(self.folder, expected)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle that nobody has changed."""
    folder = tmp_path_factory.mktemp("tampering")
    device = sealed_device(folder / "device", COUNTS)
    device.journal.close()
    lines, key = lines_of(folder / "device"), station_key(device)
    nation = witnessed(folder / "witness", [key], lines)
    bundle_of(folder / "bundle", lines, nation.centre([key]))
    nation.bench.close()
    return folder / "bundle"


@pytest.fixture
def copies(untouched: Path, tmp_path: Path) -> Callable[[], Bundle]:
    """Return a function that gives a new copy of the bundle."""
    target = tmp_path / "bundle"

    def copy() -> Bundle:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(untouched, target)
        return Bundle(target)

    return copy


def _flip(line: bytes, chooser: random.Random, start: int, end: int) -> bytes:
    """Change one digit or letter of a part, so that it stays one."""
    places = [n for n in range(start, end) if chr(line[n]).isalnum()]
    place = chooser.choice(places)
    old = line[place : place + 1]
    new = b"1" if old != b"1" else b"2"
    return line[:place] + new + line[place + 1 :]


def _value(line: bytes, chooser: random.Random) -> bytes:
    match = re.search(rb"received=|rtt_p50_ms=|size=", line)
    if match is None:
        return line
    end = line.find(b",", match.end())
    return _flip(line, chooser, match.end(), end if end > 0 else len(line) - 20)


def _time(line: bytes, chooser: random.Random) -> bytes:
    return _flip(line, chooser, line.rfind(b" ") + 1, len(line))


def _tag(line: bytes, chooser: random.Random) -> bytes:
    return _flip(line, chooser, line.find(b"="), line.find(b" "))


def _any_bit(line: bytes, chooser: random.Random) -> bytes:
    place = chooser.randrange(len(line))
    changed = line[place] ^ 1 << chooser.randrange(8)
    return line[:place] + bytes([changed or 1]) + line[place + 1 :]


Change = Callable[[bytes, random.Random], bytes]
CHANGES: dict[str, Change] = {"value": _value, "time": _time, "tag": _tag}


def _report(verdict: Verdict) -> JournalReport:
    (report,) = verdict.journals
    return report


def _named(report: JournalReport, kind: Kind) -> list[list[int]]:
    spans = report.findings.points.get(kind)
    return [] if spans is None else [list(span) for span in spans.spans]


def _places(name: str, bundle: Bundle) -> Iterator[tuple[int, random.Random]]:
    """Yield random places, and first and last ones."""
    chooser = random.Random(name)
    last = len(bundle.lines) - 1
    for index in [0, last, *(chooser.randrange(last) for _ in range(PLACES))]:
        yield index, chooser


def test_an_untouched_bundle_is_valid(copies: Callable[[], Bundle]) -> None:
    """Without a change nothing is reported, with the signature of the centre."""
    bundle = copies()
    verdict = verify(bundle.folder)
    assert verdict.is_valid, verdict
    assert verdict.is_signed
    assert _report(verdict).proven == len(bundle.lines)
    assert copies().verdict().is_valid


@pytest.mark.parametrize("name", CHANGES)
def test_an_altered_point_is_named(copies: Callable[[], Bundle], name: str) -> None:
    """One character of a value, a time or a tag: this point, and no other one."""
    bundle = copies()
    lines = bundle.lines
    for index, chooser in _places(name, bundle):
        changed = list(lines)
        changed[index] = CHANGES[name](lines[index], chooser)
        if changed == lines:
            continue
        bundle.write(changed)
        report = _report(bundle.verdict())
        assert _named(report, Kind.ALTERED) == [[index + 1, index + 1]], changed[index]
        assert report.proven == len(lines) - 1


def test_any_flipped_bit_is_found(copies: Callable[[], Bundle]) -> None:
    """A bit anywhere in a line makes the bundle invalid, and the others are proven."""
    bundle = copies()
    lines = bundle.lines
    for index, chooser in _places("bit", bundle):
        changed = list(lines)
        changed[index] = _any_bit(lines[index], chooser)
        bundle.write(changed)
        verdict = bundle.verdict()
        assert not verdict.is_valid, (index, changed[index])
        assert _report(verdict).proven >= len(lines) - 3


def test_a_deleted_point_is_named(copies: Callable[[], Bundle]) -> None:
    """The first, the last and points in between."""
    bundle = copies()
    lines = bundle.lines
    for index, _ in _places("delete", bundle):
        bundle.write(lines[:index] + lines[index + 1 :])
        report = _report(bundle.verdict())
        assert _named(report, Kind.MISSING) == [[index + 1, index + 1]]
        assert report.proven == len(lines) - 1


def test_an_inserted_point_is_named(copies: Callable[[], Bundle]) -> None:
    """A second line with a number, before or after the true one, and a repeated one."""
    bundle = copies()
    lines = bundle.lines
    for index, chooser in _places("insert", bundle):
        forged = chooser.choice([lines[index], _time(lines[index], chooser)])
        at = index + chooser.randrange(2)
        bundle.write([*lines[:at], forged, *lines[at:]])
        report = _report(bundle.verdict())
        assert _named(report, Kind.INSERTED) == [[index + 1, index + 1]]
        assert report.proven == len(lines)


def test_swapped_points_are_named(copies: Callable[[], Bundle]) -> None:
    """Two lines in each other's place are in disorder; both are still proven."""
    bundle = copies()
    lines = bundle.lines
    for index, chooser in _places("swap", bundle):
        other = chooser.randrange(len(lines))
        if other == index:
            continue
        changed = list(lines)
        changed[index], changed[other] = lines[other], lines[index]
        bundle.write(changed)
        report = _report(bundle.verdict())
        assert set(report.findings.counts) == {Kind.REORDERED}, (index, other)
        assert report.findings.counts[Kind.REORDERED] >= 1


def test_swapped_contents_are_named(copies: Callable[[], Bundle]) -> None:
    """Two readings that exchange their numbers are altered ones."""
    bundle = copies()
    lines = bundle.lines
    for index, chooser in _places("contents", bundle):
        other = chooser.randrange(len(lines))
        if other == index:
            continue
        changed = list(lines)
        for one, two in ((index, other), (other, index)):
            record = decode(lines[two])
            fields = {**record.fields, "seq": one + 1}
            changed[one] = encode(
                type(record)(record.measurement, record.tags, fields, record.time_ns)
            )
        bundle.write(changed)
        spans = _named(_report(bundle.verdict()), Kind.ALTERED)
        numbers = sorted(n for a, b in spans for n in range(a, b + 1))
        assert numbers == sorted((index + 1, other + 1))


def test_an_altered_point_with_its_hash_is_found(copies: Callable[[], Bundle]) -> None:
    """The seals name the interval, and the other intervals are still proven."""
    sizes = [seal.size for seal in _sizes(copies())]
    for index, chooser in _places("hash", copies()):
        bundle = copies()
        lines = bundle.lines
        lines[index] = _time(lines[index], chooser)
        bundle.write(lines)
        bundle.change_leaf(index + 1, leaf_hash(lines[index]))
        report = _report(bundle.verdict())
        first = max([0, *(s for s in sizes if s <= index)]) + 1
        last = min(s for s in sizes if s > index)
        assert _named(report, Kind.UNPROVEN) == [[first, last]]
        assert Kind.ALTERED in report.findings.counts
        assert report.proven == len(lines) - (last - first + 1)


def _sizes(bundle: Bundle) -> list[notes.Checkpoint]:
    found = []
    for line in (bundle.journal / layout.SEALS).read_bytes().splitlines():
        note = notes.parse_note(notes.decoded(str(decode(line).fields["note"])))
        found.append(notes.parse_checkpoint(note.text))
    return found


def test_a_changed_hash_is_named(copies: Callable[[], Bundle]) -> None:
    """A wrong or unknown hash next to the true line."""
    for index, chooser in _places("leaf", copies()):
        bundle = copies()
        bundle.change_leaf(index + 1, chooser.randbytes(32))
        report = _report(bundle.verdict())
        assert _named(report, Kind.LEAVES) == [[index + 1, index + 1]]
        assert report.proven == len(bundle.lines)


def test_points_after_the_last_seal_are_unsealed(
    copies: Callable[[], Bundle],
) -> None:
    """Lines that were left out and come back, and lines of other journals."""
    bundle = copies()
    left = (bundle.data / layout.LEFT_OUT / "not-sealed.lp").read_bytes().splitlines()
    assert left
    lines = bundle.lines
    bundle.write([*lines, *left])
    report = _report(bundle.verdict())
    assert report.findings.counts == {Kind.UNSEALED: len(left)}
    other = lines[5].replace(b'device="pi-1"', b'device="pi-2"')
    for at in (0, 5, len(lines)):
        bundle.write([*lines[:at], other, *lines[at:]])
        report = _report(bundle.verdict())
        assert report.findings.counts == {Kind.INSERTED: 1}
    first = lines[0].replace(b"seq=1i", b"seq=0i")
    bundle.write([first, *lines])
    assert not bundle.verdict().is_valid


def test_a_truncated_journal_is_named(copies: Callable[[], Bundle]) -> None:
    """After any seal, with or without the seals, cosignatures and proofs after it."""
    sizes = [seal.size for seal in _sizes(copies())]
    for count in range(1, len(sizes)):
        bundle = copies()
        size = sizes[count - 1]
        bundle.write(bundle.lines[:size])
        report = _report(bundle.verdict())
        assert _named(report, Kind.MISSING) == [[size + 1, sizes[-1]]]
        seals = (bundle.journal / layout.SEALS).read_bytes().splitlines(keepends=True)
        (bundle.journal / layout.SEALS).write_bytes(b"".join(seals[:count]))
        leaves = (bundle.journal / layout.LEAVES).read_bytes()
        (bundle.journal / layout.LEAVES).write_bytes(leaves[: 32 * size])
        report = _report(bundle.verdict())
        assert Kind.TRUNCATED in report.findings.counts
        content = (bundle.journal / layout.COSIGNED).read_bytes()
        kept = b"".join(_blocks(content)[:count])
        (bundle.journal / layout.COSIGNED).write_bytes(kept)
        report = _report(bundle.verdict())
        assert Kind.TRUNCATED in report.findings.counts
        (bundle.journal / layout.PROOF).unlink()
        report = _report(bundle.verdict())
        assert report.findings.counts == {Kind.NATIONAL_ROOT: 1}


def _blocks(content: bytes) -> list[bytes]:
    parts = content.split(b"\n\n")[:-1]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return [text + b"\n\n" + signatures + b"\n\n" for text, signatures in pairs]


def test_a_stripped_cosignature_is_named(copies: Callable[[], Bundle]) -> None:
    """The whole note, or only the line of the witness."""
    sizes = [seal.size for seal in _sizes(copies())]
    for number in range(len(sizes) - 1):
        bundle = copies()
        path = bundle.journal / layout.COSIGNED
        notes_before = _blocks(path.read_bytes())
        path.write_bytes(b"".join(notes_before[:number] + notes_before[number + 1 :]))
        report = _report(bundle.verdict())
        assert report.findings.details == {
            Kind.COSIGNATURE: [f"the seal of {sizes[number]} points has no cosignature"]
        }
    for number in range(len(sizes)):
        bundle = copies()
        path = bundle.journal / layout.COSIGNED
        blocks = _blocks(path.read_bytes())
        text, signatures = blocks[number].rstrip(b"\n").split(b"\n\n")
        device = signatures.split(b"\n")[0]
        blocks[number] = text + b"\n\n" + device + b"\n\n"
        path.write_bytes(b"".join(blocks))
        report = _report(bundle.verdict())
        assert Kind.COSIGNATURE in report.findings.counts, number


def test_another_key_is_named(copies: Callable[[], Bundle]) -> None:
    """Seals that are signed again, an unknown key, one that had ended, and none."""
    bundle = copies()
    path = bundle.data / layout.KEYS / layout.DEVICE_KEYS
    (key,) = read_keys(path).all()
    other = type(key)(key.station, key.name, MemorySigner(7).public_key, 0)
    ended = type(key)(key.station, key.name, key.key, 0, 1_000)
    moved = type(key)("3171010001002", key.name, key.key, 0)
    cases = {
        Kind.UNKNOWN_KEY: [other],
        Kind.EXPIRED_KEY: [ended],
        Kind.NOT_REGISTERED: [key, moved],
    }
    for kind, keys in cases.items():
        write_keys(path, keys)
        if kind is Kind.NOT_REGISTERED:
            (bundle.data / layout.REGISTER).write_text("code\n3171010001002\n")
        verdict = bundle.verdict()
        counts = _report(verdict).findings.counts
        assert kind in counts, (kind, counts)
    write_keys(path, [moved])
    assert Kind.UNKNOWN_KEY in _report(bundle.verdict()).findings.counts


def test_seals_signed_again_are_named(copies: Callable[[], Bundle]) -> None:
    """A forger with another key changes points, hashes and seals consistently."""
    bundle = copies()
    path = bundle.journal / layout.SEALS
    signer = MemorySigner(7)
    lines = []
    for line in path.read_bytes().splitlines():
        record = decode(line)
        note = notes.parse_note(notes.decoded(str(record.fields["note"])))
        origin = notes.parse_checkpoint(note.text).origin
        again = checkpoints.signed(origin, note.text, signer).to_bytes()
        fields = {**record.fields, "note": base64.b64encode(again).decode()}
        lines.append(encode(type(record)("seal", record.tags, fields, record.time_ns)))
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    report = _report(bundle.verdict())
    assert report.findings.counts[Kind.UNKNOWN_KEY] == len(lines) + 1
    assert report.proven == 0


def test_a_changed_seal_is_named(copies: Callable[[], Bundle]) -> None:
    """Each seal in turn: a wrong signature, another time, or missing."""
    count = len(_sizes(copies()))
    for number in range(count):
        bundle = copies()
        path = bundle.journal / layout.SEALS
        seals = path.read_bytes().splitlines()
        record = decode(seals[number])
        note = str(record.fields["note"])
        wrong = notes.parse_note(notes.decoded(note)).to_bytes()
        wrong = wrong[:-10] + (b"A" if wrong[-10:-9] != b"A" else b"B") + wrong[-9:]
        fields = {**record.fields, "note": base64.b64encode(wrong).decode()}
        changed = encode(type(record)("seal", record.tags, fields, record.time_ns))
        path.write_bytes(
            b"\n".join([*seals[:number], changed, *seals[number + 1 :], b""])
        )
        counts = _report(bundle.verdict()).findings.counts
        assert Kind.SEAL_INVALID in counts
        if number < count - 1:
            path.write_bytes(b"\n".join([*seals[:number], *seals[number + 1 :], b""]))
            counts = _report(bundle.verdict()).findings.counts
            assert Kind.FILE in counts
            later = _time(seals[number], random.Random(number))
            path.write_bytes(
                b"\n".join([*seals[:number], later, *seals[number + 1 :], b""])
            )
            assert Kind.ALTERED in _report(bundle.verdict()).findings.counts


def test_published_copies_are_compared(copies: Callable[[], Bundle]) -> None:
    """A bundle with a witness or a root of its own is not the published one."""
    bundle = copies()
    key = notes.verifier_key(WITNESS_NAME, WITNESS.public_key.raw)
    root = (bundle.data / layout.ROOTS / "root.txt").read_bytes()
    assert bundle.verdict(Expected(key, root)).is_valid
    other = notes.verifier_key(WITNESS_NAME, MemorySigner(8).public_key.raw)
    verdict = bundle.verdict(Expected(other, root))
    assert verdict.findings.counts == {Kind.SIGNATURE: 1}
    text = notes.Checkpoint(f"{WITNESS_NAME}/root/x", 2, bytes(32)).text()
    later = checkpoints.signed(WITNESS_NAME, text, WITNESS).to_bytes()
    verdict = bundle.verdict(Expected(key, later))
    assert verdict.findings.counts == {Kind.NATIONAL_ROOT: 1}


def test_a_changed_root_or_proof_is_named(copies: Callable[[], Bundle]) -> None:
    """A root of another witness, a removed root, and a proof with another hash."""
    bundle = copies()
    root = bundle.data / layout.ROOTS / "root.txt"
    content = root.read_bytes()
    text = notes.parse_note(content).text
    root.write_bytes(checkpoints.signed("other", text, MemorySigner(9)).to_bytes())
    assert Kind.NATIONAL_ROOT in bundle.verdict().findings.counts
    root.unlink()
    assert Kind.NATIONAL_ROOT in _report(bundle.verdict()).findings.counts
    root.write_bytes(content)
    proof = bundle.journal / layout.PROOF
    good = proof.read_bytes()
    proof.write_bytes(good.replace(b"\nindex 1\n", b"\nindex 0\n"))
    assert Kind.NATIONAL_ROOT in _report(bundle.verdict()).findings.counts
    proof.write_bytes(good[:40])
    assert Kind.NATIONAL_ROOT in _report(bundle.verdict()).findings.counts


def test_the_signature_binds_all_files(copies: Callable[[], Bundle]) -> None:
    """Checksums that someone else wrote are not those that the centre signed."""
    bundle = copies()
    (bundle.data / layout.REGISTER).write_text("code\n3171010001001\nextra\n")
    bag.write_manifest(bundle.folder)
    bag.finish(bundle.folder, [])
    verdict = verify(bundle.folder)
    assert verdict.findings.details == {
        Kind.SIGNATURE: ["centre-signature.txt: is of another manifest"]
    }


def test_the_checksums_find_every_changed_file(copies: Callable[[], Bundle]) -> None:
    """Each file that is changed, removed or added is named."""
    bundle = copies()
    files = [path for path in bundle.folder.rglob("*") if path.is_file()]
    for path in files:
        content, name = path.read_bytes(), str(path.relative_to(bundle.folder))
        path.unlink()
        found = list(bag.faults(bundle.folder))
        assert any(name in fault for fault in found), name
        path.write_bytes(content + b" ")
        found = list(bag.faults(bundle.folder))
        assert any(name in fault for fault in found) or name == bag.TAG_MANIFEST
        if name not in (bag.DECLARATION, bag.TAG_MANIFEST):
            assert not verify(bundle.folder).is_valid, name
        path.write_bytes(content)
    (bundle.data / "more.txt").write_text("more")
    found = verify(bundle.folder).findings.details[Kind.FILE]
    assert "data/more.txt: is not in manifest-sha256.txt" in found
