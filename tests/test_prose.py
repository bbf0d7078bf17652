"""The language rules hold for code, documents, generated boards and help texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from qos_agent.cli.main import COMMANDS, build
from tests.prose import (
    ROOT,
    Violation,
    check,
    markdown_file,
    project_files,
    python_file,
    words_in,
)

DASHBOARDS = sorted((ROOT / "grafana" / "dashboards" / "en").glob("*.json"))
ALERTS = sorted((ROOT / "grafana" / "provisioning" / "alerting").glob("*.yaml"))
# Keys of a dashboard or a rule whose values a person reads.
TEXTS = frozenset({"title", "description", "summary", "text", "content", "label"})


@pytest.mark.slow
def test_the_project_has_no_violation() -> None:
    """Docstrings, comments, strings and documents follow the rules."""
    found = [str(violation) for path in project_files() for violation in check(path)]
    assert found == []


def test_help_has_no_violation() -> None:
    """The help of every command and option follows the rules."""
    program = typer.main.get_command(build(list(COMMANDS)))
    found = [str(violation) for violation in _help(program, "qos-agent")]
    assert found == []


def _help(command: Any, name: str) -> Iterator[Violation]:
    texts = [command.help, *(getattr(p, "help", None) for p in command.params)]
    for text in filter(None, texts):
        yield from words_in(text, Path(name), 0)
    for key, subcommand in getattr(command, "commands", {}).items():
        yield from _help(subcommand, f"{name} {key}")


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_a_board_has_no_violation(path: Path) -> None:
    """Titles and descriptions of the English boards follow the rules."""
    texts = _texts(json.loads(path.read_text(encoding="utf-8")))
    assert [str(v) for text in texts for v in words_in(text, path, 0)] == []


def _texts(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in TEXTS and isinstance(value, str):
                yield value
            else:
                yield from _texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value)


@pytest.mark.slow
@pytest.mark.parametrize("path", ALERTS, ids=lambda path: path.stem)
def test_an_alert_has_no_violation(path: Path) -> None:
    """The texts of the alert rules and contact points follow the rules."""
    text = path.read_text(encoding="utf-8")
    assert [str(violation) for violation in words_in(text, path, 1)] == []


@pytest.mark.parametrize(
    "text",
    [
        "The collector is told of it.",
        "Points that are owed go first.",
        "A fault is mended by hand.",
        "It is kept for ever.",
        "The form is the least of it.",
        "Packets travel\nover a link that carries them.",
        "A file beside the page, held to a limit.",
        "It moves some kilobytes.",
    ],
)
def test_a_forbidden_word_is_found(text: str) -> None:
    """The check finds the words that the rules forbid."""
    assert list(words_in(text, Path("x"), 1)) != []


@pytest.mark.parametrize(
    "text",
    [
        "It lasts at most an hour.",
        "A damaged card is the most frequent cause.",
        "The least valuable points are removed.",
        "Besides, `carry` is the name of a field.",
        "Some files are missing.",
    ],
)
def test_an_ordinary_word_is_not_found(text: str) -> None:
    """Words that resemble a forbidden phrase are allowed."""
    assert list(words_in(text, Path("x"), 1)) == []


def test_a_docstring_that_opens_with_what_is_found(tmp_path: Path) -> None:
    """A docstring must not start with What, Who, How, Where or Whether."""
    module = tmp_path / "module.py"
    module.write_text('def f() -> None:\n    """What it does."""\n')
    (violation,) = python_file(module)
    assert violation.rule == "docstring opening"


def test_a_long_sentence_is_found(tmp_path: Path) -> None:
    """A document must not have a sentence of more than 30 words."""
    page = tmp_path / "page.md"
    page.write_text("word " * 31 + "ends.\n")
    (violation,) = markdown_file(page)
    assert violation.rule == "sentence of 32 words"


@pytest.mark.parametrize(
    "text",
    [
        "# Kept for ever",
        "| a | kept for ever |",
        "> kept\n> for ever",
        "- kept for ever",
    ],
)
def test_a_word_is_found_in_each_part_of_a_document(tmp_path: Path, text: str) -> None:
    """Headings, table cells, quotes and list items are prose too."""
    page = tmp_path / "page.md"
    page.write_text(f"Text.\n\n{text}\n")
    assert [violation.line for violation in markdown_file(page)] == [3]


@pytest.mark.parametrize(
    "text",
    [
        "word " * 20 + "here: " + "word " * 20 + "ends.",
        "word " * 9 + "one; " + "word " * 9 + "two: " + "word " * 9 + "three.",
    ],
)
def test_a_chain_of_clauses_is_found(tmp_path: Path, text: str) -> None:
    """A colon or a semicolon does not end a sentence."""
    page = tmp_path / "page.md"
    page.write_text(text)
    (violation,) = markdown_file(page)
    assert violation.rule.startswith("chain of")


@pytest.mark.parametrize("name", ["a.toml", "a.service", "a.yml", "a.yaml", "Makefile"])
def test_a_word_is_found_in_a_comment(tmp_path: Path, name: str) -> None:
    """Comments of configuration files are checked; their values are not."""
    path = tmp_path / name
    path.write_text('title = "is told # anew"\nkeep = 1  # kept\n# for ever\n')
    assert [violation.line for violation in check(path)] == [3]
