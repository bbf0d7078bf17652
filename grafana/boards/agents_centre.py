"""Panels of the agents dashboard about the centre: roll-ups, seals and parts."""

from __future__ import annotations

from grafana import queries as q
from grafana.boards import columns as c
from grafana.panels import Column, Display, Panel, Query

PIPELINE = Panel(
    7,
    "timeseries",
    ("Roll-up delay", "Keterlambatan agregat"),
    (
        (
            "Age of the oldest minute without roll-ups, by collector. A gap means that "
            "the census did not run."
        ),
        (
            "Umur menit paling lama yang belum diagregasi, per kolektor. Celah berarti "
            "sensus tidak berjalan."
        ),
    ),
    Display(12, 8, "s", (120, 300)),
    (
        Query(
            q.over_time('max("behind_s")', "pipeline", group='"collector"'),
            c.same("$tag_collector"),
        ),
    ),
)
_SEAL_LINES = (
    ("problems", ("Wrong or contradictory", "Salah atau bertentangan")),
    ("late", ("Late", "Terlambat")),
    ("missing", ("Missing", "Hilang")),
)
SEALS = Panel(
    19,
    "timeseries",
    ("Seals", "Segel"),
    (
        (
            "Stations with wrong, late or missing seals in the view of the witness, "
            "every five minutes. A gap means that the witness did not run."
        ),
        (
            "TPS dengan segel yang salah, terlambat, atau hilang menurut saksi, setiap "
            "lima menit. Celah berarti saksi tidak berjalan."
        ),
    ),
    Display(12, 8, "short", (1, 100)),
    tuple(
        Query(q.over_time(f'sum("{field}")', "witness"), text)
        for field, text in _SEAL_LINES
    ),
)
_COLLECTOR_FIELDS = (
    "failed",
    "census_s",
    "rollup_s",
    "behind_s",
    "points",
    "keep_s",
    "detail",
)
COLLECTORS = Panel(
    14,
    "table",
    ("Collectors", "Kolektor"),
    (
        (
            "The census of each collector in the last five minutes: failures and how "
            "to fix them."
        ),
        (
            "Sensus tiap kolektor dalam lima menit terakhir: kegagalan dan cara "
            "memperbaikinya."
        ),
    ),
    Display(24, 6, "none", age="5m"),
    (
        Query(
            q.columns(
                _COLLECTOR_FIELDS, "pipeline", '"collector" =~ /./', '"collector"'
            )
        ),
    ),
    columns=(
        Column("collector", ("Collector", "Kolektor")),
        Column("failed", ("Failed", "Gagal"), "bool_yes_no"),
        Column("census_s", ("Census time", "Lama sensus"), "s"),
        Column("rollup_s", ("Roll-up time", "Lama agregasi"), "s"),
        Column("behind_s", ("Roll-up delay", "Keterlambatan agregat"), "s"),
        Column("points", ("Points", "Titik data"), "short"),
        Column("keep_s", ("Retention", "Retensi"), "dtdurations"),
        Column("detail", ("Detail", "Rincian")),
    ),
)
_PART_FIELDS = (
    "ok",
    "age_s",
    "left_s",
    "used_share",
    "free_bytes",
    "response_ms",
    "detail",
)
PARTS = Panel(
    24,
    "table",
    ("Parts of the centre", "Bagian pusat"),
    (
        (
            "Gateway, databases, enrolment, census, witness, certificates, disks and "
            "backups, from `noc health` of the last five minutes. Empty: no health "
            "check runs."
        ),
        (
            "Gateway, basis data, pendaftaran, sensus, saksi, sertifikat, disk, dan "
            "cadangan, dari `noc health` lima menit terakhir. Kosong: pemeriksaan "
            "tidak berjalan."
        ),
    ),
    Display(24, 8, "none", age="5m"),
    (Query(q.columns(_PART_FIELDS, "platform", '"part" =~ /./', '"part", "name"')),),
    columns=(
        Column("part", ("Part", "Bagian"), width=110),
        Column("name", ("Name", "Nama")),
        Column("ok", ("Works", "Berfungsi"), "bool_yes_no", width=95),
        Column("age_s", ("Age", "Umur"), "dtdurations", width=110),
        Column(
            "left_s",
            ("Certificate ends in", "Sertifikat berakhir dalam"),
            "dtdurations",
        ),
        Column("used_share", ("Disk used", "Disk terpakai"), "percentunit", width=110),
        Column("free_bytes", ("Free disk", "Disk kosong"), "bytes", width=110),
        Column("response_ms", ("Answer", "Jawaban"), "ms", width=95),
        Column("detail", ("Detail", "Rincian")),
    ),
)
