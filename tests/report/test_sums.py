"""Sums of archives with known truth, and of readings that cannot be true."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.archive.manifest import read_manifest
from qos_agent.model.errors import OperatorError, StorageError
from qos_agent.report.sums import Group, GroupSums, Selection, archive_sums
from tests.archive.support import DAY_NS, VOTING_NS
from tests.report.support import archive_of, reading, train

NATION = Group("nation", None, None, None)
Found = dict[tuple[str, Group], GroupSums]


def _found(archive: Path, chosen: Selection | None = None) -> Found:
    with archive_sums(archive, chosen or Selection()) as sums:
        return {(s.name, s.group): s for s in sums.groups()}


def _ratio(found: Found, name: str, group: Group = NATION) -> tuple[int, int, int]:
    """Return numerator, denominator and stations."""
    sums = found[name, group].sums
    return sums.y, sums.x, sums.stations


def test_stations_areas_operators_and_phases(tmp_path: Path) -> None:
    """A station that moved counts in both regencies, and once in the nation."""
    lines = [
        train(1, [10, 20], lost=2),
        train(2, [30], regency="3172", phase="counting"),
        train(3, [40] * 4, station="s2", operator="xl"),
        train(4, [], lost=6, station="s3", province="32", regency="3201"),
        train(5, [999], layer="gateway"),
    ]
    found = _found(archive_of(tmp_path, [*lines, lines[0]]))
    assert _ratio(found, "loss") == (8, 15, 3)
    assert _ratio(found, "delay_mean") == (220_000, 7, 2)
    assert _ratio(found, "loss", Group("province", "31", None, None)) == (2, 9, 2)
    for code, expected in {"3171": (2, 8, 2), "3172": (0, 1, 1)}.items():
        assert _ratio(found, "loss", Group("regency", code, None, None)) == expected
    assert _ratio(found, "loss", Group("nation", None, "xl", None)) == (0, 4, 1)
    assert _ratio(found, "loss", Group("nation", None, None, "counting")) == (0, 1, 1)
    both = Group("regency", "3171", "telkomsel", "voting")
    assert _ratio(found, "loss", both) == (2, 4, 1)
    assert found["loss", NATION].sums.xx == 5**2 + 4**2 + 6**2


def test_period_area_and_operator_are_chosen(tmp_path: Path) -> None:
    """Only readings within all three count."""
    lines = [
        train(1, [10], time_ns=VOTING_NS),
        train(2, [10], time_ns=VOTING_NS + DAY_NS),
        train(3, [10], time_ns=VOTING_NS, province="32", regency="3201"),
        train(4, [10], time_ns=VOTING_NS, operator="xl"),
        reading("agent", 5, beats=1, time_ns=VOTING_NS),
    ]
    archive = archive_of(tmp_path, lines)
    for chosen, expected in (
        (Selection(to_ns=VOTING_NS + 1), 3),
        (Selection(from_ns=VOTING_NS + 1), 1),
        (Selection(area="32"), 1),
        (Selection(area="3171", operator="telkomsel"), 2),
    ):
        assert _ratio(_found(archive, chosen), "loss")[1] == expected
    for nothing in (Selection(to_ns=5), Selection(area="94"), Selection(operator="o")):
        with pytest.raises(OperatorError, match="no readings in this period"):
            _found(archive, nothing)


def test_doubtful_tests_are_excluded_and_counted(tmp_path: Path) -> None:
    """A test with other traffic is in no rate."""
    lines = [
        reading("throughput", n, tests=1, rate_bps=1e6 * n, cross_flagged=int(n > 3))
        for n in range(1, 6)
    ]
    found = _found(archive_of(tmp_path, lines))
    assert _ratio(found, "download_mean")[:2] == (6_000_000, 3)
    assert _ratio(found, "tests_with_other_traffic")[:2] == (2, 5)
    assert found["download_mean", NATION].flagged == 2


def test_tests_on_a_busy_host_are_excluded_and_counted(tmp_path: Path) -> None:
    """The processor limits the rate of such a test, and not the link."""
    lines = [
        reading("throughput", n, tests=1, rate_bps=1e6 * n, cpu_share=0.4 * n)
        for n in range(1, 4)
    ]
    found = _found(archive_of(tmp_path, lines))
    assert _ratio(found, "download_mean")[:2] == (3_000_000, 2)
    assert _ratio(found, "tests_on_busy_host")[:2] == (1, 3)
    assert found["download_mean", NATION].flagged == 1


def test_a_reading_without_a_value_is_in_neither_sum(tmp_path: Path) -> None:
    """A field that is missing on one side would change the ratio."""
    lines = [
        train(1, [10, 20]),
        reading("latency", 2, sent=20, received=20),
        reading("latency", 3, sent=20, lost=20),
    ]
    found = _found(archive_of(tmp_path, lines))
    assert _ratio(found, "loss")[:2] == (20, 22)
    assert _ratio(found, "delay_within_100_ms")[:2] == (2, 2)


def test_impossible_values_are_excluded_and_counted(tmp_path: Path) -> None:
    """A damaged device neither stops the report nor changes a figure."""
    great = 2**63 - 1
    lines = [
        train(1, [10, 20], lost=2),
        train(2, [10], sent=great, lost=great),
        train(3, [10], sent=5, lost=-5),
        train(4, [10], rtt_le_5=7),
        reading("throughput", 5, tests=1, rate_bps=1e300),
        reading("throughput", 6, tests=1, rate_bps=2e6),
        reading("verdict", 7, available=great, unavailable=great),
        reading("verdict", 8, available=60, unavailable=0),
    ]
    found = _found(archive_of(tmp_path, lines))
    assert _ratio(found, "loss")[:2] == (2, 5)
    assert found["loss", NATION].excluded == 2
    assert found["delay", NATION].excluded == 1
    assert _ratio(found, "download_mean")[:2] == (2_000_000, 1)
    assert _ratio(found, "availability")[:2] == (60, 60)
    assert found["availability", NATION].excluded == 1


def test_outcomes_have_causes_and_reasons(tmp_path: Path) -> None:
    """Slots are counted by area, and other texts than the codes are not shown."""
    lines = [
        train(1, [10]),
        reading("latency", 2, slots=3, skipped=3, ok=0, failed=0, reason="paused"),
        reading("latency", 3, slots=1, failed=1, ok=0, skipped=0, cause="no_route"),
        reading("latency", 4, slots=1, failed=1, cause="no_route", station="s2"),
        reading("latency", 5, slots=1, failed=1, cause="=1+1"),
        reading("latency", 6, slots=1, failed=1),
    ]
    with archive_sums(archive_of(tmp_path, lines), Selection()) as sums:
        found = [o for o in sums.outcomes() if o.level == "nation"]
    assert [(o.outcome, o.code, o.slots, o.stations) for o in found] == [
        ("failed", "no_route", 2, 2),
        ("failed", "other", 2, 1),
        ("ok", None, 1, 1),
        ("skipped", "paused", 3, 1),
    ]


def test_stations_without_an_indicator_are_named(tmp_path: Path) -> None:
    """They have other readings, so that they are not silent."""
    lines = [train(1, [10]), reading("agent", 2, beats=1, station="s2")]
    with archive_sums(archive_of(tmp_path, lines), Selection()) as sums:
        assert sums.present() == 2
        assert sums.without("loss") == [("3171", "s2")]
        assert sums.without("rsrp_mean") == [("3171", "s1"), ("3171", "s2")]


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    """A figure of altered files would be disputed."""
    archive = archive_of(tmp_path, [train(1, [10])])
    file = next(f for f in read_manifest(archive).files if f.readings)
    path = archive / file.path
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(StorageError, match="differs from the manifest"):
        _found(archive)
