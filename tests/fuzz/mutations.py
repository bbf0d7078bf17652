"""Seeds of the committed corpus, and mutations of them.

`corpus/NAME/` has files that the parser NAME must survive: real input, and every input
that once failed. Hypothesis cuts, repeats and joins them, and inserts bytes that are
known to hurt parsers. To keep a new failure, save its bytes as a file there.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"
CAPTURES = Path(__file__).parent.parent / "captures"

# Each parser is fuzzed for this time: a minute in all in CI, and half a minute each in
# `make check-full`.
SECONDS = 30.0 if os.environ.get("QOS_HYPOTHESIS") == "full" else 2.0
# The time is checked after so many examples.
_ROUND = 50
_SIZE_MAX = 60_000
_TOKENS = (
    b"",
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xc3",
    "٣".encode(),
    "’".encode(),
    b"\xed\xb2\x80",
    b"\r",
    b"\n",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b'"',
    b"'",
    b"\\",
    b",",
    b";",
    b"=",
    b":",
    b"-1",
    b"0",
    b"1_0",
    b"1e999",
    b"-1e999",
    b"NaN",
    b"Infinity",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"9" * 19,
    b"9" * 400,
    b"9" * 5000,
    b"[" * 3000,
    b'{"a":' * 3000,
    b"0001-01-01T00:00:00",
    b"9999-12-31T23:59:59",
)


def seeds(name: str, *folders: Path) -> list[bytes]:
    """Return the content of the corpus of a parser and of further folders."""
    files = [p for f in (CORPUS / name, *folders) for p in sorted(f.iterdir())]
    return [path.read_bytes() for path in files]


@st.composite
def mutated(draw: st.DrawFn, corpus: Sequence[bytes]) -> bytes:
    """Return a seed with a few edits; some of them keep its length."""
    data = draw(st.sampled_from(corpus))
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from((0, 1, 2, 7, 40, 1000))))
        middle = draw(
            st.sampled_from(_TOKENS)
            | st.binary(max_size=4)
            | st.sampled_from((data[start:end] * 2, data[:end]))
        )
        if draw(st.booleans()):
            end = min(len(data), start + len(middle))
            middle = middle[: end - start]
        data = (data[:start] + middle + data[end:])[:_SIZE_MAX]
    return data


def fuzz(
    corpus: Sequence[bytes],
) -> Callable[[Callable[[bytes], None]], Callable[[], None]]:
    """Return a decorator that runs a check on mutations of a corpus for `SECONDS`."""

    def decorate(check: Callable[[bytes], None]) -> Callable[[], None]:
        # Other bytes in each round, and in each run of CI.
        limits = settings(
            max_examples=_ROUND,
            deadline=None,
            database=None,
            derandomize=False,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        )
        round_of_examples = limits(given(mutated(corpus))(check))

        def rounds() -> None:
            end_s = time.monotonic() + SECONDS
            while time.monotonic() < end_s:
                round_of_examples()

        rounds.__name__, rounds.__doc__ = check.__name__, check.__doc__
        # For `guided`, which calls the check with inputs of its own.
        rounds.__dict__["check"] = check
        return rounds

    return decorate


def answers(data: bytes) -> dict[str, str]:
    """Return a modem's answers by command, from lines `COMMAND<tab>ANSWER`."""
    rows = (line.partition("\t") for line in data.decode("latin-1").split("\x1e"))
    return {command.strip(): answer for command, _, answer in rows}


def at_seeds() -> list[bytes]:
    """Return the captured answers of modems in the form that `answers` reads."""
    captured = [json.loads(p.read_text()) for p in sorted((CAPTURES / "at").iterdir())]
    return [
        "\x1e".join(f"{c}\t{a}" for c, a in capture["answers"].items()).encode(
            "latin-1", "replace"
        )
        for capture in captured
    ]
