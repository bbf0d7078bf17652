"""The documents of the project, their links and their commands."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
_FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`[^`\n]*`")
_PATH = re.compile(
    r"(?:qos_agent|tests|grafana|docs|deploy|bench|requirements)/[\w./*@-]*"
)
OPERATORS = frozenset({"|", "&&", "||", ";", "&", ">", ">>", "<", "2>&1"})
SHELLS = ("sh", "bash", "console", "shell")
_BLOCK = re.compile(
    r"(?:^<!-- test: (\w+) ?(\S*) -->\n)?^ *```(\w+)\n(.*?)^ *```$"
    r"|^<!-- test: (\w+) ?(\S*) -->$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block, or a mark without a block, with its place in the document.

    `mark` and `argument` come from the comment before the block; both may be empty.
    """

    mark: str
    argument: str
    language: str
    text: str
    start: int
    end: int

    @property
    def is_shell(self) -> bool:
        """Return True if the block contains commands."""
        return self.language in SHELLS


def blocks(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a document, and the marks that have none."""
    for match in _BLOCK.finditer(text):
        mark, argument = match[1] or match[5] or "", match[2] or match[6] or ""
        language, content = match[3] or "", match[4] or ""
        yield Block(mark, argument, language, content, match.start(), match.end())


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


def paths(text: str) -> Iterator[str]:
    """Yield each path in a code span that starts with a folder of the project.

    A module without a folder is in the folder of the path before it in its line.
    """
    for line in _FENCE.sub("", text).splitlines():
        folder = ""
        for word in " ".join(_CODE.findall(line)).replace("`", " ").split():
            if _PATH.fullmatch(word):
                folder = re.sub(r"/[^/]*\.[^/]*$|/$", "", word)
                yield word.rstrip("/")
            elif folder and re.fullmatch(r"\w+\.py", word):
                yield f"{folder}/{word}"


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


def inline_commands(text: str, program: str) -> Iterator[list[str]]:
    """Yield the words of each command of a program in the code of sentences."""
    for match in _CODE.finditer(_FENCE.sub("", text)):
        if match[0].startswith(f"`{program} "):
            yield from _simple_commands(match[0].strip("`"))


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
