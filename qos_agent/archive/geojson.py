"""GeoJSON files of an archive: stations and areas with their sums.

The figures are sums of additive fields, and ratios of two sums that are next to them.
They describe the readings and are no indicators: nothing is weighted or estimated. A
figure without readings is absent. Positions of stations come from the register, and
those of regencies from the reference data. A province has no position of its own.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qos_agent.archive.database import connected, quoted, text
from qos_agent.archive.exporting import Written
from qos_agent.archive.manifest import Manifest, read_manifest
from qos_agent.archive.sources.parquet import fault_of
from qos_agent.config.places import provinces, regencies
from qos_agent.model.errors import OperatorError, StorageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_ANCHOR = "layer = 'anchor'"
_DOWN, _UP = "direction = 'down'", "direction = 'up'"
_COUNTED = " AND coalesce(cross_flagged, 0) = 0"


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of a whole-numbered expression over readings with a condition.

    Without a measurement it is a sum over the readings of all measurements.
    """

    name: str
    measurement: str
    condition: str
    expression: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of two sums, times a factor."""

    name: str
    numerator: str
    denominator: str
    factor: float
    meaning: str


@dataclass(frozen=True, slots=True)
class Position:
    """Position and name of a station."""

    latitude: float
    longitude: float
    name: str


# Sums of floats depend on the order of the rows, so rates are rounded to whole bits and
# times to whole microseconds first.
SUMS = (
    Sum("readings", "", "true", "1", "Readings of all measurements"),
    Sum("sent", "latency", _ANCHOR, "sent", "Packets sent to anchors"),
    Sum("received", "latency", _ANCHOR, "received", "Responses from anchors"),
    Sum("lost", "latency", _ANCHOR, "lost", "Packets to anchors that were lost"),
    Sum("rtt_sum_us", "latency", _ANCHOR, "rtt_sum_us", "Sum of round-trip times, us"),
    Sum("tests_down", "throughput", _DOWN + _COUNTED, "tests", "Download tests"),
    Sum(
        "rate_down_sum_bps",
        "throughput",
        _DOWN + _COUNTED,
        "CAST(round(rate_bps) AS BIGINT)",
        "Sum of download rates, bit/s",
    ),
    Sum("tests_up", "throughput", _UP + _COUNTED, "tests", "Upload tests"),
    Sum(
        "rate_up_sum_bps",
        "throughput",
        _UP + _COUNTED,
        "CAST(round(rate_bps) AS BIGINT)",
        "Sum of upload rates, bit/s",
    ),
    Sum(
        "tests_flagged",
        "throughput",
        "cross_flagged = 1",
        "tests",
        "Tests with other traffic, which are in no other figure",
    ),
    Sum("pages", "web", "true", "pages", "Pages loaded"),
    Sum(
        "page_sum_us",
        "web",
        "true",
        "CAST(round(page_sum_ms * 1000) AS BIGINT)",
        "Sum of page load times, us",
    ),
    Sum("uploads", "web", "true", "uploads", "Form bundles uploaded"),
    Sum(
        "upload_sum_us",
        "web",
        "true",
        "CAST(round(upload_sum_ms * 1000) AS BIGINT)",
        "Sum of upload times, us",
    ),
    Sum("good", "verdict", "true", "good", "Verdicts good"),
    Sum("degraded", "verdict", "true", "degraded", "Verdicts degraded"),
    Sum("bad", "verdict", "true", "bad", "Verdicts bad"),
    Sum("unknown", "verdict", "true", '"unknown"', "Verdicts unknown"),
    Sum("beats", "agent", "true", "beats", "Heartbeats"),
)
RATIOS = (
    Ratio("loss", "lost", "sent", 1, "lost / sent"),
    Ratio("rtt_mean_ms", "rtt_sum_us", "received", 1e-3, "rtt_sum_us / received"),
    Ratio("rate_down_bps", "rate_down_sum_bps", "tests_down", 1, "mean download rate"),
    Ratio("rate_up_bps", "rate_up_sum_bps", "tests_up", 1, "mean upload rate"),
    Ratio("page_mean_ms", "page_sum_us", "pages", 1e-3, "page_sum_us / pages"),
    Ratio("upload_mean_ms", "upload_sum_us", "uploads", 1e-3, "mean upload time"),
)
# Returns the position of a station at a time in seconds; None if it is unknown.
FindPosition = Callable[[str, int], Position | None]


def write_geojson(
    archive: Path, folder: Path, find: FindPosition, from_ns: int, to_ns: int
) -> Written:
    """Write stations.geojson, areas.geojson and the meaning of their figures.

    Raises OperatorError if the folder is not an archive, and StorageError if a file of
    it is damaged.
    """
    manifest = read_manifest(archive)
    with (
        tempfile.TemporaryDirectory(prefix="qos-agent-") as temporary,
        connected(Path(temporary) / "sums.duckdb", Path(temporary) / "spill") as db,
    ):
        _collect(db, archive, manifest, f"time_ns >= {from_ns} AND time_ns < {to_ns}")
        counts = {
            "stations": _write(folder / "stations.geojson", _stations(db, find)),
            "areas": _write(folder / "areas.geojson", _areas(db)),
        }
    (folder / "figures.csv").write_text(_meanings(), encoding="utf-8")
    return Written({name: count for name, count in counts.items() if count})


def _collect(
    db: DuckDBPyConnection, archive: Path, manifest: Manifest, period: str
) -> None:
    """Fill table `figure` with the sums of each station, regency and figure."""
    db.execute(
        "CREATE TABLE figure (province VARCHAR, regency VARCHAR, station VARCHAR,"
        " name VARCHAR, value HUGEINT, last_ns BIGINT)"
    )
    for file in (f for f in manifest.files if f.readings):
        if fault := fault_of(archive, file):
            raise StorageError("cannot read", str(archive), fault)
        path = f"read_parquet({text(archive / file.path)})"
        for figure in (f for f in SUMS if f.measurement in ("", file.measurement)):
            db.execute(
                "INSERT INTO figure SELECT province, regency, station, ?,"
                f" sum({figure.expression}), max(time_ns) FROM {path}"
                f" WHERE {period} AND {figure.condition}"
                " GROUP BY province, regency, station"
                f" HAVING count({figure.expression}) > 0",
                [figure.name],
            )


def _stations(db: DuckDBPyConnection, find: FindPosition) -> Iterator[dict[str, Any]]:
    """Yield a feature for each station, in each regency that it reported from."""
    for (province, regency, station), sums, last_ns in _grouped(
        db, ("province", "regency", "station")
    ):
        position = find(station, last_ns // 10**9)
        place = {"station": station, "regency": regency, "province": province}
        if position is None:
            yield _feature(None, {**place, **_figures(sums)})
            continue
        at = (position.longitude, position.latitude)
        yield _feature(at, {**place, "name": position.name, **_figures(sums)})


def _areas(db: DuckDBPyConnection) -> Iterator[dict[str, Any]]:
    """Yield a feature for each province and each regency with readings."""
    for (code,), sums, _ in _grouped(db, ("province",)):
        name = provinces().get(code)
        place = {"level": "province", "province": code, "name": name}
        yield _feature(None, {**place, **_figures(sums)})
    for (province, code), sums, _ in _grouped(db, ("province", "regency")):
        place = {"level": "regency", "regency": code, "province": province}
        regency = regencies().get(code)
        if regency is None:
            yield _feature(None, {**place, "name": None, **_figures(sums)})
            continue
        at = (regency.longitude, regency.latitude)
        yield _feature(at, {**place, "name": regency.name, **_figures(sums)})


def _grouped(
    db: DuckDBPyConnection, keys: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], dict[str, int], int]]:
    """Yield the values of the keys, the sums by name, and the time of the last one."""
    names = ", ".join(map(quoted, keys))
    rows = db.cursor().execute(
        f"SELECT {names}, name, sum(value), max(last_ns) FROM figure"
        f" GROUP BY {names}, name ORDER BY {names}, name"
    )
    for group, found in groupby(_fetched(rows), lambda row: row[: len(keys)]):
        listed = list(found)
        sums = {row[-3]: int(row[-2]) for row in listed}
        yield group, sums, max(row[-1] for row in listed)


def _fetched(rows: DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while batch := rows.fetchmany(2048):
        yield from batch


def _figures(sums: Mapping[str, int]) -> dict[str, int | float]:
    """Return sums and ratios in the order of the tables, without absent ones."""
    figures: dict[str, int | float] = {
        s.name: sums[s.name] for s in SUMS if s.name in sums
    }
    for ratio in RATIOS:
        if ratio.numerator in sums and sums.get(ratio.denominator):
            value = sums[ratio.numerator] / sums[ratio.denominator]
            figures[ratio.name] = round(value * ratio.factor, 6)
    return figures


def _feature(
    at: tuple[float, float] | None, properties: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a feature of RFC 7946; one without a position has no geometry."""
    geometry = None if at is None else {"type": "Point", "coordinates": list(at)}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _write(path: Path, features: Iterable[Mapping[str, Any]]) -> int:
    """Write a collection one feature a line; return the number of features."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for count, feature in enumerate(features, start=1):
            separator = ",\n" if count > 1 else "\n"
            file.write(separator + json.dumps(feature, ensure_ascii=False))
        file.write("\n]}\n")
    return count


def _meanings() -> str:
    """Return the meaning of each figure as CSV."""
    lines = ["figure,measurement,condition,meaning"]
    for s in SUMS:
        condition = "" if s.condition == "true" else f'"{s.condition}"'
        lines.append(f'{s.name},{s.measurement},{condition},"{s.meaning}"')
    lines += [f'{r.name},,,"{r.meaning}"' for r in RATIOS]
    return "\n".join([*lines, ""])


def need_archive(folder: Path) -> None:
    """Raise OperatorError if a folder is not an archive."""
    if not folder.is_dir():
        raise OperatorError(
            f"{folder}: GeoJSON needs an archive. Fix: build one first with"
            " qos-agent archive build."
        )
    read_manifest(folder)
