"""Province and regency: stations with problems, since when, and their link quality."""

from __future__ import annotations

from dataclasses import replace

from grafana import queries as q
from grafana.boards import columns as c
from grafana.boards.board import Board
from grafana.panels import SELECTED, Column, Display, Panel, Query

_STATION_FIELDS = (
    "class_level",
    "name",
    "since_local",
    "age_s",
    "kpi",
    "side",
    "contact",
    "ticket",
    "never",
    "maintenance",
    "acknowledged",
    "operator",
)
_MAP_FIELDS = (
    "class_level",
    "name",
    "operator",
    "since_local",
    "kpi",
    "latitude",
    "longitude",
)
# Not grouped by operator: it is the operator of the worst link and may change.
_STATION = '"province", "regency", "station"'
_OPERATOR = c.same("$tag_operator")
_TO_ANCHORS = f"{q.ANCHOR} AND {q.AREA}"
STATIONS = Panel(
    1,
    "table",
    ("Stations with problems", "TPS bermasalah"),
    (
        "Silent, bad and degraded stations by name: the worst of each regency.",
        (
            "TPS yang tidak melapor, buruk, dan menurun beserta namanya: yang terburuk "
            "di tiap kabupaten/kota."
        ),
    ),
    Display(24, 11, "none", age="5m"),
    (Query(q.columns(_STATION_FIELDS, "station", q.AREA, _STATION)),),
    columns=(
        replace(c.STATION, width=130),
        c.NAME,
        replace(c.LEVEL, width=115),
        replace(c.SINCE, width=100),
        replace(c.PROBLEM, title=("Why", "Sebab"), width=165),
        replace(c.SIDE, width=120),
        replace(c.OPERATOR, width=95),
        c.CONTACT,
        c.TICKET,
        replace(c.REGENCY_CODE, width=80),
        Column("age_s", ("Last report", "Lapor terakhir"), "dtdurations", width=115),
        Column("acknowledged", ("Acknowledged", "Ditangani"), "bool_yes_no", width=100),
        Column("maintenance", ("Maintenance", "Pemeliharaan"), shown="linked"),
        Column("never", ("Never reported", "Belum pernah"), shown="linked"),
        Column("province", ("Province", "Provinsi"), shown="linked"),
    ),
    sort="class_level",
)
MAP = Panel(
    2,
    "geomap",
    ("Map of stations with problems", "Peta TPS bermasalah"),
    (
        "The stations of the table. The grey outline needs no internet.",
        "TPS dari tabel. Garis batas abu-abu tidak memerlukan internet.",
    ),
    Display(12, 10, "none", age="5m"),
    (Query(q.columns(_MAP_FIELDS, "station", q.AREA, _STATION)),),
    columns=(
        c.LEVEL,
        c.STATION,
        c.NAME,
        c.REGENCY_CODE,
        c.OPERATOR,
        c.SINCE,
        c.PROBLEM,
        c.LATITUDE,
        c.LONGITUDE,
        c.PROVINCE,
    ),
)
WORST = Panel(
    3,
    "state-timeline",
    (
        "The twenty worst regencies: when bad or silent",
        "Dua puluh kabupaten/kota terburuk: kapan buruk atau tidak melapor",
    ),
    (
        (
            "When at least 5 % of a regency's stations were bad or silent. The twenty "
            "with the most station-minutes are shown. The others are in the table "
            "Regencies. Empty means better than that, or not counted: see Stations by "
            "status."
        ),
        (
            "Waktu saat minimal 5 % TPS di kabupaten/kota buruk atau tidak melapor. "
            "Ditampilkan dua puluh dengan menit-TPS terbanyak. Sisanya ada di tabel "
            "Kabupaten/kota. Kosong berarti lebih baik dari itu, atau tidak dihitung: "
            "lihat Jumlah TPS menurut status."
        ),
    ),
    Display(24, 14, "none", levels=True, zones=True, names="regency"),
    (
        Query(
            q.over_time(
                'max("class_level")',
                "census",
                f'{q.AREA} AND {q.WORST} AND {q.ALL} AND "class_level" >= 2',
                '"regency"',
            ),
            c.same("$tag_regency"),
        ),
    ),
)
_COUNTED = ("expected", "class_level", "silent", "stations_bad", "stations_degraded")
_REGENCY = '"province", "regency"'
REGENCIES = Panel(
    9,
    "table",
    ("Regencies", "Kabupaten/kota"),
    (
        "All regencies of the selection with their stations, the worst first.",
        "Semua kabupaten/kota yang dipilih beserta TPS-nya, yang terburuk di atas.",
    ),
    Display(12, 10, "none", age="5m"),
    (
        Query(
            q.derived(
                {name: f'"{name}"' for name in _COUNTED}
                | {"hit": '"silent" + "stations_bad"'},
                q.columns(_COUNTED, "census", f"{q.AREA} AND {q.ALL}", _REGENCY),
                '"expected" > 0',
                _REGENCY,
            )
        ),
    ),
    columns=(
        Column("hit", ("Down", "Terdampak"), width=85),
        Column("expected", ("of", "dari"), width=60),
        c.REGENCY,
        replace(c.LEVEL, width=115),
        Column("silent", ("Silent", "Tidak melapor"), shown="linked"),
        Column("stations_bad", ("Bad", "Buruk"), shown="linked"),
        Column("stations_degraded", ("Degraded", "Menurun"), shown="linked"),
        Column("province", ("Province", "Provinsi"), shown="linked"),
    ),
    sort="hit",
)
LOSS = Panel(
    4,
    "timeseries",
    ("Packet loss", "Packet loss"),
    (
        (
            "Lost / sent packets to anchors. The tooltip shows the samples: the "
            "packets sent."
        ),
        (
            "Paket hilang / terkirim ke anchor. Tooltip menampilkan sampel: paket"
            " terkirim."
        ),
    ),
    Display(12, 9, "percent", (2, 10)),
    c.ratio(q.LOSS, ("latency", _TO_ANCHORS), '"operator"', _OPERATOR),
    SELECTED,
)
ROUND_TRIPS = Panel(
    5,
    "heatmap",
    ("Distribution of round-trip times", "Sebaran round-trip time"),
    (
        (
            "Number of packets to anchors by round-trip time in ms. Lost packets are "
            "shown in Packet loss."
        ),
        (
            "Jumlah paket ke anchor menurut round-trip time dalam ms. Paket yang "
            "hilang ditampilkan di Packet loss."
        ),
    ),
    Display(12, 9, "short"),
    (Query(q.bins(), c.same("$col")),),
    SELECTED,
)
SIGNAL = Panel(
    6,
    "timeseries",
    ("Signal (RSRP)", "Sinyal (RSRP)"),
    (
        "Mean of the values from the modems. The tooltip shows the sample count.",
        "Rata-rata nilai dari modem. Tooltip menampilkan jumlah sampel.",
    ),
    Display(12, 9, "dBm", (-105, -115), low=True, floor=-200),
    c.ratio(q.RSRP, ("signal", q.AREA), '"operator"', _OPERATOR),
    SELECTED,
)
STATES = Panel(
    7,
    "timeseries",
    ("Stations by status", "Jumlah TPS menurut status"),
    (
        (
            "Silent, bad and degraded stations. The tooltip shows the "
            "samples: the expected "
            "stations."
        ),
        (
            "TPS yang tidak melapor, buruk, dan menurun. Tooltip menampilkan "
            "sampel: TPS "
            "yang seharusnya melapor."
        ),
    ),
    Display(12, 9, "short"),
    tuple(
        Query(q.counted_over_time(field, q.AREA), alias, style)
        for field, alias, style in (
            ("silent", ("silent", "tidak melapor"), "silent"),
            ("stations_bad", ("bad", "buruk"), "bad"),
            ("stations_degraded", ("degraded", "menurun"), "degraded"),
            ("expected", ("samples: expected", "sampel: seharusnya melapor"), "n"),
        )
    ),
)
LATENCY = Panel(
    8,
    "timeseries",
    ("Latency", "Latensi"),
    (
        (
            "Mean round-trip time to anchors. The tooltip shows the samples: the "
            "answered packets."
        ),
        (
            "Rata-rata round-trip time ke anchor. Tooltip menampilkan sampel:"
            " paket yang "
            "dijawab."
        ),
    ),
    Display(12, 9, "ms", (200, 600)),
    c.ratio(q.DELAY, ("latency", _TO_ANCHORS), '"operator"', _OPERATOR),
    SELECTED,
)
REGION = Board(
    "region",
    ("Province and regency", "Provinsi dan kabupaten/kota"),
    ("source", "province", "regency", "worst"),
    (STATIONS, WORST, MAP, REGENCIES, LOSS, SIGNAL, ROUND_TRIPS, LATENCY, STATES),
)
