"""The state of troubles from minute to minute. Pure.

A trouble begins after its figure has been above the limit for a while, and ends after
the figure has been low for a while. Missing data, too few stations and changes of phase
do not end it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from qos_agent.noc.troubles.causes import INDEPENDENT, OUTAGE_PLACE, RANK
from qos_agent.noc.troubles.limits import limits
from qos_agent.noc.troubles.places import LEVELS, contains
from qos_agent.noc.troubles.signals import Key, Signal

MINUTE_NS = 60 * 10**9
# A trouble ends after this time without a signal, so that a short gap is no second one.
CLEAR_NS = 5 * MINUTE_NS
# What an ended trouble explained stays explained this long. Verdicts look back ten
# minutes, so links may still be bad after the outage has ended.
_EXPLAINED_NS = 15 * MINUTE_NS
# Without data, the last state holds this long. Nobody knows after that, so the points
# stop without an end. The rules in Grafana look back as far.
_HELD_NS = 6 * 3600 * 10**9
_RANK = {"": 0, "warning": 1, "critical": 2}


@dataclass(frozen=True, slots=True)
class Trouble:
    """A trouble, or the beginning of one.

    It began at `since_ns`. `severity` is empty until it has lasted long enough.
    `critical_ns` is the moment since which it would be critical. `explained_ns` is the
    last minute in which a more fundamental trouble explained it. `reported` is the
    severity of the last message, and `reported_ns` its moment.
    """

    key: Key
    since_ns: int
    seen_ns: int
    signal: Signal
    severity: str = ""
    critical_ns: int | None = None
    explained_ns: int | None = None
    reported: str = ""
    known: bool = True
    reported_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Minute:
    """The facts of one minute.

    `is_known` tells if all data of a place are there, and `may_be_critical` if a place
    votes or counts.
    """

    at_ns: int
    signals: Mapping[Key, Signal]
    is_known: Callable[[Key], bool]
    may_be_critical: Callable[[Key], bool]


def advance(
    standing: Mapping[Key, Trouble], minute: Minute
) -> tuple[dict[Key, Trouble], list[Trouble]]:
    """Return the troubles after a minute, and those that ended in it."""
    after: dict[Key, Trouble] = {}
    ended: list[Trouble] = []
    for key in standing.keys() | minute.signals.keys():
        trouble = _advanced(key, standing.get(key), minute)
        if trouble is not None:
            after[key] = trouble
        elif key in standing and standing[key].reported and minute.is_known(key):
            ended.append(standing[key])
    return _reported(after, minute.at_ns), ended


def _advanced(key: Key, before: Trouble | None, minute: Minute) -> Trouble | None:
    at_ns, signal = minute.at_ns, minute.signals.get(key)
    if not minute.is_known(key):
        if before is None or at_ns - before.seen_ns > _HELD_NS:
            return None
        return replace(before, known=False)
    if signal is not None and (signal.severity or (before and before.severity)):
        return _grown(key, before, signal, minute)
    if before is None or not before.severity:
        return None
    if at_ns - before.seen_ns >= CLEAR_NS:
        return None
    return replace(before, known=True)


def _grown(key: Key, before: Trouble | None, signal: Signal, minute: Minute) -> Trouble:
    at_ns = minute.at_ns
    trouble = before or Trouble(key, at_ns, at_ns, signal)
    critical = signal.severity == "critical" and minute.may_be_critical(key)
    critical_ns = trouble.critical_ns if critical else None
    if critical and critical_ns is None:
        critical_ns = at_ns
    severity = trouble.severity
    if signal.severity and _lasted(key, "warning", trouble.since_ns, at_ns):
        severity = severity or "warning"
    if critical_ns is not None and _lasted(key, "critical", critical_ns, at_ns):
        severity = "critical"
    return replace(
        trouble,
        seen_ns=at_ns,
        signal=signal,
        severity=severity,
        critical_ns=critical_ns,
        known=True,
    )


def _lasted(key: Key, severity: str, since_ns: int, at_ns: int) -> bool:
    wait_min = limits()[key.cause, severity].wait_min
    return at_ns - since_ns >= wait_min * MINUTE_NS


def _reported(troubles: Mapping[Key, Trouble], at_ns: int) -> dict[Key, Trouble]:
    """Report what nothing else explains; a reported trouble stays reported."""
    result: dict[Key, Trouble] = {}
    for key, trouble in troubles.items():
        explained_ns = trouble.explained_ns
        if _is_explained(trouble, troubles.values()):
            explained_ns = at_ns
        is_free = explained_ns is None or at_ns - explained_ns > _EXPLAINED_NS
        is_now = trouble.seen_ns == at_ns and bool(trouble.signal.severity)
        reported = trouble.reported
        if reported or (is_free and is_now):
            reported = max(reported, trouble.severity, key=_RANK.__getitem__)
        is_new = reported != trouble.reported
        result[key] = replace(
            trouble,
            explained_ns=explained_ns,
            reported=reported,
            reported_ns=at_ns if is_new else trouble.reported_ns,
        )
    return result


def _is_explained(trouble: Trouble, others: Collection[Trouble]) -> bool:
    """Return True if another trouble explains one, or several in its parts do."""
    if any(explains(other, trouble) for other in others):
        return True
    affected: dict[str, int] = {}
    for other in others:
        if _is_part(other.key, trouble.key):
            place = other.key.place
            affected[place] = max(affected.get(place, 0), other.signal.affected)
    return 10 * sum(affected.values()) >= 7 * trouble.signal.affected


def _is_part(part: Key, whole: Key) -> bool:
    """Return True if a regency's more fundamental trouble is a part of another one."""
    return (
        part.level == LEVELS[0] != whole.level
        and RANK[part.cause] < RANK[whole.cause]
        and whole.cause not in INDEPENDENT
        and contains((whole.level, whole.place), (part.level, part.place))
        and part.operator in {whole.operator, "all"}
    )


def explains(outer: Trouble, inner: Trouble) -> bool:
    """Return True if a trouble, or the beginning of one, explains another one."""
    one, other = outer.key, inner.key
    if not contains((one.level, one.place), (other.level, other.place)):
        return False
    if one.cause == other.cause:
        if one.level == other.level:
            return False
    elif RANK[one.cause] > RANK[other.cause] or other.cause in INDEPENDENT:
        return False
    if one.operator == other.operator or one.cause == OUTAGE_PLACE.name:
        return True
    return "all" in {one.operator, other.operator} and _is_most(outer, inner)


def _is_most(outer: Trouble, inner: Trouble) -> bool:
    """Return True if the stations of one trouble are most of those of another."""
    return 10 * outer.signal.affected >= 7 * inner.signal.affected
