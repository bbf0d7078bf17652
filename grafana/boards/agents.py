"""Agents, their way to us, and the census itself: can the other boards be believed."""

from __future__ import annotations

from grafana import queries as q
from grafana.boards import columns as c
from grafana.boards.board import Board
from grafana.panels import CHOSEN, RAW, Column, Look, Panel, Query, Words

_PROVINCE = c.same("$tag_province")
_STATION = '"province", "regency", "station"'


def _fleet(id_: int, words: tuple[Words, Words], look: Look, figure: q.Ratio) -> Panel:
    """A ratio of sums of heartbeats by province, with its sample count."""
    title, about = words
    queries = c.ratio(figure, ("agent", q.AREA), '"province"', _PROVINCE)
    return Panel(id_, "timeseries", title, about, look, queries, CHOSEN)


def _flagged(id_: int, title: Words, about: Words, field: str) -> Panel:
    look = Look(12, 8, "percent", (10, 30), top=100.0)
    return _fleet(id_, (title, about), look, q.per_beat(field, 100.0))


BACKLOG = _fleet(
    1,
    (("Backlog", "Antrean"),
     ("Points that wait at an agent, on average; n heartbeats in the tooltip",
      "Titik menunggu per agen, rata-rata; n detak di tooltip")),
    Look(12, 8, "short", (500, 2000)),
    q.per_beat("backlog_points"),
)  # fmt: skip
ALLOWANCE = _flagged(
    2, ("Data allowance running out", "Kuota data hampir habis"),
    ("Share of agents with under a tenth of the month's data left; n heartbeats",
     "Bagian agen dengan sisa kuota bulan ini di bawah sepersepuluh; n detak"),
    "allowance_low",
)  # fmt: skip
CLOCK = _flagged(
    3, ("Clocks not trusted", "Jam tidak tepercaya"),
    ("Share of agents whose clock is not trusted or over a second wrong; n heartbeats",
     "Bagian agen yang jamnya tidak tepercaya atau meleset di atas sedetik; n detak"),
    "clock_poor",
)  # fmt: skip
LATE = _fleet(
    4,
    (("Delivered late", "Terkirim terlambat"),
     ("Of the points acknowledged, over two minutes old; n points in the tooltip",
      "Dari titik yang diterima, berumur lebih dari dua menit; n titik di tooltip")),
    Look(12, 8, "percent", (50, 80), top=100.0), q.LATE,
)  # fmt: skip
UNSENT = _flagged(
    15, ("Unsent for over an hour", "Belum terkirim lebih dari satu jam"),
    ("Share of agents that hold points older than an hour; n heartbeats",
     "Bagian agen yang menyimpan titik lebih dari satu jam; n detak"),
    "unsent_old",
)  # fmt: skip
SKIPPED = _fleet(
    6,
    (("Slots skipped", "Slot dilewati"),
     ("Of the slots due, those not measured, with a reason; n due in the tooltip",
      "Dari slot terjadwal, yang tidak diukur, dengan alasan; n slot di tooltip")),
    Look(12, 8, "percent", (10, 50), top=100.0), q.SKIPPED,
)  # fmt: skip
FAILURES = _fleet(
    5,
    (("Deliveries that failed", "Pengiriman gagal"),
     ("For each heartbeat, so for each agent a minute; n heartbeats in the tooltip",
      "Per detak, jadi per agen tiap menit; n detak di tooltip")),
    Look(12, 8, "short", (0.1, 1)),
    q.per_beat("uplink_failures"),
)  # fmt: skip
LOST = _fleet(
    10,
    (("Refused and evicted", "Ditolak dan dibuang"),
     ("Points in quarantine at an agent, on average; n heartbeats in the tooltip",
      "Titik dalam karantina per agen, rata-rata; n detak di tooltip")),
    Look(12, 8, "short", (0.1, 10)),
    q.per_beat("quarantined_points"),
)  # fmt: skip
EVICTED = Panel(
    16, "timeseries", ("Evicted", "Dibuang"),
    ("Undelivered points removed for want of room: these are lost",
     "Titik belum terkirim yang dibuang karena penuh: ini hilang"),
    Look(12, 8, "short", (1, 1000)),
    (Query(q.over_time('sum("evicted")', "agent", q.AREA, '"province"'), _PROVINCE,
           "bars"),),
    CHOSEN,
)  # fmt: skip
PIPELINE = Panel(
    7, "timeseries", ("The census is behind", "Sensus tertinggal"),
    ("Age of the oldest minute not yet summed, by collector; none: no census",
     "Umur menit terlama yang belum dijumlahkan, per pengumpul; kosong: tanpa sensus"),
    Look(12, 8, "s", (120, 300)),
    (Query(q.over_time('max("behind_s")', "pipeline", group='"collector"'),
           c.same("$tag_collector")),),
)  # fmt: skip
_HEALTH = ("failed", "census_s", "rollup_s", "behind_s", "points", "keep_s", "detail")
COLLECTORS = Panel(
    14, "table", ("Collectors", "Pengumpul"),
    (("The census of each collector, not older than five minutes; what fails, and what "
     "to change"),
     ("Sensus tiap pengumpul, paling lama lima menit; yang gagal, dan yang harus "
     "diubah")),
    Look(12, 8, "none", age="5m"),
    (Query(q.columns(_HEALTH, "pipeline", '"collector" =~ /./', '"collector"')),),
    columns=(
        Column("collector", ("Collector", "Pengumpul")),
        Column("failed", ("Failed", "Gagal"), "bool_yes_no"),
        Column("census_s", ("Census took", "Lama sensus"), "s"),
        Column("rollup_s", ("Sums took", "Lama penjumlahan"), "s"),
        Column("behind_s", ("Behind", "Tertinggal"), "s"),
        Column("points", ("Points", "Titik"), "short"),
        Column("keep_s", ("Kept for", "Disimpan"), "dtdurations"),
        Column("detail", ("Words", "Keterangan")),
    ),
)  # fmt: skip
_STATED = {
    "never": ("Never heard", "Belum pernah terdengar"),
    "mismatched": ("In another area", "Di wilayah lain"),
    "expected": ("Expected", "Diharapkan"),
    "late": ("Late", "Terlambat"),
}


def _stat(
    id_: int, field: str, about: Words, limits: tuple[float, float] | None
) -> Panel:
    title = _STATED[field]
    query = Query(q.latest_sum(field, q.AREA), title)
    return Panel(id_, "stat", title, about, Look(6, 6, "short", limits, age="5m"),
                 (query,))  # fmt: skip


STATS = (
    _stat(17, "expected", ("Of the register", "Menurut daftar"), None),
    _stat(8, "never", ("Registered, and never heard", "Terdaftar, belum terdengar"),
          (1, 100)),
    _stat(18, "late", ("Heard, but not within two minutes",
                       "Terdengar, tetapi tidak dalam dua menit"), (1, 500)),
    _stat(9, "mismatched", ("Report from elsewhere than registered",
                            "Melapor dari tempat lain"), (1, 100)),
)  # fmt: skip
_DEVICE = ("version", "config_hash", "calendar_hash", "backlog_points",
           "quarantined_points", "allowance_left_share", "clock_offset_ms",
           "uplink_failures")  # fmt: skip
_PLACE = '"regency" =~ /^${place:regex}$/'
_DEVICES = Query(q.columns(_DEVICE, "agent", _PLACE, '"regency", "station"'))
_VERSION = Column("version", ("Version", "Versi"))
_CONFIG = Column("config_hash", ("Configuration", "Konfigurasi"))
_CALENDAR = Column("calendar_hash", ("Calendar", "Kalender"))
VERSIONS = Panel(
    11, "table", ("Versions there", "Versi di sana"),
    ("How many agents of the one regency run what; raw heartbeats of five minutes",
     "Berapa agen di satu kabupaten/kota menjalankan apa; detak mentah lima menit"),
    Look(8, 9, "none", age="5m"), (_DEVICES,), RAW,
    columns=(
        Column("station (count)", ("Agents", "Agen"), "short"), _VERSION, _CONFIG,
        _CALENDAR,
    ),
    sort="station (count)",
    counted=("version", "config_hash", "calendar_hash"),
)  # fmt: skip
DEVICES = Panel(
    12, "table", ("Agents there", "Agen di sana"),
    ("Each agent of the one regency, as its newest heartbeat of five minutes says",
     "Tiap agen di satu kabupaten/kota, menurut detak terbaru dari lima menit"),
    Look(16, 9, "none", age="5m"), (_DEVICES,), RAW,
    columns=(
        c.STATION, _VERSION, _CONFIG, _CALENDAR,
        Column("backlog_points", ("Backlog", "Antrean"), "short"),
        Column("quarantined_points", ("Quarantined", "Karantina"), "short"),
        Column("allowance_left_share", ("Data left", "Sisa kuota"), "percentunit"),
        Column("clock_offset_ms", ("Clock off", "Selisih jam"), "ms"),
        Column("uplink_failures", ("Failures", "Kegagalan"), "short"),
        c.REGENCY_CODE,
    ),
    sort="backlog_points",
)  # fmt: skip
_ABSENT = ("never", "name", "operator", "contact", "ticket", "maintenance")
NEVER = Panel(
    13, "table", ("Never heard, by name", "Belum pernah terdengar, menurut nama"),
    ("Of each regency those that the census names", "Menurut sensus, per kab./kota"),
    Look(24, 8, "none", age="2m"),
    (Query(q.columns(_ABSENT, "station", f'{q.AREA} AND "never" = 1', _STATION)),),
    columns=(
        c.STATION, c.NAME, c.REGENCY_CODE, c.OPERATOR, c.CONTACT, c.TICKET,
        Column("maintenance", ("Maintenance", "Pemeliharaan"), "bool_yes_no"),
        Column("never", ("Never", "Belum pernah"), shown="hidden"), c.PROVINCE,
    ),
)  # fmt: skip
AGENTS = Board(
    "agents",
    ("Agents", "Agen"),
    ("source", "province", "regency", "place"),
    (*STATS, BACKLOG, LATE, UNSENT, FAILURES, PIPELINE, COLLECTORS, ALLOWANCE, CLOCK,
     SKIPPED, LOST, EVICTED, VERSIONS, DEVICES, NEVER),
)  # fmt: skip
