"""Election overview: is the nation well, who is not, and whom to call."""

from __future__ import annotations

from grafana import queries as q
from grafana.boards import columns as c
from grafana.boards.board import Board
from grafana.panels import Column, Look, Panel, Query, Words

# The stations that a trouble hits: silent ones have no link that could be judged.
_HIT = '("silent" + "links_bad")'
_WORSE = '("silent" + "links_bad" + "links_degraded")'
_COUNTS = ("expected", "class_level", "silent", "links_bad", "links_degraded",
           "since_s", "kpi", "side", "ticket")  # fmt: skip
_LINK = '"province", "regency", "operator"'
NEEDS = q.derived(
    {
        "class_level": '"class_level"',
        "hit": _HIT,
        "links_degraded": '"links_degraded"',
        "share": f'100.0 * {_WORSE} / "expected"',
        "expected": '"expected"',
        **{name: f'"{name}"' for name in _COUNTS[5:]},
    },
    q.columns(_COUNTS, "census", q.EACH, _LINK),
    '"class_level" > 0',
    _LINK,
)
_MAP = ("expected", "class_level", "silent", "stations_bad", "operators_down",
        "latitude", "longitude")  # fmt: skip


def _count(
    id_: int, title: Words, field: str, limits: tuple[float, float] | None, about: Words
) -> Panel:
    look = Look(4, 6, "short", limits, age="5m")
    query = Query(q.latest_sum(field), title)
    return Panel(id_, "stat", title, about, look, (query,))


COUNTS = (
    _count(1, ("Expected", "Diharapkan"), "expected", None,
           ("Stations that the register expects to report now",
            "TPS yang menurut daftar harus melapor sekarang")),
    _count(2, ("Reporting", "Melapor"), "reporting", None,
           ("Heard within two minutes, by the time of measurement",
            "Terdengar dalam dua menit, menurut waktu pengukuran")),
    _count(3, ("Silent", "Senyap"), "silent", (1, 100),
           ("Not heard for five minutes, never heard ones among them",
            "Lima menit tidak terdengar, termasuk yang belum pernah")),
    _count(4, ("Degraded", "Menurun"), "stations_degraded", (1, 500),
           ("Reporting, and their worst link is degraded",
            "Melapor, dan link terburuknya menurun")),
    _count(5, ("Bad", "Buruk"), "stations_bad", (1, 100),
           ("Reporting, and their worst link is bad",
            "Melapor, dan link terburuknya buruk")),
)  # fmt: skip
AGE = Panel(
    6, "stat", ("Data age", "Umur data"),
    ("Nine regencies of ten have heard from a station within this time",
     "Sembilan dari sepuluh kabupaten/kota mendengar TPS dalam waktu ini"),
    Look(4, 6, "s", (120, 300), age="5m"),
    (Query(q.latest_percentile("age_s", 90), ("Data age", "Umur data")),),
)  # fmt: skip
HELP = Panel(
    7, "table", ("Who needs help now", "Siapa perlu bantuan sekarang"),
    (("By regency and operator: how many stations are silent or have a bad link, of "
     "how many that have the operator; since when, why, and whom to call. Empty is "
     "well only while Data age is green."),
     ("Per kabupaten/kota dan operator: berapa TPS senyap atau link-nya buruk, dari "
     "berapa yang memakai operator itu; sejak kapan, sebabnya, siapa dihubungi. Kosong "
     "berarti baik hanya bila Umur data hijau.")),
    Look(24, 10, "none", age="2m"),
    (Query(NEEDS),),
    columns=(
        c.LEVEL, c.REGENCY, c.OPERATOR,
        Column("hit", ("Without", "Tanpa"), "short", width=110),
        Column("links_degraded", ("Degraded", "Menurun"), "short", width=120),
        Column("expected", ("of n", "dari n"), "short", width=90),
        Column("share", ("Not well", "Tidak baik"), "percent", width=120),
        c.SINCE, c.WHY, c.SIDE, c.TICKET, c.PROVINCE,
    ),
    sort="hit",
)  # fmt: skip
MAP = Panel(
    8, "geomap", ("Regencies by state", "Kabupaten/kota menurut keadaan"),
    (("The worst state that one station in twenty is in; larger: more stations. "
     "Grey is not known. The outline needs no internet."),
     ("Keadaan terburuk dari satu di antara 20 TPS; lebih besar: lebih banyak TPS. "
     "Abu-abu tidak diketahui. Peta tidak memerlukan internet.")),
    Look(10, 12, "none", age="2m"),
    (Query(q.columns(_MAP, "census", q.ALL, '"province", "regency"')),),
    columns=(
        c.LEVEL, c.REGENCY, c.PROVINCE,
        Column("expected", ("Stations", "TPS"), "short"),
        Column("silent", ("Silent", "Senyap"), "short"),
        Column("stations_bad", ("Bad", "Buruk"), "short"),
        Column("operators_down", ("Operators down", "Operator mati"), "short"),
        c.LATITUDE, c.LONGITUDE,
    ),
    sort="expected",
)  # fmt: skip
_USUAL = ("before the election", "sebelum pemilu")


def _trend(id_: int, title: Words, about: Words, look: Look, figure: q.Ratio) -> Panel:
    """The nation now, beside what the same links gave before the election."""
    usual = Query(q.ratio_over_time(figure, "baseline"), _USUAL, "usual")
    queries = c.ratio(figure, ("latency", q.ANCHOR), "", ("now", "sekarang"), (usual,))
    return Panel(id_, "timeseries", title, about, look, queries)


LOSS = _trend(
    9, ("Loss against before the election", "Kehilangan paket dibanding sebelum"),
    ("Lost / sent to anchors; dashed: the same in the weeks before, n in the tooltip",
     "Hilang / terkirim ke anchor; putus-putus: minggu sebelumnya, n di tooltip"),
    Look(8, 8, "percent", (2, 10)), q.LOSS,
)  # fmt: skip
DELAY = _trend(
    11, ("Delay against before the election", "Waktu tunda dibanding sebelum"),
    (("Mean round trip to anchors; dashed: the same in the weeks before, n in the "
     "tooltip"),
     "Rata-rata pulang-pergi ke anchor; putus-putus: minggu sebelumnya, n di tooltip"),
    Look(8, 8, "ms", (200, 600)), q.DELAY,
)  # fmt: skip
VOTING = Panel(
    10, "bargauge", ("Voting time passed", "Waktu pemungutan suara"),
    ("Share of the voting window that has passed in each zone; none before it opens",
     "Bagian waktu pemungutan suara yang lewat per zona; kosong sebelum dibuka"),
    Look(8, 8, "percentunit", age="5m", top=1.0),
    (Query(q.select('last("voting_share")', "census", q.ALL, '"zone"'),
           c.same("$tag_zone")),),
)  # fmt: skip
ALERTS = Panel(
    12, "alertlist", ("Alerts", "Peringatan"),
    ("Firing and pending; without the heartbeat, which always fires",
     "Aktif dan menunggu; tanpa detak, yang selalu aktif"),
    Look(7, 12, "none"),
)  # fmt: skip
STATES = Panel(
    13, "timeseries", ("Stations in trouble", "TPS bermasalah"),
    ("Silent, bad and degraded in the nation", "Senyap, buruk, menurun, nasional"),
    Look(7, 12, "short"),
    tuple(
        Query(q.counted_over_time(field), alias, alias[0])
        for field, alias in (
            ("silent", ("silent", "senyap")),
            ("stations_bad", ("bad", "buruk")),
            ("stations_degraded", ("degraded", "menurun")),
        )
    ),
)  # fmt: skip
OVERVIEW = Board(
    "overview",
    ("Election overview", "Ikhtisar pemilu"),
    (),
    (*COUNTS, AGE, HELP, MAP, STATES, ALERTS, VOTING, LOSS, DELAY),
)
