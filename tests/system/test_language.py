"""The texts in English and Indonesian."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from qos_agent.agent import doctor
from qos_agent.cli import screen
from qos_agent.system.language import INDONESIAN, Translator, translator_for_locale

COMMANDS = Path(screen.__file__).parent


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "id_ID.UTF-8"}, "id"),
        ({"LANG": "id_ID.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "id_ID"}, "id"),
        ({"LANG": "id_ID.UTF-8", "LC_ALL": ""}, "id"),
    ],
)
def test_the_locale_chooses_the_language(
    environment: dict[str, str], language: str
) -> None:
    """LC_ALL wins over LC_MESSAGES, and that over LANG. Empty values do not count."""
    assert translator_for_locale(environment).language == language


def test_a_text_without_a_translation_stays_english() -> None:
    """The doctor prints results that name an address or a path."""
    assert Translator("id")("http://127.0.0.1:9: refused") == (
        "http://127.0.0.1:9: refused"
    )


@pytest.mark.parametrize("english", INDONESIAN)
def test_both_texts_have_the_same_placeholders(english: str) -> None:
    """A missing name would lose a value; another name would raise KeyError."""
    assert _placeholders(INDONESIAN[english]) == _placeholders(english)


def test_every_text_of_a_command_has_a_translation() -> None:
    """Each literal that a command passes to its translator is in the table."""
    texts = set(_translated_texts())
    assert len(texts) > 20
    assert texts - INDONESIAN.keys() == set()


def test_every_result_of_the_doctor_has_a_translation() -> None:
    """Each literal result of a check is in the table, with or without values."""
    texts: set[str] = set()
    for node in ast.walk(ast.parse(Path(doctor.__file__).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            place = {"Check": 2, "_ok": 1}.get(node.func.id, len(node.args))
            texts.update(*map(_literal, node.args[place : place + 1]))
        elif isinstance(node, ast.Assign):
            texts.update(_results(node))
    assert len(texts) > 12
    assert texts - INDONESIAN.keys() == set()


def _results(node: ast.Assign) -> Iterator[str]:
    """Yield the literal that is assigned to `text`, alone or in a tuple."""
    target, value = node.targets[0], node.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        target, value = target.elts[0], value.elts[0]
    if isinstance(target, ast.Name) and target.id == "text":
        yield from _literal(value)


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def _translated_texts() -> Iterator[str]:
    """Yield the literals in calls of `translate`, and in assignments to `text`."""
    for path in COMMANDS.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if "translate" not in path.read_text(encoding="utf-8"):
            continue
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "translate"
            ):
                yield from _literal(node.args[0])
            elif (
                isinstance(node, ast.Assign)
                and isinstance(node.targets[0], ast.Name)
                and node.targets[0].id == "text"
            ):
                yield from _literal(node.value)


def _literal(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
