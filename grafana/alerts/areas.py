"""The country in groups of provinces, one time zone each, small enough for one rule.

Grafana 9.3 writes a row for every instance of a rule at every evaluation: more than
some 500 and an evaluation lasts longer than its minute.
"""

from __future__ import annotations

from dataclasses import dataclass

from grafana.panels import Words

INSTANCES_AT_MOST = 500
# Three mobile operators, a fixed line, a satellite, and one to spare.
OPERATORS_AT_MOST = 6


@dataclass(frozen=True, slots=True)
class Area:
    """Neighbouring provinces that vote at the same hour."""

    name: str
    title: Words
    zone: str
    provinces: tuple[str, ...]

    @property
    def where(self) -> str:
        """The clause that picks these provinces."""
        return f'"province" =~ /^({"|".join(self.provinces)})$/'


AREAS = (
    Area("sumatra-n", ("northern Sumatra", "Sumatera bagian utara"), "wib",
         ("11", "12", "13")),
    Area("sumatra-s", ("southern Sumatra", "Sumatera bagian selatan"), "wib",
         ("14", "15", "16", "17", "18", "19", "21")),
    Area("java-w", ("western Java", "Jawa bagian barat"), "wib",
         ("31", "32", "36")),
    Area("java-e", ("eastern Java", "Jawa bagian timur"), "wib",
         ("33", "34", "35")),
    Area("kalim-w", ("western Kalimantan", "Kalimantan bagian barat"), "wib",
         ("61", "62")),
    Area("kalim-e", ("eastern Kalimantan", "Kalimantan bagian timur"), "wita",
         ("63", "64", "65")),
    Area("sulawesi", ("Sulawesi", "Sulawesi"), "wita",
         ("71", "72", "73", "74", "75", "76")),
    Area("bali-nt", ("Bali and Nusa Tenggara", "Bali dan Nusa Tenggara"), "wita",
         ("51", "52", "53")),
    Area("maluku-p", ("Maluku and Papua", "Maluku dan Papua"), "wit",
         ("81", "82", "91", "92", "93", "94", "95", "96")),
)  # fmt: skip
