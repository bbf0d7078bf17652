"""Operators compared with each other, and before, during and after the vote."""

from __future__ import annotations

from grafana import intervals
from grafana import queries as q
from grafana.boards import columns as c
from grafana.boards.board import Board
from grafana.panels import SELECTED, Column, Display, Panel, Query, Text

PHASES: tuple[tuple[str, Text], ...] = (
    ("pre", ("before", "sebelum")),
    ("voting", ("voting", "pemungutan")),
    ("counting", ("counting", "penghitungan")),
    ("post", ("after", "sesudah")),
)
_OPERATOR = Column("operator", ("Operator", "Operator"), width=110)
_SAMPLES = ("n", "n")
_HALF_WIDTH = ("±", "±")
# The ratio, its newest baseline, and the measurement with a condition.
Figure = tuple[q.Ratio, q.Ratio, tuple[str, str]]
_ANCHORS = ("latency", f"{q.ANCHOR} AND {q.AREA}")
_LOSS: Figure = (
    q.LOSS,
    q.Ratio('100.0 * last("lost")', 'last("sent")'),
    _ANCHORS,
)
_DELAY: Figure = (
    q.DELAY,
    q.Ratio('0.001 * last("rtt_sum_us")', 'last("received")'),
    _ANCHORS,
)
_DOWNLOAD: Figure = (
    q.RATE,
    q.Ratio('last("rate_bps")', 'last("tests")'),
    ("throughput", f"{q.DOWN} AND {q.AREA}"),
)
_FORMS: Figure = (
    q.UPLOAD,
    q.Ratio('last("upload_sum_ms")', 'last("uploads")'),
    ("web", q.AREA),
)


def _by_phase(id_: int, title: Text, unit: str, figure: Figure) -> Panel:
    ratio, _, place = figure
    columns = [
        column
        for phase, name in PHASES
        for column in (
            Column(phase, name, unit),
            Column(f"pm_{phase}", _HALF_WIDTH, unit, shown="margin", width=90),
            Column(f"n_{phase}", _SAMPLES, "short", width=80),
        )
    ]
    description = (
        (
            "Ratios of sums in the selected time range, by phase. ± is half the width "
            "of the 95 % interval over regencies and hours, n the sample count."
        ),
        (
            "Rasio jumlah dalam rentang waktu yang dipilih, per fase. ± adalah "
            "setengah lebar interval 95 % antar kabupaten/kota dan jam, n jumlah "
            "sampel."
        ),
    )
    return Panel(
        id_,
        "table",
        title,
        description,
        Display(24, 6, "none"),
        tuple(Query(intervals.of_phase(phase, ratio, *place)) for phase, _ in PHASES),
        SELECTED,
        (_OPERATOR, *columns),
        merge=True,
    )


def _compared(id_: int, title: Text, unit: str, figure: Figure) -> Panel:
    ratio, newest, place = figure
    description = (
        (
            "Voting in the selected time range and the weeks before, from roll-ups. "
            "± is half the width of the 95 % interval. The last column is yes if the "
            "interval of the difference does not contain zero. One of twenty "
            "comparisons is yes by chance."
        ),
        (
            "Pemungutan suara dalam rentang waktu yang dipilih dan minggu-minggu "
            "sebelumnya, dari agregat. ± adalah setengah lebar interval 95 %. Kolom "
            "terakhir berisi ya jika interval selisihnya tidak memuat nol. Satu dari "
            "dua puluh perbandingan berisi ya secara kebetulan."
        ),
    )
    return Panel(
        id_,
        "table",
        title,
        description,
        Display(12, 6, "none"),
        (
            Query(intervals.of_phase("voting", ratio, *place)),
            Query(intervals.before(newest)),
        ),
        columns=(
            _OPERATOR,
            Column("before", ("before", "sebelum"), unit),
            Column("pm_before", _HALF_WIDTH, unit, shown="margin", width=80),
            Column("voting", ("voting", "pemungutan"), unit),
            Column("pm_voting", _HALF_WIDTH, unit, shown="margin", width=80),
            Column("difference", ("difference", "selisih"), unit),
            Column("chance", ("not chance", "nyata"), shown="chance", width=95),
            Column("n_before", ("n before", "n sebelum"), "short", shown="linked"),
            Column("n_voting", ("n voting", "n pemungutan"), "short", shown="linked"),
            *(
                Column(name, c.same(name), shown="hidden")
                for name, *_ in intervals.COMPARISON
                if name.startswith("sq_")
            ),
        ),
        merge=True,
        computed=intervals.COMPARISON,
    )


LOSS = _by_phase(1, ("Packet loss by phase", "Packet loss per fase"), "percent", _LOSS)
LATENCY = _by_phase(2, ("Latency by phase", "Latensi per fase"), "ms", _DELAY)
DOWNLOAD = _by_phase(
    3,
    ("Download throughput by phase", "Throughput download per fase"),
    "bps",
    _DOWNLOAD,
)
FORMS = _by_phase(
    4,
    ("Form upload time by phase", "Waktu upload formulir per fase"),
    "ms",
    _FORMS,
)
COMPARED = (
    _compared(
        8,
        (
            "Packet loss: voting compared with before",
            "Packet loss: pemungutan suara dibandingkan sebelumnya",
        ),
        "percent",
        _LOSS,
    ),
    _compared(
        9,
        (
            "Latency: voting compared with before",
            "Latensi: pemungutan suara dibandingkan sebelumnya",
        ),
        "ms",
        _DELAY,
    ),
    _compared(
        10,
        (
            "Download: voting compared with before",
            "Download: pemungutan suara dibandingkan sebelumnya",
        ),
        "bps",
        _DOWNLOAD,
    ),
    _compared(
        11,
        (
            "Form upload: voting compared with before",
            "Upload formulir: pemungutan suara dibandingkan sebelumnya",
        ),
        "ms",
        _FORMS,
    ),
)
_SUMS = (
    "sent",
    "lost",
    "received",
    "rtt_sum_us",
    "tests",
    "rate_bps",
    "uploads",
    "upload_sum_ms",
)
_FIGURES = {
    name: figure
    for ratio, name, count in (
        (q.LOSS, "loss", "sent"),
        (q.DELAY, "delay", "received"),
        (q.RATE, "rate", "tests"),
        (q.UPLOAD, "upload", "uploads"),
    )
    for name, figure in ((name, str(ratio)), (count, ratio.bottom))
}
BASELINE = Panel(
    5,
    "table",
    ("Baseline before the election", "Baseline sebelum pemilu"),
    (
        (
            "Results of the weeks before the election. The census updates them every "
            "hour, so this table is fast even over many weeks."
        ),
        (
            "Hasil minggu-minggu sebelum pemilu. Sensus memperbaruinya tiap jam, "
            "sehingga tabel ini cepat meskipun mencakup banyak minggu."
        ),
    ),
    Display(24, 7, "none", age="2h"),
    (
        Query(
            q.derived(
                _FIGURES,
                q.newest_of_each(
                    _SUMS, "baseline", q.AREA, '"province", "regency", "operator"'
                ),
                q.EACH,
                '"operator"',
            )
        ),
    ),
    columns=(
        _OPERATOR,
        Column("loss", ("Packet loss", "Packet loss"), "percent"),
        Column("sent", ("packets", "paket"), "short"),
        Column("delay", ("Latency", "Latensi"), "ms"),
        Column("received", ("samples: answers", "sampel: jawaban"), "short"),
        Column("rate", ("Download throughput", "Throughput download"), "bps"),
        Column("tests", ("samples: tests", "sampel: uji"), "short"),
        Column("upload", ("Form upload time", "Waktu upload formulir"), "ms"),
        Column("uploads", ("uploads", "upload"), "short"),
    ),
)
TREND = Panel(
    6,
    "timeseries",
    ("Packet loss over time", "Packet loss dari waktu ke waktu"),
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
    c.ratio(
        q.LOSS,
        ("latency", f"{q.ANCHOR} AND {q.AREA}"),
        '"operator"',
        c.same("$tag_operator"),
    ),
    SELECTED,
)
_LINKS = ("links_good", "links_degraded", "links_bad", "links_unknown", "down")
LINKS = Panel(
    7,
    "table",
    ("Current verdicts of links", "Penilaian link saat ini"),
    (
        (
            "Number of links by verdict in the selected regencies, and number of "
            "regencies in which the operator is down."
        ),
        (
            "Jumlah link menurut penilaian di kabupaten/kota yang dipilih, dan jumlah "
            "kabupaten/kota tempat operator down."
        ),
    ),
    Display(12, 9, "none", age="5m"),
    (
        Query(
            q.derived(
                {name: f'sum("{name}")' for name in _LINKS},
                q.columns(
                    _LINKS,
                    "census",
                    f"{q.AREA} AND {q.EACH}",
                    '"province", "regency", "operator"',
                ),
                q.EACH,
                '"operator"',
            )
        ),
    ),
    columns=(
        _OPERATOR,
        Column("links_good", ("Good", "Baik"), "short"),
        Column("links_degraded", ("Degraded", "Menurun"), "short"),
        Column("links_bad", ("Bad", "Buruk"), "short"),
        Column("links_unknown", ("Unknown", "Belum diketahui"), "short"),
        Column("down", ("Regencies down", "Kab./kota down"), "short"),
    ),
    sort="links_bad",
)
OPERATORS = Board(
    "operators",
    ("Operators", "Operator"),
    ("source", "province", "regency"),
    (LINKS, TREND, *COMPARED, LOSS, LATENCY, DOWNLOAD, FORMS, BASELINE),
)
