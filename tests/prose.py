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
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LONGEST_CLAUSE_WORDS = 30
# A colon or a semicolon may join two clauses. More of them are a chain.
LONGEST_SENTENCE_WORDS = 40
LONGEST_CHAIN_WORDS = 25

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
    r"beside": "next to, together with, while",
    r"carry|carries|carried|carrying": "send, transfer, contain",
    r"travels?|travelled|travelling": "send, transfer",
    # "the most frequent cause" and "at most" are fine.
    r"the (?:least|most)(?= (?:that|of|it|a|an|the)\b|[.,;:)]|$)": "minimum, maximum",
    r"held (?:to|against)": "compared with, must meet",
    r"some (?:kilobytes|megabytes|bytes|seconds|minutes|hours|days)": "about, a few",
}
FORBIDDEN = [
    (
        # A line may end within a phrase.
        re.compile(
            rf"(?<![\w`/-])(?:{pattern})(?![\w`])".replace(" ", r"\s+"),
            re.IGNORECASE | re.MULTILINE,
        ),
        advice,
    )
    for pattern, advice in REPLACEMENTS.items()
]
# Files of which only the comments are prose.
COMMENTED = frozenset({".toml", ".service", ".yml", ".yaml", ".conf"})
_COMMENT = re.compile(r"(?:^|\s)#+ ?(.*)$")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
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
    for pattern, advice in FORBIDDEN:
        for match in pattern.finditer(text):
            before = text[: match.start()]
            found = " ".join(match[0].split())
            start = before.rfind("\n") + 1
            context = " ".join(text[start : match.end() + 40].split())
            rule = f"'{found}', write: {advice}"
            yield Violation(path, line + before.count("\n"), rule, context[:100])


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
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = [
        (token.start[0], token.string.lstrip("#").strip())
        for token in tokens
        if token.type == tokenize.COMMENT
    ]
    for line, text in _joined(comments):
        yield from words_in(text, path, line)


def commented_file(path: Path) -> Iterator[Violation]:
    """Yield the violations in the comments of a file in which `#` starts a comment."""
    comments = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if match := _COMMENT.search(_QUOTED.sub("QUOTED", line)):
            comments.append((number, match[1]))
    for start, text in _joined(comments):
        yield from words_in(text, path, start)


def _joined(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Join the texts of consecutive lines; yield the first line number and the text."""
    block: list[str] = []
    start = 0
    for number, text in lines:
        if block and number != start + len(block):
            yield start, "\n".join(block)
            block = []
        start = start if block else number
        block.append(text)
    if block:
        yield start, "\n".join(block)


def _prose(text: str) -> Iterator[tuple[int, str]]:
    """Yield line number and text of each paragraph, item, heading and table cell."""
    block: list[str] = []
    start, fenced = 1, False
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        item = re.match(r"\s*(?:[-*+]|\d+\.)\s", line)
        alone = line.startswith(("#", "|"))
        ends = fenced or alone or not line.strip() or line.startswith("```")
        if (ends or item) and block:
            yield start, " ".join(block)
            block = []
        if alone and not fenced:
            yield from ((number, cell) for cell in _cells(line))
        if not ends:
            if not block:
                start = number
            block.append(line.strip("> "))


def _cells(line: str) -> list[str]:
    """Return the cells of a table row, or the text of a heading."""
    if line.startswith("#"):
        return [line.lstrip("# ")]
    cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]
    return [cell for cell in cells if cell.strip("-: ")]


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
        for sentence in re.split(r"(?<=[.!?])\s+", plain):
            yield from _too_long(sentence, path, line)


def _too_long(sentence: str, path: Path, line: int) -> Iterator[Violation]:
    """Yield a violation if a sentence, or a clause of it, has too many words."""
    counts = [
        len(re.findall(r"[\w%€-]+", clause))
        for clause in re.split(r"(?<=[:;])\s+", sentence)
    ]
    if max(counts) > LONGEST_CLAUSE_WORDS:
        yield Violation(path, line, f"sentence of {max(counts)} words", sentence[:100])
    limit = LONGEST_SENTENCE_WORDS if len(counts) <= 2 else LONGEST_CHAIN_WORDS
    if sum(counts) > limit and max(counts) <= LONGEST_CLAUSE_WORDS:
        rule = f"chain of {len(counts)} clauses, {sum(counts)} words"
        yield Violation(path, line, rule, sentence[:100])


def check(path: Path) -> Iterator[Violation]:
    """Yield the violations of one file."""
    if path.name in {"prose.py", "test_prose.py"}:
        return
    if path.suffix == ".py":
        yield from python_file(path)
    elif path.suffix == ".md":
        yield from markdown_file(path, english="id" not in path.parts)
    elif path.suffix in COMMENTED or path.name == "Makefile":
        yield from commented_file(path)


def project_files() -> Iterator[Path]:
    """Yield the files of the project under version control that hold prose."""
    patterns = ["*.py", "*.md", *(f"*{suffix}" for suffix in COMMENTED), "Makefile"]
    command = ["git", "ls-files", "-co", "--exclude-standard", *patterns]
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
