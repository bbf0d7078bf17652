"""The examples of the guides work: their files, commands and outputs.

A comment before a fenced block marks it, and the marked blocks of a page run in order:

    <!-- test: file NAME -->    write the block to NAME
    <!-- test: copy NAME -->    copy NAME from the folder of the page
    <!-- test: run STATUS -->   run the block; STATUS is 0, or one of several: 0,1
    <!-- test: output -->       compare the output of the last run with the block

In an expected output, `…` stands for any text, and a line of `…` for any lines.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from qos_agent.cli.main import run
from tests.docs.pages import ROOT, Block, blocks, commands

PAGES = [
    path
    for path in sorted((ROOT / "docs").rglob("*.md"))
    if any(block.mark for block in blocks(path.read_text(encoding="utf-8")))
]
# Pages whose commands must run here, or be shown with their output.
GUIDES = sorted(
    path for part in ("guide", "noc") for path in (ROOT / "docs" / part).rglob("*.md")
)
# These commands start threads and set up logging, or fork: they need their own process.
PROCESSES = frozenset({"doctor", "once", "run"})
# Commands of the guides that neither run here nor show an output, and the reason.
UNSHOWN = {
    "usermod": "prints nothing",
    "systemctl reload": "prints nothing",
    "install": "prints nothing",
    "systemctl daemon-reload": "prints nothing",
    "systemctl restart": "prints nothing",
    "systemctl stop": "prints nothing",
    "systemctl start": "prints nothing",
    "apt-get install": "prints its progress",
    "dpkg --install": "prints its progress",
    "systemctl disable": "prints the links that systemd removes",
    "systemctl enable": "prints the links that systemd creates",
    "nano": "is interactive",
    "mv": "prints nothing",
    "chown": "prints nothing",
    "qos-agent noc register close-key": "needs the key of a device",
    "qos-agent noc witness root": "needs the seals of devices",
    "qos-agent noc witness proof": "needs the seals of devices",
    "openssl ts": "needs an authority for timestamps",
    "mmcli": "needs a modem",
    "ip address": "depends on the network of the device",
    "influx setup": "needs InfluxDB 2.x",
    "influx bucket": "needs InfluxDB 2.x",
    "influx auth": "needs InfluxDB 2.x",
}


@dataclass(frozen=True, slots=True)
class Result:
    """The exit status of a command, with its standard output and errors."""

    status: int
    output: str


def _pattern(expected: str) -> re.Pattern[str]:
    """Return the expected output as a regular expression."""
    lines = [re.escape(line).replace("…", ".*") for line in expected.splitlines()]
    anything = r"(?:.*\n)*?"
    parts = [anything if line == ".*" else f"{line}\n" for line in lines]
    return re.compile("".join(parts))


def _run_block(text: str) -> Result:
    """Run the lines of a block until one fails, as `sh -e` does."""
    outputs = []
    for line in text.replace("\\\n", " ").splitlines():
        result = _run_line(shlex.split(line, comments=True))
        outputs.append(result.output)
        if result.status:
            return Result(result.status, "".join(outputs))
    return Result(0, "".join(outputs))


def _run_line(words: list[str]) -> Result:
    """Run one `qos-agent` command, with variables before it and `> FILE` after it."""
    words, target = (words[:-2], words[-1]) if ">" in words else (words, None)
    start = words.index("qos-agent")
    variables = dict(word.split("=", 1) for word in words[:start] if "=" in word)
    assert len(variables) == start - words[:start].count("sudo"), words
    arguments = words[start + 1 :]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        in_process = arguments[0] not in PROCESSES
        result = _called(arguments, patch) if in_process else _started(arguments)
    if target is None:
        return result
    Path(target).write_text(result.output, encoding="utf-8")
    return Result(result.status, "")


def _called(arguments: list[str], patch: pytest.MonkeyPatch) -> Result:
    """Run a command in this process: a process for each would take a second."""
    patch.setattr(sys, "argv", ["qos-agent", *arguments])
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        status = run()
    return Result(status, output.getvalue())


def _started(arguments: list[str]) -> Result:
    process = subprocess.run(
        [sys.executable, "-m", "qos_agent", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Result(process.returncode, process.stdout)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_work(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each marked command ends with its status and prints the output shown."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("LC_", "QOS_AGENT"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LANG", "C.UTF-8")
    result = Result(0, "")
    for block in blocks(page.read_text(encoding="utf-8")):
        match block.mark:
            case "":
                continue
            case "file":
                Path(block.argument).write_text(block.text, encoding="utf-8")
            case "copy":
                shutil.copy(page.parent / block.argument, tmp_path)
            case "run":
                result = _run_block(block.text)
                allowed = (block.argument or "0").split(",")
                assert str(result.status) in allowed, result.output
            case "output":
                assert _pattern(block.text).fullmatch(result.output), result.output
            case _:
                pytest.fail(f"unknown mark: {block.mark}")


def test_the_guides_have_examples() -> None:
    """The pages with examples are found, so that a wrong mark cannot skip them all."""
    names = {page.name for page in PAGES}
    assert names >= {"configure.md", "register.md", "setup.md"}


@pytest.mark.parametrize("page", GUIDES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_is_run_or_shown_with_its_output(page: Path) -> None:
    """A shell block runs here, or its output follows, or a reason is listed."""
    assert list(_unshown(page.read_text(encoding="utf-8"))) == []


def _unshown(text: str) -> Iterator[str]:
    listed: list[Block | None] = [*blocks(text), None]
    for block, following in pairwise(listed):
        if block is None or not block.is_shell or block.mark == "run":
            continue
        if not _shows_output(text, block, following):
            yield from (c for c in _printing(block) if not c.startswith(tuple(UNSHOWN)))


def _shows_output(text: str, block: Block, following: Block | None) -> bool:
    """Return True if an output or a picture of it is next to the block.

    A short paragraph may introduce the output, but no heading and no table.
    """
    if text[block.end :].lstrip().startswith("!["):
        return True
    if following is None or following.language not in {"text", "json"}:
        return False
    between = text[block.end : following.start]
    return "\n#" not in between and "\n|" not in between


def _printing(block: Block) -> Iterator[str]:
    """Yield the commands of a block whose output goes to the terminal."""
    lines = block.text.replace("\\\n", " ").splitlines(keepends=True)
    shown = "".join(line for line in lines if " > " not in line)
    for words in commands(f"```sh\n{shown}```"):
        yield " ".join([Path(words[0]).name, *words[1:]])


def test_a_listed_command_is_in_a_guide() -> None:
    """No reason is listed for a command that the guides do not contain any more."""
    lines = [
        " ".join([Path(words[0]).name, *words[1:]])
        for page in GUIDES
        for words in commands(page.read_text(encoding="utf-8"))
    ]
    unused = [name for name in UNSHOWN if not any(s.startswith(name) for s in lines)]
    assert unused == []
