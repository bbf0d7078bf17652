# ruff: noqa: S608  InfluxQL from literals of this package, no input of anybody
"""The five boards: what the NOC looks at, from the nation down to one station."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grafana import queries as q
from grafana.panels import CHOSEN, RAW, ROLLUP, Look, Panel, Words, flow

LOOSE_TAGS = '"province", "regency", "operator", "station"'
_AREA_LINK = "${__url_time_range}"
TO_STATION = {
    "title": "Station",
    "url": "/d/qos-station-LANG?var-station=${__data.fields.station}&" + _AREA_LINK,
}
TO_REGION = {
    "title": "Regency",
    "url": "/d/qos-region-LANG?var-regency=${__data.fields.regency}&" + _AREA_LINK,
}
ANCHOR = "\"layer\" = 'anchor'"
DOWN = "\"direction\" = 'down'"


@dataclass(frozen=True, slots=True)
class Board:
    """One board: its name in addresses, title, the variables it asks for, panels."""

    name: str
    title: Words
    variables: tuple[str, ...]
    panels: tuple[Panel, ...]


def _count(
    id_: int, title: Words, field: str, limits: tuple[float, float] | None
) -> Panel:
    look = Look(4, 5, "short", limits, age="5m")
    about = ("Newest census, all regencies", "Sensus terbaru, semua kabupaten/kota")
    return Panel(id_, "stat", title, about, look, (q.latest_sum(field),))


_NEEDS = (
    "class_level",
    "kpi",
    "since_s",
    "age_s",
    "name",
    "contact",
    "ticket",
    "acknowledged",
    "maintenance",
)
_WHERE_ON = ("class_level", "latitude", "longitude")

OVERVIEW = Board(
    "overview",
    ("Election overview", "Ikhtisar pemilu"),
    (),
    (
        _count(1, ("Expected", "Diharapkan"), "expected", None),
        _count(2, ("Reporting", "Melapor"), "reporting", None),
        _count(3, ("Silent", "Senyap"), "silent", (1, 100)),
        _count(4, ("Degraded", "Menurun"), "stations_degraded", (1, 500)),
        _count(5, ("Bad", "Buruk"), "stations_bad", (1, 100)),
        Panel(
            6,
            "stat",
            ("Age of newest data", "Umur data terbaru"),
            (
                "Of the freshest point anywhere, as the census saw it",
                "Titik terbaru di mana pun, menurut sensus",
            ),
            Look(4, 5, "s", (180, 300), age="5m"),
            (q.select('min("age_s")', "census", "\"operator\" = 'all'"),),
        ),
        Panel(
            7,
            "table",
            ("Who needs help now", "Siapa perlu bantuan sekarang"),
            (
                "Silent (3) and bad (2) stations by name, whom to call",
                "TPS senyap (3) dan buruk (2), siapa yang dihubungi",
            ),
            Look(24, 10, "none", (2, 3), age="2m"),
            (q.columns(_NEEDS, "station", '"station" =~ /./', LOOSE_TAGS),),
            links=(TO_STATION, TO_REGION),
        ),
        Panel(
            8,
            "geomap",
            ("Stations in trouble", "TPS bermasalah"),
            (
                "Named exceptions only; empty is well only while data are fresh",
                "Hanya yang bermasalah; kosong berarti baik bila data baru",
            ),
            Look(12, 12, "none", (2, 3), age="2m"),
            (q.columns(_WHERE_ON, "station", '"station" =~ /./', LOOSE_TAGS),),
            links=(TO_STATION,),
        ),
        Panel(
            9,
            "timeseries",
            ("Loss by province", "Kehilangan paket per provinsi"),
            ("Lost / sent to anchors, per cent", "Hilang / terkirim ke anchor, persen"),
            Look(12, 6, "percent", (2, 10)),
            (q.over_time(q.LOSS, "latency", ANCHOR, '"province"'),),
        ),
        Panel(
            10,
            "bargauge",
            ("Zones that vote now", "Zona yang sedang memilih"),
            ("1: the voting window is open", "1: waktu pemungutan suara berlangsung"),
            Look(12, 6, "short", None, age="5m"),
            (q.select('last("voting")', "census", "\"operator\" = 'all'", '"zone"'),),
        ),
        Panel(
            11,
            "timeseries",
            ("Delay by phase", "Waktu tunda per fase"),
            (
                "Mean round trip to anchors: pre is the baseline",
                "Rata-rata waktu pulang-pergi: fase pre adalah acuan",
            ),
            Look(12, 8, "ms", (200, 600)),
            (q.over_time(q.DELAY, "latency", ANCHOR, '"phase"'),),
        ),
        Panel(
            12,
            "alertlist",
            ("Alerts", "Peringatan"),
            ("Firing and pending", "Aktif dan menunggu"),
            Look(12, 8, "none"),
        ),
    ),
)

REGION = Board(
    "region",
    ("Province and regency", "Provinsi dan kabupaten/kota"),
    ("source", "province", "regency"),
    (
        Panel(
            1,
            "table",
            ("Stations in trouble", "TPS bermasalah"),
            ("Silent and bad by name", "Senyap dan buruk"),
            Look(12, 10, "none", (2, 3), age="2m"),
            (q.columns(_NEEDS, "station", q.AREA, LOOSE_TAGS),),
            links=(TO_STATION,),
        ),
        Panel(
            2,
            "geomap",
            ("Where they are", "Lokasinya"),
            ("Named exceptions only", "Hanya yang bermasalah"),
            Look(12, 10, "none", (2, 3), age="2m"),
            (q.columns(_WHERE_ON, "station", q.AREA, LOOSE_TAGS),),
        ),
        Panel(
            3,
            "state-timeline",
            ("Links judged bad", "Link dinilai buruk"),
            ("By regency and operator", "Per kabupaten/kota dan operator"),
            Look(24, 8, "short", (1, 5)),
            (
                q.over_time(
                    'last("links_bad")',
                    "census",
                    q.AREA + " AND \"operator\" <> 'all'",
                    '"regency", "operator"',
                ),
            ),
        ),
        Panel(
            4,
            "timeseries",
            ("Loss", "Kehilangan paket"),
            ("Lost / sent, per cent", "Hilang / terkirim, persen"),
            Look(12, 8, "percent", (2, 10)),
            (q.over_time(q.LOSS, "latency", f"{ANCHOR} AND {q.AREA}", '"operator"'),),
            CHOSEN,
        ),
        Panel(
            5,
            "timeseries",
            ("Round trips within bounds", "Waktu tunda dalam batas"),
            ("Counts of the histogram, cumulative", "Hitungan histogram, kumulatif"),
            Look(12, 8, "short"),
            (
                q.sums(
                    ("rtt_le_50", "rtt_le_100", "rtt_le_200", "rtt_le_500", "received"),
                    "latency",
                    f"{ANCHOR} AND {q.AREA}",
                ),
            ),
            CHOSEN,
        ),
        Panel(
            6,
            "timeseries",
            ("Signal (RSRP)", "Sinyal (RSRP)"),
            ("Sum / samples", "Jumlah / cacah"),
            Look(12, 8, "dBm", (-105, -115), True),
            (
                q.over_time(
                    'sum("rsrp_sum_dbm") / sum("rsrp_samples")',
                    "signal",
                    q.AREA,
                    '"operator"',
                ),
            ),
            CHOSEN,
        ),
        Panel(
            7,
            "timeseries",
            ("Stations by state", "TPS per keadaan"),
            ("Silent, bad and degraded", "Senyap, buruk, menurun"),
            Look(12, 8, "short", (1, 100)),
            tuple(
                q.over_time(
                    f'last("{name}")',
                    "census",
                    q.AREA + " AND \"operator\" = 'all'",
                    '"regency"',
                )
                for name in ("silent", "stations_bad", "stations_degraded")
            ),
        ),
    ),
)


def _own(
    id_: int,
    title: Words,
    figure: str,
    measurement: str,
    look: Look,
    group: str = '"link", "operator"',
) -> Panel:
    about = ("This station, measured time", "TPS ini, waktu pengukuran")
    query = q.over_time(figure, measurement, q.STATION, group)
    return Panel(id_, "timeseries", title, about, look, (query,), RAW)


_INCIDENTS = (
    'SELECT "opened", "closed", "cause", "lasted_s" FROM "incident" '
    f"WHERE $timeFilter AND {q.STATION} LIMIT 200"
)
STATION = Board(
    "station",
    ("Station", "TPS"),
    ("station",),
    (
        Panel(
            1,
            "state-timeline",
            ("Verdict", "Penilaian"),
            ("1: judged bad; 0: not", "1: dinilai buruk; 0: tidak"),
            Look(24, 6, "short", (0.5, 1)),
            (q.over_time('max("bad")', "verdict", q.STATION, '"link", "operator"'),),
            RAW,
        ),
        Panel(
            2,
            "timeseries",
            ("Round trip: least, median, p95", "Waktu tunda"),
            ("Of each train", "Setiap rangkaian"),
            Look(12, 8, "ms", (200, 600)),
            tuple(
                q.over_time(
                    f'{f}("{name}")', "latency", f"{ANCHOR} AND {q.STATION}", '"link"'
                )
                for f, name in (
                    ("min", "rtt_min_ms"),
                    ("median", "rtt_p50_ms"),
                    ("max", "rtt_p95_ms"),
                )
            ),
            RAW,
        ),
        _own(
            3,
            ("Loss", "Kehilangan paket"),
            q.LOSS,
            "latency",
            Look(12, 8, "percent", (2, 10)),
            '"link", "layer"',
        ),
        _own(
            4,
            ("Throughput", "Laju data"),
            q.RATE,
            "throughput",
            Look(12, 8, "bps", (2e6, 5e5), True),
            '"link", "direction"',
        ),
        _own(
            5,
            ("Form upload", "Unggah formulir"),
            q.UPLOAD,
            "web",
            Look(12, 8, "ms", (30000, 90000)),
        ),
        _own(
            6,
            ("Signal (RSRP)", "Sinyal (RSRP)"),
            'median("rsrp_dbm")',
            "signal",
            Look(12, 8, "dBm", (-105, -115), True),
        ),
        _own(
            7,
            ("Temperature", "Suhu"),
            'max("temperature_c")',
            "host",
            Look(12, 8, "celsius", (70, 80)),
            '"station"',
        ),
        _own(
            8,
            ("Heartbeats", "Detak"),
            'sum("beats")',
            "agent",
            Look(12, 8, "short"),
            '"station"',
        ),
        _own(
            9,
            ("Backlog", "Antrean"),
            'max("backlog_points")',
            "agent",
            Look(12, 8, "short", (500, 5000)),
            '"station"',
        ),
        Panel(
            10,
            "table",
            ("Incidents", "Insiden"),
            ("Opened and closed", "Buka, tutup"),
            Look(24, 8, "short"),
            (_INCIDENTS,),
            RAW,
        ),
        _own(
            11,
            ("Clock error", "Galat jam"),
            'max("clock_error_ms")',
            "agent",
            Look(12, 8, "ms", (100, 1000)),
            '"station"',
        ),
        _own(
            12,
            ("Oldest unsent", "Terlama belum terkirim"),
            'max("oldest_unsent_s")',
            "agent",
            Look(12, 8, "s", (120, 3600)),
            '"station"',
        ),
    ),
)


def _by_operator(
    id_: int, title: Words, figure: str, samples: str, place: str, look: Look
) -> Panel:
    measurement, _, where = place.partition("|")
    where = f"{where} AND {q.AREA}" if where else q.AREA
    query = (
        f'SELECT {figure} AS "value", sum("{samples}") AS "samples" '
        f'FROM "{measurement}" WHERE $timeFilter AND {where} '
        'GROUP BY "operator", "phase"'
    )
    about = (
        "A ratio of sums, its sample count beside it",
        "Rasio jumlah, dengan cacah sampelnya",
    )
    return Panel(id_, "table", title, about, look, (query,), CHOSEN)


OPERATORS = Board(
    "operators",
    ("Operators", "Operator"),
    ("source", "province", "regency"),
    (
        _by_operator(
            1,
            ("Loss, per cent", "Kehilangan paket, persen"),
            q.LOSS,
            "sent",
            f"latency|{ANCHOR}",
            Look(12, 9, "none", (2, 10)),
        ),
        _by_operator(
            2,
            ("Delay, ms", "Waktu tunda, ms"),
            q.DELAY,
            "received",
            f"latency|{ANCHOR}",
            Look(12, 9, "none", (200, 600)),
        ),
        _by_operator(
            3,
            ("Download, bit/s", "Unduh, bit/s"),
            q.RATE,
            "tests",
            f"throughput|{DOWN}",
            Look(12, 9, "none", (2e6, 5e5), True),
        ),
        _by_operator(
            4,
            ("Form upload, ms", "Unggah formulir, ms"),
            q.UPLOAD,
            "uploads",
            "web|",
            Look(12, 9, "none", (30000, 90000)),
        ),
    ),
)


def _fleet(id_: int, title: Words, figure: str, look: Look) -> Panel:
    about = ("By province", "Per provinsi")
    query = q.over_time(figure, "agent", q.AREA, '"province"')
    return Panel(id_, "timeseries", title, about, look, (query,), CHOSEN)


AGENTS = Board(
    "agents",
    ("Agents", "Agen"),
    ("source", "province", "regency"),
    (
        _fleet(
            1,
            ("Delivered late", "Terkirim terlambat"),
            q.LATE,
            Look(12, 8, "percent", (10, 50)),
        ),
        _fleet(
            2,
            ("Slots skipped", "Slot dilewati"),
            q.SKIPPED,
            Look(12, 8, "percent", (10, 50)),
        ),
        _fleet(
            3,
            ("Stamped on an untrusted clock", "Jam tidak tepercaya"),
            q.HELD,
            Look(12, 8, "percent", (5, 20)),
        ),
        _fleet(
            4,
            ("Points evicted", "Titik dibuang"),
            'sum("evicted")',
            Look(12, 8, "short", (1, 1000)),
        ),
        _fleet(
            5,
            ("Deliveries that failed", "Pengiriman gagal"),
            'sum("uplink_failures")',
            Look(12, 8, "short", (100, 1000)),
        ),
        _fleet(6, ("Heartbeats", "Detak"), 'sum("beats")', Look(12, 8, "short")),
        Panel(
            7,
            "stat",
            ("Never seen", "Tak pernah terlihat"),
            ("Of the register", "Dari daftar"),
            Look(6, 6, "short", (1, 100), age="5m"),
            (q.latest_sum("never"),),
        ),
        Panel(
            8,
            "stat",
            ("In another area", "Di wilayah lain"),
            ("Report from elsewhere than registered", "Melapor dari tempat lain"),
            Look(6, 6, "short", (1, 100), age="5m"),
            (q.latest_sum("mismatched"),),
        ),
        Panel(
            9,
            "table",
            ("Versions", "Versi"),
            (
                "Raw data; version, configuration, quarantine",
                "Data mentah; versi, konfigurasi, karantina",
            ),
            Look(12, 8, "none", age="5m"),
            (
                q.columns(
                    ("version", "config_hash", "quarantined_points"),
                    "agent",
                    q.AREA,
                    '"station"',
                )
                + " LIMIT 1",
            ),
            RAW,
            (TO_STATION,),
        ),
    ),
)

BOARDS = (OVERVIEW, REGION, STATION, OPERATORS, AGENTS)
LANGUAGES = ("en", "id")
_TAGS_OF = {
    "province": ("Province", "Provinsi", ROLLUP, "census", ""),
    "regency": (
        "Regency",
        "Kabupaten/Kota",
        ROLLUP,
        "census",
        ' WHERE "province" =~ /^${province:regex}$/',
    ),
    "station": ("Station", "TPS", RAW, "agent", ""),
}


def board_json(board: Board, language: int) -> dict[str, Any]:
    """A board in one language."""
    suffix = LANGUAGES[language]
    panels = flow(board.panels, language)
    for panel in panels:
        defaults = panel["fieldConfig"]["defaults"]
        defaults["links"] = [
            link | {"url": link["url"].replace("LANG", suffix)}
            for link in defaults["links"]
        ]
    return {
        "uid": f"qos-{board.name}-{suffix}",
        "title": board.title[language],
        "tags": ["qos", suffix],
        "schemaVersion": 37,
        "version": 1,
        "editable": False,
        "timezone": "browser",
        "refresh": "1m",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_variable(name, language) for name in board.variables]},
        "annotations": {"list": [_phases(language)]},
        "links": [
            {
                "type": "dashboards",
                "tags": ["qos", suffix],
                "title": "QoS",
                "asDropdown": True,
                "keepTime": True,
                "includeVars": True,
            },
            {
                "type": "link",
                "title": ("Wall", "Layar")[language],
                "url": f"/d/qos-{board.name}-{suffix}?kiosk",
            },
        ],
        "panels": panels,
    }


def _variable(name: str, language: int) -> dict[str, Any]:
    if name == "source":
        return {
            "name": "source",
            "label": ("Data", "Data")[language],
            "type": "custom",
            "query": f"{ROLLUP},{RAW}",
            "options": [
                {"text": uid, "value": uid, "selected": uid == ROLLUP}
                for uid in (ROLLUP, RAW)
            ],
            "current": {"text": ROLLUP, "value": ROLLUP},
        }
    english, indonesian, source, measurement, where = _TAGS_OF[name]
    every = name != "station"
    made = {
        "name": name,
        "label": (english, indonesian)[language],
        "type": "query",
        "datasource": {"type": "influxdb", "uid": source},
        "query": f'SHOW TAG VALUES FROM "{measurement}" WITH KEY = "{name}"{where}',
        "refresh": 2,
        "sort": 1,
        "multi": every,
        "includeAll": every,
    }
    if every:
        made |= {"allValue": ".*", "current": {"text": "All", "value": "$__all"}}
    return made


def _phases(language: int) -> dict[str, Any]:
    query = (
        'SELECT "after", "detail" FROM "event" WHERE $timeFilter AND '
        "\"kind\" = 'phase' LIMIT 100"
    )
    own = {"query": query, "titleColumn": "after", "textColumn": "detail"}
    return {
        "name": ("Phases", "Fase")[language],
        "enable": True,
        "iconColor": "purple",
        "datasource": {"type": "influxdb", "uid": RAW},
        "target": {"refId": "Anno", "fromAnnotations": True, **own},
        **own,
    }
