"""Operators side by side, and each beside itself: before, in and after the vote."""

from __future__ import annotations

from grafana import queries as q
from grafana.boards import columns as c
from grafana.boards.board import Board
from grafana.panels import CHOSEN, Column, Look, Panel, Query, Words

PHASES: tuple[tuple[str, Words], ...] = (
    ("pre", ("before", "sebelum")),
    ("voting", ("voting", "memilih")),
    ("counting", ("counting", "menghitung")),
    ("post", ("after", "sesudah")),
)
_OPERATOR = Column("operator", ("Operator", "Operator"), width=120)


def _of_phase(phase: str, figure: q.Ratio, place: tuple[str, str]) -> Query:
    measurement, where = place
    also = f"{where} AND {q.AREA}" if where else q.AREA
    return Query(q.of_phase(phase, figure, measurement, also))


def _by_phase(
    id_: int, title: Words, unit: str, figure: q.Ratio, place: tuple[str, str]
) -> Panel:
    figures = [
        column
        for phase, words in PHASES
        for column in (
            Column(phase, words, unit),
            Column(f"n_{phase}", ("n", "n"), "short", width=80),
        )
    ]
    about = (
        "Ratios of sums in the time chosen, each phase with its sample count n",
        "Rasio jumlah dalam waktu yang dipilih, tiap fase dengan cacah sampel n",
    )
    return Panel(
        id_, "table", title, about, Look(12, 7, "none"),
        tuple(_of_phase(phase, figure, place) for phase, _ in PHASES),
        CHOSEN, (_OPERATOR, *figures), merge=True,
    )  # fmt: skip


LOSS = _by_phase(
    1, ("Loss", "Kehilangan paket"), "percent", q.LOSS, ("latency", q.ANCHOR)
)
DELAY = _by_phase(2, ("Delay", "Waktu tunda"), "ms", q.DELAY, ("latency", q.ANCHOR))
RATE = _by_phase(3, ("Download", "Unduh"), "bps", q.RATE, ("throughput", q.DOWN))
FORMS = _by_phase(4, ("Form upload", "Unggah formulir"), "ms", q.UPLOAD, ("web", ""))
_SUMS = ("sent", "lost", "received", "rtt_sum_us", "tests", "rate_bps", "uploads",
         "upload_sum_ms")  # fmt: skip
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
USUAL = Panel(
    5, "table", ("Before the election", "Sebelum pemilu"),
    (("What links gave in the weeks before, as the census sums it each hour: cheap, "
     "where a range of weeks is not"),
     ("Yang diberikan link pada minggu-minggu sebelumnya, dijumlahkan sensus tiap jam: "
     "ringan, tidak seperti rentang berminggu-minggu")),
    Look(24, 7, "none", age="2h"),
    (Query(q.derived(
        _FIGURES, q.newest_of_each(_SUMS, "baseline", q.AREA,
                            '"province", "regency", "operator"'),
        q.EACH, '"operator"')),),
    columns=(
        _OPERATOR,
        Column("loss", ("Loss", "Kehilangan"), "percent"),
        Column("sent", ("n sent", "n terkirim"), "short"),
        Column("delay", ("Delay", "Waktu tunda"), "ms"),
        Column("received", ("n answers", "n jawaban"), "short"),
        Column("rate", ("Download", "Unduh"), "bps"),
        Column("tests", ("n tests", "n uji"), "short"),
        Column("upload", ("Form upload", "Unggah formulir"), "ms"),
        Column("uploads", ("n uploads", "n unggahan"), "short"),
    ),
)  # fmt: skip
TREND = Panel(
    6, "timeseries", ("Loss over time", "Kehilangan paket sepanjang waktu"),
    ("Lost / sent to anchors; n sent in the tooltip",
     "Hilang / terkirim ke anchor; n terkirim di tooltip"),
    Look(12, 9, "percent", (2, 10)),
    c.ratio(q.LOSS, ("latency", f"{q.ANCHOR} AND {q.AREA}"), '"operator"',
            c.same("$tag_operator")),
    CHOSEN,
)  # fmt: skip
_LINKS = ("links_good", "links_degraded", "links_bad", "links_unknown", "down")
LINKS = Panel(
    7, "table", ("Links as judged now", "Penilaian link sekarang"),
    ("Links by class over the regencies chosen, and in how many the operator is down",
     "Link menurut kelas di kabupaten/kota pilihan, dan di berapa operator mati"),
    Look(12, 9, "none", age="2m"),
    (Query(q.derived(
        {name: f'sum("{name}")' for name in _LINKS},
        q.columns(_LINKS, "census", f"{q.AREA} AND {q.EACH}",
                  '"province", "regency", "operator"'),
        q.EACH, '"operator"')),),
    columns=(
        _OPERATOR,
        Column("links_good", ("Good", "Baik"), "short"),
        Column("links_degraded", ("Degraded", "Menurun"), "short"),
        Column("links_bad", ("Bad", "Buruk"), "short"),
        Column("links_unknown", ("Not judged", "Belum dinilai"), "short"),
        Column("down", ("Regencies down", "Kab./kota mati"), "short"),
    ),
    sort="links_bad",
)  # fmt: skip
OPERATORS = Board(
    "operators",
    ("Operators", "Operator"),
    ("source", "province", "regency"),
    (LOSS, DELAY, RATE, FORMS, USUAL, TREND, LINKS),
)
