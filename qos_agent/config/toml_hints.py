"""Plain problems and fixes for the errors that people make most often in TOML. Pure.

The messages are those of `tomllib` in Python 3.11 to 3.14. A message that is not known
here stays as it is.
"""

from __future__ import annotations

import re

_POSITION = re.compile(r"(.*) \(at line (\d+), column (\d+)\)", re.DOTALL)
_LINE_ENDS = (r"Illegal character '\n'", r"Found invalid character '\n'")
_TWICE = re.compile(r"Cannot declare \((.*)\) twice")
# A number ends before its unit, as in `monthly = 4GB` or `timeout = 10s`.
_REST = "Expected newline or end of document after a statement"
_UNQUOTED = re.compile(r"[^=\"'#]*=\s*\d[\d.]*\s*[A-Za-z]+\s*(#.*)?$")
# Word processors and chat programs turn straight quotes into these.
_CURLY = "“”„‟‘’‚‛″′«»"
_QUOTES = "\"'"


def hint(message: str, text: str) -> tuple[str, str] | None:
    """Return a problem and its fix for a message of tomllib about a text."""
    found = _POSITION.fullmatch(message)
    if found is None:
        return _at_the_end(message, text)
    problem, number, column = found[1], int(found[2]), int(found[3])
    line = text.split("\n")[number - 1 : number] or [""]
    known = _in_line(problem, line[0], column, text)
    return None if known is None else (f"line {number}: {known[0]}", known[1])


def _in_line(problem: str, line: str, column: int, text: str) -> tuple[str, str] | None:
    if (quotes := _quotes(problem, line, column)) is not None:
        return quotes
    if (twice := _TWICE.fullmatch(problem)) is not None:
        return _repeated_table(".".join(re.findall(r"'([^']*)'", twice[1])), text)
    key = line.partition("=")[0].strip()
    if problem == "Cannot overwrite a value" and re.fullmatch(r"[\w-]+", key):
        return f"`{key}` is set twice", "remove one of the two"
    return None


def _quotes(problem: str, line: str, column: int) -> tuple[str, str] | None:
    """Return the hint for quotes that are missing or curly."""
    curly = line[column - 1 : column]
    is_open = problem in _LINE_ENDS
    if is_open:
        curly = line.rstrip()[-1:]
    if curly and curly in _CURLY:
        return f"`{curly}` is not a quote", "use straight quotes"
    if is_open:
        return "a quote is missing", f"close the text with `{_first_quote(line)}`"
    if problem == "Invalid value" and line[column - 1 :].count('"') % 2:
        return "a quote is missing", 'open the text with `"`'
    if problem == _REST and _UNQUOTED.match(line):
        return "a value has a unit and no quotes", "put the value in quotes"
    return None


def _repeated_table(name: str, text: str) -> tuple[str, str]:
    if f"[[{name}]]" in text:
        return f"`[{name}]` is a list in this file", f"write `[[{name}]]`"
    return f"`[{name}]` is in the file twice", "merge the two"


def _at_the_end(message: str, text: str) -> tuple[str, str] | None:
    """Return the hint for a quote that nothing closes before the end of the file."""
    opened = {"Unterminated string": '"', 'Expected "\'"': "'"}
    quote = opened.get(message.removesuffix(" (at end of document)"))
    if quote is None or quote * 3 in text:
        return None
    number = text.count("\n", 0, text.rfind(quote)) + 1
    return f"line {number}: a quote is missing", f"close the text with `{quote}`"


def _first_quote(line: str) -> str:
    return next((character for character in line if character in _QUOTES), '"')
