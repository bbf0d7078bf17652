"""The measurements that the operations centre writes."""

from __future__ import annotations

from qos_agent.model.schema.table import Measurement, count, number, total, whole, word

_CLASSES = ("good", "degraded", "bad", "unknown")
_CENSUS = (
    count("expected", "stations that should report"),
    count("reporting", "stations heard within the late limit"),
    count("late", "stations heard, but later than the late limit"),
    count("silent", "stations not heard within the silent limit"),
    count("never", "stations never heard, counted in silent too"),
    count("maintenance", "stations under planned maintenance, still expected"),
    count("acknowledged", "stations whose trouble someone has taken on"),
    count("mismatched", "stations reporting from another area than registered"),
    *(
        count(f"stations_{name}", f"stations whose worst link is {name}")
        for name in _CLASSES
    ),
    *(count(f"links_{name}", f"links judged {name}") for name in _CLASSES),
    whole("voting", "0/1", "the voting window is open in this zone"),
    number("voting_share", "ratio", "of the voting window passed; absent before it"),
    number("age_s", "s", "age of the newest point of the area"),
    whole(
        "class_level",
        "1",
        "0 good, 1 degraded, 2 bad, 3 silent: the worst class "
        "that `census.area_share` of the stations, or of the links, are in, or worse",
    ),
    number("since_s", "s", "since the area or its operator has been in this class"),
    word("kpi", "the figure that decided on most of the links that are not good"),
    word("side", "access or destination, of most of those links"),
    word("ticket", "the operator's ticket address, of most stations there"),
    whole("operators_down", "1", "operators that are `down` here (operator `all`)"),
    count(
        "down",
        "0/1: of the operator's stations here at least "
        "`census.outage_share` are silent or have a bad link of it",
    ),
    count("down_alone", "0/1: down, while another operator here is not"),
    number("latitude", "°", "of the regency's marker (operator `all`)"),
    number("longitude", "°", "of the regency's marker (operator `all`)"),
    count("unlisted", "exceptions of the area that are not named as `station` points"),
)
_STATION = (
    whole("silent", "0/1", "not heard within the silent limit"),
    whole("never", "0/1", "never heard"),
    whole("class_level", "1", "0 good, 1 degraded, 2 bad, 3 silent"),
    number("age_s", "s", "since it was last heard"),
    number("since_s", "s", "since it has been in this state"),
    word("class", "degraded, bad or silent"),
    word("kpi", "the figure that decided"),
    word("side", "access or destination"),
    word("name", "name of the station"),
    word("contact", "the person on site"),
    word("ticket", "the operator's ticket address"),
    whole("maintenance", "0/1", "planned maintenance"),
    whole("acknowledged", "0/1", "someone has taken it on"),
    number("latitude", "°", "for the map"),
    number("longitude", "°", "for the map"),
)
# Sums over the phase `pre`, in the names of the measurements they are sums of.
_BASELINE = (
    number("span_s", "s", "how far back the sums reach"),
    count("sent", "probes sent to anchors", "RFC 7680"),
    count("lost", "of them lost", "RFC 7680"),
    count("received", "of them answered", "RFC 7680"),
    count("rtt_sum_us", "sum of round trips to anchors", "RFC 2681", "us"),
    count("tests", "downloads that gave a rate"),
    total("rate_bps", "bit/s", "sum of their rates; goes with `tests`"),
    count("uploads", "form bundles uploaded and acknowledged"),
    total("upload_sum_ms", "ms", "sum of upload times"),
    count("good", "verdicts good"),
    count("degraded", "verdicts degraded"),
    count("bad", "verdicts bad"),
)
_CALENDAR = (
    word("title", "the phase that begins, in Indonesian and English"),
    word("text", "zone and local time"),
    word("after", "the phase that begins"),
    whole("end_ms", "ms", "when it ends, milliseconds since 1970"),
)
_PIPELINE = (
    number("census_s", "s", "time the census took, over all collectors"),
    number("rollup_s", "s", "time the fresh sums took, over all collectors"),
    number("behind_s", "s", "age of the oldest minute not yet summed"),
    whole(
        "failed", "0/1", "census or sums of this minute, or owed before it, failed here"
    ),
    word("detail", "its words, and what to change"),
    number("keep_s", "s", "retention of raw points; absent for ever or unknown"),
    count("points", "points written this minute for this collector's provinces"),
)
_AREA = ("province", "regency", "operator")

NOC_MEASUREMENTS = (
    Measurement("census", "who should report and who does, each minute",
                (*_AREA, "zone"), _CENSUS, "noc"),
    Measurement("station", "the exceptions by name: silent, bad, degraded",
                (*_AREA, "station"), _STATION, "noc"),
    Measurement("baseline", "what links gave before the election, each hour",
                _AREA, _BASELINE, "noc"),
    Measurement("calendar", "the phases of the election, for annotations",
                ("zone",), _CALENDAR, "noc"),
    Measurement("pipeline", "the census's own heartbeat, each minute",
                ("collector",), _PIPELINE, "noc"),
)  # fmt: skip
