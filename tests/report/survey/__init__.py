"""Generated samples of stations, and what R's package `survey` estimates from them."""

from __future__ import annotations

import csv
import json
import random
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
# Stratum: registered stations and clusters, sampled clusters, and stations of each.
STRATA = {
    "a": (400, 40, 6, 5),
    "b": (90, 18, 5, 3),
    "c": (60, 12, 12, 5),
    "d": (1000, 50, 7, 4),
}
BINS = (10, 20, 30, 50, 75, 100)


@dataclass(frozen=True, slots=True)
class Row:
    """A sampled station; `weight` is the number of stations that it stands for."""

    stratum: str
    cluster: str
    y: int
    x: int
    second_y: int
    second_x: int
    domain: int
    event: int
    value: int
    lonely: int
    registered: int
    clusters: int
    weight: float
    one: int = 1


def sample() -> list[Row]:
    """Return the same sample on every call."""
    chosen = random.Random(20240214)
    rows: list[Row] = []
    for stratum, (registered, clusters, sampled, size) in STRATA.items():
        for number in range(sampled):
            effect = chosen.gauss(0, 0.02)
            for station in range(size):
                x = chosen.randint(200, 2000)
                share = min(0.9, max(0.0, 0.08 + effect + chosen.gauss(0, 0.03)))
                second_x = chosen.randint(200, 2000)
                rows.append(
                    Row(
                        stratum,
                        f"{stratum}{number}",
                        round(x * share),
                        x,
                        round(second_x * share * chosen.uniform(0.5, 1.2)),
                        second_x,
                        int(chosen.random() < 0.6),
                        int(chosen.random() < 0.04),
                        chosen.choice(BINS),
                        int(stratum != "b" or (number == 0 and station == 0)),
                        registered,
                        clusters,
                        registered / (sampled * size),
                    )
                )
    return rows


def write_sample(folder: Path) -> None:
    """Write the sample for `survey.R`."""
    rows = [*map(asdict, sample())]
    with (folder / "sample.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def recorded() -> dict[str, tuple[float, float]]:
    """Return the results of R that are stored next to this file."""
    found = json.loads((FOLDER / "survey.json").read_text(encoding="utf-8"))
    return {name: (low, high) for name, (low, high) in found.items()}
