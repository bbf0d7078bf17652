"""Agents, their delivery, and the census: are the other dashboards up to date?"""

from __future__ import annotations

from dataclasses import replace

from grafana import queries as q
from grafana.boards import columns as c
from grafana.boards.agents_centre import COLLECTORS, PARTS, PIPELINE, SEALS
from grafana.boards.agents_devices import CROSS, DEVICES, NEVER, POWER, VERSIONS
from grafana.boards.board import Board
from grafana.panels import SELECTED, Display, Panel, Query, Text

_PROVINCE = c.same("$tag_province")


def _by_province(
    id_: int, texts: tuple[Text, Text], display: Display, figure: q.Ratio
) -> Panel:
    """Show a ratio of sums from heartbeats by province, with its sample count."""
    title, description = texts
    display = replace(display, names="province")
    queries = c.ratio(figure, ("agent", q.AREA), '"province"', _PROVINCE)
    return Panel(id_, "timeseries", title, description, display, queries, SELECTED)


def _share_of_agents(id_: int, title: Text, description: Text, field: str) -> Panel:
    display = Display(12, 8, "percent", (10, 30), top=100.0)
    return _by_province(id_, (title, description), display, q.per_beat(field, 100.0))


BACKLOG = _by_province(
    1,
    (
        ("Delivery backlog", "Antrean pengiriman"),
        (
            (
                "Mean number of undelivered data points per agent. The tooltip shows "
                "n, the heartbeats."
            ),
            (
                "Rata-rata titik data yang belum terkirim per agen. Tooltip "
                "menampilkan sampel: jumlah heartbeat."
            ),
        ),
    ),
    Display(12, 8, "short", (500, 2000)),
    q.per_beat("backlog_points"),
)
ALLOWANCE = _share_of_agents(
    2,
    ("Data allowance running out", "Kuota data hampir habis"),
    (
        (
            "Share of agents with less than 10 % of the month's data left. The tooltip "
            "shows the samples: the heartbeats."
        ),
        (
            "Persentase agen dengan sisa kuota bulan ini di bawah 10 %. Tooltip "
            "menampilkan sampel: jumlah heartbeat."
        ),
    ),
    "allowance_low",
)
CLOCK = _share_of_agents(
    3,
    ("Unreliable clocks", "Jam tidak akurat"),
    (
        (
            "Share of agents whose clock is not trusted or is more than one second "
            "wrong. The tooltip shows the samples: the heartbeats."
        ),
        (
            "Persentase agen yang jamnya tidak tepercaya atau meleset lebih dari satu "
            "detik. Tooltip menampilkan sampel: jumlah heartbeat."
        ),
    ),
    "clock_poor",
)
LATE = _by_province(
    4,
    (
        ("Late delivery", "Pengiriman terlambat"),
        (
            (
                "Share of delivered points that were more than two minutes old. The "
                "tooltip shows the samples: the points delivered."
            ),
            (
                "Persentase titik data terkirim yang berumur lebih dari dua menit. "
                "Tooltip menampilkan sampel: titik data terkirim."
            ),
        ),
    ),
    Display(12, 8, "percent", (50, 80), top=100.0),
    q.LATE,
)
PENDING = _share_of_agents(
    15,
    ("Data pending for over an hour", "Data tertunda lebih dari satu jam"),
    (
        (
            "Share of agents with undelivered points older than an hour. The tooltip "
            "shows the samples: the heartbeats."
        ),
        (
            "Persentase agen dengan titik data tertunda lebih dari satu jam. Tooltip "
            "menampilkan sampel: jumlah heartbeat."
        ),
    ),
    "unsent_old",
)
SKIPPED = _by_province(
    6,
    (
        ("Skipped slots", "Slot dilewati"),
        (
            (
                "Share of due slots that were skipped, for example because of a busy "
                "link. The tooltip shows the samples: the slots due."
            ),
            (
                "Persentase slot terjadwal yang dilewati, misalnya karena link sibuk. "
                "Tooltip menampilkan sampel: jumlah slot terjadwal."
            ),
        ),
    ),
    Display(12, 8, "percent", (10, 50), top=100.0),
    q.SKIPPED,
)
FAILURES = _by_province(
    5,
    (
        ("Failed deliveries", "Pengiriman gagal"),
        (
            (
                "Failed deliveries per agent and minute. The tooltip shows "
                "the samples: the "
                "heartbeats."
            ),
            (
                "Pengiriman gagal per agen dan menit. Tooltip menampilkan "
                "sampel: jumlah "
                "heartbeat."
            ),
        ),
    ),
    Display(12, 8, "short", (0.1, 1)),
    q.per_beat("uplink_failures"),
)
QUARANTINED = _by_province(
    10,
    (
        ("Quarantined points", "Titik data dikarantina"),
        (
            (
                "Mean number of points per agent that a collector has refused. The "
                "tooltip shows the samples: the heartbeats."
            ),
            (
                "Rata-rata titik data per agen yang ditolak kolektor. Tooltip "
                "menampilkan sampel: jumlah heartbeat."
            ),
        ),
    ),
    Display(12, 8, "short", (0.1, 10)),
    q.per_beat("quarantined_points"),
)
EVICTED = Panel(
    16,
    "timeseries",
    ("Evicted points", "Titik data dibuang"),
    (
        (
            "Undelivered points that were deleted because the journal was full. They "
            "are lost."
        ),
        "Titik data belum terkirim yang dihapus karena jurnal penuh. Data ini hilang.",
    ),
    Display(12, 8, "short", (1, 1000), names="province"),
    (
        Query(
            q.over_time('sum("evicted")', "agent", q.AREA, '"province"'),
            _PROVINCE,
            "bars",
        ),
    ),
    SELECTED,
)


def _stat(
    id_: int,
    field: str,
    title: Text,
    description: Text,
    limits: tuple[float, float] | None,
) -> Panel:
    query = Query(q.latest_sum(field, q.AREA), title)
    display = Display(4, 6, "none", limits, age="5m")
    return Panel(id_, "stat", title, description, display, (query,))


# See the overview: a number of stations is not bad by itself.
_NEVER_RED = 1e9
STATS = (
    _stat(
        17,
        "expected",
        ("Expected", "Seharusnya melapor"),
        (
            "Stations that must report now, according to the register.",
            "TPS yang saat ini harus melapor menurut register.",
        ),
        None,
    ),
    _stat(
        8,
        "never",
        ("Never reported", "Belum pernah melapor"),
        (
            "Stations of the register that have never reported.",
            "TPS terdaftar yang belum pernah melapor.",
        ),
        (1, _NEVER_RED),
    ),
    _stat(
        18,
        "late",
        ("Late", "Terlambat"),
        (
            (
                "Stations whose last report is more than two but less than five "
                "minutes old."
            ),
            (
                "TPS yang laporan terakhirnya lebih dari dua tetapi kurang dari lima "
                "menit yang lalu."
            ),
        ),
        (1, _NEVER_RED),
    ),
    _stat(
        9,
        "mismatched",
        ("In another area", "Di wilayah lain"),
        (
            "Stations that report from another area than the registered one.",
            "TPS yang melapor dari wilayah lain daripada yang terdaftar.",
        ),
        (1, _NEVER_RED),
    ),
    _stat(
        20,
        "wrong_clock",
        ("Wrong clocks", "Jam salah"),
        (
            (
                "Stations that report all along, but with a time that is minutes or "
                "hours wrong. They are not silent. Province and regency lists them."
            ),
            (
                "TPS yang terus melapor, tetapi dengan waktu yang meleset beberapa "
                "menit atau jam. TPS ini bukan tidak melapor. Daftarnya ada di "
                "Provinsi dan kabupaten/kota."
            ),
        ),
        (1, _NEVER_RED),
    ),
    _stat(
        21,
        "maintenance",
        ("Maintenance", "Pemeliharaan"),
        (
            "Stations under planned maintenance. They are still expected.",
            "TPS dalam pemeliharaan terjadwal. TPS ini tetap harus melapor.",
        ),
        None,
    ),
)
AGENTS = Board(
    "agents",
    ("Agents", "Agen"),
    ("source", "province", "regency", "place"),
    (
        *STATS,
        BACKLOG,
        LATE,
        PENDING,
        FAILURES,
        PIPELINE,
        SEALS,
        COLLECTORS,
        PARTS,
        ALLOWANCE,
        CLOCK,
        SKIPPED,
        CROSS,
        QUARANTINED,
        EVICTED,
        VERSIONS,
        DEVICES,
        POWER,
        NEVER,
    ),
)
