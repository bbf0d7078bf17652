"""Indonesian texts of the doctor: names of checks, results and fixes."""

from __future__ import annotations

from collections.abc import Mapping

DOCTOR: Mapping[str, str] = {
    # The states and the lines around the results.
    "WARN": "PERINGATAN",
    "BAD": "MASALAH",
    "All checks passed.": "Semua pemeriksaan berhasil.",
    "Errors: {errors}, warnings: {warnings}. Begin with: {name}": (
        "Masalah: {errors}, peringatan: {warnings}. Mulai dari: {name}"
    ),
    "fix": "perbaikan",
    "first fix {name}": "perbaiki dulu: {name}",
    "The doctor did not end in time. Restart the device.": (
        "Pemeriksaan tidak selesai tepat waktu. Restart perangkat."
    ),
    "no result within {limit_s} s: a program, the card or a modem hangs": (
        "tidak ada hasil dalam {limit_s} detik: program, kartu, atau modem macet"
    ),
    "internal error (bug): {error}": "kesalahan internal (bug): {error}",
    "Wrote {path}, {size}": "{path} sudah ditulis, {size}",
    "Removed: {kinds}": "Dihapus: {kinds}",
    "{path} cannot be read here, so only its usual forms were removed. Use sudo.": (
        "{path} tidak terbaca, jadi hanya bentuk umumnya yang dihapus. Pakai sudo."
    ),
    # Names of the checks.
    "configuration": "konfigurasi",
    "package": "paket",
    "version": "versi",
    "disk": "penyimpanan",
    "card": "kartu",
    "permissions": "izin",
    "journal": "jurnal",
    "service": "layanan",
    "watchdog": "watchdog",
    "probes": "probe",
    "modem": "modem",
    "SIM": "SIM",
    "registration": "registrasi",
    "signal": "sinyal",
    "binding": "interface",
    "gateway": "gateway",
    "names": "DNS",
    "targets": "target",
    "reflector": "reflektor",
    "throughput": "throughput",
    "allowance": "kuota",
    "calendar": "kalender",
    "fallback": "kolektor cadangan",
    # Program and service.
    "station {station}": "TPS {station}",
    "{problem}; errors in total: {count}": "{problem}; jumlah kesalahan: {count}",
    "{version}, Python {python}": "{version}, Python {python}",
    "{version} is installed, but {running} still runs": (
        "{version} sudah terpasang, tetapi {running} masih berjalan"
    ),
    "{version} is installed, but the fleet has {fleet}": (
        "{version} terpasang, tetapi perangkat lain memakai {fleet}"
    ),
    "Python {python} is too old, 3.11 or newer is needed": (
        "Python {python} terlalu lama, perlu 3.11 atau lebih baru"
    ),
    "all files are as installed": "semua file utuh",
    "not installed by a package": "tidak dipasang lewat paket",
    "installed without dpkg": "dipasang tanpa dpkg",
    "the files of the program could not be read in time": (
        "file program tidak terbaca tepat waktu"
    ),
    "{count} files of the program are missing or changed: {file}": (
        "{count} file program hilang atau berubah: {file}"
    ),
    "not used: the agent runs by hand": "tidak dipakai: agen dijalankan manual",
    "systemd does not answer": "systemd tidak menjawab",
    "the service is disabled by a mask": "layanan dimatikan dengan mask",
    "the service is not installed": "layanan belum terpasang",
    "the service does not run ({state})": "layanan tidak berjalan ({state})",
    "the service does not run ({state}: {result}, status {status})": (
        "layanan tidak berjalan ({state}: {result}, status {status})"
    ),
    "runs, but does not start at the next boot": (
        "berjalan, tetapi tidak mulai sendiri setelah restart"
    ),
    "runs for {age}, restarts: {count}": "berjalan {age}, restart: {count}",
    "runs for {age}, after {count} restarts by systemd": (
        "berjalan {age}, sudah {count} kali di-restart oleh systemd"
    ),
    "not used: the service does not run": "tidak dipakai: layanan tidak berjalan",
    "the agent has written no status for {age}": (
        "agen tidak menulis status selama {age}"
    ),
    "systemd does not watch the agent": "systemd tidak mengawasi agen",
    "limit {limit}, last status {age} ago": "batas {limit}, status terakhir {age} lalu",
    "checked for user {user}": "diperiksa untuk user {user}",
    "{user} cannot write {path}": "{user} tidak bisa menulis {path}",
    "{user} cannot read {path}": "{user} tidak bisa membaca {path}",
    "{user} may send pings": "{user} boleh mengirim ping",
    "{user} may not send pings": "{user} tidak boleh mengirim ping",
    # Disk, card and journal.
    "{folder}: {size} free": "{folder}: sisa {size}",
    "{folder}: {size} free; the journal leaves {reserve} to others": (
        "{folder}: sisa {size}; jurnal menyisakan {reserve} untuk program lain"
    ),
    "{folder}: no file can be created": "{folder}: tidak bisa membuat file",
    "{folder}: {error}": "{folder}: {error}",
    "the file system of {folder} is read-only": (
        "sistem file {folder} hanya bisa dibaca"
    ),
    "no errors": "tidak ada kesalahan",
    "no card or disk of its own": "tidak ada kartu atau disk sendiri",
    "{count} errors of the file system on {device}": (
        "{count} kesalahan sistem file di {device}"
    ),
    "the card {device} is worn out": "kartu {device} sudah aus",
    "replace the card or the device, and tell the NOC": (
        "ganti kartu atau perangkat, dan beri tahu NOC"
    ),
    "none yet; the agent creates it": "belum ada; dibuat oleh agen",
    "there is no journal in {folder}": "tidak ada jurnal di {folder}",
    "damaged: {fault}": "rusak: {fault}",
    "in memory only: all readings are lost when the agent stops": (
        "hanya di memori: semua hasil ukur hilang jika agen berhenti"
    ),
    "locked by another process: {program} ({pid})": (
        "dikunci oleh proses lain: {program} ({pid})"
    ),
    "the collector refused {count} points: {message}": (
        "kolektor menolak {count} titik data: {message}"
    ),
    "{count} points are not delivered yet": "{count} titik data belum terkirim",
    "leave the device switched on": "biarkan perangkat tetap menyala",
    "stop the agent, then start it again: qos-agent run": (
        "hentikan agen, lalu jalankan lagi: qos-agent run"
    ),
    # Modem and link.
    "ModemManager reads it": "terbaca oleh ModemManager",
    "serial port {port}": "port serial {port}",
    "there is no serial port {port}": "tidak ada port serial {port}",
    "plug in the modem again": "cabut dan pasang lagi modem",
    "plug in the modem again; then: sudo systemctl restart ModemManager": (
        "cabut dan pasang lagi modem; lalu: sudo systemctl restart ModemManager"
    ),
    "plug in the modem or the cable": "pasang modem atau kabelnya",
    "plug in the modem or the cable of {interface}": (
        "pasang modem atau kabel untuk {interface}"
    ),
    "ready": "siap",
    "insert the SIM; remove its PIN: sudo mmcli --sim 0 --pin PIN --disable-pin": (
        "pasang SIM; hapus PIN-nya: sudo mmcli --sim 0 --pin PIN --disable-pin"
    ),
    "{state}, {technology}": "{state}, {technology}",
    "not registered ({state})": "belum terdaftar di jaringan ({state})",
    "the network refuses the SIM ({state})": "jaringan menolak SIM ({state})",
    "ask the operator to activate the SIM, or use the spare SIM": (
        "minta operator mengaktifkan SIM, atau pakai SIM cadangan"
    ),
    "{kind} {level} dBm": "{kind} {level} dBm",
    "{kind} {level} dBm is weak": "{kind} {level} dBm lemah",
    "the modem reports no level": "modem tidak melaporkan level sinyal",
    "move the modem or its antenna to a window, upwards, away from metal": (
        "pindahkan modem atau antena ke dekat jendela, lebih tinggi, jauh dari logam"
    ),
    "no interface has a default route": "tidak ada interface dengan default route",
    "there is no interface {interface}; this device has: {others}": (
        "tidak ada interface {interface}; yang ada: {others}"
    ),
    "{interface} is down": "{interface} mati",
    "{interface}: {error}": "{interface}: {error}",
    "no default route: no address from the network": (
        "tidak ada default route: belum dapat alamat dari jaringan"
    ),
    "no default route: no address from the network, or no data package": (
        "tidak ada default route: belum dapat alamat, atau paket data habis"
    ),
    "{gateway} through {interface}": "{gateway} lewat {interface}",
    "point-to-point on {interface}": "point-to-point di {interface}",
    "no resolver": "tidak ada resolver DNS",
    "{resolvers} returned {address}": "{resolvers} memberi jawaban {address}",
    "{resolvers} returned {address}; this forwarder is on the device, so it is not "
    "measured": (
        "{resolvers} memberi jawaban {address}; forwarder ini ada di perangkat "
        "sendiri, jadi tidak diukur"
    ),
    "name the resolvers of {interface} in the program that configures it": (
        "isi resolver {interface} di program yang mengaturnya"
    ),
    "{error}; resolvers: {resolvers}": "{error}; resolver: {resolvers}",
    "no answer: {silent}": "tidak menjawab: {silent}",
    "no answer: {silent}; answered: {answered}": (
        "tidak menjawab: {silent}; menjawab: {answered}"
    ),
    "check the balance and the APN of the SIM; the network may ask for a login": (
        "cek kuota dan APN SIM; jaringan mungkin meminta login"
    ),
    "check the connection of the router behind {interface}, and its SIM if it has one; "
    "the network may ask for a login": (
        "cek koneksi router di balik {interface}, dan SIM-nya jika ada; jaringan "
        "mungkin meminta login"
    ),
    "fix the DNS first, or name the targets by address": (
        "perbaiki DNS dulu, atau isi target dengan alamat IP"
    ),
    "nothing on this device: other targets answer": (
        "tidak ada yang perlu diubah di perangkat: target lain menjawab"
    ),
    "start the reflector: systemctl enable --now qos-agent-reflector": (
        "jalankan reflektor: systemctl enable --now qos-agent-reflector"
    ),
    "{backends}; iperf3 is not installed": "{backends}; iperf3 belum terpasang",
    "start the measurement server, or correct its address": (
        "jalankan server pengukuran, atau perbaiki alamatnya"
    ),
    # Clock.
    "synchronised by {source}, within {error_ms} ms": (
        "sinkron lewat {source}, selisih maksimum {error_ms} ms"
    ),
    "wrong by {offset}, compared with the collector; time service: {source}": (
        "salah {offset} dibanding kolektor; layanan waktu: {source}"
    ),
    "not synchronised, and the collector's certificate is not valid now": (
        "tidak sinkron, dan sertifikat kolektor tidak berlaku pada waktu ini"
    ),
    "the clock is not synchronised to a time server; time service: {source}": (
        "jam tidak sinkron dengan server waktu; layanan waktu: {source}"
    ),
    "the clock is in the past": "jam tertinggal",
    "the clock is in the far future": "jam terlalu jauh di depan",
    # Collector.
    "{url} accepts points": "{url} menerima titik data",
    "{url}: {problem}": "{url}: {problem}",
    "{url} answers; this user may not read the token, so it is not checked": (
        "{url} menjawab; user ini tidak boleh membaca token, jadi token tidak diperiksa"
    ),
    "{url} answers; this device gets its token when it is enrolled": (
        "{url} menjawab; perangkat ini menerima token setelah pendaftaran selesai"
    ),
    "delivery waits: the token is not sent over plain HTTP": (
        "pengiriman menunggu: token tidak dikirim lewat HTTP tanpa enkripsi"
    ),
    "{name}.insecure: the token is sent over plain HTTP": (
        "{name}.insecure: token dikirim lewat HTTP tanpa enkripsi"
    ),
    "set {name}.url to https://..., or {name}.insecure = true": (
        "isi {name}.url dengan https://..., atau {name}.insecure = true"
    ),
    "set {name}.url to https://...": "isi {name}.url dengan https://...",
    "tell the NOC": "beri tahu NOC",
    # Fixes of the database client that a technician can follow.
    "set token or token_file to a valid token": "isi token yang benar",
    "create the bucket, or correct its name": "buat bucket, atau perbaiki namanya",
    "give the token write permission for the bucket": (
        "beri token izin menulis untuk bucket"
    ),
    "log in to the network, or check the URL": "login ke jaringan, atau cek URL",
    "log in to the network": "login ke jaringan",
    "check the DNS server and the host name in the URL": (
        "cek server DNS dan nama host di URL"
    ),
    "check that the link is up and has a route": (
        "cek apakah link tersambung dan punya route"
    ),
    "check that the server is running, and the port in the URL": (
        "cek apakah server berjalan, dan port di URL"
    ),
    "check this device's clock and the certificate's dates": (
        "cek jam perangkat dan masa berlaku sertifikat"
    ),
    "set ca_file to the certificate of the server's authority": (
        "isi ca_file dengan sertifikat CA server"
    ),
    "use a host name from the server's certificate in the URL": (
        "pakai nama host dari sertifikat server di URL"
    ),
    "write only the token, in plain ASCII on one line": (
        "tulis hanya token, ASCII biasa dalam satu baris"
    ),
    "write the token to it, in plain ASCII on one line": (
        "tulis token ke file itu, ASCII biasa dalam satu baris"
    ),
    "use an https URL, or set insecure = true next to the URL": (
        "pakai URL https, atau isi insecure = true di samping URL"
    ),
    "correct the path or the file": "perbaiki path atau filenya",
    # Calendar, allowance and seal.
    "none: the phase is always idle": "tidak ada: fase selalu di luar pemilu",
    "phase {phase} by {calendar}": "fase {phase} menurut {calendar}",
    "phase {phase} by {calendar}, but the agent runs in phase {other}": (
        "fase {phase} menurut {calendar}, tetapi agen berjalan dalam fase {other}"
    ),
    "{calendar}: all its phases are over": "{calendar}: semua fasenya sudah lewat",
    "{rtt} ms": "{rtt} ms",
    "no limit": "tanpa batas",
    "the schedule fits": "cukup untuk jadwal",
    "too small for the schedule: {problem}": "kurang untuk jadwal: {problem}",
    "used up: throughput tests and deliveries of a backlog wait": (
        "habis: uji throughput dan pengiriman antrean menunggu"
    ),
    "raise the allowance of the SIM": "tambah kuota SIM",
    "raise the allowance, or run throughput tests less often": (
        "tambah kuota, atau kurangi uji throughput"
    ),
    "not sealed: {reason}": "tidak disegel: {reason}",
    "not sealed: there is no device key": "tidak disegel: belum ada kunci perangkat",
    "sealed with key {key}": "disegel dengan kunci {key}",
    "sealed by the running agent": "disegel oleh agen yang berjalan",
}
