"""Records of an agent about itself and its links: heartbeat, verdicts and events.

These are not tasks: no slot is due for them.
"""

from __future__ import annotations

from qos_agent.model.schema.table import Field, Measurement, count, number, text, whole

PLACE = ("station", "province", "regency", "phase")
LINK = (*PLACE, "link", "operator")

EVERY_POINT = (
    whole("seq", "1", "Number of the point in its journal, without gaps"),
    text("device", "Name of the device that measured"),
    text("journal", "Random name of the journal file that numbered the point"),
    whole("schema", "1", "Version of this table"),
    whole("clock_synced", "0/1", "1 if the kernel reported its clock as synchronised"),
    number("clock_error_ms", "ms", "Maximum error of the clock, as the kernel reports"),
    count("clock_held", "1 if stamped by an untrusted clock after the hold time"),
)
_AGENT = (
    count("beats", "Heartbeats: one a minute, in every phase"),
    text("version", "Version of the agent"),
    text("config_hash", "SHA-256 of the configuration in force, 12 digits"),
    whole(
        "remote_version",
        "1",
        "Version whose content is in force, of the remote configuration; 0 for none",
    ),
    text("remote_hash", "SHA-256 of that content, 12 digits"),
    whole("remote_seen", "1", "Newest version that the device has accepted"),
    number(
        "remote_checked_s", "s", "Time since the last check that reached the centre"
    ),
    count("remote_refused", "Refused remote configurations"),
    count("remote_expired", "1 if the newest accepted version has expired"),
    text("calendar_hash", "SHA-256 of the election calendar, 12 digits"),
    number("uptime_s", "s", "Time since the agent started"),
    count(
        "backlog_points", "Points that are not yet acknowledged; divide sums by `beats`"
    ),
    number("oldest_unsent_s", "s", "Age of the oldest unacknowledged point"),
    whole("pending_points", "1", "Points that wait for a trusted clock"),
    count("quarantined_points", "Points rejected so far; divide sums by `beats`"),
    whole("journal_bytes", "B", "Size of the journal on disk"),
    whole("in_memory", "0/1", "1 if no folder is writable; a restart loses the points"),
    number("disk_free_bytes", "B", "Free space on the disk of the journal"),
    whole(
        "allowance_left_bytes",
        "B",
        "Monthly allowance left on the link with the lowest amount",
    ),
    number(
        "allowance_left_share",
        "ratio",
        "Share of the monthly allowance left on the link with the lowest share",
    ),
    whole(
        "allowance_day_left_bytes",
        "B",
        "Daily allowance left on the link with the lowest amount",
    ),
    number("clock_offset_ms", "ms", "Wall clock minus the collector's Date header"),
    count(
        "clock_poor", "1 if the clock is not trusted or its error is greater than 1 s"
    ),
    count(
        "allowance_low", "1 if a link has less than 10 % of its monthly allowance left"
    ),
    count("unsent_old", "1 if the oldest unacknowledged point is older than an hour"),
    number("boot_s", "s", "Time since the device booted"),
    count("due", "Slots due since the previous heartbeat"),
    count("ok", "Due slots that were measured"),
    count("failed", "Due slots that failed"),
    count("skipped", "Due slots that were skipped"),
    count("stored", "Points committed since the previous heartbeat"),
    number("delivery_s", "s", "Maximum time until the next delivery"),
    count(
        "acked_le_2m",
        "Points acknowledged at most 2 minutes after they were due for delivery",
    ),
    count("acked_le_1h", "Points acknowledged at an age of 2 minutes to 1 hour"),
    count("acked_le_1d", "Points acknowledged at an age of 1 hour to 1 day"),
    count("acked_older", "Points acknowledged at an age of more than a day"),
    count("evicted", "Undelivered points removed to free space"),
    count(
        "uplink_bytes",
        "Data of the uplink on the wire, received and sent",
        unit="B",
    ),
    count("uplink_failures", "Deliveries that failed"),
    whole(
        "collector_full",
        "0/1",
        "1 if the collector refuses points because of a limit of its capacity",
    ),
    whole(
        "collector_insecure",
        "0/1",
        "1 if the token is sent over plain HTTP, as `collector.insecure` allows",
    ),
)
_VERDICT = (
    count("good", "1 if the verdict is good"),
    count("degraded", "1 if the verdict is degraded"),
    count("bad", "1 if the verdict is bad"),
    count("unknown", "1 if there are too few samples for a verdict"),
    text("class", "Verdict: good, degraded, bad or unknown"),
    text("kpi", "KPI that decided the verdict"),
    text("layer", "Layer in which the KPI was measured"),
    text("side", "Side of the fault: access or destination"),
    number("value", "of the kpi", "Measured value of the KPI"),
    number("threshold", "of the kpi", "Threshold that the value is compared with"),
    text("threshold_source", "Source of the threshold, or baseline"),
    count("available", "Available seconds of this cycle", "ITU-T Y.1540", "s"),
    count("unavailable", "Unavailable seconds of this cycle", "ITU-T Y.1540", "s"),
    number("since_s", "s", "Time since the verdict changed"),
)
_EVENT = (
    count("count", "1 for each event"),
    text("detail", "Description of the event"),
    text("before", "State before the event"),
    text("after", "State after the event"),
    number(
        "amount",
        "of the kind",
        "Size of the event: step in ms, span in s, or count",
    ),
    whole("first_seq", "1", "First point that the event concerns"),
    whole("last_seq", "1", "Last point that the event concerns"),
)
_INCIDENT = (
    count("opened", "1 if the incident opens"),
    count("closed", "1 if the incident closes"),
    text("incident", "Name of the incident: device, link and start"),
    text("cause", "Cause of the first failure"),
    text("sign_1", "First sign of the outage"),
    text("sign_2", "Second sign, independent of the first"),
    text("side", "Side of the fault: access or destination"),
    whole("start_ns", "ns", "Start of the incident, nanoseconds since 1970"),
    number("lasted_s", "s", "Duration of the incident so far"),
)
_SEAL = (
    whole("size", "1", "Number of leaves of the tree", "RFC 6962"),
    text("root", "Merkle tree hash, hexadecimal"),
    text("signature", "Ed25519 signature of the checkpoint, hexadecimal (RFC 8032)"),
    text("key", "Fingerprint of the signing key"),
    text("origin", "Origin line of the checkpoint: device and journal"),
    text("note", "The signed note, base64 (C2SP signed-note)"),
    text("cause", "Reason of the seal: start, stop, phase, interval or handover"),
    whole("previous", "1", "Size of the tree in the seal before"),
    text("proof", "Consistency proof from the seal before, base64 (RFC 9162)"),
    text("handover", "Reason of a hand-over to this journal or key"),
)


def _record(
    name: str, meaning: str, tags: tuple[str, ...], fields: tuple[Field, ...]
) -> Measurement:
    return Measurement(name, meaning, tags, (*EVERY_POINT, *fields))


RECORDS = (
    _record("agent", "Heartbeat, every 60 s in every phase.", PLACE, _AGENT),
    _record("verdict", "Verdict on a link in one cycle.", LINK, _VERDICT),
    _record("event", "An event of the agent.", (*PLACE, "kind"), _EVENT),
    _record("incident", "Opening or closing of an outage.", LINK, _INCIDENT),
    _record("seal", "Signed root of the evidence tree.", PLACE, _SEAL),
)
