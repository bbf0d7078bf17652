"""Operators compared with each other, and before, during and after the vote."""

from __future__ import annotations

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
_OPERATOR = Column("operator", ("Operator", "Operator"), width=120)


def _of_phase(phase: str, figure: q.Ratio, place: tuple[str, str]) -> Query:
    measurement, where = place
    condition = f"{where} AND {q.AREA}" if where else q.AREA
    return Query(q.of_phase(phase, figure, measurement, condition))


def _by_phase(
    id_: int, title: Text, unit: str, figure: q.Ratio, place: tuple[str, str]
) -> Panel:
    figures = [
        column
        for phase, name in PHASES
        for column in (
            Column(phase, name, unit),
            Column(f"n_{phase}", ("n", "n"), "short", width=80),
        )
    ]
    description = (
        "Ratios of sums in the selected time range, with the sample count per phase.",
        (
            "Rasio jumlah dalam rentang waktu yang dipilih, dengan jumlah sampel per "
            "fase."
        ),
    )
    return Panel(
        id_,
        "table",
        title,
        description,
        Display(12, 7, "none"),
        tuple(_of_phase(phase, figure, place) for phase, _ in PHASES),
        SELECTED,
        (_OPERATOR, *figures),
        merge=True,
    )


LOSS = _by_phase(
    1,
    ("Packet loss by phase", "Packet loss per fase"),
    "percent",
    q.LOSS,
    ("latency", q.ANCHOR),
)
LATENCY = _by_phase(
    2, ("Latency by phase", "Latensi per fase"), "ms", q.DELAY, ("latency", q.ANCHOR)
)
DOWNLOAD = _by_phase(
    3,
    ("Download throughput by phase", "Throughput download per fase"),
    "bps",
    q.RATE,
    ("throughput", q.DOWN),
)
FORMS = _by_phase(
    4,
    ("Form upload time by phase", "Waktu upload formulir per fase"),
    "ms",
    q.UPLOAD,
    ("web", ""),
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
    (LOSS, LATENCY, DOWNLOAD, FORMS, BASELINE, TREND, LINKS),
)
