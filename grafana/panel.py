"""Panels as the boards describe them, before they become Grafana's JSON."""

from __future__ import annotations

from dataclasses import dataclass

from grafana.styles import Json, Text

ROLLUP = "qos-rollup"
RAW = "qos"
# The data source that the user selects at the top of the dashboard.
SELECTED = "${source}"


@dataclass(frozen=True, slots=True)
class Display:
    """Size, unit and thresholds of a panel.

    Width and height are in cells of Grafana's grid of 24 columns. `limits` are the
    values from which a figure is degraded and bad; None means that it has no limits.
    `low` is true if a lower value is worse. `floor` is the smallest possible value.
    `age` is the maximum age of a value that is shown as current. `levels` and `codes`
    replace class levels and codes by their names. `top` fixes the end of the scale.
    `sentence` shows one instead of a figure: `census` on its age, or `station` on its
    last heartbeat. `zones` adds a time axis for each zone of the country. `names` is
    `regency` or `province` if series have codes of these, so that names replace them.
    """

    width: int
    height: int
    unit: str
    limits: tuple[float, float] | None = None
    low: bool = False
    age: str | None = None
    floor: float = 0.0
    levels: bool = False
    codes: bool = False
    top: float | None = None
    sentence: str = ""
    zones: bool = False
    names: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """An InfluxQL query, the name of its series and their style (SERIES_STYLES)."""

    text: str
    alias: Text = ("", "")
    style: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: a field or tag, its title and its format.

    `shown` is `level` (a class with its colour), `code` (a name instead of a code),
    `side`, `regency`, `place`, `cause` or `severity` (the same), `hidden`, `linked`
    (not shown, but links of its row use it), `label` (a text on a map), `margin` (half
    the width of an interval), `chance` (is a difference more than chance?) or empty.
    `link` opens another dashboard from a cell; LANG in its address is replaced by the
    language.
    """

    name: str
    title: Text
    unit: str = "none"
    shown: str = ""
    link: Json | None = None
    width: int | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel: id within its dashboard, type, texts, display and queries.

    `sort` is the column by which a table is sorted, largest value first. `merge` joins
    the rows of several queries by their tags. `counted` lists columns: the table then
    shows the number of stations for each combination of their values. `computed` has
    columns of a merged table that Grafana calculates from two others: name, left
    column, operator, right column. Rows that lack a column of a query are left out.
    """

    id: int
    kind: str
    title: Text
    description: Text
    display: Display
    queries: tuple[Query, ...] = ()
    source: str = ROLLUP
    columns: tuple[Column, ...] = ()
    sort: str = ""
    merge: bool = False
    counted: tuple[str, ...] = ()
    computed: tuple[tuple[str, str, str, str], ...] = ()
