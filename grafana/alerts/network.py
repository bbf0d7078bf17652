"""Alerts on the stations and their links: silence, verdicts, outages, measurements."""

from __future__ import annotations

from grafana.alerts import queries as q
from grafana.alerts.rule import Alert, AlertQuery
from grafana.panels import Text

_LINK_VOTING = q.voting(q.OPERATORS, q.LINK)
_PLACE_VOTING = q.voting(q.ALL, q.PLACE)
_EXPECTED = q.last("expected", '"expected"', q.OPERATORS, q.LINK)
_ANCHOR = ("latency", "\"layer\" = 'anchor'")
_DOWN = ("throughput", "\"direction\" = 'down'")
_JUDGED = '("links_good" + "links_degraded" + "links_bad"'
_BAD = '"links_bad"'
_NOT_GOOD = '("links_degraded" + "links_bad")'
_LINK_LABELS = ("province", "regency", "operator")
_REGENCY = "{{ $labels.regency }}"
_LINK = "{{ $labels.regency }} / {{ $labels.operator }}"
_PROVINCE = "{{ $labels.province }}"
_OPERATOR = "{{ $labels.operator }}"


def value(name: str, digits: int = 0) -> str:
    """Return the template of a number in an annotation."""
    return f'{{{{ printf "%.{digits}f" $values.{name}.Value }}}}'


def _both(*queries: AlertQuery) -> dict[str, tuple[AlertQuery, ...]]:
    return {"warning": queries, "critical": queries}


def _share_queries(affected: str) -> dict[str, tuple[AlertQuery, ...]]:
    """Query the share of affected links: now with silent stations, and last hour.

    Stations that fall silent while their links are bad have not recovered. They keep
    the alert firing if their links were judged bad within the last hour.
    """
    judged = f"100.0 * {affected} / {_JUDGED})"
    with_silent = f'100.0 * ({affected} + "silent") / {_JUDGED} + "silent")'
    return {
        severity: (
            q.maximum("share", with_silent, minutes),
            q.maximum("judged", judged, 60),
            _EXPECTED,
        )
        for severity, minutes in (("warning", 10), ("critical", 5))
    }


def _share(name: str, title: Text, affected: str, status: Text) -> Alert:
    share, stations = f"{value('share')} %", value("expected")
    return Alert(
        name,
        title,
        (
            (
                f"{_LINK}: {share} of links {status[0]} "
                f"({stations} stations use this operator)"
            ),
            f"{_LINK}: {share} link {status[1]} ({stations} TPS memakai operator ini)",
        ),
        _share_queries(affected),
        "$share > {limit} && $judged > {limit} && $expected >= {min_count}",
        ("overview", 7),
        voting=_LINK_VOTING,
        labels=_LINK_LABELS,
    )


def _silent_queries(silent: str) -> tuple[AlertQuery, ...]:
    """Query how many stations are silent, and how many are expected.

    Stations under planned maintenance are expected too. The message shows their number.
    """
    return (
        q.last("quiet", silent, q.ALL, q.PLACE),
        q.last("of", '"expected"', q.ALL, q.PLACE),
        q.last("noted", '"maintenance"', q.ALL, q.PLACE),
    )


SILENT = Alert(
    "silent",
    ("Silent stations", "TPS tidak melapor"),
    (
        (
            f"{_REGENCY}: {value('quiet')} of {value('of')} stations silent "
            f"({value('noted')} under planned maintenance)"
        ),
        (
            f"{_REGENCY}: {value('quiet')} dari {value('of')} TPS tidak melapor "
            f"({value('noted')} dalam pemeliharaan terjadwal)"
        ),
    ),
    # Most stations have never reported while agents are being installed. The warning
    # does not count them as silent; the critical rule, which is for voting, does.
    {
        "warning": _silent_queries('"silent" - "never"'),
        "critical": _silent_queries('"silent"'),
    },
    "$of >= {min_count} && 100 * $quiet / $of > {limit}",
    ("overview", 3),
    voting=_PLACE_VOTING,
)
BAD_SHARE = _share(
    "bad-share",
    ("Bad links", "Link buruk"),
    _BAD,
    ("bad or silent", "buruk atau tidak melapor"),
)
DEGRADED_SHARE = _share(
    "degraded-share",
    ("Degraded links", "Link menurun"),
    _NOT_GOOD,
    ("degraded or worse", "menurun atau lebih buruk"),
)
LOSS = Alert(
    "loss",
    ("High packet loss", "Packet loss tinggi"),
    (
        f"{_LINK}: {value('loss', 1)} % of packets lost",
        f"{_LINK}: {value('loss', 1)} % paket hilang",
    ),
    _both(
        q.summed("loss", '100.0 * sum("lost") / sum("sent")', _ANCHOR, q.LINK),
        _EXPECTED,
    ),
    "$loss > {limit} && $expected >= {min_count}",
    ("region", 4),
    voting=_LINK_VOTING,
    labels=_LINK_LABELS,
)
_BASELINE = AlertQuery(
    "usual",
    'SELECT last("rtt_sum_us") / last("received") / 1000.0 AS "value" FROM "baseline" '
    f"WHERE $timeFilter AND {q.OPERATORS} AND WHERE_AREA "
    'GROUP BY "province", "regency", "operator"',
    q.BASELINE,
)
RTT = Alert(
    "rtt",
    ("High latency", "Latensi tinggi"),
    (
        (
            f"{_LINK}: latency {value('delay')} ms; before the election "
            f"{value('usual')} ms"
        ),
        f"{_LINK}: latensi {value('delay')} ms; sebelum pemilu {value('usual')} ms",
    ),
    _both(
        q.summed(
            "delay", 'sum("rtt_sum_us") / sum("received") / 1000.0', _ANCHOR, q.LINK
        ),
        _BASELINE,
        _EXPECTED,
    ),
    "$delay > {limit} * $usual && $delay - $usual > 50 && $expected >= {min_count}",
    ("overview", 11),
    voting=_LINK_VOTING,
    labels=_LINK_LABELS,
)
THROUGHPUT = Alert(
    "throughput",
    ("Slow downloads", "Download lambat"),
    (
        f"{_LINK}: {value('slow')} % of {value('tests')} download tests below 2 Mbit/s",
        (
            f"{_LINK}: {value('slow')} % dari {value('tests')} uji download di bawah "
            "2 Mbit/s"
        ),
    ),
    _both(
        q.summed(
            "slow",
            '100.0 * (sum("tests") - sum("rate_ge_2")) / sum("tests")',
            _DOWN,
            q.LINK,
            q.RECOMPUTED,
        ),
        q.summed("tests", 'sum("tests")', _DOWN, q.LINK, q.RECOMPUTED),
    ),
    "$slow > {limit} && $tests >= {min_count}",
    ("operators", 3),
    voting=_LINK_VOTING,
    labels=_LINK_LABELS,
)
UPLOAD = Alert(
    "upload",
    ("Slow form uploads", "Upload formulir lambat"),
    (
        (
            f"{_LINK}: {value('slow')} % of {value('uploads')} form uploads took over "
            "a minute"
        ),
        (
            f"{_LINK}: {value('slow')} % dari {value('uploads')} upload formulir lebih "
            "dari satu menit"
        ),
    ),
    _both(
        q.summed(
            "slow",
            '100.0 * (sum("uploads") - sum("upload_le_60")) / sum("uploads")',
            ("web", ""),
            q.LINK,
        ),
        q.summed("uploads", 'sum("uploads")', ("web", ""), q.LINK),
    ),
    "$slow > {limit} && $uploads >= {min_count}",
    ("operators", 4),
    # Forms are sent after voting: critical for twelve hours from the start of voting.
    voting=q.voting(q.OPERATORS, q.LINK, q.VOTE_AND_COUNT),
    labels=_LINK_LABELS,
)
OUTAGE_PLACE = Alert(
    "outage-place",
    (
        "Several operators down in one regency",
        "Beberapa operator down di satu kabupaten/kota",
    ),
    (
        (
            f"{_REGENCY}: {value('operators')} operators down at the same time; check "
            "power and site, not one network"
        ),
        (
            f"{_REGENCY}: {value('operators')} operator down bersamaan; periksa "
            "listrik dan lokasi, bukan satu jaringan"
        ),
    ),
    _both(
        q.last("operators", '"operators_down"', q.ALL, q.PLACE),
        q.last("expected", '"expected"', q.ALL, q.PLACE),
    ),
    "$operators > {limit} && $expected >= {min_count}",
    ("region", 3),
    voting=_PLACE_VOTING,
)
OUTAGE_OPERATOR = Alert(
    "outage-operator",
    (
        "One operator down in several regencies",
        "Satu operator down di beberapa kabupaten/kota",
    ),
    (
        (
            f"{_OPERATOR} in province {_PROVINCE}: down in {value('places')} regencies "
            "where other operators work; fault in the operator's network"
        ),
        (
            f"{_OPERATOR} di provinsi {_PROVINCE}: down di {value('places')} "
            "kabupaten/kota tempat operator lain berfungsi; gangguan di jaringan "
            "operator"
        ),
    ),
    _both(q.places_down("places")),
    "$places > {limit}",
    ("operators", 7),
    voting=q.voting(q.OPERATORS, q.NETWORK),
    labels=("province", "operator"),
)
NETWORK = (
    SILENT,
    BAD_SHARE,
    DEGRADED_SHARE,
    OUTAGE_PLACE,
    OUTAGE_OPERATOR,
    LOSS,
    RTT,
    THROUGHPUT,
    UPLOAD,
)
