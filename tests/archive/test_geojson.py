"""GeoJSON: sums that can be recomputed, positions, and what is absent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qos_agent.archive.build import build
from qos_agent.archive.exporting import export
from qos_agent.archive.geojson import Position, write_geojson
from qos_agent.archive.manifest import read_manifest
from qos_agent.archive.sources import open_sources
from qos_agent.model import Record, Value
from qos_agent.model.errors import OperatorError, StorageError
from qos_agent.model.line_protocol import encode
from tests.archive.support import VOTING_NS, line

_ALL = (0, 2**63 - 1)


def _throughput(seq: int, rate_bps: float, **fields: Value) -> bytes:
    tags = {"station": "s1", "province": "31", "regency": "3171", "direction": "down"}
    known: dict[str, Value] = {"seq": seq, "journal": "t", "tests": 1}
    point = Record("throughput", tags, {**known, "rate_bps": rate_bps, **fields}, seq)
    return encode(point)


READINGS = [
    line(1, station="s1", sent=20, received=19, lost=1, rtt_sum_us=190_000),
    line(2, station="s1", sent=20, received=0, lost=20, rtt_sum_us=0),
    line(3, station="s1", layer="gateway", sent=20, lost=20),
    line(4, station="s2", regency="3172", sent=10, received=10, lost=0),
    line(5, station="s3", province="99", regency="9999"),
    _throughput(6, 1e7 + 0.4),
    _throughput(7, 3e7),
    _throughput(8, 9e9, cross_flagged=1),
]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Return an archive of the readings."""
    path = tmp_path / "a.lp"
    path.write_bytes(b"".join(reading + b"\n" for reading in READINGS))
    build(open_sources(path), tmp_path / "archive")
    return tmp_path / "archive"


def _find(station: str, at_s: int) -> Position | None:
    assert at_s > 0 or station == "s1"
    return Position(-6.2, 106.8, 'TPS 1, "é"') if station == "s1" else None


def _features(
    archive: Path, out: Path, name: str, period: tuple[int, int] = _ALL
) -> list[dict[str, Any]]:
    export(lambda work: write_geojson(archive, work, _find, *period), out)
    table = json.loads((out / f"{name}.geojson").read_text(encoding="utf-8"))
    assert table["type"] == "FeatureCollection"
    return list(table["features"])


def test_stations_have_their_sums_and_positions(archive: Path, tmp_path: Path) -> None:
    """The sums are those of anchors, and flagged tests are only counted."""
    first, second, third = _features(archive, tmp_path / "out", "stations")
    assert first["geometry"] == {"type": "Point", "coordinates": [106.8, -6.2]}
    figures = first["properties"]
    assert (figures["station"], figures["name"]) == ("s1", 'TPS 1, "é"')
    assert (figures["sent"], figures["received"], figures["lost"]) == (40, 19, 21)
    assert (figures["loss"], figures["rtt_mean_ms"]) == (0.525, 10.0)
    assert (figures["tests_down"], figures["rate_down_bps"]) == (2, 20_000_000.0)
    assert figures["tests_flagged"] == 1
    assert "pages" not in figures
    assert "rate_up_bps" not in figures
    assert (second["geometry"], second["properties"]["lost"]) == (None, 0)
    assert third["properties"]["regency"] == "9999"


def test_areas_sum_their_stations(archive: Path, tmp_path: Path) -> None:
    """Regencies have the position of the reference data; unknown areas have none."""
    areas = _features(archive, tmp_path / "out", "areas")
    by_code = {
        f["properties"].get("regency", f["properties"]["province"]): f for f in areas
    }
    assert sorted(by_code) == ["31", "3171", "3172", "99", "9999"]
    assert by_code["31"]["properties"]["sent"] == 50
    assert by_code["31"]["geometry"] is None
    assert by_code["3171"]["properties"]["sent"] == 40
    longitude, latitude = by_code["3171"]["geometry"]["coordinates"]
    assert 106 < longitude < 107
    assert -7 < latitude < -6
    assert by_code["9999"]["geometry"] is None


def test_a_loss_without_a_response_has_no_delay(archive: Path, tmp_path: Path) -> None:
    """A figure that was not measured is absent, not 0."""
    period = (VOTING_NS + 2 * 10**9, VOTING_NS + 3 * 10**9)
    (station,) = _features(archive, tmp_path / "out", "stations", period)
    assert station["properties"]["loss"] == 1.0
    assert "rtt_mean_ms" not in station["properties"]


def test_an_empty_period_is_an_error(archive: Path, tmp_path: Path) -> None:
    """Nothing is written."""
    with pytest.raises(OperatorError, match="nothing to export"):
        _features(archive, tmp_path / "out", "stations", (5, 6))
    assert not (tmp_path / "out").exists()


def test_a_damaged_archive_gives_no_figures(archive: Path, tmp_path: Path) -> None:
    """Sums over a part of the readings would look like all of them."""
    file = next(f for f in read_manifest(archive).files if f.readings)
    (archive / file.path).write_bytes(b"x")
    with pytest.raises(StorageError, match="differs from the manifest"):
        _features(archive, tmp_path / "out", "stations")
    assert not (tmp_path / "out").exists()


def test_the_export_is_the_same_each_time(archive: Path, tmp_path: Path) -> None:
    """The order of features and digits does not change."""
    for name in ("a", "b"):
        _features(archive, tmp_path / name, "areas")
    for file in ("stations.geojson", "areas.geojson", "figures.csv", "SHA256SUMS"):
        content = (tmp_path / "a" / file).read_bytes()
        assert content == (tmp_path / "b" / file).read_bytes()
