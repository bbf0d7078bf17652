"""Checks texts against the language rules of CONTRIBUTING.md.

`python -m tests.prose PATH...` lists the violations of files and folders; without a
path it checks the whole project. `tests/test_prose.py` runs the same check.
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LONGEST_SENTENCE_WORDS = 30

# Words and phrases that readers of English as a second language do not understand at
# first reading, or that hide who acts. The right column says what to write.
REPLACEMENTS = {
    r"mends?|mended|mending": "fix",
    r"owed|owes|owe": "pending",
    r"anew": "again",
    r"(?:is|are|was|were|be|been|being) told": "reports, logs",
    r"(?:is|are|was|were|be|been) said": "reports, logs, prints",
    r"mak(?:e|es|ing) good|made good": "catch up, backfill",
    r"for ever": "permanently, always",
    r"for want of": "because of, without",
    r"ha(?:d|s|ve|ving) (?:had )?(?:its|their) time": "expired",
    r"nobody.s|somebody.s|somebody": "unassigned, someone",
    r"(?:of )?one.s own": "your own, its own",
    r"of (?:our|its|their) own (?:making|accord)": "internal, bug",
    r"a fault of ours|fault of our own": "internal error, bug",
    r"so (?:many|much|long|often) (?:bytes|points|minutes|seconds|back)": "N",
    r"what came of (?:it|them)": "the result",
    r"words of (?:whoever|a server|the server)|its words": "message",
    r"at the (?:least|most)": "at least, at most, minimum, maximum",
    r"dear(?:er)?": "expensive, high priority",
    r"made again|make again|making again": "recalculate",
    r"where (?:there|it|they|one|no|none|nothing|nobody) "
    r"(?:is|are|was|were|do|does|did|can|cannot|could|may|has|have)": "if",
    r", where (?:there|it|they|one|no)": "if",
    r"well:": "ok:",
    r"found nothing": "missing",
    r"purse|clerk|strangers?": "account, census, unexpected",
    r"begins? anew|come by": "begin again, obtain",
}
FORBIDDEN = [
    (re.compile(rf"(?<![\w`/-])(?:{pattern})(?![\w`])", re.IGNORECASE), advice)
    for pattern, advice in REPLACEMENTS.items()
]
# A docstring names what it documents or starts with a verb.
OPENING = re.compile(r"(?:What|Who|Whom|Whose|How|Where|Whether|By what|From where)\b")


@dataclass(frozen=True, slots=True)
class Violation:
    """One text that breaks a rule, and the place where it stands."""

    path: Path
    line: int
    rule: str
    text: str

    def __str__(self) -> str:
        """Return one line as a compiler would print it."""
        place = self.path.relative_to(ROOT) if self.path.is_absolute() else self.path
        return f"{place}:{self.line}: {self.rule}: {self.text}"


def words_in(text: str, path: Path, line: int) -> Iterator[Violation]:
    """Yield a violation for every forbidden word or phrase of a text."""
    for offset, part in enumerate(text.splitlines()):
        for pattern, advice in FORBIDDEN:
            if match := pattern.search(part):
                rule = f"'{match[0]}', write: {advice}"
                yield Violation(path, line + offset, rule, part.strip()[:100])


def python_file(path: Path) -> Iterator[Violation]:
    """Yield the violations in docstrings, comments and strings of a module."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ):
            text = ast.get_docstring(node)
            if text and OPENING.match(text):
                line = node.body[0].lineno
                yield Violation(path, line, "docstring opening", text.split("\n")[0])
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from words_in(node.value, path, node.lineno)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield from words_in(token.string, path, token.start[0])


def _prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield line number and text of each paragraph or list item of a Markdown file."""
    block: list[str] = []
    start, fenced = 1, False
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        item = re.match(r"\s*(?:[-*+]|\d+\.)\s", line)
        ends = fenced or not line.strip() or line.startswith(("#", "|", ">", "```"))
        if (ends or item) and block:
            yield start, " ".join(block)
            block = []
        if not ends:
            if not block:
                start = number
            block.append(line.strip())


def _plain(text: str) -> str:
    """Return a paragraph without link targets, code spans and abbreviations' dots."""
    text = re.sub(r"\]\([^)]*\)", "]", text)
    text = re.sub(r"`[^`]*`", "CODE", text)
    return re.sub(r"\b(e\.g|i\.e|etc|vs|no|Kec|Kab)\.", r"\1", text)


def markdown_file(path: Path, english: bool = True) -> Iterator[Violation]:
    """Yield the violations of a document: words, and sentences that are too long."""
    text = path.read_text(encoding="utf-8")
    for line, block in _prose(text):
        plain = _plain(block)
        if english:
            yield from words_in(plain, path, line)
        for sentence in re.split(r"(?<=[.!?:;])\s+", plain):
            count = len(re.findall(r"[\w%€-]+", sentence))
            if count > LONGEST_SENTENCE_WORDS:
                rule = f"sentence of {count} words"
                yield Violation(path, line, rule, sentence[:100])


def check(path: Path) -> Iterator[Violation]:
    """Yield the violations of one file."""
    if path.name in {"prose.py", "test_prose.py"}:
        return
    if path.suffix == ".py":
        yield from python_file(path)
    elif path.suffix == ".md":
        yield from markdown_file(path, english="id" not in path.parts)


def project_files() -> Iterator[Path]:
    """Yield the files of the project under version control that hold prose."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "*.py", "*.md"]
    listed = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).exists():
            yield ROOT / name


def main() -> int:
    """Print every violation; return 1 if there is one."""
    named = [Path(argument).resolve() for argument in sys.argv[1:]]
    files = [
        path
        for path in project_files()
        if not named or any(path.is_relative_to(place) for place in named)
    ]
    violations = [violation for path in files for violation in check(path)]
    print(*violations, sep="\n")
    print(f"{len(violations)} violations in {len(files)} files", file=sys.stderr)
    return 1 if violations else 0


if __name__ == "__main__":
    raise SystemExit(main())
