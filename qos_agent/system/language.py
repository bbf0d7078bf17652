"""Texts of commands and screens in English and Indonesian.

Code, logs and documents are in English. Commands that a technician runs on site print
in the language of the locale. The English text is the key of its translation.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

from qos_agent.system.language_doctor import DOCTOR

Language = Literal["en", "id"]

INDONESIAN: Mapping[str, str] = {
    **DOCTOR,
    # The screen of `run` and `status`.
    "Links": "Link",
    "link": "link",
    "operator": "operator",
    "interface": "interface",
    "verdict": "penilaian",
    "data used": "data terpakai",
    "allowance left": "sisa kuota",
    "needed until reset": "perlu sampai reset",
    "unlimited": "tanpa batas",
    "Measurements": "Pengukuran",
    "measurement": "pengukuran",
    "target": "target",
    "median RTT": "RTT median",
    "packet loss": "packet loss",
    "result": "hasil",
    "measured": "diukur",
    "{age} ago": "{age} lalu",
    "Next": "Berikutnya",
    "{task} in {delay}": "{task} dalam {delay}",
    "station": "TPS",
    "phase": "fase",
    "clock": "jam",
    "seal": "segel",
    "synchronised": "sinkron",
    "not synchronised": "tidak sinkron",
    "not trusted": "tidak tepercaya",
    "collector": "kolektor",
    "none configured": "belum dikonfigurasi",
    "waiting": "menunggu",
    "sending": "mengirim",
    "delivery fails": "pengiriman gagal",
    "backlog": "antrean",
    "sent": "terkirim",
    "stored": "tersimpan",
    "points": "titik data",
    "points (readings and events)": "titik data (hasil ukur dan kejadian)",
    "Most measurements failed. To find the reason: qos-agent doctor": (
        "Sebagian besar pengukuran gagal. Untuk mencari penyebabnya: qos-agent doctor"
    ),
    "The journal is in memory only. All readings are lost when the agent stops.": (
        "Jurnal hanya di memori. Semua hasil ukur hilang jika agen berhenti."
    ),
    "The journal was in memory only. All readings that were not sent are lost.": (
        "Jurnal hanya di memori. Semua hasil ukur yang belum terkirim hilang."
    ),
    "paused": "dijeda",
    # Outcomes, verdicts and phases.
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
    # `status`.
    "There is no status file in {folder}. Start an agent: qos-agent run": (
        "Belum ada file status di {folder}. Jalankan agen: qos-agent run"
    ),
    "The agent is not running. It wrote this status {age} ago.": (
        "Agen tidak berjalan. Status ini ditulis {age} lalu."
    ),
    "Enrolment pending: the centre has not confirmed this device yet.": (
        "Pendaftaran tertunda: pusat operasi belum mengonfirmasi perangkat ini."
    ),
    # `run`.
    "Throughput tests use at most {data} each, {interval}. To disable them: "
    "qos-agent run --without throughput": (
        "Uji throughput memakai paling banyak {data} per uji, {interval}. "
        "Untuk mematikan: qos-agent run --without throughput"
    ),
    "every {interval}": "setiap {interval}",
    "Summary after {duration}": "Ringkasan setelah {duration}",
    "due": "terjadwal",
    "The configuration was not reloaded": "Konfigurasi tidak dimuat ulang",
    "This user may not send pings. Latency is measured with TCP handshakes, and "
    "only of targets with a port. Fix: {command}": (
        "User ini tidak boleh mengirim ping. Latensi diukur dengan handshake TCP, "
        "hanya untuk target yang punya port. Perbaikan: {command}"
    ),
    # `pause` and `resume`.
    "{name}: paused for {length}, until {end}. To end the pause: "
    "qos-agent resume {name}": (
        "{name}: dijeda selama {length}, sampai {end}. Untuk melanjutkan: "
        "qos-agent resume {name}"
    ),
    "resumed": "dilanjutkan",
    "{name} was not paused": "{name} tidak sedang dijeda",
    "{name} is still paused because all probes are paused. Run: qos-agent resume": (
        "{name} masih dijeda karena semua probe dijeda. Jalankan: qos-agent resume"
    ),
    # `config`.
    "Wrote {path}. Edit it, then run: qos-agent config check -c {path}": (
        "{path} sudah ditulis. Edit file itu, lalu jalankan: "
        "qos-agent config check -c {path}"
    ),
    "Requested a reload of configuration {hash}. The agent logs the result.": (
        "Muat ulang konfigurasi {hash} sudah diminta. Hasilnya ada di log agen."
    ),
    # Seals.
    "not sealed yet": "belum disegel",
    "sealed: {points} points": "tersegel: {points} titik data",
    "no device key; create one: qos-agent enrol --self": (
        "belum ada kunci perangkat; buat dengan: qos-agent enrol --self"
    ),
    # `setup` and `maintenance`.
    "This device has:": "Di perangkat ini ada:",
    "Station code (13 digits)": "Kode TPS (13 digit)",
    "Interface": "Interface",
    "Operator": "Operator",
    "Collector URL": "URL kolektor",
    "Token of the collector (not shown; empty keeps the present one)": (
        "Token kolektor (tidak ditampilkan; kosongkan jika tidak diganti)"
    ),
    "{path} is unchanged": "{path} tidak berubah",
    "Wrote {path}": "{path} sudah ditulis",
    "The earlier settings are in {path}": "Pengaturan sebelumnya ada di {path}",
    "Starting the service ...": "Menjalankan layanan ...",
    "First readings:": "Hasil ukur pertama:",
    "ACCEPTED": "DITERIMA",
    "NOT ACCEPTED": "BELUM DITERIMA",
    "The agent has not stored the result yet.": "Agen belum menyimpan hasil ini.",
    "Receipt code: {receipt}": "Kode tanda terima: {receipt}",
    "allowed: for {length} by root": "boleh: diizinkan root selama {length}",
    "allowed: in phase {phase}": "boleh: dalam fase {phase}",
    "refused: the phase is {phase}, and the agent must not stop. To upgrade in "
    "spite of this: sudo qos-agent maintenance --allow 30m": (
        "ditolak: sekarang fase {phase}, agen tidak boleh berhenti. Jika tetap harus "
        "diperbarui: sudo qos-agent maintenance --allow 30m"
    ),
    # Points that wait for a timestamp, and the reasons.
    "Points without a timestamp, which are not exported: {count}. Reason: {reason}. "
    "They are stored, and get their timestamp once the agent runs with a trusted "
    "clock.": (
        "Titik data tanpa cap waktu, yang tidak diekspor: {count}. Sebab: {reason}. "
        "Titik itu sudah tersimpan, dan mendapat cap waktu setelah agen berjalan "
        "dengan jam yang dipercaya."
    ),
    "the agent stopped before the clock was trusted": (
        "agen berhenti sebelum jam dipercaya"
    ),
    "the clock differs from the collector's by more than a minute": (
        "jam berbeda lebih dari satu menit dari jam kolektor"
    ),
    "the clock is behind the newest point": "jam tertinggal dari titik data terbaru",
    "no time server has set the clock, and the device started less than 5 minutes "
    "ago": (
        "jam belum disetel oleh server waktu, dan perangkat baru menyala kurang dari 5 "
        "menit"
    ),
    "the clock is not synchronised to a time server": (
        "jam tidak sinkron dengan server waktu"
    ),
}


class Translator:
    """Returns texts in one language. A text without a translation stays English."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, english: str, **values: object) -> str:
        """Return the text in this language, with `{name}` filled in."""
        text = INDONESIAN.get(english, english) if self.language == "id" else english
        return text.format(**values) if values else text


def translator_for_locale(
    environment: Mapping[str, str] | None = None,
) -> Translator:
    """Return a translator into Indonesian if the locale is Indonesian, else English."""
    variables = os.environ if environment is None else environment
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next(filter(None, map(variables.get, names)), "")
    return Translator("id" if locale.lower().startswith("id") else "en")
