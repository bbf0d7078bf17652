"""The cells of each cause, from the facts of a minute. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from qos_agent.noc.troubles import causes as c
from qos_agent.noc.troubles.areas import Cell
from qos_agent.noc.troubles.facts import Facts, Values
from qos_agent.noc.troubles.signals import ALL_OPERATORS, Cells

# Below this loss in the newest minutes a link works again.
_WORKS_LOSS = 0.05
# Indicators of verdicts that the newest packets can refute.
_REFUTABLE = frozenset({None, "loss"})
_Found = Iterator[tuple[tuple[str, str], Cell]]


def outage_cells(facts: Facts) -> Cells:
    """Return the stations that are silent or have a bad link of each operator."""
    return _by_operator(_outages(facts))


def cells_of(
    facts: Facts, is_watched: Callable[[str], bool]
) -> Mapping[c.Cause, Cells]:
    """Return the cells of all other causes.

    Stations that never reported are silent only in regencies that are watched, because
    before that agents are still being installed.
    """
    return {
        c.SILENT: _by_operator(_silent(facts, is_watched)),
        c.BAD_SHARE: _by_operator(_links(facts, ("links_bad",))),
        c.DEGRADED_SHARE: _by_operator(_links(facts, ("links_bad", "links_degraded"))),
        c.LOSS: _by_operator(_loss(facts)),
        c.RTT: _by_operator(_rtt(facts)),
        c.THROUGHPUT: _by_operator(_slow(facts.throughput, "tests", "rate_ge_2")),
        c.UPLOAD: _by_operator(_slow(facts.web, "uploads", "upload_le_60")),
        c.BACKLOG: _by_operator(_agents(facts, "backlog_points")),
        c.UNSENT: _by_operator(_agents(facts, "unsent_old")),
        c.LATE: _by_operator(_late(facts)),
        c.CLOCK: _by_operator(_clocks(facts)),
        c.ALLOWANCE: _by_operator(_agents(facts, "allowance_low")),
    }


def _by_operator(found: _Found) -> Cells:
    cells: dict[str, dict[str, Cell]] = {}
    for (regency, operator), cell in found:
        cells.setdefault(operator, {})[regency] = cell
    return cells


def _number(values: Values, name: str) -> float:
    return float(values.get(name) or 0)


def _outages(facts: Facts) -> _Found:
    for key, values in facts.census.items():
        expected = int(_number(values, "expected"))
        if key[1] == ALL_OPERATORS or not expected:
            continue
        bad = 0.0 if _works_again(facts, key) else _number(values, "links_bad")
        hit = min(expected, _number(values, "silent") + bad)
        yield key, Cell(expected, hit, expected)


def _works_again(facts: Facts, key: tuple[str, str]) -> bool:
    """Return True if the newest packets arrive although verdicts are still bad.

    A verdict looks back ten minutes, so it stays bad after a short outage has ended.
    """
    fresh = facts.fresh.get(key, {})
    sent = _number(fresh, "sent")
    if facts.census[key].get("kpi") not in _REFUTABLE or sent <= 0:
        return False
    return _number(fresh, "lost") < _WORKS_LOSS * sent


def _silent(facts: Facts, is_watched: Callable[[str], bool]) -> _Found:
    for key, values in facts.census.items():
        if key[1] == ALL_OPERATORS:
            expected = int(_number(values, "expected"))
            never = 0.0 if is_watched(key[0]) else _number(values, "never")
            yield key, Cell(expected, _number(values, "silent") - never, expected)


def _links(facts: Facts, classes: tuple[str, ...]) -> _Found:
    """Yield affected links of all judged ones; a silent station's link is affected."""
    for key, values in facts.census.items():
        if key[1] == ALL_OPERATORS:
            continue
        judged = sum(
            _number(values, f"links_{name}") for name in ("good", "degraded", "bad")
        )
        silent = _number(values, "silent")
        hit = sum(_number(values, name) for name in classes) + silent
        links = int(judged + silent)
        # Silence alone is another cause.
        if links and hit > silent:
            yield key, Cell(links, hit, links)
        elif links:
            yield key, Cell(links, 0, links)


def _loss(facts: Facts) -> _Found:
    for key, values in facts.latency.items():
        sent = _number(values, "sent")
        yield key, Cell(_expected(facts, key), _number(values, "lost"), sent)


def _expected(facts: Facts, key: tuple[str, str]) -> int:
    return int(_number(facts.census.get(key, {}), "expected"))


def _rtt(facts: Facts) -> _Found:
    for key, values in facts.latency.items():
        base, received = facts.baseline.get(key, {}), _number(values, "received")
        if _number(base, "received") > 0 and received > 0:
            usual_us = _number(base, "rtt_sum_us") / _number(base, "received")
            top = _number(values, "rtt_sum_us")
            yield key, Cell(_expected(facts, key), top, received, usual_us * received)


def _slow(rows: Mapping[tuple[str, str], Values], tests: str, fast: str) -> _Found:
    """Yield slow tests of all tests; the tests are the sample, not the stations."""
    for key, values in rows.items():
        n = _number(values, tests)
        yield key, Cell(int(n), n - _number(values, fast), n)


def _agents(facts: Facts, field: str) -> _Found:
    for key, values in facts.agents.items():
        beats = _number(values, "beats")
        yield key, Cell(_expected(facts, key), _number(values, field), beats)


def _clocks(facts: Facts) -> _Found:
    """Yield stations with a wrong or poor clock, of those that report.

    The heartbeats of a clock that is wrong by hours are not in the window, so the
    census counts these stations.
    """
    for key, values in facts.census.items():
        if key[1] != ALL_OPERATORS:
            continue
        wrong = _number(values, "wrong_clock")
        silent = _number(values, "silent")
        others = max(0.0, _number(values, "expected") - silent - wrong)
        beats = facts.agents.get(key, {})
        sent = _number(beats, "beats")
        if sent > 0:
            poor = others * min(1.0, _number(beats, "clock_poor") / sent)
            yield key, Cell(int(others + wrong), poor + wrong, others + wrong)
        elif wrong > 0:
            yield key, Cell(int(wrong), wrong, wrong)


def _late(facts: Facts) -> _Found:
    for key, values in facts.late.items():
        old = sum(
            _number(values, name)
            for name in ("acked_le_1h", "acked_le_1d", "acked_older")
        )
        delivered = old + _number(values, "acked_le_2m")
        yield key, Cell(_expected(facts, key), old, delivered)
