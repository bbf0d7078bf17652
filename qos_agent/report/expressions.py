"""Queries of readings as Ibis expressions: whole numbers for each station.

The surface is small on purpose: filter, select, group and sums of whole numbers. Each
engine gets the same expression, and all statistics happen afterwards in Python. Loading
Ibis takes 0.4 s and 40 MB, so only a report imports this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from qos_agent.archive.columns import READINGS, columns
from qos_agent.config.places import province_zones
from qos_agent.report.indicator_types import (
    Column,
    Distribution,
    Expression,
    Indicator,
    Table,
    everything,
)
from qos_agent.report.indicators import DISTRIBUTIONS, INDICATORS

# A reading has no more than this of anything: 1 Tbit/s, or 11 days in microseconds.
VALUE_MAX = 10**12
STATION = ("province", "regency", "station")
LINK = ("operator", "phase")
KEYS = (*STATION, *LINK)
HOUR_NS = 3600 * 10**9
DAY_NS = 24 * HOUR_NS
# The zones of Indonesia have no summer time.
_OFFSETS_NS = {
    "Asia/Jakarta": 7 * HOUR_NS,
    "Asia/Makassar": 8 * HOUR_NS,
    "Asia/Jayapura": 9 * HOUR_NS,
}
_TYPES = {"BIGINT": "int64", "DOUBLE": "float64", "VARCHAR": "string", "BLOB": "binary"}


@dataclass(frozen=True, slots=True)
class Term:
    """Sums over the same readings: one or more numerators, and a denominator."""

    name: str
    measurement: str
    condition: Expression
    numerators: tuple[Expression, ...]
    denominator: Expression
    usable: Expression = everything
    least: int = 0


def terms() -> Iterator[Term]:
    """Yield the sums that indicators and distributions need."""
    for i in INDICATORS:
        # A power is a negative number of dBm, and so are ratios of powers.
        least = -VALUE_MAX if i.unit in ("dBm", "dB") else 0
        usable = i.usable or everything
        if i.numerator_from is None:
            parts = (i.condition, (i.numerator,), i.denominator, usable, least)
            yield Term(i.name, i.measurement, *parts)
        else:
            yield Term(i.name, i.measurement, i.condition, (_none,), i.denominator)
            other = (everything, (i.numerator,), _one)
            yield Term(numerator_name(i), i.numerator_from, *other)
    for d in DISTRIBUTIONS:
        bins = tuple(_bin(d, bound) for bound in d.bounds)
        yield Term(d.name, d.measurement, d.condition, bins, _rising(d))


def numerator_name(indicator: Indicator) -> str:
    """Return the name of a term that has only the numerator of an indicator."""
    return f"{indicator.name}_numerator"


def _none(_: Table) -> Column:
    return _literal(0)


def _one(_: Table) -> Column:
    return _literal(1)


def _literal(value: int) -> Column:
    import ibis

    return ibis.literal(value, type="int64")


def _bin(distribution: Distribution, bound: int) -> Expression:
    return lambda t: t[f"{distribution.prefix}{bound}"]


def _rising(distribution: Distribution) -> Expression:
    """Return the number of values; it is impossible if the histogram falls."""
    names = [*(f"{distribution.prefix}{b}" for b in distribution.bounds)]

    def total(t: Table) -> Column:
        is_rising = _literal(0) == 0
        for low, high in pairwise([*names, distribution.total]):
            is_rising &= t[low] <= t[high]
        return is_rising.ifelse(t[distribution.total], -1)

    return total


def readings(measurement: str) -> Table:
    """Return the table of a measurement, without an engine."""
    import ibis

    kinds = columns(READINGS[measurement]).items()
    return ibis.table({name: _TYPES[kind] for name, kind in kinds}, name=measurement)


@cache
def unit_sql(measurement: str) -> str:
    """Return the query of `unit_sums` for all terms of a measurement."""
    return _sql(unit_sums(readings(measurement), terms_of(measurement)))


@cache
def hour_sql(measurement: str, names: tuple[str, ...], *, is_local: bool) -> str:
    """Return the query of `unit_sums` in each hour, for some terms.

    A local hour is one of the day. The others are those of time.
    """
    table = readings(measurement)
    wanted = [term for term in terms_of(measurement) if term.name in names]
    hour = local_hour(table) if is_local else absolute_hour(table)
    return _sql(unit_sums(table, wanted, hour))


@cache
def outcome_sql(measurement: str) -> str:
    """Return the query of `slot_outcomes`."""
    return _sql(slot_outcomes(readings(measurement)))


@cache
def station_sql(measurement: str) -> str:
    """Return the query of the stations that have a reading, with their areas."""
    return _sql(readings(measurement).select(*STATION).distinct())


def _sql(query: Table) -> str:
    import ibis

    return str(ibis.to_sql(query, dialect="duckdb"))


@cache
def terms_of(measurement: str) -> tuple[Term, ...]:
    """Return the terms of a measurement."""
    return tuple(term for term in terms() if term.measurement == measurement)


def unit_sums(table: Table, wanted: Sequence[Term], hour: Column = None) -> Table:
    """Return the sums of each station, operator and phase, and of each hour.

    The columns of term N are y{N}_{K} for its numerators, x{N}, n{N} readings, bad{N}
    readings with an impossible value, and slots: with{N} a sample, without{N}, and
    flag{N} that are not usable.
    """
    keys = {name: _key(table, name) for name in KEYS}
    if hour is not None:
        keys["hour_ns"] = hour
    slots = _slots(table)
    given = {"slots": slots}
    for number, term in enumerate(wanted):
        given |= _given(table, number, term)
    raw = table.select(**keys, **given)
    marks = {"slots": raw.slots}
    for number, term in enumerate(wanted):
        marks |= _marks(raw, number, term)
    marked = raw.select(*keys, **marks)
    sound: dict[str, Column] = {}
    for number, term in enumerate(wanted):
        sound |= _sound(marked, number, len(term.numerators))
    rows = marked.select(*keys, **sound)
    sums = {name: rows[name].sum() for name in sound}
    return rows.group_by(*keys).aggregate(**sums)


def _key(table: Table, name: str) -> Column:
    import ibis

    return table[name] if name in table.columns else ibis.null("string")


def _slots(table: Table) -> Column:
    """Return the slots that a reading stands for; other records stand for one."""
    if "slots" not in table.columns:
        return _literal(1)
    slots = table.slots.fill_null(1)
    return slots.between(0, VALUE_MAX).ifelse(slots, 0)


def _given(table: Table, number: int, term: Term) -> dict[str, Column]:
    """Return the values of a term as floats; other readings have none.

    A float has every whole number below the limit, and it cannot overflow.
    """
    condition, usable = term.condition(table), term.usable(table)
    both = condition & usable if usable is not True else condition
    found = {f"y{number}_{k}": y(table) for k, y in enumerate(term.numerators)}
    found[f"x{number}"] = term.denominator(table)
    values = {name: _if(both, value.cast("float64")) for name, value in found.items()}
    applies = _literal(1) if condition is True else _if(condition, _literal(1))
    fit = _literal(1) if both is True else _if(both, _literal(1))
    return {**values, f"applies{number}": applies, f"fit{number}": fit}


def _if(condition: Any, value: Column) -> Column:
    """Return the value, or NULL if the condition is not true."""
    import ibis

    if condition is True:
        return value
    return condition.ifelse(value, ibis.null(value.type()))


def _marks(raw: Table, number: int, term: Term) -> dict[str, Column]:
    """Return the values, and what is wrong with them."""
    x = raw[f"x{number}"]
    names = [f"y{number}_{k}" for k in range(len(term.numerators))]
    possible, known = x.between(0, VALUE_MAX), x.notnull()
    for name in names:
        possible &= raw[name].between(term.least, VALUE_MAX)
        known &= raw[name].notnull()
    applies, fit = raw[f"applies{number}"], raw[f"fit{number}"]
    return {
        **{name: raw[name] for name in (*names, f"x{number}")},
        # Comparisons with NULL are not false, so a missing value is decided here.
        f"sound{number}": (known & possible).fill_null(False),
        f"bad{number}": (known & ~possible).fill_null(False),
        f"applies{number}": applies.notnull(),
        f"unfit{number}": applies.notnull() & fit.isnull(),
    }


def _sound(marked: Table, number: int, numerators: int) -> dict[str, Column]:
    """Return the values if all are possible, and the slots of each kind."""
    x, is_sound = marked[f"x{number}"], marked[f"sound{number}"]
    names = [f"y{number}_{k}" for k in range(numerators)]
    has_sample = is_sound & (x > 0).fill_null(False)
    has_none = marked[f"applies{number}"] & ~has_sample
    none = _literal(0)
    return {
        **{name: is_sound.ifelse(marked[name].cast("int64"), none) for name in names},
        f"x{number}": is_sound.ifelse(x.cast("int64"), none),
        f"n{number}": is_sound.ifelse(_literal(1), none),
        f"bad{number}": marked[f"bad{number}"].ifelse(_literal(1), none),
        f"with{number}": has_sample.ifelse(marked.slots, none),
        f"without{number}": has_none.ifelse(marked.slots, none),
        f"flag{number}": marked[f"unfit{number}"].ifelse(marked.slots, none),
    }


def slot_outcomes(table: Table) -> Table:
    """Return the slots of each station by outcome, cause and reason."""
    keys = [*STATION, "cause", "reason"]
    counts = {
        name: table[name].between(0, VALUE_MAX).ifelse(table[name], 0)
        for name in ("ok", "failed", "skipped")
    }
    rows = table.select(*keys, **counts)
    return rows.group_by(*keys).aggregate(**{n: rows[n].sum() for n in counts})


def absolute_hour(table: Table) -> Column:
    """Return the start of the hour of a reading."""
    return table.time_ns - table.time_ns % HOUR_NS


def local_hour(table: Table) -> Column:
    """Return the hour of the day at the place of a reading, in nanoseconds."""
    import ibis

    offsets = [
        (table.province == code, _literal(_OFFSETS_NS[zone]))
        for code, zone in province_zones().items()
    ]
    local_ns = table.time_ns + ibis.cases(*offsets, else_=_literal(0))
    return local_ns % DAY_NS - local_ns % HOUR_NS


def sql_text(expression: Expression, measurement: str) -> str:
    """Return an expression as SQL, for people who check a figure with other tools."""
    import ibis

    column = expression(readings(measurement))
    if column is True:
        return "true"
    table = readings(measurement)
    select = ibis.to_sql(table.select(value=expression(table)), dialect="duckdb")
    tree = _parsed(str(select))
    return tree.replace('"t0".', "").replace('"', "")


def _parsed(select: str) -> str:
    """Return the first column of a query, without its alias."""
    import sqlglot

    query = sqlglot.parse_one(select, read="duckdb")
    return str(query.expressions[0].this.sql(dialect="duckdb"))
