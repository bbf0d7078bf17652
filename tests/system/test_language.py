"""The texts in English and Indonesian."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from qos_agent.agent import doctor
from qos_agent.agent.doctor import examine, table
from qos_agent.agent.doctor.check import Row
from qos_agent.cli import screen
from qos_agent.config.settings import Settings
from qos_agent.influx import fixes
from qos_agent.system.clock import system_clock
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


def test_every_result_and_fix_of_the_doctor_has_a_translation() -> None:
    """Each text of a check is in the table. Commands stay as they are."""
    texts: set[str] = set()
    for path in Path(doctor.__file__).parent.glob("*.py"):
        texts.update(_texts_of_checks(ast.parse(path.read_text(encoding="utf-8"))))
    assert len(texts) > 80
    assert sorted(texts - INDONESIAN.keys()) == []


def test_every_name_of_a_check_has_a_translation() -> None:
    """The first word of each name in the table of checks is translated."""
    names = {row.name.partition(" ")[0] for row in _every_row()}
    assert len(names) > 20
    assert sorted(names - INDONESIAN.keys()) == []


def _every_row() -> Iterator[Row]:
    links = [{"name": "main", "interface": "wwan0"}]
    targets = [
        {"name": "one", "host": "192.0.2.1", "layer": "anchor"},
        {"name": "two", "host": "192.0.2.2", "layer": "anchor", "method": "stamp"},
    ]
    fallback = {"url": "https://192.0.2.3"}
    values = {"links": links, "targets": targets, "fallback": fallback}
    settings = Settings.model_validate(values)
    return table.rows(examine(settings, system_clock()))


def test_every_fix_of_the_database_client_has_a_translation() -> None:
    """The doctor prints the fix of a request that failed."""
    causes = "token token_file insecure ca_file client_cert_file name_not_resolved"
    causes += " no_route unreachable refused tls_expired tls_untrusted tls_name"
    texts = {fixes.for_cause(cause) for cause in causes.split()}
    texts |= {fixes.BUCKET, fixes.CREDENTIALS}
    assert sorted(texts - INDONESIAN.keys()) == []


def _texts_of_checks(tree: ast.Module) -> Iterator[str]:
    """Yield the literals of `ok`, `warn` and `bad`, and those of named texts."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            last = {"ok": 2, "warn": 3, "bad": 3}.get(node.func.id, 0)
            for argument in node.args[1:last]:
                yield from filter(_is_text, _literal(argument))
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id.lower().strip("_")
            if name in {"text", "advice", "move", "replace", "no_internet", "sim_fix"}:
                yield from filter(_is_text, _literal(node.value))


def _is_text(text: str) -> bool:
    """Return False for a command, and for a placeholder without words."""
    is_command = text.startswith(("sudo ", "qos-agent ", "echo "))
    return not is_command and any(c.isalpha() for c in _without_placeholders(text))


def _without_placeholders(text: str) -> str:
    return "".join(literal for literal, *_ in string.Formatter().parse(text))


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
