"""The technician's card: its commands and words are those of the program."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from types import ModuleType
from typing import Any

import pytest

from qos_agent.agent.doctor.software import REINSTALL
from qos_agent.cli.main import COMMANDS
from qos_agent.system.language import INDONESIAN, Language
from tests.docs.pages import ROOT

FOLDER = ROOT / "docs/guide/card"
LANGUAGES: tuple[Language, ...] = ("en", "id")
TEXTS: dict[str, Any] = tomllib.loads((FOLDER / "texts.toml").read_text("utf-8"))
# Words of the program on the card, in the order of its rows.
WORDS = (
    ("ok", "WARN", "BAD"),
    ("first fix {name}",),
    ("ACCEPTED", "NOT ACCEPTED"),
    ("good", "degraded", "bad"),
    ("unknown",),
    ("waiting", "sending"),
    ("delivery fails",),
    ("backlog",),
    ("voting", "counting"),
)


def _build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("card", FOLDER / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_card_is_built_from_its_sources(language: str) -> None:
    """The PDF has the digest of its sources, and one page. Fix: make card."""
    build = _build()
    content = build.path(language).read_bytes()
    assert f"/Keywords({build.digest()})".encode() in content
    assert re.findall(rb"<xmpTPg:NPages>(\d+)<", content) == [b"1"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_are_those_of_the_program(language: Language) -> None:
    """A word that the program no longer prints would mislead a technician."""
    for row, texts in zip(TEXTS[language]["words"], WORDS, strict=True):
        shown = row[0].replace("NAME", "{name}").replace("NAMA", "{name}")
        translated = [INDONESIAN[t] if language == "id" else t for t in texts]
        assert shown == " · ".join(translated)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_commands_exist(language: str) -> None:
    """There are five. The first is the script of a release, the others the agent's."""
    lines = [command for command, _ in TEXTS[language]["commands"]]
    assert len(lines) == 5
    agent = [
        words[words.index("qos-agent") + 1]
        for line in lines
        for part in line.split(";")
        if "qos-agent" in (words := shlex.split(part)) and "systemctl" not in words
    ]
    assert set(agent) == {"doctor", "status"}
    assert set(agent) <= COMMANDS.keys()
    assert lines[0].removesuffix(" --language id") == REINSTALL


def test_both_languages_have_the_same_entries() -> None:
    """No row is missing in one language."""
    english, indonesian = TEXTS["en"], TEXTS["id"]
    assert english.keys() == indonesian.keys()
    for name, value in english.items():
        if isinstance(value, list):
            assert len(value) == len(indonesian[name]), name
