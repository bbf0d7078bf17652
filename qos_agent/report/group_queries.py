"""The query of the sums of a group, by stratum and sampling unit, and its result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from qos_agent.archive.database import quoted
from qos_agent.report.estimates import Sums
from qos_agent.report.expressions import Term

COUNTS = ("n", "bad", "with", "without", "flag")


def group_query(
    measurement: str, wanted: Sequence[Term], keys: Sequence[str], *, has_clusters: bool
) -> str:
    """Return the query of sums over the sampling units of groups and strata.

    A unit is a station, or a cluster of stations if the register has clusters.
    """
    listed = "".join(f"{name}, " for name in keys)
    known = "".join(f" AND {name} IS NOT NULL" for name in keys)
    names = [name for n, term in enumerate(wanted) for name in _columns(n, term)]
    sums = ", ".join(f"sum({name})::HUGEINT AS {name}" for name in names)
    has = ", ".join(f"(sum(x{n}) > 0)::BIGINT AS has{n}" for n, _ in enumerate(wanted))
    units = (
        f"(SELECT {listed}station, {sums}, {has} FROM {quoted(f'unit_{measurement}')}"
        f" WHERE true{known} GROUP BY {listed}station)"
        " LEFT JOIN (SELECT station, stratum, cluster FROM frame) USING (station)"
    )
    if has_clusters:
        names += [f"has{n}" for n, _ in enumerate(wanted)]
        counts = ", ".join(f"sum({name}) AS {name}" for name in names)
        unit = "coalesce('c' || cluster, 's' || station)"
        units = (
            f"(SELECT {listed}stratum, {counts} FROM {units}"
            f" GROUP BY {listed}stratum, {unit})"
        )
    parts = [part for n, term in enumerate(wanted) for part in _products(n, term)]
    return (
        f"SELECT {listed}stratum, {', '.join(parts)} FROM {units}"
        f" GROUP BY {listed}stratum ORDER BY {listed}stratum"
    )


def _columns(number: int, term: Term) -> list[str]:
    """Return the columns of a term in the table of its measurement."""
    numerators = [f"y{number}_{k}" for k in range(len(term.numerators))]
    return [*numerators, f"x{number}", *(f"{name}{number}" for name in COUNTS)]


def _products(number: int, term: Term) -> Iterator[str]:
    """Yield the sums over units that `parsed` reads, in its order."""
    x = f"x{number}"
    yield f"count(*) FILTER ({x} > 0)"
    yield f"sum({x})"
    yield f"sum({x} * {x})"
    for k in range(len(term.numerators)):
        y = f"y{number}_{k}"
        yield from (f"sum({y})", f"sum({y} * {y})", f"sum({y} * {x})")
    yield from (f"sum({name}{number})" for name in ("has", *COUNTS))


def width_of(numerators: int) -> int:
    """Return the number of columns of a term in the result of `group_query`."""
    return 3 + 3 * numerators + 1 + len(COUNTS)


def parsed(
    row: Sequence[Any], start: int, numerators: int
) -> tuple[str | None, tuple[Sums, ...], list[int]]:
    """Return stratum, the sums of each numerator, and the counts of a term."""
    units, x, xx, *rest = map(int, row[start : start + width_of(numerators)])
    products = zip(*[iter(rest[: 3 * numerators])] * 3, strict=True)
    bins = tuple(Sums(units, y, x, yy, xy, xx) for y, yy, xy in products)
    return row[0], bins, rest[3 * numerators :]
