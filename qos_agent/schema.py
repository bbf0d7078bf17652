"""The schema table: every measurement, tag and field there is, as literal data.

The encoder, the data dictionary, the roll-ups, the exports and the tests of the
dashboards are derived from this table. A name never changes its type; later
versions add names. Types: `int` for counters and 0/1, `float` for the rest, `str`
for words. An additive field may be summed over points, areas and time; every
national figure is a ratio of such sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SCHEMA_VERSION = 1

FieldType = Literal["int", "float", "str"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field: name, type, unit, whether it may be summed, meaning, standard."""

    name: str
    type: FieldType
    unit: str
    additive: bool
    meaning: str
    standard: str = ""


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement: its tags in full, its fields, what it says, who writes it."""

    name: str
    meaning: str
    tags: tuple[str, ...]
    fields: tuple[Field, ...]
    source: Literal["agent", "noc"] = "agent"

    def field(self, name: str) -> Field:
        """The field of that name; KeyError when the table has none."""
        for candidate in self.fields:
            if candidate.name == name:
                return candidate
        raise KeyError(f"{self.name}.{name}")


def _count(name: str, meaning: str, standard: str = "", unit: str = "1") -> Field:
    return Field(name, "int", unit, True, meaning, standard)


def _whole(name: str, unit: str, meaning: str, standard: str = "") -> Field:
    return Field(name, "int", unit, False, meaning, standard)


def _number(name: str, unit: str, meaning: str, standard: str = "") -> Field:
    return Field(name, "float", unit, False, meaning, standard)


def _total(name: str, unit: str, meaning: str, standard: str = "") -> Field:
    return Field(name, "float", unit, True, meaning, standard)


def _word(name: str, meaning: str) -> Field:
    return Field(name, "str", "", False, meaning)


# Histogram bounds are fixed for ever: sums over years must mean one thing.
RTT_BOUNDS_MS = (5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000, 2000, 3000)
PDV_BOUNDS_MS = (1, 2, 5, 10, 20, 30, 50, 100, 200, 500)
RATE_BOUNDS_MBPS = (1, 2, 5, 10, 20, 50, 100)
PAGE_BOUNDS_MS = (250, 500, 1000, 2000, 4000, 8000, 15000)
UPLOAD_BOUNDS_S = (2, 5, 10, 20, 30, 60, 120)

_PLACE = ("station", "province", "regency", "phase")
_LINK = (*_PLACE, "link", "operator")

_EVERY_POINT = (
    _whole("seq", "1", "number of the point in its journal, without gaps"),
    _word("device", "the device that measured"),
    _word("journal", "random name of the journal file that numbered the point"),
    _whole("schema", "1", "version of this table"),
    _whole("clock_synced", "0/1", "the kernel called its clock synchronised"),
    _number("clock_error_ms", "ms", "the kernel's bound on its clock's error"),
    _count("clock_held", "stamped after the hold time, on an untrusted clock"),
)
_EVERY_TASK = (
    _count("slots", "due slots this reading stands for", "RFC 7594"),
    _count("ok", "slots measured"),
    _count("failed", "slots whose measurement failed, with a cause"),
    _count("skipped", "slots not measured, with a reason"),
    _word("cause", "why it failed; one of the closed list of causes"),
    _word("reason", "why it was skipped; one of the closed list of reasons"),
    _word("detail", "the words of whoever refused"),
    _number("late_ms", "ms", "start after the due moment"),
    _number("duration_ms", "ms", "length of the task"),
    _number("span_s", "s", "time covered by the skipped slots"),
    _count("data_bytes", "moved on the link, both ways, on the wire", unit="B"),
)
_RESOLUTION = (
    _word("address", "the address measured, as resolved for this task"),
    _number("resolve_ms", "ms", "time the name took to resolve"),
    _count("resolve_failed", "the name did not resolve; last good address used"),
    _whole("ip_version", "1", "4 or 6"),
)

_LATENCY = (
    _count("sent", "probes sent", "RFC 7680"),
    _count("received", "answers within Tmax = 3 s, duplicates not counted", "RFC 7680"),
    _count("lost", "sent less received", "RFC 7680"),
    _count("duplicates", "further answers to an answered probe", "RFC 5560"),
    _count("late", "answers after Tmax, counted as lost", "RFC 7680"),
    _count("lost_forward", "lost on the way out (STAMP only)", "RFC 8762"),
    _count("lost_backward", "lost on the way back (STAMP only)", "RFC 8762"),
    _count("icmp_errors", "ICMP errors that answered a probe", "RFC 792"),
    _count("rtt_sum_us", "sum of round trips", "RFC 2681", "us"),
    _number("rtt_min_ms", "ms", "least round trip", "RFC 2681"),
    _number("rtt_mean_ms", "ms", "mean round trip of the train", "RFC 2681"),
    _number("rtt_p50_ms", "ms", "median round trip", "RFC 2681"),
    _number("rtt_p95_ms", "ms", "95th percentile of the round trip", "RFC 2681"),
    _number("rtt_max_ms", "ms", "greatest round trip", "RFC 2681"),
    _number("pdv_p95_ms", "ms", "delay variation, p95 - min", "RFC 5481"),
    _number("loss_low", "ratio", "lower end of Wilson's 95 % interval of loss"),
    _number("loss_high", "ratio", "upper end of Wilson's 95 % interval of loss"),
    _whole("loss_burst_max", "1", "longest run of lost probes", "RFC 3357"),
    _number("loss_lag1", "ratio", "lag-1 autocorrelation of loss", "RFC 3357"),
    _word("method", "icmp or stamp"),
    _word("stamps", "kernel (both ends of the trip) or user"),
    _number("wake_ms", "ms", "round trip of the exchange that woke the radio"),
    *_RESOLUTION,
    *(
        _count(f"rtt_le_{bound}", f"round trips of at most {bound} ms", "RFC 2681")
        for bound in RTT_BOUNDS_MS
    ),
    *(
        _count(f"pdv_le_{bound}", f"delays at most {bound} ms over the least")
        for bound in PDV_BOUNDS_MS
    ),
)
_THROUGHPUT = (
    _count("tests", "tests that gave a rate"),
    _total("rate_bps", "bit/s", "rate at `rate_layer`; sums go with `tests`"),
    _number("rate_low_bps", "bit/s", "lower end of the 95 % interval within the test"),
    _number("rate_high_bps", "bit/s", "upper end of the 95 % interval"),
    _word("stop", "why the test ended: precision, bytes, time, stall, complete"),
    _number("ramp_ms", "ms", "start-up left out of the rate"),
    _whole("measured_bytes", "B", "bytes the rate rests on, at `rate_layer`"),
    _whole("measured_us", "us", "time the rate rests on"),
    _word("rate_layer", "tcp_payload, ip or application"),
    _whole("connections", "1", "parallel TCP connections"),
    _word("congestion_control", "the sender's congestion control, where known"),
    _count("loaded_sent", "probes sent while the link was loaded"),
    _count("loaded_received", "answers to them"),
    _count("loaded_rtt_sum_us", "sum of round trips under load", unit="us"),
    _number("loaded_rtt_p50_ms", "ms", "median round trip under load"),
    _number("loaded_rtt_p95_ms", "ms", "95th percentile of the round trip under load"),
    _number("cpu_share", "ratio", "of one core, used by the test"),
    _whole("cross_bytes", "B", "other traffic on the interface during the test"),
    _count("cross_flagged", "other traffic above the limit: the rate is doubtful"),
    _word("server", "the configured name of the server"),
    _whole("fallback", "1", "backends that failed before this one"),
    *(
        _count(f"rate_ge_{bound}", f"tests of at least {bound} Mbit/s")
        for bound in RATE_BOUNDS_MBPS
    ),
)
_WEB = (
    _count("pages", "pages loaded"),
    _total("page_sum_ms", "ms", "sum of page load times"),
    _number("dns_ms", "ms", "name resolved"),
    _number("connect_ms", "ms", "TCP connected"),
    _number("tls_ms", "ms", "TLS agreed"),
    _number("first_byte_ms", "ms", "request sent to first byte"),
    _number("total_ms", "ms", "all of it, to the last byte"),
    _whole("status", "1", "HTTP status"),
    _whole("body_bytes", "B", "length of the body"),
    _count("uploads", "form bundles uploaded and acknowledged"),
    _total("upload_sum_ms", "ms", "sum of upload times"),
    _number("upload_ms", "ms", "time to upload the form bundle"),
    _whole("upload_bytes", "B", "size of the form bundle"),
    *(
        _count(f"http_{digit}xx", f"answers of class {digit}")
        for digit in ("2", "3", "4", "5")
    ),
    *(
        _count(f"page_le_{bound}", f"pages within {bound} ms")
        for bound in PAGE_BOUNDS_MS
    ),
    *(
        _count(f"upload_le_{bound}", f"uploads within {bound} s")
        for bound in UPLOAD_BOUNDS_S
    ),
    *_RESOLUTION,
)
_SIGNAL = (
    *(
        field
        for name, unit, meaning, standard in (
            ("rsrp", "dBm", "reference signal received power", "3GPP TS 36.214"),
            ("rsrq", "dB", "reference signal received quality", "3GPP TS 36.214"),
            ("sinr", "dB", "signal to interference and noise", "3GPP TS 38.215"),
            ("rssi", "dBm", "received signal strength", "3GPP TS 36.214"),
        )
        for field in (
            _number(f"{name}_{unit.lower()}", unit, meaning, standard),
            _total(f"{name}_sum_{unit.lower()}", unit, f"sum of {name}", standard),
            _count(f"{name}_samples", f"values in the sum of {name}"),
        )
    ),
    _count("rsrp_weak", "RSRP below -110 dBm"),
    _word("cell", "cell identity as the modem gives it"),
    _word("tracking_area", "tracking or location area"),
    _word("plmn", "network code of the serving operator"),
    _word("registration", "home, roaming, searching, denied, none"),
    _whole("roaming", "0/1", "registered in a foreign network"),
    _word("band", "band or channel, where the modem gives it"),
    _word("reader", "what read the modem: mmcli or at"),
)
_HOST = (
    _number("cpu_share", "ratio", "of all cores, since the reading before"),
    _number("load_1m", "1", "run queue, one minute"),
    _number("memory_available_bytes", "B", "memory free for use"),
    _number("memory_used_share", "ratio", "memory in use"),
    _number("disk_free_bytes", "B", "free where the journal lives"),
    _number("temperature_c", "°C", "hottest sensor of the processor"),
    _whole("throttled", "0/1", "the processor is being slowed"),
    _whole("undervoltage", "0/1", "the supply is too weak"),
    _whole("on_battery", "0/1", "no mains power"),
    _number("battery_share", "ratio", "charge left"),
    _number("uptime_s", "s", "since boot"),
    _number("agent_memory_bytes", "B", "resident memory of the agent"),
    _number("agent_cpu_share", "ratio", "of one core, since the reading before"),
)
_AGENT = (
    _count("beats", "heartbeats: one a minute, in every phase"),
    _word("version", "version of the agent"),
    _word("config_hash", "SHA-256 of the configuration in force, 12 digits"),
    _word("calendar_hash", "SHA-256 of the election calendar, 12 digits"),
    _number("uptime_s", "s", "since the agent started"),
    _whole("backlog_points", "1", "points not yet acknowledged"),
    _number("oldest_unsent_s", "s", "age of the oldest of them"),
    _whole("pending_points", "1", "points waiting for a trusted clock"),
    _whole("quarantined_points", "1", "points the collector refused"),
    _whole("journal_bytes", "B", "size of the journal on disk"),
    _whole("in_memory", "0/1", "no folder could be written: nothing survives a stop"),
    _number("disk_free_bytes", "B", "free where the journal lives"),
    _whole("allowance_left_bytes", "B", "least month's allowance left on any link"),
    _number("allowance_left_share", "ratio", "the same, of its whole"),
    _whole("allowance_day_left_bytes", "B", "least day's allowance left on any link"),
    _number("clock_offset_ms", "ms", "wall clock less the collector's Date header"),
    _number("boot_s", "s", "since the device booted"),
    _count("due", "slots due since the heartbeat before"),
    _count("ok", "of them measured"),
    _count("failed", "of them failed"),
    _count("skipped", "of them skipped"),
    _count("stored", "points committed since the heartbeat before"),
    _count("acked_le_2m", "points acknowledged, at most 2 minutes old"),
    _count("acked_le_1h", "points acknowledged, 2 minutes to 1 hour old"),
    _count("acked_le_1d", "points acknowledged, 1 hour to 1 day old"),
    _count("acked_older", "points acknowledged, older than a day"),
    _count("evicted", "undelivered points removed for want of room"),
    _count("uplink_bytes", "bytes the uplink moved, both ways, on the wire", unit="B"),
    _count("uplink_failures", "deliveries that failed"),
)
_VERDICT = (
    _count("good", "judged good"),
    _count("degraded", "judged degraded"),
    _count("bad", "judged bad"),
    _count("unknown", "too few samples to judge"),
    _word("class", "good, degraded, bad or unknown"),
    _word("kpi", "the figure that decided"),
    _word("layer", "the layer it was measured in"),
    _word("side", "access or destination"),
    _number("value", "of the kpi", "what was measured"),
    _number("threshold", "of the kpi", "what it was held against"),
    _word("threshold_source", "where the threshold comes from, or baseline"),
    _count("available", "seconds available, of this cycle", "ITU-T Y.1540", "s"),
    _count("unavailable", "seconds unavailable, of this cycle", "ITU-T Y.1540", "s"),
    _number("since_s", "s", "time in this class"),
)
_EVENT = (
    _count("count", "1 for each event"),
    _word("detail", "what happened, in words"),
    _word("before", "the state before"),
    _word("after", "the state after"),
    _number("amount", "of the kind", "its size: a step in ms, a span in s, a number"),
    _whole("first_seq", "1", "first point concerned"),
    _whole("last_seq", "1", "last point concerned"),
)
_INCIDENT = (
    _count("opened", "1 when an incident opens"),
    _count("closed", "1 when it closes"),
    _word("incident", "its name: device, link and start"),
    _word("cause", "the cause of the first failure"),
    _word("sign_1", "the first sign"),
    _word("sign_2", "the second sign, independent of the first"),
    _word("side", "access or destination"),
    _whole("start_ns", "ns", "when it began, nanoseconds since 1970"),
    _number("lasted_s", "s", "how long it has lasted"),
)
_SEAL = (
    _whole("size", "1", "leaves under the root", "RFC 6962"),
    _word("root", "Merkle tree hash, hexadecimal"),
    _word("signature", "Ed25519 over journal, size and root, hexadecimal"),
    _word("key", "fingerprint of the signing key"),
)
_CLASSES = ("good", "degraded", "bad", "unknown")
_CENSUS = (
    _count("expected", "stations that should report"),
    _count("reporting", "stations heard within the late limit"),
    _count("late", "stations heard, but later than the late limit"),
    _count("silent", "stations not heard within the silent limit"),
    _count("never", "stations never heard, counted in silent too"),
    _count("maintenance", "stations under planned maintenance, still expected"),
    _count("acknowledged", "stations whose trouble someone has taken on"),
    _count("mismatched", "stations reporting from another area than registered"),
    *(
        _count(f"stations_{name}", f"stations whose worst link is {name}")
        for name in _CLASSES
    ),
    *(_count(f"links_{name}", f"links judged {name}") for name in _CLASSES),
    _whole("voting", "0/1", "the voting window is open in this zone"),
    _number("age_s", "s", "age of the newest point of the area"),
    _count("unlisted", "exceptions of the area that are not named as `station` points"),
)
_STATION = (
    _whole("silent", "0/1", "not heard within the silent limit"),
    _whole("never", "0/1", "never heard"),
    _whole("class_level", "1", "0 good, 1 degraded, 2 bad, 3 silent"),
    _number("age_s", "s", "since it was last heard"),
    _number("since_s", "s", "since it has been in this state"),
    _word("class", "degraded, bad or silent"),
    _word("kpi", "the figure that decided"),
    _word("side", "access or destination"),
    _word("name", "name of the station"),
    _word("contact", "the person on site"),
    _word("ticket", "the operator's ticket address"),
    _whole("maintenance", "0/1", "planned maintenance"),
    _whole("acknowledged", "0/1", "someone has taken it on"),
    _number("latitude", "°", "for the map"),
    _number("longitude", "°", "for the map"),
)
_AREA = ("province", "regency", "operator")


def _task(
    name: str, meaning: str, tags: tuple[str, ...], fields: tuple[Field, ...]
) -> Measurement:
    return Measurement(name, meaning, tags, (*_EVERY_POINT, *_EVERY_TASK, *fields))


def _record(
    name: str, meaning: str, tags: tuple[str, ...], fields: tuple[Field, ...]
) -> Measurement:
    return Measurement(name, meaning, tags, (*_EVERY_POINT, *fields))


MEASUREMENTS: dict[str, Measurement] = {
    measurement.name: measurement
    for measurement in (
        _task("latency", "one train of probes to a target",
              (*_LINK, "target", "layer"), _LATENCY),
        _task("throughput", "one direction of a throughput test",
              (*_LINK, "backend", "direction"), _THROUGHPUT),
        _task("web", "a page loaded, or a form bundle uploaded",
              (*_LINK, "target", "layer"), _WEB),
        _task("signal", "the radio, as the modem sees it",
              (*_LINK, "technology"), _SIGNAL),
        _task("host", "was the instrument fit to measure", _PLACE, _HOST),
        _record("agent", "heartbeat, every 60 s in every phase", _PLACE, _AGENT),
        _record("verdict", "judgement of a link in a cycle", _LINK, _VERDICT),
        _record("event", "something that happened to the agent",
                (*_PLACE, "kind"), _EVENT),
        _record("incident", "an outage opened or closed", _LINK, _INCIDENT),
        _record("seal", "signed root of the evidence tree", _PLACE, _SEAL),
        Measurement("census", "who should report and who does, each minute",
                    (*_AREA, "zone"), _CENSUS, "noc"),
        Measurement("station", "the exceptions by name: silent, bad, degraded",
                    (*_AREA, "station"), _STATION, "noc"),
    )
}  # fmt: skip
