"""The election calendar: which phase a station is in, at its own local time.

A calendar is a TOML file of elections, each with periods in local time. A period
holds for all, or for named zones, provinces or stations; the narrower wins, so that a
repeat or postponed vote at a station lies over its nation's day. Nothing assumes one
day, one zone or one election. Without a calendar every moment is idle.

This module only reads and answers; who changes what at a change is the agent's.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from importlib.resources import files
from itertools import combinations
from pathlib import Path
from typing import Any, NoReturn, TypeGuard

from qos_agent.config.places import province_zones
from qos_agent.model import Phase
from qos_agent.model.calendar import PERIODS, SCOPES, ZONES, Calendar, Period
from qos_agent.model.errors import ConfigError, InvalidConfigError

_FROZEN = (Phase.VOTING, Phase.COUNTING)
_PERIOD_KEYS = ("kind", "start", "end", "province", *SCOPES)
_ELECTION_KEYS = ("name", "period")
_LOCAL = "a local date and time without offset, such as 2024-02-14T07:00:00"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def may_reload(phase: Phase, now: bool = False) -> bool:
    """Whether a changed configuration takes effect; on the day only if told."""
    return now or phase not in _FROZEN


def shipped() -> dict[str, Path]:
    """The calendars that come with the agent, by name."""
    folder = Path(str(files("qos_agent.config") / "elections"))
    return {path.stem: path for path in sorted(folder.glob("20*.toml"))}


def template() -> Path:
    """The commented calendar to fill in for the next election."""
    return Path(str(files("qos_agent.config") / "elections" / "template.toml"))


def find(name: str) -> Path:
    """The file behind a shipped calendar's name, or behind a path."""
    return shipped().get(name) or Path(name)


def named(name: str | None) -> Calendar:
    """The calendar of a setting: a shipped name or a path; None is idle for ever."""
    return load(find(name)) if name else Calendar()


def load(path: Path) -> Calendar:
    """The calendar in a file. Raises InvalidConfigError with a line for each fault."""
    try:
        content = path.read_bytes()
        table = tomllib.loads(content.decode())
    except OSError as error:
        names = ", ".join(shipped())
        said = error.strerror or "unreadable"
        _refuse(path, said, f"a readable file, or one of {names}", "check the path")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        _refuse(path, str(error), "TOML", f"edit {path}")
    faults = tuple(_faults(table))
    if faults:
        raise InvalidConfigError(faults)
    digest = hashlib.sha256(content).hexdigest()[:12]
    return Calendar(tuple(_periods(table).values()), digest)


def _refuse(path: Path, found: str, allowed: str, mend: str) -> NoReturn:
    raise InvalidConfigError((ConfigError(str(path), found, allowed, mend),))


_Table = dict[str, Any]


def _tables(row: _Table, key: str) -> list[_Table]:
    """The tables under a key; none where it holds anything else."""
    value = row.get(key)
    listed = isinstance(value, list) and all(isinstance(each, dict) for each in value)
    return value if listed and value is not None else []


def _rows(table: _Table) -> Iterator[tuple[str, str, _Table]]:
    """Each period's key in the file, its election's name, and what is written."""
    for i, election in enumerate(_tables(table, "election")):
        for j, row in enumerate(_tables(election, "period")):
            yield f"election.{i}.period.{j}", str(election.get("name")), row


def _faults(table: _Table) -> Iterator[ConfigError]:
    yield from _unknown("", table, ("election",))
    elections = _tables(table, "election")
    if not elections:
        yield _fault("election", table.get("election"), "tables [[election]]")
    for i, election in enumerate(elections):
        yield from _election_faults(f"election.{i}", election)
    wrong: list[ConfigError] = []
    for key, _, row in _rows(table):
        wrong += _period_faults(key, row)
    yield from wrong
    if not wrong:
        periods = _periods(table)
        yield from _overlaps(periods)
        yield from _two_provinces(periods)


def _fault(key: str, found: object, allowed: str, mend: str = "") -> ConfigError:
    if isinstance(found, datetime | date | time):
        said = found.isoformat()
    else:
        said = "nothing" if found is None else repr(found)
    return ConfigError(key, said, allowed, mend or f"edit {key}")


def _unknown(key: str, row: _Table, known: Sequence[str]) -> Iterator[ConfigError]:
    for name in sorted(row.keys() - set(known)):
        near = difflib.get_close_matches(name, known, n=1)
        mend = f"did you mean {near[0]}?" if near else "remove it"
        place = f"{key}.{name}".strip(".")
        yield ConfigError(place, "an unknown key", ", ".join(sorted(known)), mend)


def _election_faults(key: str, election: _Table) -> Iterator[ConfigError]:
    yield from _unknown(key, election, _ELECTION_KEYS)
    name = election.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield _fault(f"{key}.name", name, "letters, digits, - and _")
    periods = _tables(election, "period")
    if not any(row.get("kind") == "voting" for row in periods):
        allowed = "[[election.period]], at least one of kind voting"
        found = [row.get("kind") for row in periods] or None
        yield _fault(f"{key}.period", found, allowed, "add when votes are cast")


def _period_faults(key: str, row: _Table) -> Iterator[ConfigError]:
    yield from _unknown(key, row, _PERIOD_KEYS)
    if row.get("kind") not in PERIODS:
        yield _fault(f"{key}.kind", row.get("kind"), ", ".join(PERIODS))
    start, end = row.get("start"), row.get("end")
    for name, edge in (("start", start), ("end", end)):
        if not _is_local(edge):
            yield _fault(f"{key}.{name}", edge, _LOCAL)
    if _is_local(start) and _is_local(end) and end <= start:
        yield _fault(f"{key}.end", end, f"later than its start, {start.isoformat()}")
    yield from _scope_faults(key, row)


def _is_local(edge: object) -> TypeGuard[datetime]:
    return isinstance(edge, datetime) and edge.tzinfo is None


def _scope_faults(key: str, row: _Table) -> Iterator[ConfigError]:
    given = [scope for scope in SCOPES if scope in row]
    if len(given) > 1:
        yield _fault(
            key, given, "one of zones, provinces, stations", "make two periods"
        )
    for scope in given:
        names = row[scope]
        if not isinstance(names, list) or not names:
            yield _fault(f"{key}.{scope}", names, "a list with something in it")
            continue
        for name in names:
            if (allowed := _not_in(scope, name)) is not None:
                yield _fault(f"{key}.{scope}", name, allowed)
    if ("stations" in row) != ("province" in row):
        allowed = "province and stations together"
        found = "only province" if "province" in row else "only stations"
        mend = "say in which province these stations are"
        yield ConfigError(key, found, allowed, mend)
    elif "province" in row and row["province"] not in province_zones():
        yield _fault(f"{key}.province", row["province"], _not_in("provinces", "") or "")


def _not_in(scope: str, name: object) -> str | None:
    """What is allowed, where `name` is no name of that scope; None where it is."""
    match scope:
        case "zones":
            return None if name in ZONES else ", ".join(ZONES)
        case "provinces":
            known = province_zones()
            allowed = f"two digits in quotes, {min(known)} to {max(known)}"
            return None if name in known else allowed
        case _:
            well = isinstance(name, str) and _NAME.fullmatch(name)
            return None if well else "station codes in quotes"


def _periods(table: _Table) -> dict[str, Period]:
    """The periods of a table without faults, by their keys."""
    return {key: _period(name, row) for key, name, row in _rows(table)}


def _period(election: str, row: _Table) -> Period:
    scope = next((scope for scope in SCOPES if scope in row), "")
    return Period(
        election,
        row["kind"],
        row["start"],
        row["end"],
        scope,
        tuple(row.get(scope, ())),
        row.get("province"),
    )


def _overlaps(periods: dict[str, Period]) -> Iterator[ConfigError]:
    """Two periods of equal rank at one place and time: which would hold?"""
    for (key_1, one), (key_2, two) in combinations(periods.items(), 2):
        together = one.start < two.end and two.start < one.end
        same_place = not one.scope or set(one.names) & set(two.names)
        if one.scope == two.scope and together and same_place:
            found = f"{two}, over {key_1}, {one}"
            allowed = "periods that do not overlap where they hold alike"
            yield ConfigError(key_2, found, allowed, "move a start or an end")


def _two_provinces(periods: dict[str, Period]) -> Iterator[ConfigError]:
    placed: dict[str, tuple[str, str | None]] = {}
    for key, period in periods.items():
        for name in period.names if period.scope == "stations" else ():
            first_key, province = placed.setdefault(name, (key, period.province))
            if province != period.province:
                found = f"station {name} in province {period.province}"
                allowed = f"one province a station; {first_key} says {province}"
                yield ConfigError(key, found, allowed, "correct one of the two")
