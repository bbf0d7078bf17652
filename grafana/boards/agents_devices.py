"""Panels of the agents dashboard about devices: versions, power, never reported."""

from __future__ import annotations

from grafana import queries as q
from grafana.boards import columns as c
from grafana.panels import RAW, SELECTED, Column, Display, Panel, Query

_STATION = '"province", "regency", "station"'
_DEVICE_FIELDS = (
    "version",
    "config_hash",
    "remote_version",
    "calendar_hash",
    "backlog_points",
    "quarantined_points",
    "allowance_left_share",
    "clock_offset_ms",
    "uplink_failures",
)
_PLACE = '"regency" =~ /^${place:regex}$/'
_DEVICES = Query(q.columns(_DEVICE_FIELDS, "agent", _PLACE, '"regency", "station"'))
_VERSION = Column("version", ("Version", "Versi"))
_CONFIG = Column("config_hash", ("Configuration", "Konfigurasi"))
_REMOTE = Column("remote_version", ("From the centre", "Dari pusat"))
_CALENDAR = Column("calendar_hash", ("Calendar", "Kalender"))
VERSIONS = Panel(
    11,
    "table",
    ("Versions in the regency", "Versi di kabupaten/kota"),
    (
        (
            "Number of agents by version and configuration in the regency selected as "
            "Devices of regency. From the centre: the version of its configuration, 0 "
            "for none. From heartbeats of the last quarter of an hour."
        ),
        (
            "Jumlah agen menurut versi dan konfigurasi di kabupaten/kota yang dipilih "
            "pada Perangkat di kabupaten/kota. Dari pusat: versi konfigurasinya, 0 "
            "bila tidak ada. Dari heartbeat seperempat jam terakhir."
        ),
    ),
    Display(24, 6, "none", age="15m"),
    (_DEVICES,),
    RAW,
    columns=(
        Column("station (count)", ("Agents", "Agen"), "short"),
        _VERSION,
        _CONFIG,
        _REMOTE,
        _CALENDAR,
    ),
    sort="station (count)",
    counted=("version", "config_hash", "remote_version", "calendar_hash"),
)
DEVICES = Panel(
    12,
    "table",
    ("Agents in the regency", "Agen di kabupaten/kota"),
    (
        (
            "Each agent in the regency selected as Devices of regency. From its newest "
            "heartbeat of the last quarter of an hour."
        ),
        (
            "Tiap agen di kabupaten/kota yang dipilih pada Perangkat di "
            "kabupaten/kota. Dari heartbeat terbarunya dalam seperempat jam terakhir."
        ),
    ),
    Display(24, 9, "none", age="15m"),
    (_DEVICES,),
    RAW,
    columns=(
        c.STATION,
        _VERSION,
        _CONFIG,
        _REMOTE,
        _CALENDAR,
        Column("backlog_points", ("Backlog", "Antrean"), "short"),
        Column("quarantined_points", ("Quarantined", "Dikarantina"), "short"),
        Column("allowance_left_share", ("Data left", "Sisa kuota"), "percentunit"),
        Column("clock_offset_ms", ("Clock offset", "Selisih jam"), "ms"),
        Column("uplink_failures", ("Failed deliveries", "Pengiriman gagal"), "short"),
        c.REGENCY_CODE,
    ),
    sort="backlog_points",
)
_HOST_FIELDS = (
    "throttled",
    "undervoltage",
    "on_battery",
    "battery_share",
    "temperature_c",
    "disk_free_bytes",
)
POWER = Panel(
    23,
    "table",
    ("Agents with a power or heat problem", "Agen dengan masalah daya atau panas"),
    (
        (
            "Agents in the regency selected as Devices of regency whose supply voltage "
            "is too low, whose processor is throttled, or that run on battery. Newest "
            "readings of two hours. Empty: none of these."
        ),
        (
            "Agen di kabupaten/kota yang dipilih pada Perangkat di kabupaten/kota yang "
            "tegangannya terlalu rendah, prosesornya diperlambat, atau memakai "
            "baterai. Hasil ukur terbaru dari dua jam terakhir. Kosong: tidak ada."
        ),
    ),
    Display(24, 7, "none", age="2h"),
    (
        Query(
            q.derived(
                {name: f'"{name}"' for name in _HOST_FIELDS},
                q.newest_of_each(_HOST_FIELDS, "host", _PLACE, '"regency", "station"'),
                '("throttled" = 1 OR "undervoltage" = 1 OR "on_battery" = 1)',
                '"regency", "station"',
            )
        ),
    ),
    RAW,
    columns=(
        c.STATION,
        Column("undervoltage", ("Low voltage", "Tegangan rendah"), "bool_yes_no"),
        Column("throttled", ("Throttled", "Diperlambat"), "bool_yes_no"),
        Column("on_battery", ("On battery", "Pakai baterai"), "bool_yes_no"),
        Column("battery_share", ("Battery", "Baterai"), "percentunit"),
        Column("temperature_c", ("Temperature", "Suhu"), "celsius"),
        Column("disk_free_bytes", ("Free disk", "Disk kosong"), "bytes"),
        c.REGENCY_CODE,
    ),
)
_NEVER_FIELDS = ("never", "name", "operator", "contact", "ticket", "maintenance")
NEVER = Panel(
    13,
    "table",
    ("Stations that never reported", "TPS yang belum pernah melapor"),
    (
        "The stations that the census lists by name for each regency.",
        "TPS yang namanya didaftar oleh sensus untuk tiap kabupaten/kota.",
    ),
    Display(24, 8, "none", age="5m"),
    (
        Query(
            q.columns(_NEVER_FIELDS, "station", f'{q.AREA} AND "never" = 1', _STATION)
        ),
    ),
    columns=(
        c.STATION,
        c.NAME,
        c.REGENCY_CODE,
        c.OPERATOR,
        c.CONTACT,
        c.TICKET,
        c.MAINTENANCE,
        Column("never", ("Never", "Belum pernah"), shown="hidden"),
        c.PROVINCE,
    ),
)
CROSS = Panel(
    22,
    "timeseries",
    ("Throughput tests with other traffic", "Uji throughput dengan lalu lintas lain"),
    (
        (
            "Share of throughput tests with other traffic above the limit on the "
            "interface. Their rates are doubtful. The tooltip shows the samples: the "
            "tests."
        ),
        (
            "Persentase uji throughput saat ada lalu lintas lain di atas batas pada "
            "antarmuka. Hasilnya diragukan. Tooltip menampilkan sampel: jumlah uji."
        ),
    ),
    Display(12, 8, "percent", (10, 30), top=100.0, names="province"),
    c.ratio(q.CROSS, ("throughput", q.AREA), '"province"', c.same("$tag_province")),
    SELECTED,
)
