"""The measurements that the operations centre writes."""

from __future__ import annotations

from qos_agent.model.schema.table import Measurement, count, number, text, total, whole

_CLASSES = ("good", "degraded", "bad", "unknown")
_CENSUS = (
    count("expected", "Stations that should report"),
    count("reporting", "Stations heard within the late limit"),
    count("late", "Stations heard, but later than the late limit"),
    count("silent", "Stations not heard within the silent limit"),
    count("never", "Stations never heard, also counted in `silent`"),
    count("maintenance", "Stations under planned maintenance, still expected"),
    count("acknowledged", "Stations with a problem that someone has acknowledged"),
    count("mismatched", "Stations that report from another area than registered"),
    count(
        "wrong_clock",
        "Stations that report with a wrong clock, also counted in `late` and "
        "`stations_unknown`",
    ),
    *(
        count(f"stations_{name}", f"Stations whose worst link is {name}")
        for name in _CLASSES
    ),
    *(count(f"links_{name}", f"Links with the verdict {name}") for name in _CLASSES),
    whole("voting", "0/1", "1 if the voting window is open in this zone"),
    number(
        "voting_share",
        "ratio",
        "Share of the voting window that has passed; absent before it",
    ),
    number("age_s", "s", "Age of the newest point of the area"),
    whole(
        "class_level",
        "1",
        "0 good, 1 degraded, 2 bad, 3 silent: the worst class that at least "
        "`census.area_share` of the stations, or of the links, have reached",
    ),
    number("since_s", "s", "Time since the area or its operator is in this class"),
    text("since_local", "Local time of its beginning with the zone, if not good"),
    text("label", "Name of the worst bad or silent regency of its province, for a map"),
    text("kpi", "KPI that decided the verdict of most links that are not good"),
    text("side", "Side of the fault on most of those links: access or destination"),
    text("ticket", "Ticket address of the operator for most stations of the area"),
    whole("operators_down", "1", "Operators that are `down` here (operator `all`)"),
    count(
        "down",
        "1 if at least `census.outage_share` of the operator's stations here are "
        "silent or have a bad link of the operator",
    ),
    count("down_alone", "1 if `down` while another operator here is not down"),
    number("latitude", "°", "Latitude of the regency on the map (operator `all`)"),
    number("longitude", "°", "Longitude of the regency on the map (operator `all`)"),
    count("unlisted", "Exceptions of the area without a `station` point of their own"),
)
_STATION = (
    whole("silent", "0/1", "1 if not heard within the silent limit"),
    whole("never", "0/1", "1 if never heard"),
    whole("class_level", "1", "0 good, 1 degraded, 2 bad, 3 silent"),
    number("age_s", "s", "Time since the station was last heard"),
    number("since_s", "s", "Time since the station is in this state"),
    text("since_local", "Local time of its beginning, such as 13:05 WIB"),
    text("class", "State: degraded, bad, silent, or clock for a wrong clock"),
    text("kpi", "KPI that decided the verdict, or clock"),
    number("clock_offset_s", "s", "Error of a wrong clock, negative if it is behind"),
    text("side", "Side of the fault: access or destination"),
    text("name", "Name of the station"),
    text("contact", "Contact on site"),
    text("ticket", "Ticket address of the operator"),
    whole("maintenance", "0/1", "1 if under planned maintenance"),
    whole("acknowledged", "0/1", "1 if someone has acknowledged the problem"),
    number("latitude", "°", "Latitude for the map"),
    number("longitude", "°", "Longitude for the map"),
)
# Sums over the phase `pre`, with the names of the fields that are summed.
_BASELINE = (
    number("span_s", "s", "Length of the period that the sums cover"),
    count("sent", "Packets sent to anchors", "RFC 7680"),
    count("lost", "Packets to anchors that were lost", "RFC 7680"),
    count("received", "Responses from anchors", "RFC 7680"),
    count("rtt_sum_us", "Sum of the round-trip times to anchors", "RFC 2681", "us"),
    count("tests", "Downloads that gave a rate"),
    total("rate_bps", "bit/s", "Sum of the download rates; divide by `tests`"),
    count("uploads", "Form bundles uploaded and acknowledged"),
    total("upload_sum_ms", "ms", "Sum of the upload times"),
    count("good", "Verdicts good"),
    count("degraded", "Verdicts degraded"),
    count("bad", "Verdicts bad"),
)
_CALENDAR = (
    text("title", "The phase that begins, in Indonesian and English"),
    text("text", "Zone and local time"),
    text("after", "The phase that begins"),
    whole("end_ms", "ms", "End of the phase, milliseconds since 1970"),
)
_PIPELINE = (
    number("census_s", "s", "Duration of the census over all collectors"),
    number("rollup_s", "s", "Duration of the newest roll-ups over all collectors"),
    number("behind_s", "s", "Age of the oldest minute without a roll-up"),
    whole(
        "failed",
        "0/1",
        "1 if the census or a roll-up of this minute, or remaining work, failed here",
    ),
    text("detail", "Error message, with the action to take"),
    number("keep_s", "s", "Retention of raw points; absent if unlimited or unknown"),
    count("points", "Points written in this minute for the collector's provinces"),
)
_PLATFORM = (
    whole("ok", "0/1", "1 if the part works, 0 if it needs someone"),
    number("age_s", "s", "Age of its newest result: a census, a backup"),
    number("left_s", "s", "Time until the certificate ends, negative afterwards"),
    number("used_share", "ratio", "Share of the disk in use"),
    whole("free_bytes", "B", "Free space on the disk"),
    number("response_ms", "ms", "Time until the part answered"),
    text("detail", "Problem, with the action to take"),
)
_TROUBLE = (
    whole(
        "open",
        "1",
        "1 while it lasts, 0 at its end, -1 if it goes on at another severity",
    ),
    whole(
        "notify",
        "1",
        "1 if the place is near or in its voting or counting, -1 if someone has "
        "acknowledged the trouble there, else 0",
    ),
    whole("known", "0/1", "0 if data are missing, so that the state is the last known"),
    count("affected", "Affected stations, or slow tests for throughput and uploads"),
    count("stations", "Stations, or tests, of which `affected` are a part"),
    number("figure", "1", "Figure that is above its limit, in the unit of the alert"),
    number("since_s", "s", "Time since the trouble began"),
    number("since_clock", "1", "Local time of its beginning: 13.05 is 13:05"),
    text("since_local", "The same with the zone, such as 13:05 WIB"),
    whole("acknowledged", "0/1", "1 if someone has acknowledged it"),
    text("acknowledged_by", "Who has acknowledged it"),
    text("acknowledged_at", "Local time of the acknowledgement"),
    text("ticket", "Number of the operator's ticket"),
    text("ticket_at", "Local time at which the operator was informed"),
)
_WATERMARK = (
    whole("complete_ms", "ms", "The newest minute with a complete census, since 1970"),
    number("census_age_s", "s", "Age of that minute when this point was written"),
    number(
        "data_late_s", "s", "Median age of the newest data of regencies that report"
    ),
    count("regencies_dead", "Regencies with stations of which none reports"),
    count("provinces_behind", "Provinces without a census of the newest minute"),
)
_DIRECTORY = (
    text("station", "Code of the station"),
    text("name", "Name of the station"),
    text("contact", "Contact on site"),
    text("operator", "Operators of its links"),
    text("ticket", "Ticket addresses of these operators"),
)
_ROLLOUT = (
    count("expected", "Stations that should report"),
    count("heard", "Stations of these that have ever reported"),
    count("reporting", "Stations heard within the late limit"),
    count("provisioned", "Stations with a valid enrolment code or a device"),
    count("enrolled", "Stations whose device has enrolled with its code"),
    count("accepted", "Stations where a technician has set up the device"),
)
_WITNESS = (
    count("stations", "Stations of which the witness has cosigned a seal"),
    count("late", "Stations whose newest seal is too old"),
    count("missing", "Stations of which a seal has not arrived, but a later one has"),
    count("problems", "Stations with wrong or contradictory seals in the last hour"),
)
_AREA = ("province", "regency", "operator")

NOC_MEASUREMENTS = (
    Measurement(
        "census",
        "Expected and reporting stations, every minute.",
        (*_AREA, "zone"),
        _CENSUS,
        "noc",
    ),
    Measurement(
        "station",
        "Exceptions by name: silent, bad and degraded stations.",
        (*_AREA, "station"),
        _STATION,
        "noc",
    ),
    Measurement(
        "directory",
        "All stations by regency, for the search: one point each at midnight WIB.",
        ("province", "regency"),
        _DIRECTORY,
        "noc",
    ),
    Measurement(
        "baseline",
        "Figures of the links before the election, every hour.",
        _AREA,
        _BASELINE,
        "noc",
    ),
    Measurement(
        "calendar",
        "Phases of the election, for annotations.",
        ("zone",),
        _CALENDAR,
        "noc",
    ),
    Measurement(
        "pipeline",
        "Heartbeat of the census, every minute.",
        ("collector",),
        _PIPELINE,
        "noc",
    ),
    Measurement(
        "platform",
        "Parts of the centre: gateway, collector, rollup, enrolment, census, witness, "
        "certificate, disk, backup; every minute.",
        ("part", "name"),
        _PLATFORM,
        "noc",
    ),
    Measurement(
        "trouble",
        "Troubles that the centre has decided on, every minute while they last.",
        ("cause", "level", "place", "province", "operator", "severity"),
        _TROUBLE,
        "noc",
    ),
    Measurement(
        "watermark",
        "Age of the census and of its data, every minute.",
        (),
        _WATERMARK,
        "noc",
    ),
    Measurement(
        "rollout",
        "Roll-out of the devices by province, one point an hour.",
        ("province",),
        _ROLLOUT,
        "noc",
    ),
    Measurement(
        "witness",
        "Seals of the stations in the view of the witness, every five minutes.",
        ("province", "regency"),
        _WITNESS,
        "noc",
    ),
)
