"""The names of the causes of trouble, in English and Indonesian."""

from __future__ import annotations

CAUSE_TITLES: dict[str, tuple[str, str]] = {
    "silent": ("Silent stations", "TPS tidak melapor"),
    "bad-share": ("Bad links", "Link buruk"),
    "degraded-share": ("Degraded links", "Link menurun"),
    "outage-place": (
        "Several operators down in one place",
        "Beberapa operator down di satu tempat",
    ),
    "outage-operator": (
        "One operator down while others work",
        "Satu operator down sementara yang lain berfungsi",
    ),
    "loss": ("High packet loss", "Packet loss tinggi"),
    "rtt": ("High latency", "Latensi tinggi"),
    "throughput": ("Slow downloads", "Download lambat"),
    "upload": ("Slow form uploads", "Upload formulir lambat"),
    "backlog": ("Delivery backlog", "Antrean pengiriman"),
    "unsent": ("Data pending for over an hour", "Data tertunda lebih dari satu jam"),
    "late": ("Late delivery", "Pengiriman terlambat"),
    "clock": ("Unreliable clocks", "Jam tidak akurat"),
    "allowance": ("Data allowance running out", "Kuota data hampir habis"),
}
