"""The examples of the guides work: their files, commands and outputs.

A comment before a fenced block marks it, and the marked blocks of a page run in order:

    <!-- test: file NAME -->    write the block to NAME
    <!-- test: copy NAME -->    copy NAME from the folder of the page
    <!-- test: run STATUS -->   run the block; STATUS is 0 if it is left out
    <!-- test: output -->       compare the output of the last run with the block

In an expected output, `…` stands for any text, and a line of `…` for any lines.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

_MARK = re.compile(
    r"^<!-- test: (\w+) ?(\S*) -->$(?:\n```\w+\n(.*?)^```$)?", re.DOTALL | re.MULTILINE
)
PAGES = [
    path
    for path in sorted((ROOT / "docs").rglob("*.md"))
    if _MARK.search(path.read_text(encoding="utf-8"))
]


@dataclass(frozen=True, slots=True)
class Step:
    """A marked block: what to do with it, an argument, and its text."""

    action: str
    argument: str
    text: str


def _steps(text: str) -> Iterator[Step]:
    for match in _MARK.finditer(text):
        yield Step(match[1], match[2], match[3] or "")


def _pattern(expected: str) -> re.Pattern[str]:
    """Return the expected output as a regular expression."""
    lines = [re.escape(line).replace("…", ".*") for line in expected.splitlines()]
    anything = r"(?:.*\n)*?"
    parts = [anything if line == ".*" else f"{line}\n" for line in lines]
    return re.compile("".join(parts))


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment of a user in an English locale, without settings."""
    programs = folder / "bin"
    programs.mkdir()
    program = programs / "qos-agent"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m qos_agent "$@"\n')
    program.chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    return {"PATH": path, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_work(page: Path, tmp_path: Path) -> None:
    """Each marked command ends with its status and prints the output shown."""
    environment = _environment(tmp_path)
    folder, output = tmp_path / "work", ""
    folder.mkdir()
    for step in _steps(page.read_text(encoding="utf-8")):
        match step.action:
            case "file":
                (folder / step.argument).write_text(step.text, encoding="utf-8")
            case "copy":
                shutil.copy(page.parent / step.argument, folder)
            case "run":
                result = subprocess.run(
                    ["sh", "-e"],
                    input=step.text,
                    cwd=folder,
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    check=False,
                )
                output = result.stdout
                assert result.returncode == int(step.argument or 0), output
            case "output":
                assert _pattern(step.text).fullmatch(output), output
            case _:
                pytest.fail(f"unknown mark: {step.action}")


def test_the_guides_have_examples() -> None:
    """The pages with examples are found, so that a wrong mark cannot skip them all."""
    names = {page.name for page in PAGES}
    assert names >= {"configure.md", "register.md", "setup.md"}
