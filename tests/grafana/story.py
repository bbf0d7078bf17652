"""Points of the census and roll-ups for the tests of the rules.

Faults begin at minute BEGINS and end at ENDS; voting ends at POLLS_CLOSE. Each regency
has a role, for example one without a fault and one with too few stations.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from tests.grafana.evaluator import MINUTE_NS

START_NS = int(datetime(2024, 2, 14, 3, 0, tzinfo=UTC).timestamp()) * 10**9
MINUTES = 165
BEGINS, ENDS, POLLS_CLOSE = 30, 105, 90
TROUBLED, HEALTHY, SMALL = "3171", "3172", "3173"
FLICKERING, ONCE, FALLING_SILENT = "3174", "3175", "3101"
NEXT = "3601"
OPERATOR = "xl"
Fields = dict[str, Any]


def line(measurement: str, tags: str, minute: float, fields: Fields) -> bytes:
    """Encode a point; fields are integers unless the schema calls them float."""
    floats = {"rate_bps", "upload_sum_ms", "behind_s"}
    pairs = ",".join(
        f"{name}={value}" + ("" if name in floats else "i")
        for name, value in fields.items()
    )
    time_ns = START_NS + int(minute * MINUTE_NS)
    return f"{measurement},{tags} {pairs} {time_ns}".encode()


def _area(regency: str, operator: str = OPERATOR) -> str:
    return f"operator={operator},province={regency[:2]},regency={regency}"


def census(
    minute: int, regency: str, operator: str, expected: int, **fields: int
) -> bytes:
    """Return a census point without a problem; `fields` replace its values."""
    values: Fields = {
        "expected": expected,
        "silent": 0,
        "never": 0,
        "maintenance": 0,
        "voting": int(minute < POLLS_CLOSE),
    }
    if operator == "all":
        values["operators_down"] = 0
    else:
        values |= {
            "links_good": expected,
            "links_degraded": 0,
            "links_bad": 0,
            "down": 0,
            "down_alone": 0,
        }
    return line(
        "census", _area(regency, operator) + ",zone=WIB", minute, values | fields
    )


def rollups(minute: int, regency: str, bad: bool) -> Iterator[bytes]:
    """Yield a minute's roll-ups of twenty links, good or bad."""
    area = _area(regency)
    lost = 80 if bad else 2
    received = 400 - lost
    yield line(
        "latency",
        area + ",layer=anchor,phase=voting,target=a",
        minute,
        {
            "sent": 400,
            "lost": lost,
            "received": received,
            "rtt_sum_us": received * (250_000 if bad else 50_000),
        },
    )
    yield line(
        "throughput",
        area + ",backend=http,direction=down,phase=voting",
        minute,
        {"tests": 4, "rate_ge_2": 0 if bad else 4, "rate_bps": 9e6},
    )
    yield line(
        "web",
        area + ",layer=application,phase=voting,target=forms",
        minute,
        {"uploads": 4, "upload_le_60": 1 if bad else 4, "upload_sum_ms": 1e5},
    )
    place = f"phase=voting,province={regency[:2]},regency={regency}"
    yield line(
        "agent",
        place,
        minute,
        {
            "beats": 20,
            "backlog_points": 50_000 if bad else 100,
            "unsent_old": 10 if bad else 0,
            "clock_poor": 10 if bad else 0,
            "allowance_low": 10 if bad else 0,
            "acked_le_2m": 10 if bad else 200,
            "acked_le_1h": 190 if bad else 0,
            "acked_le_1d": 0,
            "acked_older": 0,
        },
    )


def points_of_minute(minute: int) -> Iterator[bytes]:
    """Yield all points of a minute."""
    bad = BEGINS <= minute < ENDS
    for regency in (TROUBLED, HEALTHY):
        affected = bad and regency == TROUBLED
        yield from rollups(minute, regency, affected)
        yield census(
            minute,
            regency,
            "all",
            40,
            silent=20 * affected,
            operators_down=2 * affected,
        )
        yield census(
            minute,
            regency,
            OPERATOR,
            20,
            links_good=20 - 19 * affected,
            links_bad=17 * affected,
            links_degraded=2 * affected,
            down=int(affected),
            down_alone=int(affected),
        )
    yield from rollups(minute, SMALL, bad)
    yield census(minute, SMALL, "all", 4, silent=4 * bad, operators_down=2 * bad)
    yield census(
        minute,
        SMALL,
        OPERATOR,
        4,
        links_good=0,
        links_bad=4 * bad,
        down=int(bad),
        down_alone=int(bad),
    )
    flickers = bad and minute % 4 == 0
    yield census(
        minute,
        FLICKERING,
        OPERATOR,
        10,
        links_good=10 - 4 * flickers,
        links_bad=4 * flickers,
    )
    once = minute in {BEGINS, BEGINS + 1}
    yield census(
        minute, ONCE, OPERATOR, 10, links_good=10 - 10 * once, links_bad=10 * once
    )
    gone = BEGINS + 25 <= minute < ENDS
    yield census(
        minute,
        FALLING_SILENT,
        OPERATOR,
        10,
        links_good=0 if bad else 10,
        links_bad=10 * (bad and not gone),
        silent=10 * gone,
    )
    # The operator is down in two regencies of one province and in one of another.
    for regency in (FLICKERING, NEXT):
        yield census(minute, regency, "indosat", 8, down=int(bad), down_alone=int(bad))
    yield census(minute, ONCE, "indosat", 8, down=int(bad), down_alone=int(bad))
    yield line("pipeline", "collector=a", minute, {"failed": 0, "behind_s": 0.0})


def baseline() -> Iterator[bytes]:
    """Yield the baseline of three regencies."""
    for regency in (TROUBLED, HEALTHY, SMALL):
        yield line(
            "baseline", _area(regency), 0, {"received": 1000, "rtt_sum_us": 50_000_000}
        )
