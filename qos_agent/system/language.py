"""The words a technician or the NOC reads, in English and Indonesian.

Code, logs and documents are in English; what stands here is shown on a screen. A
key is its English text, so that the code reads as what it says.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

Language = Literal["en", "id"]

_INDONESIAN: dict[str, str] = {
    "Links": "Tautan",
    "link": "tautan",
    "operator": "operator",
    "interface": "antarmuka",
    "verdict": "penilaian",
    "moved": "terpakai",
    "left this month": "sisa bulan ini",
    "needed until reset": "dibutuhkan",
    "unlimited": "tak terbatas",
    "Measurements": "Pengukuran",
    "what": "apa",
    "target": "sasaran",
    "last": "terakhir",
    "median RTT": "RTT median",
    "loss": "hilang",
    "result": "hasil",
    "ago": "lalu",
    "Next": "Berikutnya",
    "in": "dalam",
    "station": "TPS",
    "phase": "fase",
    "clock": "jam",
    "synchronised": "sinkron",
    "not synchronised": "tidak sinkron",
    "not trusted": "tidak dipercaya",
    "collector": "pengumpul",
    "backlog": "antrean",
    "points": "titik",
    "sent": "terkirim",
    "stored": "tersimpan",
    "in memory only: nothing survives a stop":
        "hanya di memori: semua hilang bila berhenti",
    "none configured": "belum diatur",
    "paused": "dijeda",
    "due": "jatuh tempo",
    "ok": "berhasil",
    "failed": "gagal",
    "skipped": "dilewati",
    "good": "baik",
    "degraded": "menurun",
    "bad": "buruk",
    "unknown": "belum diketahui",
    "pre": "pra",
    "voting": "pemungutan suara",
    "counting": "penghitungan",
    "post": "pasca",
    "idle": "di luar pemilu",
    "No agent has written a status in {folder}; start one: qos-agent run":
        "Belum ada agen yang menulis status di {folder}; jalankan: qos-agent run",
    "The agent is not running; this is what it saw {age} ago.":
        "Agen tidak berjalan; ini yang dilihatnya {age} lalu.",
    "Throughput tests: at most {data} each, {interval}; leave them out with "
    "THROUGHPUT=off":
        "Uji throughput: paling banyak {data} tiap kali, {interval}; matikan dengan "
        "THROUGHPUT=off",
    "every {interval}": "tiap {interval}",
    "Summary after {duration}": "Ringkasan setelah {duration}",
    "Everything is well.": "Semua baik.",
    "fix": "perbaikan",
    "configuration": "konfigurasi",
    "probes": "pengukur",
    "binding": "ikatan tautan",
    "names": "nama (DNS)",
    "gateway": "gerbang",
    "disk": "penyimpanan",
    "running": "berjalan",
}  # fmt: skip


class Words:
    """Says things in one language; what has no translation stays English."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, english: str, **values: object) -> str:
        """The text in this language, with `{name}` filled in."""
        text = _INDONESIAN.get(english, english) if self.language == "id" else english
        return text.format(**values) if values else text


def of_environment(environment: Mapping[str, str] | None = None) -> Words:
    """Indonesian where the locale says so, else English."""
    given = os.environ if environment is None else environment
    locale = given.get("LC_ALL") or given.get("LC_MESSAGES") or given.get("LANG") or ""
    return Words("id" if locale.lower().startswith("id") else "en")
