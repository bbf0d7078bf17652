"""The measurements that agents write, with the fields of those that measure."""

from __future__ import annotations

from qos_agent.model.schema.records import EVERY_POINT, LINK, PLACE, RECORDS
from qos_agent.model.schema.table import (
    Field,
    Measurement,
    count,
    number,
    text,
    total,
    whole,
)

# Histogram bounds never change, so that sums over years keep one meaning.
RTT_BOUNDS_MS = (5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000, 2000, 3000)
PDV_BOUNDS_MS = (1, 2, 5, 10, 20, 30, 50, 100, 200, 500)
RATE_BOUNDS_MBPS = (1, 2, 5, 10, 20, 50, 100)
PAGE_BOUNDS_MS = (250, 500, 1000, 2000, 4000, 8000, 15000)
UPLOAD_BOUNDS_S = (2, 5, 10, 20, 30, 60, 120)

_EVERY_TASK = (
    count("slots", "Due slots that this reading stands for", "RFC 7594"),
    count("ok", "Slots that were measured"),
    count("failed", "Slots whose measurement failed, with a cause"),
    count("skipped", "Slots that were not measured, with a reason"),
    text("cause", "Cause of a failure; one of the closed list of causes"),
    text("reason", "Reason for skipping; one of the closed list of reasons"),
    text("detail", "Message of the system or server that reported the failure"),
    number("late_ms", "ms", "Delay of the start after the due time"),
    number("duration_ms", "ms", "Duration of the task"),
    number("span_s", "s", "Time that the skipped slots cover"),
    count(
        "data_bytes",
        "Data on the wire on the link, received and sent",
        unit="B",
    ),
)
_RESOLVE_OUTSIDE = count(
    "resolve_outside",
    "1 if a forwarder on the device resolved the name, outside the link",
)
_RESOLUTION = (
    text("address", "Address that was measured, as resolved for this task"),
    number("resolve_ms", "ms", "Time to resolve the name"),
    count(
        "resolve_failed",
        "1 if the name did not resolve and the last good address was used",
    ),
    _RESOLVE_OUTSIDE,
    whole("ip_version", "1", "IP version: 4 or 6"),
)

# An ICMP echo and a handshake take different ways through servers and networks, so no
# sum has both.
_TCP_HANDSHAKES = (
    count("tcp_sent", "TCP handshakes started", "RFC 9293"),
    count("tcp_received", "Handshakes completed within 3 s by the first SYN"),
    count("tcp_lost", "`tcp_sent` minus `tcp_received`"),
    count("tcp_unsent", "Lost handshakes that could not leave"),
    count("tcp_rtt_sum_us", "Sum of the handshake times", unit="us"),
    number("tcp_rtt_min_ms", "ms", "Minimum handshake time"),
    number("tcp_rtt_p50_ms", "ms", "Median handshake time"),
    number("tcp_rtt_p95_ms", "ms", "95th percentile of the handshake time"),
    number("tcp_rtt_max_ms", "ms", "Maximum handshake time"),
)
_LATENCY = (
    count("sent", "Packets sent, including those in `unsent`", "RFC 7680"),
    count("received", "Responses within Tmax = 3 s, without duplicates", "RFC 7680"),
    count("lost", "`sent` minus `received`", "RFC 7680"),
    count(
        "unsent",
        "Lost packets that could not leave: no route, no link or no resolved name",
    ),
    count("duplicates", "Further responses to a packet", "RFC 5560"),
    count("late", "Responses after Tmax, counted as lost", "RFC 7680"),
    count("lost_forward", "Packets lost towards the target (STAMP only)", "RFC 8762"),
    count(
        "lost_backward", "Responses lost on the return path (STAMP only)", "RFC 8762"
    ),
    count("icmp_errors", "ICMP errors received for a packet", "RFC 792"),
    count("rtt_sum_us", "Sum of the round-trip times", "RFC 2681", "us"),
    number("rtt_min_ms", "ms", "Minimum round-trip time", "RFC 2681"),
    number("rtt_mean_ms", "ms", "Mean round-trip time of the train", "RFC 2681"),
    number("rtt_p50_ms", "ms", "Median round-trip time", "RFC 2681"),
    number("rtt_p95_ms", "ms", "95th percentile of the round-trip time", "RFC 2681"),
    number("rtt_max_ms", "ms", "Maximum round-trip time", "RFC 2681"),
    number("pdv_p95_ms", "ms", "Delay variation: p95 minus minimum", "RFC 5481"),
    number("loss_low", "ratio", "Lower end of Wilson's 95 % interval of the loss"),
    number("loss_high", "ratio", "Upper end of Wilson's 95 % interval of the loss"),
    whole("loss_burst_max", "1", "Longest run of lost packets", "RFC 3357"),
    number("loss_lag1", "ratio", "Lag-1 autocorrelation of the loss", "RFC 3357"),
    text("method", "Protocol: icmp, stamp or tcp (only `tcp_*` fields have figures)"),
    text("stamps", "Source of the timestamps at both ends: kernel or user"),
    number("wake_ms", "ms", "Round-trip time of the exchange that woke the radio"),
    *_TCP_HANDSHAKES,
    *_RESOLUTION,
    *(
        count(f"rtt_le_{bound}", f"Round trips of at most {bound} ms", "RFC 2681")
        for bound in RTT_BOUNDS_MS
    ),
    *(
        count(f"pdv_le_{bound}", f"Round trips at most {bound} ms above the minimum")
        for bound in PDV_BOUNDS_MS
    ),
)
_THROUGHPUT = (
    count("tests", "Tests that gave a rate"),
    total("rate_bps", "bit/s", "Rate at `rate_layer`; divide sums by `tests`"),
    number(
        "rate_low_bps",
        "bit/s",
        "Lower end of the 95 % interval of the link's mean rate from 30 s before to"
        " 30 s after the test",
    ),
    number(
        "rate_high_bps",
        "bit/s",
        "Upper end of the 95 % interval of the link's mean rate from 30 s before to"
        " 30 s after the test",
    ),
    count("interval_tests", "Tests whose rate has an interval; 0 labels one without"),
    text(
        "stop",
        "Reason of the end: precision, variation, bytes, time, stall or complete",
    ),
    number(
        "ramp_ms",
        "ms",
        "Start-up time that is excluded from the rate, from the first data on",
    ),
    whole("measured_bytes", "B", "Data that the rate is based on, at `rate_layer`"),
    whole("measured_us", "us", "Time that the rate is based on"),
    whole(
        "measured_start_us",
        "us",
        "Time from the point to the start of the span that the rate is based on",
    ),
    text("rate_layer", "Layer of the rate: tcp_payload, ip or application"),
    whole("connections", "1", "Parallel TCP connections"),
    text("congestion_control", "Congestion control of the sender, if known"),
    count("loaded_sent", "Packets sent while the link was loaded"),
    count("loaded_received", "Responses to the packets sent under load"),
    count("loaded_rtt_sum_us", "Sum of the round-trip times under load", unit="us"),
    number("loaded_rtt_p50_ms", "ms", "Median round-trip time under load"),
    number(
        "loaded_rtt_p95_ms", "ms", "95th percentile of the round-trip time under load"
    ),
    number("cpu_share", "ratio", "Share of one core that the test used"),
    whole("cross_bytes", "B", "Other traffic on the interface during the test"),
    count("cross_flagged", "1 if other traffic was above the limit (doubtful rate)"),
    text("server", "Configured name of the server"),
    _RESOLVE_OUTSIDE,
    whole("fallback", "1", "Backends that failed before this one"),
    *(
        count(f"rate_ge_{bound}", f"Tests of at least {bound} Mbit/s")
        for bound in RATE_BOUNDS_MBPS
    ),
)
_WEB = (
    count("pages", "Pages loaded"),
    total("page_sum_ms", "ms", "Sum of the page load times"),
    number("dns_ms", "ms", "Time to resolve the name"),
    number("connect_ms", "ms", "Time to establish the TCP connection"),
    number("tls_ms", "ms", "Time of the TLS handshake"),
    number("first_byte_ms", "ms", "Time from the request to the first byte"),
    number("total_ms", "ms", "Total time to the last byte"),
    whole("status", "1", "HTTP status"),
    whole("body_bytes", "B", "Length of the body"),
    count("forms", "1 if a form bundle was to be uploaded, also if that failed"),
    count("uploads", "Form bundles uploaded and acknowledged"),
    total("upload_sum_ms", "ms", "Sum of the upload times"),
    number("upload_ms", "ms", "Time to upload the form bundle"),
    whole("upload_bytes", "B", "Size of the form bundle"),
    *(
        count(f"http_{digit}xx", f"Responses of status class {digit}xx")
        for digit in ("2", "3", "4", "5")
    ),
    *(
        count(f"page_le_{bound}", f"Pages loaded within {bound} ms")
        for bound in PAGE_BOUNDS_MS
    ),
    *(
        count(f"upload_le_{bound}", f"Uploads within {bound} s")
        for bound in UPLOAD_BOUNDS_S
    ),
    *_RESOLUTION,
)
_SIGNAL = (
    *(
        field
        for name, unit, meaning, standard in (
            ("rsrp", "dBm", "Reference signal received power", "3GPP TS 36.214"),
            ("rsrq", "dB", "Reference signal received quality", "3GPP TS 36.214"),
            ("sinr", "dB", "Signal to interference and noise ratio", "3GPP TS 38.215"),
            ("rssi", "dBm", "Received signal strength indicator", "3GPP TS 36.214"),
        )
        for field in (
            number(f"{name}_{unit.lower()}", unit, meaning, standard),
            total(
                f"{name}_sum_{unit.lower()}",
                unit,
                f"Sum of the {name.upper()} values",
                standard,
            ),
            count(f"{name}_samples", f"Number of values in the sum of {name.upper()}"),
        )
    ),
    count("rsrp_weak", "1 if the RSRP is below -110 dBm"),
    text("cell", "Cell identity as the modem reports it"),
    text("tracking_area", "Tracking area or location area"),
    text("plmn", "Network code (PLMN) of the serving operator"),
    text("registration", "Registration: home, roaming, searching, denied or none"),
    whole("roaming", "0/1", "1 if registered in a foreign network"),
    text("band", "Band of the serving cell (B3, n78), or its channel (arfcn620640)"),
    text("reader", "Interface to the modem: mmcli or at"),
)
_HOST = (
    number("cpu_share", "ratio", "CPU use of all cores since the previous reading"),
    number("load_1m", "1", "Load average of one minute"),
    number("memory_available_bytes", "B", "Available memory"),
    number("memory_used_share", "ratio", "Share of memory in use"),
    number("disk_free_bytes", "B", "Free space on the disk of the journal"),
    number("temperature_c", "°C", "Temperature of the hottest processor sensor"),
    whole("throttled", "0/1", "1 if the processor is throttled"),
    whole("undervoltage", "0/1", "1 if the supply voltage is too low"),
    whole("on_battery", "0/1", "1 if there is no mains power"),
    number("battery_share", "ratio", "Remaining charge of the battery"),
    number("uptime_s", "s", "Time since boot"),
    number("agent_memory_bytes", "B", "Resident memory of the agent"),
    number(
        "agent_cpu_share", "ratio", "Share of one core used since the previous reading"
    ),
)


def _task(
    name: str, meaning: str, tags: tuple[str, ...], fields: tuple[Field, ...]
) -> Measurement:
    return Measurement(name, meaning, tags, (*EVERY_POINT, *_EVERY_TASK, *fields))


_TARGET = (*LINK, "target", "layer")

AGENT_MEASUREMENTS = (
    _task("latency", "One train of packets to a target.", _TARGET, _LATENCY),
    _task(
        "throughput",
        "One direction of a throughput test.",
        (*LINK, "backend", "direction"),
        _THROUGHPUT,
    ),
    _task("web", "One page load or one upload of a form bundle.", _TARGET, _WEB),
    _task("signal", "The radio of the modem.", (*LINK, "technology"), _SIGNAL),
    _task("host", "The condition of the device while it measures.", PLACE, _HOST),
    *RECORDS,
)
