"""Hints on the errors that people make most often in TOML."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.config import toml_file
from qos_agent.model.errors import InvalidConfigError

MISSING = "line 2: a quote is missing"
CLOSE = 'close the text with `"`'
UNIT = "a value has a unit and no quotes"
STRAIGHT = "use straight quotes"


@pytest.mark.parametrize(
    ("text", "problem", "fix"),
    [
        ('[station]\nid = "3171\nname = 1\n', MISSING, CLOSE),
        ('[station]\r\nid = "3171\r\n', MISSING, CLOSE),
        ('[station]\nid = "3171', MISSING, CLOSE),
        ("a = 1\nb = 'x\nc = 'y'\n", MISSING, "close the text with `'`"),
        ("a = 1\nb = 'x\n", MISSING, "close the text with `'`"),
        ('a = 1\nb = x"\n', MISSING, 'open the text with `"`'),
        ('a = 1\nb = ["x", y"]\n', MISSING, 'open the text with `"`'),
        ("a = 1\nb = “x”\n", "line 2: `“` is not a quote", STRAIGHT),
        ('b = "x”\n', "line 1: `”` is not a quote", STRAIGHT),
        ("b = ‘x’\n", "line 1: `‘` is not a quote", STRAIGHT),
        ("“a” = 1\n", "line 1: `“` is not a quote", STRAIGHT),
        ('b = "x “y” z\n', "line 1: a quote is missing", CLOSE),
        (
            "[station]\n[a]\n[station]\n",
            "line 3: `[station]` is in the file twice",
            "merge the two",
        ),
        ("[a.b]\n[a.b]\n", "line 2: `[a.b]` is in the file twice", "merge the two"),
        (
            "[[links]]\n[links]\n",
            "line 2: `[links]` is a list in this file",
            "write `[[links]]`",
        ),
        ("a = 1\na = 2\n", "line 2: `a` is set twice", "remove one of the two"),
        ("a = 1\nmonthly = 4GB\n", f"line 2: {UNIT}", "put the value in quotes"),
        ("timeout = 1.5 s  # short\n", f"line 1: {UNIT}", "put the value in quotes"),
    ],
)
def test_the_usual_errors_have_a_fix(text: str, problem: str, fix: str) -> None:
    """The error names the line, the problem and what to write."""
    assert _error(text) == f"f.toml: {problem}. Fix: {fix}."


@pytest.mark.parametrize("text", ["a", "a = True", 'a = """x', "a = 1\n[a]\n"])
def test_other_messages_stay(text: str) -> None:
    """A message without a hint is that of the parser."""
    assert _error(text).startswith("f.toml: is not valid TOML: ")


def _error(text: str) -> str:
    with pytest.raises(InvalidConfigError) as raised:
        toml_file.parse(Path("f.toml"), text.encode())
    return str(raised.value)
