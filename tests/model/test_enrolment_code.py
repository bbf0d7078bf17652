"""Enrolment codes: every single wrong character and every swap of two is found."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from qos_agent.model.enrolment_code import (
    ALPHABET,
    LENGTH,
    SECRET_BITS,
    checked_code,
    code_of,
    shown_code,
)
from qos_agent.model.errors import ConfigError

CODES = st.integers(0, 2**SECRET_BITS - 1).map(code_of)
PLACES = st.integers(0, LENGTH - 1)


@given(st.integers(0, 2**SECRET_BITS - 1))
def test_a_code_is_twelve_characters_that_read_back(secret: int) -> None:
    """A code has only characters of the alphabet and is accepted as it is shown."""
    code = code_of(secret)
    assert len(code) == LENGTH
    assert set(code) <= set(ALPHABET)
    assert checked_code(shown_code(code)) == code


@given(st.sets(st.integers(0, 2**SECRET_BITS - 1), min_size=2, max_size=2))
def test_different_secrets_have_different_codes(secrets: set[int]) -> None:
    """No bit of the secret is lost."""
    assert len({code_of(secret) for secret in secrets}) == 2


@given(CODES, PLACES, st.sampled_from(ALPHABET))
def test_one_wrong_character_is_found(code: str, place: int, other: str) -> None:
    """Every code with a single wrong character is refused."""
    assume(code[place] != other)
    with pytest.raises(ConfigError, match="check character"):
        checked_code(code[:place] + other + code[place + 1 :])


@given(CODES, PLACES, PLACES)
def test_two_swapped_characters_are_found(code: str, one: int, two: int) -> None:
    """Every code with two swapped characters is refused, neighbours or not."""
    assume(code[one] != code[two])
    signs = list(code)
    signs[one], signs[two] = signs[two], signs[one]
    with pytest.raises(ConfigError, match="check character"):
        checked_code("".join(signs))


@given(CODES)
def test_other_spellings_are_accepted(code: str) -> None:
    """Small letters, spaces, and the letters that look like digits are the same."""
    shown = shown_code(code)
    assert checked_code(shown.lower().replace("-", " ")) == code
    assert checked_code(code.replace("0", "O").replace("1", "l")) == code
    assert checked_code(code.replace("1", "i")) == code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",
        "7K3M-9QXA-2ZR",
        "7K3M-9QXA-2ZR5-7",
        "7K3M-9QXA-2ZRU",
        "7K3M-9QXA-2ZR\u0665",
        "7K3M-9QXA-2ZR\x00",
        "\u01317K3M9QXA2ZR",
        "A" * 10**6,
    ],
)
def test_other_texts_are_refused_without_the_code(text: str) -> None:
    """A wrong length or character is named, and the message hides the code."""
    with pytest.raises(ConfigError, match="hidden") as caught:
        checked_code(text)
    assert "7K3M" not in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("secret", [-1, 2**SECRET_BITS])
def test_a_secret_has_its_number_of_bits(secret: int) -> None:
    """Another number is a bug, because its code would not be unique."""
    with pytest.raises(ValueError, match="55 bits"):
        code_of(secret)
