"""Province and regency: which stations, since when, and what their links give."""

from __future__ import annotations

from grafana import queries as q
from grafana.boards import columns as c
from grafana.boards.board import Board
from grafana.panels import CHOSEN, Column, Look, Panel, Query

_NAMED = ("class_level", "name", "since_s", "age_s", "kpi", "side", "contact", "ticket",
          "never", "maintenance", "acknowledged", "operator")  # fmt: skip
_PLACED = ("class_level", "name", "operator", "since_s", "kpi", "latitude",
           "longitude")  # fmt: skip
# Its operator is that of its worst link, and may be another the next minute.
_STATION = '"province", "regency", "station"'
_OPERATOR = c.same("$tag_operator")
_WHERE = f"{q.ANCHOR} AND {q.AREA}"
STATIONS = Panel(
    1, "table", ("Stations in trouble", "TPS bermasalah"),
    ("Silent, bad and degraded stations by name, the worst of each regency",
     "TPS senyap, buruk, dan menurun menurut nama, yang terburuk per kabupaten/kota"),
    Look(14, 12, "none", age="2m"),
    (Query(q.columns(_NAMED, "station", q.AREA, _STATION)),),
    columns=(
        c.LEVEL, c.STATION, c.NAME, c.REGENCY_CODE, c.OPERATOR, c.SINCE, c.WHY, c.SIDE,
        c.CONTACT, c.TICKET, c.AGE,
        Column("never", ("Never heard", "Belum pernah"), "bool_yes_no"),
        Column("maintenance", ("Maintenance", "Pemeliharaan"), "bool_yes_no"),
        Column("acknowledged", ("Taken on", "Ditangani"), "bool_yes_no"),
        c.PROVINCE,
    ),
    sort="class_level",
)  # fmt: skip
MAP = Panel(
    2, "geomap", ("Where they are", "Lokasinya"),
    ("The named stations; grey outline without the internet",
     "TPS yang dinamai; garis batas abu-abu tanpa internet"),
    Look(10, 12, "none", age="2m"),
    (Query(q.columns(_PLACED, "station", q.AREA, _STATION)),),
    columns=(
        c.LEVEL, c.STATION, c.NAME, c.REGENCY_CODE, c.OPERATOR, c.SINCE, c.WHY,
        c.LATITUDE, c.LONGITUDE, c.PROVINCE,
    ),
)  # fmt: skip
WORST = Panel(
    3, "state-timeline", ("Regencies bad or silent", "Kab./kota buruk atau senyap"),
    (("The regencies of which one station in twenty or more was bad or silent, and "
     "when. Empty: better than that, or not counted (see Stations by state)"),
     ("Kabupaten/kota yang satu dari 20 TPS-nya atau lebih buruk atau senyap, dan "
     "kapan. Kosong: lebih baik, atau tidak dihitung (lihat TPS menurut keadaan)")),
    Look(24, 10, "none", levels=True),
    (Query(q.over_time('max("class_level")', "census",
                       f'{q.AREA} AND {q.ALL} AND "class_level" >= 2', '"regency"'),
           c.same("$tag_regency")),),
)  # fmt: skip
LOSS = Panel(
    4, "timeseries", ("Loss", "Kehilangan paket"),
    ("Lost / sent to anchors, both counted; n sent in the tooltip",
     "Hilang / terkirim ke anchor, keduanya dicacah; n terkirim di tooltip"),
    Look(12, 9, "percent", (2, 10)),
    c.ratio(q.LOSS, ("latency", _WHERE), '"operator"', _OPERATOR),
    CHOSEN,
)  # fmt: skip
ROUND_TRIPS = Panel(
    5, "heatmap", ("Round trips", "Waktu pulang-pergi"),
    (("How many round trips to anchors fell between two bounds, in ms; what was lost "
     "is in Loss"),
     ("Berapa pulang-pergi ke anchor jatuh di antara dua batas, dalam ms; yang hilang "
     "ada di Kehilangan paket")),
    Look(12, 9, "short"),
    (Query(q.bins(), c.same("$col")),),
    CHOSEN,
)  # fmt: skip
SIGNAL = Panel(
    6, "timeseries", ("Signal (RSRP)", "Sinyal (RSRP)"),
    ("Sum / samples of what modems measured; n in the tooltip",
     "Jumlah / cacah dari pengukuran modem; n di tooltip"),
    Look(12, 9, "dBm", (-105, -115), low=True, floor=-200),
    c.ratio(q.RSRP, ("signal", q.AREA), '"operator"', _OPERATOR),
    CHOSEN,
)  # fmt: skip
STATES = Panel(
    7, "timeseries", ("Stations by state", "TPS menurut keadaan"),
    ("Silent, bad and degraded, of those expected",
     "Senyap, buruk, menurun, dari yang diharapkan"),
    Look(12, 9, "short"),
    tuple(
        Query(q.counted_over_time(field, q.AREA), alias, style)
        for field, alias, style in (
            ("silent", ("silent", "senyap"), "silent"),
            ("stations_bad", ("bad", "buruk"), "bad"),
            ("stations_degraded", ("degraded", "menurun"), "degraded"),
            ("expected", ("n expected", "n diharapkan"), "n"),
        )
    ),
)  # fmt: skip
DELAY = Panel(
    8, "timeseries", ("Delay", "Waktu tunda"),
    ("Mean round trip to anchors; n answers in the tooltip",
     "Rata-rata pulang-pergi ke anchor; n jawaban di tooltip"),
    Look(12, 9, "ms", (200, 600)),
    c.ratio(q.DELAY, ("latency", _WHERE), '"operator"', _OPERATOR),
    CHOSEN,
)  # fmt: skip
REGION = Board(
    "region",
    ("Province and regency", "Provinsi dan kabupaten/kota"),
    ("source", "province", "regency"),
    (STATIONS, MAP, WORST, LOSS, SIGNAL, ROUND_TRIPS, DELAY, STATES),
)
