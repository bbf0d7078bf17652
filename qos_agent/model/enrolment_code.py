"""One-time codes that a technician types to enrol a device. Pure.

A code has twelve characters of Crockford's base 32, in groups of four: 7K3M-9QXA-2ZR5.
The letters I, L, O and U are not used. I and L are read as 1, O as 0, and small letters
as capital ones. Eleven characters are 55 random bits. The last one is the check
character: with it, the sum of character i times a^i in the field GF(32) is 0, where `a`
is a primitive element. All weights differ and none is 0. Every single wrong character
and every swap of two characters therefore changes the sum.

Crockford's own check symbol finds the same errors, but it may be one of * ~ $ = U,
which are hard to find on a keyboard and to say on the telephone.
"""

from __future__ import annotations

import re

from qos_agent.model.errors import ConfigError

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 12
SECRET_BITS = 5 * (LENGTH - 1)
_GROUP = 4
# x^5 + x^2 + 1 is primitive over GF(2), so its root has 31 different powers.
_POLYNOMIAL = 0b100101
_VALUES = {sign: value for value, sign in enumerate(ALPHABET)}
_SPELLINGS = str.maketrans("ILO", "110", "- ")
# Longer input than a code with separators is refused before it is normalised.
_TYPED_MAX = 4 * LENGTH
_FIX = "copy all 12 characters of the label"
_STICK_SECRET = re.compile(r"[0-9a-f]{32}", re.ASCII)


def code_of(secret: int) -> str:
    """Return the code of a secret number of 55 bits."""
    if not 0 <= secret < 2**SECRET_BITS:
        raise ValueError(f"the secret of a code has {SECRET_BITS} bits")
    values = [secret >> shift & 31 for shift in range(SECRET_BITS - 5, -1, -5)]
    # The check character has the weight a^0 = 1.
    return "".join(ALPHABET[value] for value in (*values, _sum([*values, 0])))


def checked_code(text: str) -> str:
    """Return the code in a typed text. Raises ConfigError without the code in it."""
    code = text.upper().translate(_SPELLINGS) if len(text) <= _TYPED_MAX else ""
    if len(code) != LENGTH or not all(sign in _VALUES for sign in code):
        raise _error(text, "must be 12 letters and digits", _FIX)
    if _sum([_VALUES[sign] for sign in code]):
        problem = "does not match its check character, so it has a typing error"
        raise _error(text, problem, "compare it with the label")
    return code


def is_stick_secret(text: str) -> bool:
    """Return True for the secret of an enrolment file, 128 bits in hexadecimal."""
    return _STICK_SECRET.fullmatch(text) is not None


def shown_code(code: str) -> str:
    """Return a code in groups of four characters."""
    return "-".join(
        code[start : start + _GROUP] for start in range(0, len(code), _GROUP)
    )


def _sum(values: list[int]) -> int:
    """Return the weighted sum by Horner's rule; the last value has the weight 1."""
    total = 0
    for value in values:
        total <<= 1
        if total & 32:
            total ^= _POLYNOMIAL
        total ^= value
    return total


def _error(text: str, problem: str, fix: str) -> ConfigError:
    return ConfigError("code", f"hidden, {len(text)} characters", problem, fix)
