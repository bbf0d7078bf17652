"""The verifier in docs/evidence, run as its readers run it, on a real journal."""

from __future__ import annotations

import ast
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from qos_agent.agent import sealing
from qos_agent.evidence import checkpoints, keys, notes
from qos_agent.journal import Journal
from qos_agent.journal.reader import EVERY_SEQ, reading
from qos_agent.model import Phase
from qos_agent.model.line_protocol import decode, points
from qos_agent.noc.register.keys import DeviceKey
from qos_agent.noc.witness import root
from qos_agent.noc.witness.seals import Arrival, read_point
from tests.archive.bundle.support import (
    bundle_of,
    lines_of,
    sealed_device,
    station_key,
    witnessed,
)
from tests.journal.support import LIMITS, pre, put
from tests.noc.witness.support import NOW_NS, STATION, WITNESS, WITNESS_NAME, Bench
from tests.support.clocks import FakeClock
from tests.support.readings import IDENTITY

PROGRAM = Path(__file__).parents[2] / "docs" / "evidence" / "verify.py"


@dataclass(frozen=True, slots=True)
class Case:
    """The lines of a journal, the keys as options, and the proof of the root."""

    folder: Path
    lines: tuple[bytes, ...]
    options: tuple[str, ...]
    proof: Path
    sealed: int

    def run(self, *lines: bytes, proof: str = "") -> tuple[int, str]:
        """Run the program; return its status and its output."""
        path = self.folder / "lines"
        path.write_bytes(b"\n".join(lines or self.lines) + b"\n")
        given = [*self.options, "--proof", proof or str(self.proof)]
        done = subprocess.run(
            [sys.executable, "-I", str(PROGRAM), str(path), *given],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


def _journal(folder: Path) -> None:
    """Store points and three seals with a real key."""
    clock = FakeClock()
    keys.create_key(folder / keys.FILE_NAME)
    journal = Journal.open(folder, IDENTITY, ("collector",), pre, LIMITS)
    path = folder / keys.FILE_NAME
    sealer = sealing.load(journal, IDENTITY.device, folder, path)
    for count in (40, 7, 1):
        put(journal, clock, count)
        sealed = sealer.seal("interval", Phase.PRE, clock.boot_ns())
        clock.advance(1.0)
        rows = [p for one in sealed for p in points(one, IDENTITY)]
        journal.put(rows, clock.state(), clock.boot_id)
    put(journal, clock, 5)
    journal.close()


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Return a journal whose seals a witness has cosigned, with its proof."""
    folder = tmp_path_factory.mktemp("journal")
    _journal(folder)
    with reading(folder) as reader:
        lines = tuple(reader.lines(EVERY_SEQ))
    (key,) = set(keys.public_keys(folder))
    name = checkpoints.device_name(IDENTITY.device)
    bench = Bench(folder)
    bench.keys.apply([DeviceKey(STATION, name, key, 0)])
    sealed = [decode(line) for line in lines if line.startswith(b"seal,")]
    arrival = Arrival(STATION, STATION[:4], NOW_NS)
    bench.check(*(read_point(arrival, record.fields) for record in sealed))
    assert bench.kinds() == []
    built = root.build(bench.store, WITNESS_NAME, WITNESS, NOW_NS // 10**9)
    (journal,) = bench.store.journals(STATION)
    public = WITNESS.public_key
    made = root.proof_of(bench.store, built, journal.origin, WITNESS_NAME, public)
    assert made is not None
    bench.close()
    proof = folder / "journal.tlog-proof"
    proof.write_bytes(made.to_bytes())
    cosigner = notes.verifier_key(WITNESS_NAME, public.raw, notes.COSIGNATURE)
    options = {
        "--device": notes.verifier_key(name, key.raw),
        "--witness": cosigner,
        "--root": notes.verifier_key(WITNESS_NAME, public.raw),
    }
    flat = tuple(text for pair in options.items() for text in pair)
    return Case(folder, lines, flat, proof, journal.size)


def test_it_imports_nothing_of_ours() -> None:
    """Only the standard library and `cryptography`."""
    tree = ast.parse(PROGRAM.read_text())
    names = {
        (node.module or "").split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    } | {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert names - set(sys.stdlib_module_names) == {"cryptography"}


def test_an_untouched_journal_is_valid(case: Case) -> None:
    """All seals, the cosignature and the national root verify."""
    status, output = case.run()
    assert status == 0, output
    assert f"{len(case.lines)} points, 3 seals" in output
    assert "in the national root" in output
    assert output.endswith("valid\n")


def _change(lines: list[bytes], index: int) -> None:
    lines[index] = lines[index][:-1] + (b"1" if lines[index][-1:] != b"1" else b"2")


def _swap(lines: list[bytes], index: int) -> None:
    """Swap the measured content of two points, with the numbers left in place."""
    first, second = lines[index], lines[(index + 3) % 40]
    one, other = (int(decode(line).fields["seq"]) for line in (first, second))
    lines[index] = second.replace(b"seq=%di" % other, b"seq=%di" % one)
    lines[(index + 3) % 40] = first.replace(b"seq=%di" % one, b"seq=%di" % other)


CHANGES: dict[str, Callable[[list[bytes], int], None]] = {
    "change": _change,
    "remove": lambda lines, index: lines.__delitem__(index),
    "double": lambda lines, index: lines.insert(index, lines[index] + b"0"),
    "swap": _swap,
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_a_sealed_point_is_found(case: Case, name: str) -> None:
    """A changed, removed, doubled or swapped point is named, at random places."""
    chooser = random.Random(name)
    for index in chooser.sample(range(case.sealed), 4):
        lines = list(case.lines)
        CHANGES[name](lines, index)
        if lines == list(case.lines):
            continue
        status, output = case.run(*lines)
        assert status == 1, (index, output)
        assert "Traceback" not in output


def test_another_key_or_proof_is_found(case: Case) -> None:
    """Signatures of other keys, and a proof with a changed hash, do not verify."""
    text = case.proof.read_text()
    hashes = [i for i, line in enumerate(text.splitlines()) if len(line) == 44]
    changed = text.splitlines(keepends=True)
    changed[hashes[0]] = changed[hashes[0]].swapcase()
    wrong = case.folder / "wrong.tlog-proof"
    wrong.write_text("".join(changed))
    status, output = case.run(proof=str(wrong))
    assert (status, "does not contain" in output) == (1, True), output
    for index in (1, 3, 5):
        options = list(case.options)
        name = options[index].split("+")[0]
        kind = notes.COSIGNATURE if index == 3 else notes.ED25519
        options[index] = notes.verifier_key(name, WITNESS.public_key.raw[::-1], kind)
        other = Case(case.folder, case.lines, tuple(options), case.proof, case.sealed)
        status, output = other.run()
        assert status == 1, output
        assert "Traceback" not in output


def test_a_file_of_another_kind_is_named(case: Case) -> None:
    """Text that is no line protocol is a fault and no traceback."""
    status, output = case.run(b"hello")
    assert (status, "not well-formed" in output) == (1, True)
    assert "Traceback" not in output


def test_it_agrees_on_a_bundle(tmp_path: Path) -> None:
    """The lines of a bundle are valid, and its own copy of the program proves it."""
    device = sealed_device(tmp_path / "device")
    device.journal.close()
    key = station_key(device)
    lines = lines_of(tmp_path / "device")
    nation = witnessed(tmp_path / "witness", [key], lines)
    bundle_of(tmp_path / "bundle", lines, nation.centre([key]))
    (folder,) = (tmp_path / "bundle/data/journals").glob("*/*")
    record = [(folder / name).read_bytes() for name in ("points.lp", "seals.lp")]
    (tmp_path / "lines").write_bytes(b"".join(record))
    roots, cosigner = (tmp_path / "bundle/data/keys/witness.txt").read_text().split()
    program = tmp_path / "bundle/data/verify.py"
    options = ["--device", notes.verifier_key(key.name, key.key.raw)]
    options += ["--root", roots, "--witness", cosigner]
    options += ["--proof", str(folder / "national-root.tlog-proof")]
    done = subprocess.run(
        [sys.executable, "-I", str(program), str(tmp_path / "lines"), *options],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "379 points, 4 seals, 1 not sealed" in done.stdout
    assert "in the national root" in done.stdout
