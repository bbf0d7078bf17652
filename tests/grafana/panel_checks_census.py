"""Checks of panels against the counts that the census wrote."""

from __future__ import annotations

from qos_agent.model.line_protocol import decode
from tests.grafana.counts import areas, inside
from tests.grafana.panel_queries import PanelResult
from tests.noc.nation import MINUTE_NS

_CHANGING = (
    "expected",
    "reporting",
    "silent",
    "stations_degraded",
    "stations_bad",
)


def changes(result: PanelResult) -> None:
    """Compare with the counts that the census wrote now and ten minutes before."""
    counts: dict[int, dict[str, int]] = {}
    for line in result.day.written:
        if line.startswith(b"census,"):
            record = decode(line)
            if record.tags["operator"] == "all":
                sums = counts.setdefault(record.time_ns, dict.fromkeys(_CHANGING, 0))
                for name in _CHANGING:
                    sums[name] += int(record.fields[name])
    now = counts[result.day.end_ns]
    before = counts[result.day.end_ns - 10 * MINUTE_NS]
    for rows, name in zip(result.answers, _CHANGING, strict=True):
        assert [row["value"] for row in rows] == [now[name] - before[name]]


def regencies(result: PanelResult) -> None:
    """All regencies of the selection, with the counts of the newest census."""
    got = result.by("regency")
    want = {c: n for c, n in areas(result.day).items() if inside(result, c)}
    assert got.keys() == want.keys()
    for code, counts in want.items():
        row = got[code]
        assert row["hit"] == counts["silent"] + counts["stations_bad"]
        for field in ("expected", "class_level", "silent", "stations_degraded"):
            assert row[field] == counts[field]
