"""Texts, numbers and times of both languages."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import get_args

import pytest

from qos_agent.config.thresholds import LegalStatus
from qos_agent.model.schema.codes import CAUSES, REASONS
from qos_agent.report import language
from qos_agent.report.content import annex, common, completeness, incidents, summary
from qos_agent.report.language import Code, read_catalogue, words
from qos_agent.report.thresholds import defined

_CALLED = {"t", "words", "self"}
_SECOND = 10**9


def _literals() -> Iterator[str]:
    """Yield the texts in the code of the pages."""
    for path in Path(language.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in _CALLED
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                yield str(node.args[0].value)


def _tables() -> Iterator[str]:
    """Yield the texts in tables of the pages, the codes and the indicators."""
    for table in (
        common._PHASES,
        summary._SHORT,
        incidents._SIDES,
        incidents._SIGNS,
        completeness._OUTCOME_NAMES,
        completeness._AGES,
        CAUSES,
        REASONS,
    ):
        yield from table.values()
    yield from (text for pair in annex._TERMS for text in pair)
    yield from common._TONES
    yield from get_args(LegalStatus)
    for definition in defined().values():
        yield definition.meaning.partition(": ")[0]
        yield definition.counted


def test_every_text_is_translated() -> None:
    """A text without a translation would appear in English."""
    path = files("qos_agent.report") / "locale" / "id.po"
    known = dict(read_catalogue(path.read_text(encoding="utf-8")))
    texts = {*_literals(), *_tables()} - {"en", "id"}
    assert not sorted(texts - known.keys())
    assert all(known[text] for text in texts)


def test_placeholders_are_the_same_in_both_languages() -> None:
    """A translation with another name would raise an error."""
    path = files("qos_agent.report") / "locale" / "id.po"
    for text, translated in read_catalogue(path.read_text(encoding="utf-8")):
        if text:
            assert _names(text) == _names(translated), text


def _names(text: str) -> set[str]:
    return {part.partition("}")[0] for part in text.split("{")[1:]}


@pytest.mark.parametrize(
    ("code", "number", "share", "rate", "moment", "duration"),
    [
        (
            "en",
            "1,234.5",
            "98.5 %",
            "12.3 Mbit/s",
            "14 February 2024, 07:00 WIB",
            "2 h 5 min",
        ),
        (
            "id",
            "1.234,5",
            "98,5 %",
            "12,3 Mbit/s",
            "14 Februari 2024, 07.00 WIB",
            "2 jam 5 menit",
        ),
    ],
)
def test_numbers_and_times_are_as_the_language_writes_them(
    code: Code, number: str, share: str, rate: str, moment: str, duration: str
) -> None:
    """Separators, months and the name of the time zone follow the language."""
    t = words(code)
    found = (
        t.number(1234.5, 1),
        t.figure(0.985, "ratio"),
        t.figure(12.3e6, "bit/s"),
        t.moment(1707868800 * _SECOND, "Asia/Jakarta"),
        t.duration(7500),
    )
    plain = tuple(text.replace("\u00a0", " ") for text in found)
    assert plain == (number, share, rate, moment, duration)


def test_a_negative_number_has_a_minus_sign_unless_it_is_zero() -> None:
    """Rounded to zero, a number has no sign."""
    t = words("en")
    assert t.number(-97.25, 1) == "\u221297.2"
    assert t.number(-0.04, 1) == "0.0"


def test_a_catalogue_joins_lines_and_skips_comments() -> None:
    """Translators' programs break long texts into several lines."""
    text = '# note\nmsgid ""\n"one "\n"two"\nmsgstr ""\n"satu "\n"dua"\n'
    assert [*read_catalogue(text)] == [("one two", "satu dua")]


def test_units_with_words_are_translated() -> None:
    """A unit that is a word or has one follows the language of the page."""
    found = [words("id").figure(2.5, unit) for unit in ("packets", "1/day", "ms")]
    assert found == ["2,5\u00a0paket", "2,5\u00a0per hari", "2,5\u00a0ms"]
