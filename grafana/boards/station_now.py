"""The top of the station dashboard: does it report, what is wrong, whom to call."""

from __future__ import annotations

from dataclasses import replace

from grafana import queries as q
from grafana.boards import columns as c
from grafana.panels import RAW, Column, Display, Panel, Query

HEARD = Panel(
    21,
    "stat",
    ("Does it report?", "Apakah melapor?"),
    (
        (
            "Whether a heartbeat of the last five minutes has arrived. Outside voting "
            "and counting devices deliver every five minutes, and are silent after "
            "twelve. Figures below that end earlier are those of the past."
        ),
        (
            "Apakah heartbeat dari lima menit terakhir sudah sampai. Di luar "
            "pemungutan dan penghitungan suara perangkat mengirim tiap lima menit, dan "
            "tidak melapor setelah dua belas menit. Angka di bawah yang berhenti lebih "
            "awal adalah keadaan lampau."
        ),
    ),
    Display(8, 4, "none", age="6h", sentence="station"),
    (Query(q.beats_of_minutes(5, 12), ("Heartbeats", "Heartbeat")),),
    RAW,
)
IDENTITY = Panel(
    22,
    "table",
    ("Station and contact", "TPS dan kontak"),
    (
        "From the register. It changes within minutes after an import.",
        "Dari register. Isinya berubah beberapa menit setelah impor.",
    ),
    Display(24, 4, "none", age="1d"),
    (Query(q.listed()),),
    columns=(
        Column("station", ("Station", "TPS"), width=140),
        *c.STATION_DETAILS,
    ),
)
LAST = Panel(
    23,
    "table",
    ("Last heartbeat", "Heartbeat terakhir"),
    (
        "The newest heartbeat of the last two days, by the device's clock.",
        "Heartbeat terbaru dari dua hari terakhir, menurut jam perangkat.",
    ),
    Display(16, 4, "none", age="2d"),
    (Query(q.newest(("backlog_points", "beats"), "agent", q.STATION, limit=1)),),
    RAW,
    columns=(
        Column("Time", ("Last heard", "Terakhir melapor"), "dateTimeFromNow"),
        Column("backlog_points", ("Backlog", "Antrean"), "short"),
        Column("beats", ("Heartbeats", "Heartbeat"), shown="hidden"),
    ),
)
_PROBLEM = (
    "class_level",
    "since_local",
    "kpi",
    "side",
    "operator",
    "acknowledged",
    "maintenance",
)
PROBLEM = Panel(
    24,
    "table",
    ("Problem now", "Masalah sekarang"),
    (
        (
            "The state that the census has listed in the last five minutes. Empty: the "
            "census has listed no problem, or lists others of the regency first."
        ),
        (
            "Status yang didaftar sensus dalam lima menit terakhir. Kosong: sensus "
            "tidak mendaftar masalah, atau mendaftar TPS lain di kabupaten/kota itu."
        ),
    ),
    Display(24, 4, "none", age="5m"),
    (
        Query(
            q.columns(_PROBLEM, "station", f"{q.HOME} AND {q.STATION}", '"station"'),
        ),
    ),
    columns=(
        c.LEVEL,
        c.SINCE,
        replace(c.PROBLEM, width=165),
        c.SIDE,
        c.OPERATOR,
        Column("acknowledged", ("Acknowledged", "Sedang ditangani"), "bool_yes_no"),
        c.MAINTENANCE,
        Column("station", ("Station", "TPS"), shown="hidden"),
    ),
)
NOW = (HEARD, LAST, IDENTITY, PROBLEM)
