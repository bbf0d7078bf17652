"""Notes, cosignatures and proofs in the view of other projects' programs.

The Go libraries are golang.org/x/mod/sumdb/note, github.com/transparency-dev/merkle and
github.com/transparency-dev/formats, in the versions of `go/go.mod`. The Go of Debian 12
is too old for the last one: there, `go/debian12` has the versions, and cosignatures and
tlog-proofs are left out.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from qos_agent.evidence import checkpoints, cosignatures, notes
from qos_agent.evidence.merkle import consistency_proof, inclusion_proof, leaf_hash
from qos_agent.evidence.notes import Checkpoint, Note
from qos_agent.evidence.proofs import TreeProof
from qos_agent.evidence.signer import PublicKey
from tests.evidence.support import MemorySigner, leaves, naive_root, nodes
from tests.support.requirement import require

GO = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
DEVICE, WITNESS = MemorySigner(1), MemorySigner(2)
ORIGIN, WITNESS_NAME = "qos-agent/pi-1/815d8240560427ae", "witness.example/noc"
ENTRIES = leaves(40)

# golang.org/x/mod v0.43.0, sumdb/note/example_test.go, ExampleOpen.
SUMDB_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SUMDB_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXg"
    "KvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_the_note_of_sumdb_verifies() -> None:
    """Our reader accepts the note of Go's documentation, and no changed text."""
    name, raw = notes.parse_verifier_key(SUMDB_KEY)
    note = notes.parse_note(SUMDB_NOTE.encode())
    assert checkpoints.is_signed_by(note, name, PublicKey(raw))
    changed = Note(note.text.replace("your", "our"), note.signatures)
    assert not checkpoints.is_signed_by(changed, name, PublicKey(raw))
    assert note.to_bytes().decode() == SUMDB_NOTE


def _note() -> tuple[Note, dict[str, Any]]:
    text = Checkpoint(ORIGIN, 40, naive_root(ENTRIES)).text()
    line = cosignatures.cosigned(text, 1_700_000_000, WITNESS)
    signatures = (
        checkpoints.signature(ORIGIN, text, DEVICE),
        line.line(WITNESS_NAME, WITNESS.public_key.raw),
    )
    note = Note(text, signatures)
    return note, {
        "Text": note.to_bytes().decode(),
        "Keys": [notes.verifier_key(ORIGIN, DEVICE.public_key.raw)],
        "Cosigners": [
            notes.verifier_key(WITNESS_NAME, WITNESS.public_key.raw, notes.COSIGNATURE)
        ],
    }


def _proofs() -> list[dict[str, Any]]:
    pairs = [(old, size) for size in (1, 7, 8, 33, 40) for old in range(1, size + 1, 3)]
    consistency = [
        {
            "Kind": "consistency",
            "Old": old,
            "Size": size,
            "OldRoot": naive_root(ENTRIES[:old]).hex(),
            "Root": naive_root(ENTRIES[:size]).hex(),
            "Hashes": [h.hex() for h in consistency_proof(old, size, nodes(ENTRIES))],
        }
        for old, size in pairs
    ]
    inclusion = [
        {
            "Kind": "inclusion",
            "Index": old - 1,
            "Size": size,
            "Leaf": ENTRIES[old - 1].hex(),
            "Root": naive_root(ENTRIES[:size]).hex(),
            "Hashes": [h.hex() for h in inclusion_proof(old - 1, size, nodes(ENTRIES))],
        }
        for old, size in pairs
    ]
    return consistency + inclusion


def _inclusion() -> dict[str, Any]:
    note, _ = _note()
    leaf = leaf_hash(note.text.encode())
    tree = Checkpoint("witness.example/root", 3, naive_root([*ENTRIES[:2], leaf]))
    signed = checkpoints.signed(WITNESS_NAME, tree.text(), WITNESS)
    hashes = inclusion_proof(2, 3, nodes([*ENTRIES[:2], leaf]))
    proof = TreeProof(2, hashes, signed.to_bytes(), note.to_bytes())
    return {
        "Text": proof.to_bytes().decode(),
        "Key": notes.verifier_key(WITNESS_NAME, WITNESS.public_key.raw),
        "Leaf": leaf.hex(),
    }


@dataclass(frozen=True, slots=True)
class Program:
    """The Go program; without `formats` it knows notes and proofs only."""

    path: Path
    has_formats: bool


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Build the Go program, which needs Go, and the module proxy for the first time.

    A machine without the proxy skips the test, also in CI.
    """
    require(GO is not None, "go", "apt-get install golang-go")
    go, folder = str(GO), tmp_path_factory.mktemp("go")
    sources = Path(__file__).parent / "go"
    version = subprocess.check_output([go, "version"], text=True)
    found = re.search(r"go1\.(\d+)", version)
    has_formats = found is not None and int(found[1]) >= 25
    modules = sources if has_formats else sources / "debian12"
    for path in (*sources.glob("*.go"), *modules.glob("go.*")):
        shutil.copy(path, folder)
    settings = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
    built = subprocess.run(
        [go, "build", "-o", "conformance", "."],
        cwd=folder,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if "https://" in built.stderr or "GOPROXY" in built.stderr:
        pytest.skip(f"no module proxy can be reached: {built.stderr[-200:]}")
    assert built.returncode == 0, built.stderr
    return Program(folder / "conformance", has_formats)


def _answers(program: Program, **cases: list[dict[str, Any]]) -> list[str]:
    result = subprocess.run(
        [str(program.path)],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return result.stdout.splitlines()


def test_go_verifies_what_we_make(program: Program) -> None:
    """Go accepts our checkpoint, cosignature, proofs and tlog-proof."""
    _, case = _note()
    proofs = _proofs()
    inclusions = [_inclusion()] if program.has_formats else []
    if not program.has_formats:
        case["Cosigners"] = []
    answers = _answers(program, Notes=[case], Proofs=proofs, Inclusions=inclusions)
    assert answers == ["ok"] * (len(proofs) + 1 + len(inclusions))


def test_go_rejects_what_was_changed(program: Program) -> None:
    """A changed size, time of cosignature, hash and leaf fail there too."""
    note, case = _note()
    device, witness = note.signatures
    later = cosignatures.Cosignature(1, witness.signature[8:])
    moved = Note(note.text, (device, later.line(WITNESS_NAME, WITNESS.public_key.raw)))
    cases = [
        case | {"Text": case["Text"].replace("\n40\n", "\n41\n"), "Cosigners": []},
        case | {"Text": moved.to_bytes().decode()},
    ]
    inclusion = _inclusion() | {"Leaf": ENTRIES[5].hex()}
    proofs = [one | {"Root": ENTRIES[6].hex()} for one in _proofs()[-3:]]
    answers = _answers(program, Notes=cases, Proofs=proofs, Inclusions=[inclusion])
    assert [answer for answer in answers if not answer.startswith("FAILED")] == []
    assert len(answers) == 6
