"""One station: everything that it measured, how it was judged, and by what."""

from __future__ import annotations

from grafana import queries as q
from grafana.boards import columns as c
from grafana.boards.board import Board
from grafana.panels import RAW, Column, Look, Panel, Query, Words

# Bad, or degraded where nothing was bad; not judged only where nothing was.
_LEVEL = '2 * max("bad") + max("degraded") * (1 - max("bad")) + 4 * min("unknown")'
_TREND = Look(12, 8, "short")
_LINK = c.same("$tag_link $tag_operator")
_FROM_ANCHOR = f"{q.ANCHOR} AND {q.LINK}"


def _own(
    id_: int, words: tuple[Words, Words], look: Look, queries: tuple[Query, ...]
) -> Panel:
    title, about = words
    return Panel(id_, "timeseries", title, about, look, queries, RAW)


def _by_link(
    id_: int, words: tuple[Words, Words], look: Look, figure: q.Ratio, measurement: str
) -> Panel:
    """A ratio of sums of each link, with its sample count."""
    queries = c.ratio(figure, (measurement, q.LINK), '"link", "operator"', _LINK)
    return _own(id_, words, look, queries)


# Grafana's backend breaks on a null among words.
_OF_WORDS = "none"


def _one(
    figure: str, measurement: str, alias: Words, where: str = q.STATION,
    style: str = "", fill: str = "null",
) -> Query:  # fmt: skip
    return Query(q.over_time(figure, measurement, where, fill=fill), alias, style)


VERDICT = Panel(
    1, "state-timeline", ("Verdict", "Penilaian"),
    ("How each link was judged on the device; a gap was not judged",
     "Penilaian tiap link di perangkat; celah berarti tidak dinilai"),
    Look(24, 5, "none", levels=True),
    (Query(q.over_time(_LEVEL, "verdict", q.LINK, '"link", "operator"'), _LINK),),
    RAW,
)  # fmt: skip
CAUSES = Panel(
    13, "state-timeline", ("Why", "Sebab"),
    ("The figure that decided, the side it blames, and why trains failed",
     "Angka yang menentukan, sisi yang disalahkan, dan sebab rangkaian gagal"),
    Look(24, 6, "none"),
    tuple(
        Query(q.over_time(f'last("{field}")', measurement, q.LINK, '"link"', _OF_WORDS),
              alias)
        for field, measurement, alias in (
            ("kpi", "verdict", ("$tag_link figure", "$tag_link angka")),
            ("side", "verdict", ("$tag_link side", "$tag_link sisi")),
            ("cause", "latency", ("$tag_link cause", "$tag_link sebab")),
        )
    ),
    RAW,
)  # fmt: skip
DELAY = _own(
    2,
    (("Round trip", "Waktu pulang-pergi"),
     (("To anchors, of each train: from the least to the 95th percentile, the median "
      "within; choose one link"),
      ("Ke anchor, tiap rangkaian: dari terkecil sampai persentil ke-95, median di "
      "dalamnya; pilih satu link"))),
    Look(12, 8, "ms", (200, 600)),
    (
        _one('min("rtt_min_ms")', "latency", ("least", "terkecil"), _FROM_ANCHOR,
             "low"),
        _one('max("rtt_p95_ms")', "latency", ("95th percentile", "persentil ke-95"),
             _FROM_ANCHOR, "high"),
        _one('median("rtt_p50_ms")', "latency", ("median", "median"), _FROM_ANCHOR),
        _one('sum("received")', "latency", ("n answers", "n jawaban"), _FROM_ANCHOR,
             "n"),
    ),
)  # fmt: skip
LOSS = _own(
    3,
    (("Loss", "Kehilangan paket"),
     ("Lost / sent by layer: the nearest that loses is to blame; n in the tooltip",
      ("Hilang / terkirim per lapisan: yang terdekat yang hilang adalah sebabnya; n di "
      "tooltip"))),
    Look(12, 8, "percent", (2, 10), top=100.0),
    (
        Query(q.ratio_over_time(q.LOSS, "latency", q.LINK, '"link", "layer"'),
              c.same("loss $tag_link $tag_layer"), "bars"),
        Query(q.over_time('sum("sent")', "latency", q.LINK, '"link", "layer"'),
              c.same("n $tag_link $tag_layer"), "n"),
    ),
)  # fmt: skip


def _throughput(
    id_: int, words: tuple[Words, Words], where: str, limits: tuple[float, float]
) -> Panel:
    both = f"{where} AND {q.LINK}"
    return _own(
        id_, words, Look(12, 8, "bps", limits, low=True),
        (
            Query(q.ratio_over_time(q.RATE, "throughput", both), ("rate", "laju"),
                  "points"),
            _one('min("rate_low_bps")', "throughput", ("low end", "ujung bawah"), both,
                 "ends"),
            _one('max("rate_high_bps")', "throughput", ("high end", "ujung atas"), both,
                 "ends"),
            _one('sum("tests")', "throughput", ("n tests", "n uji"), both, "n"),
        ),
    )  # fmt: skip


_INTERVAL = (
    "The rate of each test, and the ends of its 95 % interval; n in the tooltip",
    "Laju tiap uji, dan ujung selang 95 %-nya; n di tooltip",
)
DOWN = _throughput(4, (("Download", "Unduh"), _INTERVAL), q.DOWN, (2e6, 5e5))
UP = _throughput(14, (("Upload", "Unggah"), _INTERVAL), q.UP, (1e6, 2.5e5))
FORMS = _by_link(
    5,
    (("Form upload", "Unggah formulir"),
     ("Time to upload a form-sized bundle; n in the tooltip",
      "Waktu unggah seukuran formulir; n di tooltip")),
    Look(12, 8, "ms", (30000, 90000)), q.UPLOAD, "web",
)  # fmt: skip
PAGES = _by_link(
    15,
    (("Page", "Halaman"), ("Time to load the page; n in the tooltip",
                           "Waktu memuat halaman; n di tooltip")),
    Look(12, 8, "ms", (4000, 10000)), q.PAGE, "web",
)  # fmt: skip
SIGNAL = _by_link(
    6,
    (("Signal power (RSRP)", "Daya sinyal (RSRP)"),
     ("As the modem gives it; n in the tooltip", "Menurut modem; n di tooltip")),
    Look(12, 8, "dBm", (-105, -115), low=True, floor=-200), q.RSRP, "signal",
)  # fmt: skip
QUALITY = _own(
    16,
    (("Signal quality", "Mutu sinyal"),
     ("RSRQ and SINR, medians", "RSRQ dan SINR, median")),
    Look(12, 8, "dB"),
    tuple(
        Query(q.over_time(f'median("{name}_db")', "signal", q.LINK, '"link"'),
              c.same(f"{name.upper()} $tag_link"))
        for name in ("rsrq", "sinr")
    ),
)  # fmt: skip
HEAT = _own(
    7,
    (("Temperature", "Suhu"),
     ("Hottest sensor of the processor", "Sensor prosesor terpanas")),
    Look(8, 7, "celsius", (70, 80), floor=-40),
    (_one('max("temperature_c")', "host", ("temperature", "suhu")),),
)  # fmt: skip
LOAD = _own(
    17,
    (("Host", "Perangkat"),
     (("Was the instrument fit to measure: shares of processor and memory in use, "
      "charge left"),
      "Apakah alat layak mengukur: bagian prosesor dan memori terpakai, sisa baterai")),
    Look(8, 7, "percentunit", (0.8, 0.95), top=1.0),
    (
        _one('max("cpu_share")', "host", ("processor", "prosesor")),
        _one('max("memory_used_share")', "host", ("memory", "memori")),
        _one('min("battery_share")', "host", ("battery", "baterai")),
    ),
)  # fmt: skip
BEATS = _own(
    8,
    (("Heartbeats", "Detak"),
     ("One a minute; none is a gap in which nothing was measured",
      "Satu tiap menit; tanpa detak berarti tidak ada pengukuran")),
    Look(8, 7, "short"),
    (_one('sum("beats")', "agent", ("heartbeats", "detak"), style="bars", fill="0"),),
)  # fmt: skip
BACKLOG = _own(
    9,
    (("Backlog", "Antrean"),
     ("Points not yet acknowledged", "Titik yang belum diterima")),
    Look(8, 7, "short", (500, 2000)),
    (_one('max("backlog_points")', "agent", ("points", "titik")),),
)  # fmt: skip
UNSENT = _own(
    12,
    (("Oldest unsent", "Terlama belum terkirim"),
     ("Age of the oldest point that waits", "Umur titik terlama yang menunggu")),
    Look(8, 7, "s", (120, 3600)),
    (_one('max("oldest_unsent_s")', "agent", ("oldest", "terlama")),),
)  # fmt: skip
CLOCK = _own(
    11,
    (("Clock", "Jam"),
     ("Bound of the kernel on its error; difference from the collector's",
      "Batas galat menurut kernel; selisih dari jam pengumpul")),
    Look(8, 7, "ms", (100, 1000), floor=-1e12),
    (
        _one('max("clock_error_ms")', "agent", ("error at most", "galat paling besar")),
        _one('mean("clock_offset_ms")', "agent", ("offset", "selisih")),
    ),
)  # fmt: skip
LATE = _own(
    18,
    (("Delivered late", "Terkirim terlambat"),
     ("Of the points acknowledged, over two minutes old; n in the tooltip",
      "Dari titik yang diterima, berumur lebih dari dua menit; n di tooltip")),
    Look(8, 7, "percent", (50, 80), top=100.0),
    c.ratio(q.LATE, ("agent", q.STATION), "", ("late", "terlambat")),
)  # fmt: skip
_DEVICE = ("version", "config_hash", "calendar_hash", "quarantined_points",
           "allowance_left_share", "uptime_s")  # fmt: skip
DEVICE = Panel(
    19, "table", ("What it runs", "Yang dijalankan"),
    ("Newest heartbeat of five minutes", "Detak terbaru dari lima menit"),
    Look(16, 7, "none", age="5m"),
    (Query(q.columns(_DEVICE, "agent", q.STATION, '"station", "phase"')),),
    RAW,
    columns=(
        Column("station", ("Station", "TPS")),
        Column("phase", ("Phase", "Fase")),
        Column("version", ("Version", "Versi")),
        Column("config_hash", ("Configuration", "Konfigurasi")),
        Column("calendar_hash", ("Calendar", "Kalender")),
        Column("quarantined_points", ("Quarantined", "Karantina"), "short"),
        Column("allowance_left_share", ("Data left", "Sisa kuota"), "percentunit"),
        Column("uptime_s", ("Running for", "Berjalan selama"), "dtdurations"),
    ),
)  # fmt: skip
_TIME = Column("Time", ("Time", "Waktu"), "dateTimeAsIso", width=180)
INCIDENTS = Panel(
    10, "table", ("Incidents", "Insiden"),
    ("Outages opened and closed, with the two independent signs",
     "Gangguan dibuka dan ditutup, dengan dua tanda yang saling bebas"),
    Look(24, 8, "none"),
    (Query(q.newest(("link", "operator", "opened", "closed", "cause", "sign_1",
                     "sign_2", "side", "lasted_s"), "incident", q.STATION)),),
    RAW,
    columns=(
        _TIME, Column("link", ("Link", "Link")),
        Column("operator", ("Operator", "Operator")),
        Column("opened", ("Opened", "Dibuka"), "short"),
        Column("closed", ("Closed", "Ditutup"), "short"),
        Column("lasted_s", ("Lasted", "Lamanya"), "dtdurations"),
        Column("cause", ("Cause", "Sebab")),
        Column("side", ("Side", "Sisi")),
        Column("sign_1", ("First sign", "Tanda pertama")),
        Column("sign_2", ("Second sign", "Tanda kedua")),
    ),
)  # fmt: skip
EVENTS = Panel(
    20, "table", ("Events", "Kejadian"),
    ("Starts, phases, clock steps, damage", "Mulai, fase, lompatan jam, kerusakan"),
    Look(24, 8, "none"),
    (Query(q.newest(("kind", "count", "before", "after", "amount", "detail"), "event",
                    q.STATION)),),
    RAW,
    columns=(
        _TIME, Column("kind", ("Kind", "Jenis")),
        # The one field that every event has: without it some would not be rows.
        Column("count", ("n", "n"), "short", width=50),
        Column("before", ("Before", "Sebelum")), Column("after", ("After", "Sesudah")),
        Column("amount", ("Amount", "Besar")), Column("detail", ("Detail", "Rincian")),
    ),
)  # fmt: skip
STATION = Board(
    "station",
    ("Station", "TPS"),
    ("home", "station", "link"),
    (VERDICT, CAUSES, DELAY, LOSS, DOWN, UP, FORMS, PAGES, SIGNAL, QUALITY, BEATS,
     BACKLOG, UNSENT, CLOCK, LATE, HEAT, LOAD, DEVICE, INCIDENTS, EVENTS),
)  # fmt: skip
