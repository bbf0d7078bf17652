"""Failures of the centre as points, and the time until the rule on each fires."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from qos_agent.model import Record, Value
from qos_agent.model.line_protocol import encode
from tests.grafana.evaluations import EVALUATED_NS, FOREVER
from tests.grafana.evaluator import Rule
from tests.grafana.test_alerts import RULES
from tests.noc.nation import MINUTE_NS, START_NS, deliver
from tests.servers.database import Database

# The event happens in this minute, and the rule is evaluated until the last one.
EVENT, LAST = 20, 50
_WITNESS = 5
Points = Iterator[tuple[str, Mapping[str, str], Mapping[str, Value]]]


def _pipeline(failed: int = 0, behind_s: float = 60.0) -> Points:
    fields = {"failed": failed, "behind_s": behind_s}
    yield "pipeline", {"collector": "main"}, fields


def _census(*provinces: str) -> Points:
    for province in provinces:
        tags = {"province": province, "regency": f"{province}01", "operator": "all"}
        yield "census", tags, {"expected": 5}


def _witness(minute: int, problems: int = 0, late: int = 0) -> Points:
    if minute % _WITNESS == 0:
        fields = {"problems": problems, "late": late, "missing": 0, "stations": 100}
        yield "witness", {"province": "31", "regency": "3171"}, fields


def _part(ok: int) -> Points:
    yield "platform", {"part": "gateway", "name": "noc"}, {"ok": ok}


def _nothing() -> Points:
    yield from ()


# By rule: the points of a minute, with the number of minutes since the event.
EVENTS: Mapping[str, Callable[[int, int], Points]] = {
    "pipeline-dead": lambda m, since: _pipeline() if since < 0 else _nothing(),
    "pipeline-failed": lambda m, since: _pipeline(failed=int(since >= 0)),
    "pipeline-behind": lambda m, since: _pipeline(behind_s=60.0 + 60 * max(0, since)),
    "census-missing": lambda m, since: _census("31", *(["51"] if since < 0 else [])),
    "seals": lambda m, since: _witness(m, problems=int(since >= 0)),
    "seals-late": lambda m, since: _witness(m, late=30 * int(since >= 0)),
    "platform-part": lambda m, since: _part(int(since < 0)),
}
STOPPED = {
    "platform-part": lambda m, since: _part(1) if since < 0 else _nothing(),
}


def minutes_to_firing(
    database: Database, alert: str, points: Callable[[int, int], Points], event: int
) -> int:
    """Return the minutes from an event to the firing rule; FOREVER if it never fires.

    A rule that fires before the event is an error.
    """
    deliver(
        database,
        [
            encode(Record(name, dict(tags), dict(fields), START_NS + m * MINUTE_NS))
            for m in range(LAST + 1)
            for name, tags, fields in points(m, m - event)
        ],
    )
    (rule,) = (
        Rule(json) for json in RULES.values() if json["labels"]["alert"] == alert
    )
    for minute in range(event - 6, LAST + 1):
        rule.evaluate(START_NS + minute * MINUTE_NS + EVALUATED_NS, database.query)
        if rule.firing():
            assert minute >= event, (alert, minute)
            return minute - event
    return FOREVER
