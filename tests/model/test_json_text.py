"""JSON from outside is a value or a ValueError."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.model import json_text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(-1e9, 1e9),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.slow
@given(JSON, JSON)
def test_values_that_follow_each_other(first: object, second: object) -> None:
    """White space between them and a byte order mark are ignored."""
    text = f"\ufeff {json.dumps(first)}\r\n\t{json.dumps(second)}\n"
    assert json_text.loads_all(text.encode()) == [first, second]
    assert json_text.loads(json.dumps(first)) == first


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'["' + b"]" * 200_000 + b'",' + b"[" * 100_000,
        b"\xff",
        b"NaN",
        b"-Infinity",
        b"1 2",
        b"9" * 5000,
        b"{} x",
        b"\xff\xfe{\0}\0",
        b'"\x01"',
    ],
)
def test_everything_else_is_a_value_error(content: bytes) -> None:
    """No content causes another exception."""
    with pytest.raises(ValueError, match=r".+"):
        json_text.loads(content)


def test_a_deep_text_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.14 would use the whole stack of 8 MB for it, and keep that memory."""
    monkeypatch.setattr(json_text, "_DECODER", None)
    with pytest.raises(ValueError, match="nested too deeply"):
        json_text.loads(b'[{"a":' * 2000)


def test_many_rows_are_not_deep() -> None:
    """Brackets that are closed again do not count."""
    rows = [[[row] * 3] for row in range(5000)]
    assert json_text.loads(json.dumps(rows)) == rows


def test_a_long_text_is_not_read() -> None:
    """The limit is the caller's."""
    with pytest.raises(ValueError, match="longer than 10 bytes"):
        json_text.loads(b'"01234567890"', max_bytes=10)


@given(st.binary() | st.text())
def test_any_content_is_a_value_or_a_value_error(content: bytes | str) -> None:
    """Also text with surrogates and bytes that are no UTF-8."""
    with suppress(ValueError):
        assert isinstance(json_text.loads_all(content), list)
