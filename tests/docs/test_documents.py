"""Links in the documents lead somewhere, and their commands exist."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import typer

from qos_agent.cli.main import COMMANDS, build
from tests.docs.pages import (
    ROOT,
    anchors,
    commands,
    documents,
    inline_commands,
    links,
    paths,
)

DOCUMENTS = documents()
PROGRAM: Any = typer.main.get_command(build(list(COMMANDS)))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", DOCUMENTS, ids=_id)
def test_links_lead_to_a_file_and_a_heading(path: Path) -> None:
    """Every relative link names a file of the project and a heading in it."""
    broken = []
    for link in links(path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists():
            broken.append(link)
        elif anchor and target.suffix == ".md":
            headings = anchors(target.read_text(encoding="utf-8"))
            broken += [link] if anchor not in headings else []
    assert broken == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=_id)
def test_commands_are_accepted(path: Path) -> None:
    """The parser takes every `qos-agent` command; make targets and modules exist."""
    wrong = []
    for words in commands(path.read_text(encoding="utf-8")):
        program = Path(words[0]).name
        if program == "qos-agent":
            wrong += _refused(words[1:])
        elif program == "make":
            targets = [word for word in words[1:] if re.fullmatch(r"[a-z.-]+", word)]
            wrong += [f"make {t}" for t in targets if f"\n{t}:" not in f"\n{MAKEFILE}"]
        elif program.startswith("python") and words[1:2] == ["-m"]:
            wrong += _unknown_module(words[2])
    assert wrong == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=_id)
def test_paths_of_the_project_exist(path: Path) -> None:
    """Every path in a code span that starts with a folder of the project exists."""
    text = path.read_text(encoding="utf-8")
    missing = [name for name in paths(text) if not any(ROOT.glob(name))]
    assert missing == []


def _refused(arguments: list[str]) -> list[str]:
    """Parse a command line without running it."""
    command, rest, path = PROGRAM, arguments, ["qos-agent"]
    while hasattr(command, "commands") and rest and rest[0] in command.commands:
        command, path, rest = command.commands[rest[0]], [*path, rest[0]], rest[1:]
    if hasattr(command, "commands"):
        known = rest in ([], ["--help"], ["--version"])
        return [] if known else [" ".join([*path, *rest])]
    if "--help" in rest:
        return []
    try:
        command.make_context(path[-1], list(rest))
    except Exception as error:  # noqa: BLE001  the parser's exceptions are private
        return [f"{' '.join([*path, *rest])}: {getattr(error, 'message', error)!s}"]
    return []


@pytest.mark.parametrize(
    "path", [*DOCUMENTS, *sorted(ROOT.glob(".github/**/*.yml"))], ids=_id
)
def test_commands_in_a_sentence_exist(path: Path) -> None:
    """Every `qos-agent` command between backticks exists, and so do its options."""
    wrong = []
    for words in inline_commands(path.read_text(encoding="utf-8"), "qos-agent"):
        wrong += _unknown_words(words[1:])
    assert wrong == []


def _unknown_words(words: list[str]) -> list[str]:
    """Return the unknown command or options. A sentence may leave out arguments."""
    command, rest = PROGRAM, words
    while hasattr(command, "commands") and rest and rest[0] in command.commands:
        command, rest = command.commands[rest[0]], rest[1:]
    options = {"--help"}.union(*(parameter.opts for parameter in command.params))
    if hasattr(command, "commands"):
        return [word for word in rest if word not in options]
    named = (word.partition("=")[0] for word in rest if word.startswith("-"))
    return [name for name in named if name not in options]


def _unknown_module(name: str) -> list[str]:
    top = name.partition(".")[0]
    if top not in {"qos_agent", "tests", "bench", "grafana", "deploy"}:
        return []
    return [] if importlib.util.find_spec(name) else [f"python -m {name}"]


def test_tests_named_in_documents_exist() -> None:
    """Every test function that a document cites is in the suite."""
    sources = (path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    defined = set(re.findall(r"def (test_\w+)\(", "\n".join(sources)))
    cited = {
        name
        for path in DOCUMENTS
        for name in re.findall(r"\b(test_\w+)\b(?!\.py)", path.read_text())
    }
    assert cited - defined == set()
