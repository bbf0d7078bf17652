"""One station: verdict and network measurements of each link, and its events."""

from __future__ import annotations

from grafana import queries as q
from grafana.boards import columns as c
from grafana.boards.board import Board
from grafana.boards.station_device import (
    BACKLOG,
    CLOCK,
    DEVICE,
    HEARTBEATS,
    LATE,
    LOAD,
    PENDING,
    TEMPERATURE,
    station_panel,
    station_query,
)
from grafana.boards.station_now import NOW
from grafana.panels import RAW, Column, Display, Panel, Query, Text

# 2 if any verdict of the interval is bad, else 1 if any is degraded; 4 if none of them
# is known.
_LEVEL = '2 * max("bad") + max("degraded") * (1 - max("bad")) + 4 * min("unknown")'
_LINK = c.same("$tag_link $tag_operator")
_FROM_ANCHOR = f"{q.ANCHOR} AND {q.LINK}"
# Grafana's backend returns an error for a series of texts that contains a null.
_FILL_TEXTS = "none"


def _by_link(
    id_: int,
    texts: tuple[Text, Text],
    display: Display,
    figure: q.Ratio,
    measurement: str,
) -> Panel:
    """Show a ratio of sums for each link, with its sample count."""
    queries = c.ratio(figure, (measurement, q.LINK), '"link", "operator"', _LINK)
    return station_panel(id_, texts, display, queries)


VERDICT = Panel(
    1,
    "state-timeline",
    ("Verdict", "Penilaian"),
    (
        "Verdict of the device on each link. A gap means that there is no verdict.",
        "Penilaian perangkat atas tiap link. Celah berarti tidak ada penilaian.",
    ),
    Display(24, 5, "none", levels=True),
    (Query(q.over_time(_LEVEL, "verdict", q.LINK, '"link", "operator"'), _LINK),),
    RAW,
)
CAUSES = Panel(
    13,
    "state-timeline",
    ("Main problem and cause", "Masalah utama dan penyebab"),
    (
        (
            "The KPI that decided the verdict, the side of the fault, and the cause of "
            "failed latency tests."
        ),
        (
            "KPI yang menentukan penilaian, sisi gangguan, dan penyebab uji latensi "
            "yang gagal."
        ),
    ),
    Display(24, 6, "none", codes=True),
    tuple(
        Query(
            q.over_time(f'last("{field}")', measurement, q.LINK, '"link"', _FILL_TEXTS),
            alias,
        )
        for field, measurement, alias in (
            ("kpi", "verdict", ("$tag_link problem", "$tag_link masalah")),
            ("side", "verdict", ("$tag_link side", "$tag_link sisi")),
            ("cause", "latency", ("$tag_link cause", "$tag_link penyebab")),
        )
    ),
    RAW,
)
LATENCY = station_panel(
    2,
    (
        ("Latency", "Latensi"),
        (
            (
                "Round-trip time to anchors: minimum to 95th percentile as an area, "
                "median as a line. Select one link."
            ),
            (
                "Round-trip time ke anchor: minimum sampai persentil ke-95 sebagai "
                "area, median sebagai garis. Pilih satu link."
            ),
        ),
    ),
    Display(12, 8, "ms", (200, 600)),
    (
        station_query(
            'min("rtt_min_ms")', "latency", ("minimum", "minimum"), _FROM_ANCHOR, "low"
        ),
        station_query(
            'max("rtt_p95_ms")',
            "latency",
            ("95th percentile", "persentil ke-95"),
            _FROM_ANCHOR,
            "high",
        ),
        station_query(
            'median("rtt_p50_ms")', "latency", ("median", "median"), _FROM_ANCHOR
        ),
        station_query(
            'sum("received")',
            "latency",
            ("samples: answers", "sampel: jawaban"),
            _FROM_ANCHOR,
            "n",
        ),
    ),
)
LOSS = station_panel(
    3,
    (
        ("Packet loss", "Packet loss"),
        (
            (
                "Lost / sent packets by layer. The nearest layer with loss is the "
                "cause. The tooltip shows the samples: the packets sent."
            ),
            (
                "Paket hilang / terkirim per lapisan. Lapisan terdekat yang mengalami "
                "loss adalah penyebabnya. Tooltip menampilkan sampel: paket terkirim."
            ),
        ),
    ),
    Display(12, 8, "percent", (2, 10), top=100.0),
    (
        Query(
            q.ratio_over_time(q.LOSS, "latency", q.LINK, '"link", "layer"'),
            c.same("loss $tag_link $tag_layer"),
            "bars",
        ),
        Query(
            q.over_time('sum("sent")', "latency", q.LINK, '"link", "layer"'),
            ("samples: $tag_link $tag_layer", "sampel: $tag_link $tag_layer"),
            "n",
        ),
    ),
)


def _throughput(
    id_: int, title: Text, direction: str, limits: tuple[float, float]
) -> Panel:
    where = f"{direction} AND {q.LINK}"
    return station_panel(
        id_,
        (
            title,
            (
                (
                    "Throughput of each test, and the ends of the 95 % interval of the "
                    "minute around it. A test without an interval has no ends. The "
                    "tooltip shows the samples: the number of tests."
                ),
                (
                    "Throughput tiap uji, dan batas interval 95 % untuk satu menit di "
                    "sekitarnya. Uji tanpa interval tidak memiliki batas. Tooltip "
                    "menampilkan sampel: jumlah uji."
                ),
            ),
        ),
        Display(12, 8, "bps", limits, low=True),
        (
            Query(
                q.ratio_over_time(q.RATE, "throughput", where),
                ("throughput", "throughput"),
                "points",
            ),
            station_query(
                'min("rate_low_bps")',
                "throughput",
                ("lower end", "batas bawah"),
                where,
                "ends",
            ),
            station_query(
                'max("rate_high_bps")',
                "throughput",
                ("upper end", "batas atas"),
                where,
                "ends",
            ),
            station_query(
                'sum("tests")',
                "throughput",
                ("samples: tests", "sampel: uji"),
                where,
                "n",
            ),
        ),
    )


DOWNLOAD = _throughput(
    4, ("Download throughput", "Throughput download"), q.DOWN, (2e6, 5e5)
)
UPLOAD = _throughput(14, ("Upload throughput", "Throughput upload"), q.UP, (1e6, 2.5e5))
FORMS = _by_link(
    5,
    (
        ("Form upload time", "Waktu upload formulir"),
        (
            (
                "Time to upload a file of the size of a result form. The tooltip shows "
                "n, the number of uploads."
            ),
            (
                "Waktu upload file seukuran formulir hasil. Tooltip "
                "menampilkan sampel: "
                "jumlah upload."
            ),
        ),
    ),
    Display(12, 8, "ms", (30000, 90000)),
    q.UPLOAD,
    "web",
)
PAGES = _by_link(
    15,
    (
        ("Page load time", "Waktu muat halaman"),
        (
            (
                "Time to load the page. The tooltip shows the samples: the number"
                " of page loads."
            ),
            "Waktu muat halaman. Tooltip menampilkan sampel: jumlah muat halaman.",
        ),
    ),
    Display(12, 8, "ms", (4000, 10000)),
    q.PAGE,
    "web",
)
SIGNAL = _by_link(
    6,
    (
        ("Signal (RSRP)", "Sinyal (RSRP)"),
        (
            "Value from the modem. The tooltip shows the sample count.",
            "Nilai dari modem. Tooltip menampilkan jumlah sampel.",
        ),
    ),
    Display(12, 8, "dBm", (-105, -115), low=True, floor=-200),
    q.RSRP,
    "signal",
)
QUALITY = station_panel(
    16,
    (
        ("Signal quality (RSRQ, SINR)", "Kualitas sinyal (RSRQ, SINR)"),
        ("Medians of RSRQ and SINR.", "Median RSRQ dan SINR."),
    ),
    Display(12, 8, "dB"),
    tuple(
        Query(
            q.over_time(f'median("{name}_db")', "signal", q.LINK, '"link"'),
            c.same(f"{name.upper()} $tag_link"),
        )
        for name in ("rsrq", "sinr")
    ),
)
_TIME = Column("Time", ("Time", "Waktu"), "dateTimeAsIso", width=180)
INCIDENTS = Panel(
    10,
    "table",
    ("Incidents", "Insiden"),
    (
        "Start and end of outages, with the two independent signs of each.",
        "Awal dan akhir gangguan, dengan dua tanda yang saling independen.",
    ),
    Display(24, 8, "none"),
    (
        Query(
            q.newest(
                (
                    "link",
                    "operator",
                    "opened",
                    "closed",
                    "cause",
                    "sign_1",
                    "sign_2",
                    "side",
                    "lasted_s",
                ),
                "incident",
                q.STATION,
            )
        ),
    ),
    RAW,
    columns=(
        _TIME,
        Column("link", ("Link", "Link")),
        Column("operator", ("Operator", "Operator")),
        Column("opened", ("Opened", "Dibuka"), "short"),
        Column("closed", ("Closed", "Ditutup"), "short"),
        Column("lasted_s", ("Duration", "Durasi"), "dtdurations"),
        Column("cause", ("Cause", "Penyebab")),
        Column("side", ("Whose side", "Sisi gangguan"), shown="code"),
        Column("sign_1", ("First sign", "Tanda pertama")),
        Column("sign_2", ("Second sign", "Tanda kedua")),
    ),
)
EVENTS = Panel(
    20,
    "table",
    ("Events", "Kejadian"),
    (
        (
            "Agent starts, phase changes, clock steps, damaged journals and similar "
            "events."
        ),
        "Agen mulai, pergantian fase, lompatan jam, jurnal rusak, dan kejadian serupa.",
    ),
    Display(24, 8, "none"),
    (
        Query(
            q.newest(
                ("kind", "count", "before", "after", "amount", "detail"),
                "event",
                q.STATION,
            )
        ),
    ),
    RAW,
    columns=(
        _TIME,
        Column("kind", ("Type", "Jenis")),
        # The only field that every event has. Without it some events give no row.
        Column("count", ("n", "n"), "short", width=50),
        Column("before", ("Before", "Sebelum")),
        Column("after", ("After", "Sesudah")),
        Column("amount", ("Amount", "Besar")),
        Column("detail", ("Detail", "Rincian")),
    ),
)
STATION = Board(
    "station",
    ("Station", "TPS"),
    ("home", "station", "link"),
    (
        *NOW,
        VERDICT,
        CAUSES,
        LATENCY,
        LOSS,
        DOWNLOAD,
        UPLOAD,
        FORMS,
        PAGES,
        SIGNAL,
        QUALITY,
        HEARTBEATS,
        BACKLOG,
        PENDING,
        CLOCK,
        LATE,
        TEMPERATURE,
        LOAD,
        DEVICE,
        INCIDENTS,
        EVENTS,
    ),
)
