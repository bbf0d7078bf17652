"""The roll-out before the election: which provinces have stations that report."""

from __future__ import annotations

from grafana import queries as q
from grafana.boards.board import TO_AGENTS, Board
from grafana.panels import Column, Display, Panel, Query

_FIELDS = ("expected", "heard", "reporting")
_SUMS = q.derived(
    {
        "share": '100.0 * "heard" / "expected"',
        "heard": '"heard"',
        "expected": '"expected"',
        "reporting": '"reporting"',
    },
    q.columns(_FIELDS, "rollout", "\"province\" <> ''", '"province"'),
    '"expected" > 0',
    '"province"',
)
PROVINCES = Panel(
    1,
    "table",
    ("Roll-out by province", "Pemasangan per provinsi"),
    (
        (
            "Stations of the register, how many of them have ever reported, and how "
            "many report now. The province with the lowest share is not always the one "
            "with most stations to visit: sort by a column."
        ),
        (
            "TPS di register, berapa yang pernah melapor, dan berapa yang sekarang "
            "melapor. Klik judul kolom untuk mengurutkan."
        ),
    ),
    Display(24, 14, "none", age="2h"),
    (Query(_SUMS),),
    columns=(
        Column("province", ("Province", "Provinsi"), shown="place", link=TO_AGENTS),
        Column("expected", ("Stations", "TPS"), width=120),
        Column("heard", ("Ever reported", "Pernah melapor"), width=150),
        Column("share", ("Share", "Persentase"), "percent", width=120),
        Column("reporting", ("Reporting now", "Melapor sekarang"), width=150),
    ),
    sort="expected",
)
_NATION = (
    ("expected", ("stations", "TPS")),
    ("heard", ("ever reported", "pernah melapor")),
    ("reporting", ("reporting", "melapor")),
)
NATION = Panel(
    2,
    "timeseries",
    ("Roll-out by day", "Pemasangan per hari"),
    (
        "Stations of the register, those that have ever reported, and those reporting.",
        "TPS di register, yang pernah melapor, dan yang sedang melapor.",
    ),
    Display(24, 10, "short"),
    tuple(
        Query(q.summed_over_time(field, "rollout", '"province"'), text)
        for field, text in _NATION
    ),
)
ROLLOUT = Board(
    "rollout", ("Roll-out", "Pemasangan"), (), (PROVINCES, NATION), start="now-14d"
)
