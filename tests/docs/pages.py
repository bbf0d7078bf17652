"""The documents of the project, their links and their commands."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]*`")
OPERATORS = frozenset({"|", "&&", "||", ";", "&", ">", ">>", "<", "2>&1"})
SHELLS = ("sh", "bash", "console", "shell")


def documents() -> list[Path]:
    """Return every Markdown file under version control."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "*.md"]
    listed = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [ROOT / line for line in listed.stdout.splitlines()]
    return [path for path in paths if path.exists()]


def links(text: str) -> Iterator[str]:
    """Yield the target of each link outside code."""
    for match in _LINK.finditer(_CODE.sub("", _FENCE.sub("", text))):
        yield match[1]


def anchors(text: str) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    found: set[str] = set()
    for line in _FENCE.sub("", text).splitlines():
        if line.startswith("#"):
            title = re.sub(r"[`*]", "", line.lstrip("#").strip()).lower()
            found.add(re.sub(r"[^\w\- ]", "", title).replace(" ", "-"))
    return found


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each shell command in the fenced blocks of a document."""
    for match in _FENCE.finditer(text):
        if match[1] not in SHELLS:
            continue
        lines = match[2].replace("\\\n", " ").splitlines()
        if match[1] == "console":
            lines = [line[2:] for line in lines if line.startswith(("$ ", "# "))]
        for line in lines:
            yield from _simple_commands(line.strip())


def _simple_commands(line: str) -> Iterator[list[str]]:
    """Split a line at pipes, lists and redirections, and drop comments."""
    current: list[str] = []
    for word in [*shlex.split(line, comments=True), ";"]:
        if word not in OPERATORS:
            current.append(word)
            continue
        if words := _without_prefix(current):
            yield words
        current = []


def _without_prefix(words: list[str]) -> list[str]:
    """Drop `sudo` with its options, and assignments before the program's name."""
    while words and (words[0] == "sudo" or re.match(r"[A-Z_]+=", words[0])):
        words = words[1:]
        while words and words[0].startswith("-"):
            words = words[2:] if words[0] in {"-u", "-g"} else words[1:]
    return words
