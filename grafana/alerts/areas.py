"""Groups of provinces in one time zone; each group has its own rules.

Grafana 9.3 writes one database row for each instance of a rule at each evaluation.
With more than about 500 instances an evaluation takes longer than a minute.
"""

from __future__ import annotations

from dataclasses import dataclass

from grafana.panels import Text

MAX_INSTANCES = 500
# Three mobile operators, a fixed line, a satellite and one spare.
MAX_OPERATORS = 6


@dataclass(frozen=True, slots=True)
class Area:
    """A group of neighbouring provinces in the same time zone."""

    name: str
    title: Text
    zone: str
    provinces: tuple[str, ...]

    @property
    def where(self) -> str:
        """Return the InfluxQL condition that selects these provinces."""
        return f'"province" =~ /^({"|".join(self.provinces)})$/'


AREAS = (
    Area(
        "sumatra-n",
        ("northern Sumatra", "Sumatera bagian utara"),
        "wib",
        ("11", "12", "13"),
    ),
    Area(
        "sumatra-s",
        ("southern Sumatra", "Sumatera bagian selatan"),
        "wib",
        ("14", "15", "16", "17", "18", "19", "21"),
    ),
    Area("java-w", ("western Java", "Jawa bagian barat"), "wib", ("31", "32", "36")),
    Area("java-e", ("eastern Java", "Jawa bagian timur"), "wib", ("33", "34", "35")),
    Area(
        "kalim-w",
        ("western Kalimantan", "Kalimantan bagian barat"),
        "wib",
        ("61", "62"),
    ),
    Area(
        "kalim-e",
        ("eastern Kalimantan", "Kalimantan bagian timur"),
        "wita",
        ("63", "64", "65"),
    ),
    Area(
        "sulawesi",
        ("Sulawesi", "Sulawesi"),
        "wita",
        ("71", "72", "73", "74", "75", "76"),
    ),
    Area(
        "bali-nt",
        ("Bali and Nusa Tenggara", "Bali dan Nusa Tenggara"),
        "wita",
        ("51", "52", "53"),
    ),
    Area(
        "maluku-p",
        ("Maluku and Papua", "Maluku dan Papua"),
        "wit",
        ("81", "82", "91", "92", "93", "94", "95", "96"),
    ),
)
