"""Election overview: the state of the country, where help is needed, whom to call."""

from __future__ import annotations

from dataclasses import replace

from grafana import queries as q
from grafana.boards import columns as c
from grafana.boards.board import Board
from grafana.boards.overview_now import AGE, DEAD, FRESHNESS, LATENESS, TROUBLES
from grafana.panels import Column, Display, Panel, Query, Text

# Stations with a problem. The links of a silent station are not judged, so silent
# stations and bad links do not count the same station twice.
_AFFECTED = '("silent" + "links_bad")'
_NOT_GOOD = '("silent" + "links_bad" + "links_degraded")'
_COUNTS = (
    "expected",
    "class_level",
    "silent",
    "links_bad",
    "links_degraded",
    "since_local",
    "kpi",
    "side",
    "ticket",
)
_LINK = '"province", "regency", "operator"'
_HELP_QUERY = q.derived(
    {
        "class_level": '"class_level"',
        "hit": _AFFECTED,
        "links_degraded": '"links_degraded"',
        "share": f'100.0 * {_NOT_GOOD} / "expected"',
        "expected": '"expected"',
        **{name: f'"{name}"' for name in _COUNTS[5:]},
    },
    q.columns(_COUNTS, "census", q.EACH, _LINK),
    '"class_level" > 0',
    _LINK,
)
_MAP = (
    "expected",
    "class_level",
    "silent",
    "stations_bad",
    "operators_down",
    "label",
    "latitude",
    "longitude",
)
_MAP_QUERY = q.derived(
    {name: f'"{name}"' for name in _MAP} | {"hit": '"silent" + "stations_bad"'},
    q.columns(_MAP, "census", q.ALL, '"province", "regency"'),
    '"expected" > 0',
    '"province", "regency"',
)
# A number of stations is not bad by itself: it depends on the size of the nation. The
# severity is in the table of troubles.
_NEVER_RED = 1e9
_BASELINE = ("before the election", "sebelum pemilu")


def _count(
    id_: int,
    title: Text,
    field: str,
    limits: tuple[float, float] | None,
    description: Text,
) -> Panel:
    display = Display(3, 3, "none", limits, age="5m")
    query = Query(q.latest_sum(field), title)
    return Panel(id_, "stat", title, description, display, (query,))


def _trend(
    id_: int, title: Text, description: Text, display: Display, figure: q.Ratio
) -> Panel:
    """Show a figure of the country and its baseline from before the election."""
    baseline = Query(q.ratio_over_time(figure, "baseline"), _BASELINE, "baseline")
    queries = c.ratio(
        figure, ("latency", q.ANCHOR), "", ("now", "sekarang"), (baseline,)
    )
    return Panel(id_, "timeseries", title, description, display, queries)


COUNTS = (
    _count(
        1,
        ("Expected", "Seharusnya melapor"),
        "expected",
        None,
        (
            "Stations that must report now, according to the register.",
            "TPS yang saat ini harus melapor menurut register.",
        ),
    ),
    _count(
        2,
        ("Reporting", "Melapor"),
        "reporting",
        None,
        (
            "Stations with a measurement from the last two minutes.",
            "TPS dengan hasil ukur dari dua menit terakhir.",
        ),
    ),
    _count(
        3,
        ("Silent", "Tidak melapor"),
        "silent",
        (1, _NEVER_RED),
        (
            "Stations without a report for five minutes, or that never reported.",
            "TPS tanpa laporan selama lima menit, atau yang belum pernah melapor.",
        ),
    ),
    _count(
        4,
        ("Degraded", "Menurun"),
        "stations_degraded",
        (1, _NEVER_RED),
        (
            "Reporting stations whose worst link is degraded.",
            "TPS yang melapor dan link terburuknya menurun.",
        ),
    ),
    _count(
        5,
        ("Bad", "Buruk"),
        "stations_bad",
        (1, _NEVER_RED),
        (
            "Reporting stations whose worst link is bad.",
            "TPS yang melapor dan link terburuknya buruk.",
        ),
    ),
)
CHANGES = Panel(
    18,
    "stat",
    ("Change in ten minutes", "Perubahan dalam sepuluh menit"),
    (
        "Difference between the newest census and the one ten minutes before.",
        "Selisih antara sensus terbaru dan sensus sepuluh menit sebelumnya.",
    ),
    Display(12, 3, "none", age="10m"),
    tuple(
        Query(q.change_of_sum(field), text)
        for field, text in (
            ("expected", ("Expected", "Seharusnya")),
            ("reporting", ("Reporting", "Melapor")),
            ("silent", ("Silent", "Tidak melapor")),
            ("stations_degraded", ("Degraded", "Menurun")),
            ("stations_bad", ("Bad", "Buruk")),
        )
    ),
)
HELP = Panel(
    7,
    "table",
    ("Where help is needed now", "Lokasi yang perlu bantuan sekarang"),
    (
        (
            "Problems by regency and operator. Down: stations that are silent or "
            "have a bad link of this operator. An empty table means that all is well, "
            "but only while the bar at the top is green."
        ),
        (
            "Masalah per kabupaten/kota dan operator. Terdampak: TPS yang tidak "
            "melapor atau yang link operatornya buruk. Tabel kosong berarti tidak ada "
            "masalah, tetapi hanya jika batang di atas hijau."
        ),
    ),
    Display(24, 6, "none", age="5m"),
    (Query(_HELP_QUERY),),
    columns=(
        Column("hit", ("Down", "Terdampak"), width=80),
        Column("expected", ("of", "dari"), width=47),
        c.REGENCY,
        replace(c.LEVEL, width=115),
        replace(c.OPERATOR, width=95),
        replace(c.SINCE, width=100),
        replace(c.PROBLEM, title=("Why", "Sebab"), width=165),
        replace(c.SIDE, width=120),
        c.TICKET,
        Column("province", ("Province", "Provinsi"), shown="linked"),
        Column("links_degraded", ("Degraded", "Menurun"), shown="linked"),
        Column("share", ("Problem share", "Bermasalah"), "percent", shown="linked"),
    ),
    sort="hit",
)
MAP = Panel(
    8,
    "geomap",
    ("Regencies by status", "Status kabupaten/kota"),
    (
        (
            "The worst status that at least 5 % of the stations have. Larger markers "
            "have more silent and bad stations. The worst place of each province has "
            "its name. Grey means unknown. The map needs no internet."
        ),
        (
            "Status terburuk yang dialami minimal 5 % TPS. Penanda yang lebih besar "
            "berarti lebih banyak TPS tidak melapor atau buruk. Tempat terburuk di "
            "tiap provinsi diberi nama. Abu-abu berarti belum diketahui. Peta tidak "
            "memerlukan internet."
        ),
    ),
    Display(9, 6, "none", age="5m"),
    (Query(_MAP_QUERY),),
    columns=(
        c.LEVEL,
        c.REGENCY,
        c.PROVINCE,
        Column("expected", ("Stations", "TPS"), "short"),
        Column("silent", ("Silent", "Tidak melapor"), "short"),
        Column("stations_bad", ("Bad", "Buruk"), "short"),
        Column("operators_down", ("Operators down", "Operator down"), "short"),
        Column("hit", ("Down", "Terdampak"), "short"),
        Column("label", ("Name", "Nama"), shown="label"),
        c.LATITUDE,
        c.LONGITUDE,
    ),
    sort="hit",
)
LOSS = _trend(
    9,
    (
        "Packet loss compared with before the election",
        "Packet loss dibandingkan sebelum pemilu",
    ),
    (
        (
            "Lost / sent packets to anchors. Dashed line: the weeks before the "
            "election. The tooltip shows the sample count."
        ),
        (
            "Paket hilang / terkirim ke anchor. Garis putus-putus: minggu-minggu "
            "sebelum pemilu. Tooltip menampilkan jumlah sampel."
        ),
    ),
    Display(12, 10, "percent", (2, 10), zones=True),
    q.LOSS,
)
LATENCY = _trend(
    11,
    (
        "Latency compared with before the election",
        "Latensi dibandingkan sebelum pemilu",
    ),
    (
        (
            "Mean round-trip time to anchors. Dashed line: the weeks before the "
            "election. The tooltip shows the sample count."
        ),
        (
            "Rata-rata round-trip time ke anchor. Garis putus-putus: minggu-minggu "
            "sebelum pemilu. Tooltip menampilkan jumlah sampel."
        ),
    ),
    Display(12, 10, "ms", (200, 600), zones=True),
    q.DELAY,
)
VOTING = Panel(
    10,
    "bargauge",
    ("Voting time elapsed", "Waktu pemungutan suara berjalan"),
    (
        (
            "Elapsed share of the voting time in each time zone. Empty before voting "
            "starts."
        ),
        (
            "Bagian waktu pemungutan suara yang sudah berjalan di tiap zona waktu. "
            "Kosong sebelum pemungutan suara dimulai."
        ),
    ),
    Display(8, 8, "percentunit", age="5m", top=1.0),
    (
        Query(
            q.select('last("voting_share")', "census", q.ALL, '"zone"'),
            c.same("$tag_zone"),
        ),
    ),
)
ALERTS = Panel(
    12,
    "alertlist",
    ("Alerts", "Alarm"),
    (
        (
            "Firing and pending alerts. The heartbeat alert, which always fires, is "
            "hidden."
        ),
        (
            "Alarm yang aktif dan yang menunggu. Alarm heartbeat, yang selalu aktif, "
            "tidak ditampilkan."
        ),
    ),
    Display(8, 8, "none"),
)
STATES = Panel(
    13,
    "timeseries",
    ("Stations with problems", "TPS bermasalah"),
    (
        "Silent, bad and degraded stations in the whole country.",
        "TPS yang tidak melapor, buruk, dan menurun di seluruh Indonesia.",
    ),
    Display(24, 10, "short", zones=True),
    (
        Query(q.counted_over_time("silent"), ("silent", "tidak melapor"), "silent"),
        Query(q.counted_over_time("stations_bad"), ("bad", "buruk"), "bad"),
        Query(
            q.counted_over_time("stations_degraded"),
            ("degraded", "menurun"),
            "degraded",
        ),
    ),
)
OVERVIEW = Board(
    "overview",
    ("Election overview", "Ikhtisar pemilu"),
    (),
    (
        FRESHNESS,
        *COUNTS,
        MAP,
        CHANGES,
        AGE,
        HELP,
        TROUBLES,
        STATES,
        LATENESS,
        DEAD,
        ALERTS,
        VOTING,
        LOSS,
        LATENCY,
    ),
)
