"""Fuzzing of the evidence that follows the coverage, with atheris.

`python -m tests.fuzz.guided [SECONDS]` runs each target for a time in a process of its
own. It begins with the corpus. A target that fails prints its input and its traceback,
and the exit status is 1. Atheris has 62 MB, so only `make check-full` runs this.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

SECONDS = 60
_SIZE_MAX, _MEMORY_MB, _INPUT_S = 20_000, 2048, 20
Check = Callable[[bytes], None]
# The checks of test_evidence, and the folder of the corpus of each.
CHECKS = {
    "notes": ("test_notes", "notes"),
    "proofs": ("test_proofs", "proofs"),
    "consistency": ("test_consistency_proofs", "proofs"),
    "handovers": ("test_handovers", "handovers"),
    "seal_points": ("test_seal_points", "seal_points"),
}
BUNDLES = "bundles"


def _bundles(folder: Path) -> tuple[Check, list[bytes]]:
    """Return a check that puts the input into one of the files of a bundle, and seeds.

    The first byte of an input chooses the file.
    """
    bundles = importlib.import_module("tests.fuzz.test_bundles")
    verifying = importlib.import_module("qos_agent.archive.bundle.verifying")
    bundle = bundles.whole_bundle(folder)
    files = sorted(path for path in bundle.rglob("*") if path.is_file())
    contents = {path: path.read_bytes() for path in files}
    declaration = bundle / "bagit.txt"

    def check(data: bytes) -> None:
        path = files[data[0] % len(files)] if data else declaration
        if path == declaration:
            return
        try:
            path.write_bytes(data[1:])
            verdict = verifying.verify(bundle)
            is_tag_manifest = path.name.startswith("tagmanifest")
            is_same = data[1:] == contents[path]
            assert verdict.is_valid == is_same or is_tag_manifest
        finally:
            path.write_bytes(contents[path])

    seeds = [bytes([n]) + contents[path] for n, path in enumerate(files)]
    return check, [seed for seed in seeds if len(seed) < _SIZE_MAX]


def run(target: str, seconds: int) -> None:
    """Fuzz one target; this process ends with it."""
    atheris: Any = importlib.import_module("atheris")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        corpus = folder / "corpus"
        corpus.mkdir()
        with atheris.instrument_imports(include=["qos_agent"]):
            evidence = importlib.import_module("tests.fuzz.test_evidence")
            if target == BUNDLES:
                check, seeds = _bundles(folder / "made")
            else:
                function, name = CHECKS[target]
                check = vars(evidence)[function].__dict__["check"]
                seeds = evidence.seeds(name)
        for number, seed in enumerate(seeds):
            (corpus / str(number)).write_bytes(seed)
        options = [f"-max_total_time={seconds}", f"-max_len={_SIZE_MAX}"]
        options += [f"-rss_limit_mb={_MEMORY_MB}", f"-timeout={_INPUT_S}"]
        options += [
            "-len_control=0",
            "-print_final_stats=1",
            f"-artifact_prefix={folder}/",
        ]
        atheris.Setup([sys.argv[0], str(corpus), *options], check)
        atheris.Fuzz()


def main(arguments: Sequence[str]) -> int:
    """Run all targets, or the one that `--target` names."""
    if arguments[:1] == ["--target"]:
        run(arguments[1], int(arguments[2]))
    seconds = int(arguments[0]) if arguments else SECONDS
    failed = []
    for target in (*CHECKS, BUNDLES):
        command = [sys.executable, "-m", "tests.fuzz.guided", "--target", target]
        ended = subprocess.run(
            [*command, str(seconds)], capture_output=True, text=True, check=False
        )
        lines = ended.stderr.splitlines()
        runs = [line for line in lines if "stat::number_of_executed_units" in line]
        print(target, *runs, f"status {ended.returncode}", flush=True)
        if ended.returncode:
            failed.append(target)
            print(ended.stdout[-4000:], *lines[-60:], sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
