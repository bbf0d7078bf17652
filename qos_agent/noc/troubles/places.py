"""The levels of places: regency, province, group of provinces, and the nation."""

from __future__ import annotations

from functools import cache

from qos_agent.config.places import provinces, regencies

LEVELS = ("regency", "province", "group", "nation")
NATION = "nation"
Place = tuple[str, str]

# Neighbouring provinces of one time zone, with their English and Indonesian names.
GROUPS: dict[str, tuple[tuple[str, str], tuple[str, ...]]] = {
    "sumatra-n": (("northern Sumatra", "Sumatera bagian utara"), ("11", "12", "13")),
    "sumatra-s": (
        ("southern Sumatra", "Sumatera bagian selatan"),
        ("14", "15", "16", "17", "18", "19", "21"),
    ),
    "java-w": (("western Java", "Jawa bagian barat"), ("31", "32", "36")),
    "java-e": (("eastern Java", "Jawa bagian timur"), ("33", "34", "35")),
    "kalim-w": (("western Kalimantan", "Kalimantan bagian barat"), ("61", "62")),
    "kalim-e": (("eastern Kalimantan", "Kalimantan bagian timur"), ("63", "64", "65")),
    "sulawesi": (("Sulawesi", "Sulawesi"), ("71", "72", "73", "74", "75", "76")),
    "bali-nt": (
        ("Bali and Nusa Tenggara", "Bali dan Nusa Tenggara"),
        ("51", "52", "53"),
    ),
    "maluku-p": (
        ("Maluku and Papua", "Maluku dan Papua"),
        ("81", "82", "91", "92", "93", "94", "95", "96"),
    ),
}


@cache
def _groups() -> dict[str, str]:
    return {code: name for name, (_, codes) in GROUPS.items() for code in codes}


def place_of(regency: str, level: str) -> str:
    """Return the code of the place of a level that contains a regency."""
    match level:
        case "regency":
            return regency
        case "province":
            return regency[:2]
        case "group":
            return _groups().get(regency[:2], NATION)
        case _:
            return NATION


def contains(outer: Place, inner: Place) -> bool:
    """Return True if a place is in another one or is the same."""
    if LEVELS.index(outer[0]) < LEVELS.index(inner[0]):
        return False
    match outer[0]:
        case "nation":
            return True
        case "group" if inner[0] != "group":
            return place_of(inner[1], "group") == outer[1]
        case "province" if inner[0] == "regency":
            return inner[1][:2] == outer[1]
        case _:
            return outer[1] == inner[1]


@cache
def place_names(language: int) -> dict[str, str]:
    """Return the names of all places by code; 0 is English and 1 Indonesian."""
    names = dict(provinces())
    names |= {code: regency.name for code, regency in regencies().items()}
    names |= {code: texts[language] for code, (texts, _) in GROUPS.items()}
    return names | {NATION: "Indonesia"}
