"""The measurements that agents write."""

from __future__ import annotations

from qos_agent.model.schema.table import (
    Field,
    Measurement,
    count,
    number,
    total,
    whole,
    word,
)

# Histogram bounds are fixed for ever: sums over years must mean one thing.
RTT_BOUNDS_MS = (5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000, 2000, 3000)
PDV_BOUNDS_MS = (1, 2, 5, 10, 20, 30, 50, 100, 200, 500)
RATE_BOUNDS_MBPS = (1, 2, 5, 10, 20, 50, 100)
PAGE_BOUNDS_MS = (250, 500, 1000, 2000, 4000, 8000, 15000)
UPLOAD_BOUNDS_S = (2, 5, 10, 20, 30, 60, 120)

_PLACE = ("station", "province", "regency", "phase")
_LINK = (*_PLACE, "link", "operator")

_EVERY_POINT = (
    whole("seq", "1", "number of the point in its journal, without gaps"),
    word("device", "the device that measured"),
    word("journal", "random name of the journal file that numbered the point"),
    whole("schema", "1", "version of this table"),
    whole("clock_synced", "0/1", "the kernel called its clock synchronised"),
    number("clock_error_ms", "ms", "the kernel's bound on its clock's error"),
    count("clock_held", "stamped after the hold time, on an untrusted clock"),
)
_EVERY_TASK = (
    count("slots", "due slots this reading stands for", "RFC 7594"),
    count("ok", "slots measured"),
    count("failed", "slots whose measurement failed, with a cause"),
    count("skipped", "slots not measured, with a reason"),
    word("cause", "why it failed; one of the closed list of causes"),
    word("reason", "why it was skipped; one of the closed list of reasons"),
    word("detail", "the words of whoever refused"),
    number("late_ms", "ms", "start after the due moment"),
    number("duration_ms", "ms", "length of the task"),
    number("span_s", "s", "time covered by the skipped slots"),
    count("data_bytes", "moved on the link, both ways, on the wire", unit="B"),
)
_RESOLUTION = (
    word("address", "the address measured, as resolved for this task"),
    number("resolve_ms", "ms", "time the name took to resolve"),
    count("resolve_failed", "the name did not resolve; last good address used"),
    whole("ip_version", "1", "4 or 6"),
)

_LATENCY = (
    count("sent", "probes sent, and those in `unsent`", "RFC 7680"),
    count("received", "answers within Tmax = 3 s, duplicates not counted", "RFC 7680"),
    count("lost", "sent less received", "RFC 7680"),
    count("unsent", "of the lost, those that no route, link or name let leave"),
    count("duplicates", "further answers to an answered probe", "RFC 5560"),
    count("late", "answers after Tmax, counted as lost", "RFC 7680"),
    count("lost_forward", "lost on the way out (STAMP only)", "RFC 8762"),
    count("lost_backward", "lost on the way back (STAMP only)", "RFC 8762"),
    count("icmp_errors", "ICMP errors that answered a probe", "RFC 792"),
    count("rtt_sum_us", "sum of round trips", "RFC 2681", "us"),
    number("rtt_min_ms", "ms", "least round trip", "RFC 2681"),
    number("rtt_mean_ms", "ms", "mean round trip of the train", "RFC 2681"),
    number("rtt_p50_ms", "ms", "median round trip", "RFC 2681"),
    number("rtt_p95_ms", "ms", "95th percentile of the round trip", "RFC 2681"),
    number("rtt_max_ms", "ms", "greatest round trip", "RFC 2681"),
    number("pdv_p95_ms", "ms", "delay variation, p95 - min", "RFC 5481"),
    number("loss_low", "ratio", "lower end of Wilson's 95 % interval of loss"),
    number("loss_high", "ratio", "upper end of Wilson's 95 % interval of loss"),
    whole("loss_burst_max", "1", "longest run of lost probes", "RFC 3357"),
    number("loss_lag1", "ratio", "lag-1 autocorrelation of loss", "RFC 3357"),
    word("method", "icmp or stamp"),
    word("stamps", "kernel (both ends of the trip) or user"),
    number("wake_ms", "ms", "round trip of the exchange that woke the radio"),
    *_RESOLUTION,
    *(
        count(f"rtt_le_{bound}", f"round trips of at most {bound} ms", "RFC 2681")
        for bound in RTT_BOUNDS_MS
    ),
    *(
        count(f"pdv_le_{bound}", f"delays at most {bound} ms over the least")
        for bound in PDV_BOUNDS_MS
    ),
)
_THROUGHPUT = (
    count("tests", "tests that gave a rate"),
    total("rate_bps", "bit/s", "rate at `rate_layer`; sums go with `tests`"),
    number("rate_low_bps", "bit/s", "lower end of the 95 % interval within the test"),
    number("rate_high_bps", "bit/s", "upper end of the 95 % interval"),
    word("stop", "why the test ended: precision, bytes, time, stall, complete"),
    number("ramp_ms", "ms", "start-up left out of the rate"),
    whole("measured_bytes", "B", "bytes the rate rests on, at `rate_layer`"),
    whole("measured_us", "us", "time the rate rests on"),
    word("rate_layer", "tcp_payload, ip or application"),
    whole("connections", "1", "parallel TCP connections"),
    word("congestion_control", "the sender's congestion control, where known"),
    count("loaded_sent", "probes sent while the link was loaded"),
    count("loaded_received", "answers to them"),
    count("loaded_rtt_sum_us", "sum of round trips under load", unit="us"),
    number("loaded_rtt_p50_ms", "ms", "median round trip under load"),
    number("loaded_rtt_p95_ms", "ms", "95th percentile of the round trip under load"),
    number("cpu_share", "ratio", "of one core, used by the test"),
    whole("cross_bytes", "B", "other traffic on the interface during the test"),
    count("cross_flagged", "other traffic above the limit: the rate is doubtful"),
    word("server", "the configured name of the server"),
    whole("fallback", "1", "backends that failed before this one"),
    *(
        count(f"rate_ge_{bound}", f"tests of at least {bound} Mbit/s")
        for bound in RATE_BOUNDS_MBPS
    ),
)
_WEB = (
    count("pages", "pages loaded"),
    total("page_sum_ms", "ms", "sum of page load times"),
    number("dns_ms", "ms", "name resolved"),
    number("connect_ms", "ms", "TCP connected"),
    number("tls_ms", "ms", "TLS agreed"),
    number("first_byte_ms", "ms", "request sent to first byte"),
    number("total_ms", "ms", "all of it, to the last byte"),
    whole("status", "1", "HTTP status"),
    whole("body_bytes", "B", "length of the body"),
    count("uploads", "form bundles uploaded and acknowledged"),
    total("upload_sum_ms", "ms", "sum of upload times"),
    number("upload_ms", "ms", "time to upload the form bundle"),
    whole("upload_bytes", "B", "size of the form bundle"),
    *(
        count(f"http_{digit}xx", f"answers of class {digit}")
        for digit in ("2", "3", "4", "5")
    ),
    *(
        count(f"page_le_{bound}", f"pages within {bound} ms")
        for bound in PAGE_BOUNDS_MS
    ),
    *(
        count(f"upload_le_{bound}", f"uploads within {bound} s")
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
            number(f"{name}_{unit.lower()}", unit, meaning, standard),
            total(f"{name}_sum_{unit.lower()}", unit, f"sum of {name}", standard),
            count(f"{name}_samples", f"values in the sum of {name}"),
        )
    ),
    count("rsrp_weak", "RSRP below -110 dBm"),
    word("cell", "cell identity as the modem gives it"),
    word("tracking_area", "tracking or location area"),
    word("plmn", "network code of the serving operator"),
    word("registration", "home, roaming, searching, denied, none"),
    whole("roaming", "0/1", "registered in a foreign network"),
    word("band", "band of the serving cell (B3, n78), or its channel (arfcn620640)"),
    word("reader", "what read the modem: mmcli or at"),
)
_HOST = (
    number("cpu_share", "ratio", "of all cores, since the reading before"),
    number("load_1m", "1", "run queue, one minute"),
    number("memory_available_bytes", "B", "memory free for use"),
    number("memory_used_share", "ratio", "memory in use"),
    number("disk_free_bytes", "B", "free where the journal lives"),
    number("temperature_c", "°C", "hottest sensor of the processor"),
    whole("throttled", "0/1", "the processor is being slowed"),
    whole("undervoltage", "0/1", "the supply is too weak"),
    whole("on_battery", "0/1", "no mains power"),
    number("battery_share", "ratio", "charge left"),
    number("uptime_s", "s", "since boot"),
    number("agent_memory_bytes", "B", "resident memory of the agent"),
    number("agent_cpu_share", "ratio", "of one core, since the reading before"),
)
_AGENT = (
    count("beats", "heartbeats: one a minute, in every phase"),
    word("version", "version of the agent"),
    word("config_hash", "SHA-256 of the configuration in force, 12 digits"),
    word("calendar_hash", "SHA-256 of the election calendar, 12 digits"),
    number("uptime_s", "s", "since the agent started"),
    count("backlog_points", "points not yet acknowledged; sums go with `beats`"),
    number("oldest_unsent_s", "s", "age of the oldest of them"),
    whole("pending_points", "1", "points waiting for a trusted clock"),
    count("quarantined_points", "points refused so far; sums go with `beats`"),
    whole("journal_bytes", "B", "size of the journal on disk"),
    whole("in_memory", "0/1", "no folder could be written: nothing survives a stop"),
    number("disk_free_bytes", "B", "free where the journal lives"),
    whole("allowance_left_bytes", "B", "least month's allowance left on any link"),
    number("allowance_left_share", "ratio", "the same, of its whole"),
    whole("allowance_day_left_bytes", "B", "least day's allowance left on any link"),
    number("clock_offset_ms", "ms", "wall clock less the collector's Date header"),
    count("clock_poor", "0/1: the clock is not trusted, or its error over 1 s"),
    count("allowance_low", "0/1: under 10 % of the month's allowance left on a link"),
    count("unsent_old", "0/1: the oldest unsent point is older than an hour"),
    number("boot_s", "s", "since the device booted"),
    count("due", "slots due since the heartbeat before"),
    count("ok", "of them measured"),
    count("failed", "of them failed"),
    count("skipped", "of them skipped"),
    count("stored", "points committed since the heartbeat before"),
    count("acked_le_2m", "points acknowledged, at most 2 minutes old"),
    count("acked_le_1h", "points acknowledged, 2 minutes to 1 hour old"),
    count("acked_le_1d", "points acknowledged, 1 hour to 1 day old"),
    count("acked_older", "points acknowledged, older than a day"),
    count("evicted", "undelivered points removed for want of room"),
    count("uplink_bytes", "bytes the uplink moved, both ways, on the wire", unit="B"),
    count("uplink_failures", "deliveries that failed"),
)
_VERDICT = (
    count("good", "judged good"),
    count("degraded", "judged degraded"),
    count("bad", "judged bad"),
    count("unknown", "too few samples to judge"),
    word("class", "good, degraded, bad or unknown"),
    word("kpi", "the figure that decided"),
    word("layer", "the layer it was measured in"),
    word("side", "access or destination"),
    number("value", "of the kpi", "what was measured"),
    number("threshold", "of the kpi", "what it was held against"),
    word("threshold_source", "where the threshold comes from, or baseline"),
    count("available", "seconds available, of this cycle", "ITU-T Y.1540", "s"),
    count("unavailable", "seconds unavailable, of this cycle", "ITU-T Y.1540", "s"),
    number("since_s", "s", "time in this class"),
)
_EVENT = (
    count("count", "1 for each event"),
    word("detail", "what happened, in words"),
    word("before", "the state before"),
    word("after", "the state after"),
    number("amount", "of the kind", "its size: a step in ms, a span in s, a number"),
    whole("first_seq", "1", "first point concerned"),
    whole("last_seq", "1", "last point concerned"),
)
_INCIDENT = (
    count("opened", "1 when an incident opens"),
    count("closed", "1 when it closes"),
    word("incident", "its name: device, link and start"),
    word("cause", "the cause of the first failure"),
    word("sign_1", "the first sign"),
    word("sign_2", "the second sign, independent of the first"),
    word("side", "access or destination"),
    whole("start_ns", "ns", "when it began, nanoseconds since 1970"),
    number("lasted_s", "s", "how long it has lasted"),
)
_SEAL = (
    whole("size", "1", "leaves under the root", "RFC 6962"),
    word("root", "Merkle tree hash, hexadecimal"),
    word("signature", "Ed25519 over journal, size and root, hexadecimal"),
    word("key", "fingerprint of the signing key"),
)


def _task(
    name: str, meaning: str, tags: tuple[str, ...], fields: tuple[Field, ...]
) -> Measurement:
    return Measurement(name, meaning, tags, (*_EVERY_POINT, *_EVERY_TASK, *fields))


def _record(
    name: str, meaning: str, tags: tuple[str, ...], fields: tuple[Field, ...]
) -> Measurement:
    return Measurement(name, meaning, tags, (*_EVERY_POINT, *fields))


AGENT_MEASUREMENTS = (
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
)  # fmt: skip
