"""Panels of the overview about the age of its figures, and about open troubles."""

from __future__ import annotations

from grafana import queries as q
from grafana.boards import columns as c
from grafana.boards.board import TO_PLACE
from grafana.panels import Column, Display, Panel, Query

FRESHNESS = Panel(
    15,
    "stat",
    ("State of this board", "Keadaan dashboard ini"),
    (
        (
            "Yellow: no minute of the last three has a complete census. Then nothing "
            "on this board describes the present."
        ),
        (
            "Kuning: tiga menit terakhir tidak punya sensus lengkap. Isi dashboard ini "
            "bukan keadaan sekarang."
        ),
    ),
    Display(24, 2, "none", age="6h", sentence="census"),
    (Query(q.minutes_complete(3), ("Census", "Sensus")),),
)
AGE = Panel(
    6,
    "stat",
    ("Census age", "Umur sensus"),
    (
        "The newest minute for which every province was counted.",
        "Menit terbaru yang lengkap: semua provinsi sudah dihitung.",
    ),
    Display(3, 3, "dateTimeFromNow", age="6h"),
    (Query(q.select('last("complete_ms")', "watermark"), c.same("Census")),),
)
LATENESS = Panel(
    16,
    "stat",
    ("Data lateness", "Keterlambatan data"),
    (
        (
            "Median age of the newest data, over the regencies that report. A dead "
            "regency does not count here."
        ),
        (
            "Median umur data terbaru di kabupaten/kota yang melapor. Kabupaten/kota "
            "tanpa data tidak dihitung di sini."
        ),
    ),
    Display(4, 8, "s", (120, 300), age="5m"),
    (Query(q.select('last("data_late_s")', "watermark"), c.same("Data")),),
)
DEAD = Panel(
    17,
    "stat",
    ("Dead regencies", "Kabupaten/kota tanpa data"),
    (
        "Regencies with stations of which none reports.",
        "Kabupaten/kota yang punya TPS tetapi tidak satu pun melapor.",
    ),
    Display(4, 8, "none", (1, 5), age="5m"),
    (Query(q.select('last("regencies_dead")', "watermark"), c.same("Dead")),),
)
_TROUBLE_FIELDS = (
    "open",
    "affected",
    "stations",
    "since_local",
    "acknowledged_by",
    "acknowledged_at",
    "ticket",
    "ticket_at",
)
_TROUBLE_TAGS = '"cause", "level", "place", "province", "operator", "severity"'
TROUBLES = Panel(
    14,
    "table",
    ("Open troubles", "Gangguan aktif"),
    (
        (
            "One row for each trouble that the centre has found, with its cause. An "
            "empty table means no trouble only while the bar at the top is green."
        ),
        (
            "Satu baris untuk tiap gangguan beserta penyebabnya. Tabel kosong berarti "
            "tidak ada gangguan hanya jika batang di atas hijau."
        ),
    ),
    Display(24, 5, "none", age="5m"),
    (
        Query(
            q.derived(
                {name: f'"{name}"' for name in _TROUBLE_FIELDS},
                q.columns(
                    _TROUBLE_FIELDS,
                    "trouble",
                    "\"cause\" <> ''",
                    _TROUBLE_TAGS,
                ),
                '"open" > 0',
                _TROUBLE_TAGS,
            )
        ),
    ),
    columns=(
        Column("affected", ("Affected", "Terdampak"), width=80),
        Column("stations", ("of", "dari"), width=47),
        Column("place", ("Place", "Tempat"), shown="place", link=TO_PLACE),
        Column("cause", ("Trouble", "Gangguan"), shown="cause"),
        Column("severity", ("Severity", "Tingkat"), shown="severity", width=85),
        Column("operator", ("Operator", "Operator"), shown="severity", width=95),
        c.SINCE,
        Column("acknowledged_by", ("Acknowledged by", "Ditangani oleh"), width=120),
        Column("acknowledged_at", ("At", "Pukul"), width=95),
        Column("ticket", ("Ticket", "Tiket"), width=95),
        Column("ticket_at", ("Reported", "Dilaporkan"), shown="linked"),
        Column("open", ("Open", "Aktif"), shown="hidden"),
        Column("level", ("Level", "Lingkup"), shown="hidden"),
        Column("province", ("Province", "Provinsi"), shown="linked"),
    ),
    sort="affected",
)
