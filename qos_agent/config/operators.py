"""The network operators of Indonesia and the spellings of their names. Pure.

A point names its operator in a tag. Two spellings of one operator would be two
operators in every figure, so settings and the register use one code for each.
Brands count as the operator whose network they use.
"""

from __future__ import annotations

import re
from functools import lru_cache

SPELLINGS: dict[str, tuple[str, ...]] = {
    # Mobile networks.
    "telkomsel": (
        "telekomunikasi selular",
        "tsel",
        "simpati",
        "kartu as",
        "kartu halo",
        "by.u",
        "byu",
    ),
    "indosat": (
        "isat",
        "im3",
        "im3 ooredoo",
        "indosat ooredoo",
        "indosat ooredoo hutchison",
        "ioh",
    ),
    "tri": (
        "3",
        "three",
        "3 indonesia",
        "tri indonesia",
        "3 tri",
        "tri 3",
        "kartu tri",
        "kartu 3",
        "hutchison 3 indonesia",
        "h3i",
    ),
    # XL Axiata took over Smartfren and its name in 2025; the brand Smartfren stays.
    "xl": (
        "xl axiata",
        "axis",
        "axis telekom",
        "xl smart",
        "xl smart telecom sejahtera",
    ),
    "smartfren": ("smartfren telecom", "smart telecom", "smartfren 4g"),
    # Fixed lines and satellites.
    "indihome": ("telkom indihome", "indihome telkomsel"),
    "telkom": ("telkom indonesia", "telekomunikasi indonesia"),
    "biznet": ("biznet home", "biznet networks"),
    "firstmedia": ("first media", "linknet", "link net"),
    "myrepublic": ("my republic", "myrepublic indonesia"),
    "iconnet": ("icon+", "icon plus", "pln icon plus", "icon net"),
    "mncplay": ("mnc play",),
    "oxygen": ("oxygen.id", "oxygen id"),
    "bakti": ("bakti aksi", "bakti kominfo"),
    "starlink": ("starlink indonesia", "spacex starlink"),
}
"""Each operator's code with the other spellings; case and punctuation do not count."""

# A brand or an abbreviation after the name, as in "Hutchison 3 Indonesia (Tri)".
_BRACKETED = re.compile(r"\(([^()]*)\)")

# The legal form of a company, as in "PT XL Axiata Tbk".
_LEGAL_FORM = re.compile(r"^pt\b\.?|,?\btbk\b\.?$")
_PUNCTUATION = re.compile(r"[\W_]+")


def _plain(name: str) -> str:
    trimmed = _LEGAL_FORM.sub(" ", name.casefold().strip()).strip()
    return _PUNCTUATION.sub("", _LEGAL_FORM.sub(" ", trimmed))


_CODES = {
    _plain(name): code for code, names in SPELLINGS.items() for name in (code, *names)
}


@lru_cache(1024)
def operator_code(name: str) -> str:
    """Return the code of an operator.

    An unknown name gets lower case, and one underscore for hyphens and underscores.
    """
    outside = _BRACKETED.sub(" ", name)
    for spelling in (name, outside, *_BRACKETED.findall(name)):
        if (code := _CODES.get(_plain(spelling))) is not None:
            return code
    return re.sub(r"[_-]+", "_", name.lower().strip())
