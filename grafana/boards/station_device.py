"""Panels of the station dashboard about the device itself, its clock and delivery."""

from __future__ import annotations

from grafana import queries as q
from grafana.boards import columns as c
from grafana.panels import RAW, Column, Display, Panel, Query, Text


def station_panel(
    id_: int, texts: tuple[Text, Text], display: Display, queries: tuple[Query, ...]
) -> Panel:
    """Return a time series of the station's raw data; `texts`: title, description."""
    title, description = texts
    return Panel(id_, "timeseries", title, description, display, queries, RAW)


def station_query(
    figure: str,
    measurement: str,
    alias: Text,
    where: str = q.STATION,
    style: str = "",
    fill: str = "null",
) -> Query:
    """Return a query of one figure of the station per interval."""
    return Query(q.over_time(figure, measurement, where, fill=fill), alias, style)


TEMPERATURE = station_panel(
    7,
    (
        ("Temperature", "Suhu"),
        (
            "Temperature of the hottest processor sensor.",
            "Suhu sensor prosesor yang terpanas.",
        ),
    ),
    Display(8, 7, "celsius", (70, 80), floor=-40),
    (station_query('max("temperature_c")', "host", ("temperature", "suhu")),),
)
LOAD = station_panel(
    17,
    (
        ("Device load", "Beban perangkat"),
        (
            (
                "Processor and memory in use, and battery charge. A busy device does "
                "not measure accurately."
            ),
            (
                "Prosesor dan memori terpakai, serta sisa baterai. Perangkat yang "
                "sibuk tidak mengukur dengan akurat."
            ),
        ),
    ),
    Display(8, 7, "percentunit", (0.8, 0.95), top=1.0),
    (
        station_query('max("cpu_share")', "host", ("processor", "prosesor")),
        station_query('max("memory_used_share")', "host", ("memory", "memori")),
        station_query('min("battery_share")', "host", ("battery", "baterai")),
    ),
)
HEARTBEATS = station_panel(
    8,
    (
        ("Heartbeats", "Heartbeat"),
        (
            "One per minute. A minute without a heartbeat has no measurements.",
            "Satu per menit. Menit tanpa heartbeat berarti tanpa pengukuran.",
        ),
    ),
    Display(8, 7, "short"),
    (
        station_query(
            'sum("beats")',
            "agent",
            ("heartbeats", "heartbeat"),
            style="bars",
            fill="0",
        ),
    ),
)
BACKLOG = station_panel(
    9,
    (
        ("Delivery backlog", "Antrean pengiriman"),
        (
            "Data points that the collector has not yet confirmed.",
            "Titik data yang belum dikonfirmasi kolektor.",
        ),
    ),
    Display(8, 7, "short", (500, 2000)),
    (station_query('max("backlog_points")', "agent", ("points", "titik data")),),
)
PENDING = station_panel(
    12,
    (
        ("Oldest pending data", "Data tertunda paling lama"),
        (
            "Age of the oldest data point that is not yet delivered.",
            "Umur titik data paling lama yang belum terkirim.",
        ),
    ),
    Display(8, 7, "s", (120, 3600)),
    (station_query('max("oldest_unsent_s")', "agent", ("oldest", "paling lama")),),
)
CLOCK = station_panel(
    11,
    (
        ("Clock", "Jam"),
        (
            (
                "Maximum error according to the kernel, and offset from the "
                "collector's clock."
            ),
            "Galat maksimum menurut kernel, dan selisih dari jam kolektor.",
        ),
    ),
    Display(8, 7, "ms", (100, 1000), floor=-1e12),
    (
        station_query(
            'max("clock_error_ms")', "agent", ("maximum error", "galat maksimum")
        ),
        station_query('mean("clock_offset_ms")', "agent", ("offset", "selisih")),
    ),
)
LATE = station_panel(
    18,
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
    Display(8, 7, "percent", (50, 80), top=100.0),
    c.ratio(q.LATE, ("agent", q.STATION), "", ("late", "terlambat")),
)
_DEVICE_FIELDS = (
    "version",
    "config_hash",
    "calendar_hash",
    "quarantined_points",
    "allowance_left_share",
    "uptime_s",
)
DEVICE = Panel(
    19,
    "table",
    ("Software and configuration", "Perangkat lunak dan konfigurasi"),
    (
        "From the newest heartbeat of the last quarter of an hour.",
        "Dari heartbeat terbaru dalam seperempat jam terakhir.",
    ),
    Display(16, 7, "none", age="15m"),
    (Query(q.columns(_DEVICE_FIELDS, "agent", q.STATION, '"station", "phase"')),),
    RAW,
    columns=(
        Column("station", ("Station", "TPS")),
        Column("phase", ("Phase", "Fase")),
        Column("version", ("Version", "Versi")),
        Column("config_hash", ("Configuration", "Konfigurasi")),
        Column("calendar_hash", ("Calendar", "Kalender")),
        Column("quarantined_points", ("Quarantined", "Dikarantina"), "short"),
        Column("allowance_left_share", ("Data left", "Sisa kuota"), "percentunit"),
        Column("uptime_s", ("Uptime", "Uptime"), "dtdurations"),
    ),
)
