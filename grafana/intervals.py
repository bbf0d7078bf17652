"""InfluxQL queries of ratios with their 95 % intervals, and of their differences.

Packets of one place and hour are lost together, so they are not independent samples.
The interval is that of a ratio over clusters (Cochran, Sampling Techniques, third
edition, section 6.3): a cluster is a regency in one hour, or a regency for the
baseline. InfluxQL has sums only, so the squared residuals are added up from the sums of
the products.
"""

from __future__ import annotations

from grafana.queries import AREA, Ratio

# The quantile of the normal distribution for 95 %.
_Z = 1.96
_HOURS = 'time(1h), "regency"'
_REGENCIES = '"province", "regency"'


def of_phase(phase: str, ratio: Ratio, measurement: str, where: str) -> str:
    """Return a ratio, its interval and its sample count in one phase, by operator.

    The half width `pm` is 0 if there is one cluster only.
    """
    return _figures(phase, ratio, measurement, f"{where} AND \"phase\" = '{phase}'")


def before(newest: Ratio) -> str:
    """Return the figure before the election, from the newest baselines."""
    return _figures("before", newest, "baseline", AREA, _REGENCIES)


# A difference, and the square of the half width of its interval in squares of it.
# InfluxQL cannot combine two measurements, so Grafana calculates them in this order.
COMPARISON = (
    ("difference", "voting", "-", "before"),
    ("sq_difference", "difference", "*", "difference"),
    ("sq_before", "pm_before", "*", "pm_before"),
    ("sq_voting", "pm_voting", "*", "pm_voting"),
    ("sq_margin", "sq_before", "+", "sq_voting"),
    ("chance", "sq_margin", "/", "sq_difference"),
)


def _figures(
    name: str, ratio: Ratio, measurement: str, where: str, clusters: str = _HOURS
) -> str:
    """Return ratio, sample count and half width of the interval, by operator."""
    residuals = '"tt" - 2 * "top" / "n" * "tn" + "top" * "top" / "n" / "n" * "nn"'
    # Rounding can make the sum of squares a little negative.
    width = f'{_Z} * sqrt(abs({residuals}) * "one" / ("one" - 1)) / "n"'
    sums = _sums(_clusters(ratio, measurement, where, clusters))
    return (
        f'SELECT "top" / "n" AS "{name}", "n" AS "n_{name}", {width} AS "pm_{name}" '
        f'FROM ({sums}) WHERE $timeFilter AND "n" > 0 GROUP BY "operator"'
    )


def _clusters(ratio: Ratio, measurement: str, where: str, clusters: str) -> str:
    """Return the sums of each cluster, and their products; `one` counts clusters."""
    inner = (
        f'SELECT {ratio.top} AS "top", {ratio.bottom} AS "n" FROM "{measurement}" '
        f'WHERE $timeFilter AND {where} GROUP BY {clusters}, "operator" fill(none)'
    )
    return (
        'SELECT "top", "n", "n" / "n" AS "one", "top" * "top" AS "tt", '
        f'"top" * "n" AS "tn", "n" * "n" AS "nn" FROM ({inner}) '
        'WHERE $timeFilter AND "n" > 0 GROUP BY "regency", "operator"'
    )


def _sums(clusters: str) -> str:
    names = ("top", "n", "one", "tt", "tn", "nn")
    wanted = ", ".join(f'sum("{name}") AS "{name}"' for name in names)
    return f'SELECT {wanted} FROM ({clusters}) WHERE $timeFilter GROUP BY "operator"'
