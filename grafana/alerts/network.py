# ruff: noqa: S608  InfluxQL from literals of this package, no input of anybody
"""Alerts on what stations have: heard or not, judged how, and sums over their links."""

from __future__ import annotations

from grafana.alerts import figures as f
from grafana.alerts.rule import Alert, Ask
from grafana.panels import Words

_LINK_VOTING = f.voting(f.OPERATORS, f.LINK)
_PLACE_VOTING = f.voting(f.ALL, f.PLACE)
_EXPECTED = f.last("expected", '"expected"', f.OPERATORS, f.LINK)
_ANCHOR = ("latency", "\"layer\" = 'anchor'")
_DOWN = ("throughput", "\"direction\" = 'down'")
_JUDGED = '("links_good" + "links_degraded" + "links_bad"'
_BAD = '"links_bad"'
_WORSE = '("links_degraded" + "links_bad")'
_LINK_LABELS = ("province", "regency", "operator")
_WHERE = "{{ $labels.regency }} / {{ $labels.operator }}"


def value(name: str, digits: int = 0) -> str:
    """A number in an annotation."""
    return f'{{{{ printf "%.{digits}f" $values.{name}.Value }}}}'


def _both(*asks: Ask) -> dict[str, tuple[Ask, ...]]:
    return {"warning": asks, "critical": asks}


def _share_asks(worse: str) -> dict[str, tuple[Ask, ...]]:
    """Of the links: now with the silent, and within the hour without.

    Stations that fall silent while their links are bad have not got well: they count
    as not well where links were judged so within the hour.
    """
    without = f"100.0 * {worse} / {_JUDGED})"
    silent = f'100.0 * ({worse} + "silent") / {_JUDGED} + "silent")'
    return {
        severity: (
            f.greatest("share", silent, minutes),
            f.greatest("judged", without, 60),
            _EXPECTED,
        )
        for severity, minutes in (("warning", 10), ("critical", 5))
    }


def _share(name: str, title: Words, worse: str, words: Words) -> Alert:
    of = f"{value('share')} %"
    return Alert(
        name,
        title,
        (
            (
                f"{_WHERE}: {of} of links {words[0]} "
                f"({value('expected')} stations have the operator)"
            ),
            f"{_WHERE}: {of} link {words[1]} ({value('expected')} TPS pakai operator)",
        ),
        _share_asks(worse),
        "$share > {limit} && $judged > {limit} && $expected >= {least}",
        ("overview", 7),
        voting=_LINK_VOTING,
        labels=_LINK_LABELS,
    )


def _silent_asks(quiet: str) -> tuple[Ask, ...]:
    """How many are silent, and of how many: all that are expected, whatever is noted.

    A note of maintenance is shown; a station under one is silent all the same.
    """
    return (
        f.last("quiet", quiet, f.ALL, f.PLACE),
        f.last("of", '"expected"', f.ALL, f.PLACE),
        f.last("noted", '"maintenance"', f.ALL, f.PLACE),
    )


SILENT = Alert(
    "silent",
    ("Silent stations", "TPS senyap"),
    (
        (
            f"{{{{ $labels.regency }}}}: {value('quiet')} of {value('of')} stations "
            f"silent ({value('noted')} under planned maintenance)"
        ),
        (
            f"{{{{ $labels.regency }}}}: {value('quiet')} dari {value('of')} TPS "
            f"senyap ({value('noted')} dalam pemeliharaan)"
        ),
    ),
    # While agents are being installed most stations were never heard: they stay in
    # the denominator, and are silent from the moment votes are cast.
    {
        "warning": _silent_asks('"silent" - "never"'),
        "critical": _silent_asks('"silent"'),
    },
    "$of >= {least} && 100 * $quiet / $of > {limit}",
    ("overview", 3),
    voting=_PLACE_VOTING,
)
BAD_SHARE = _share(
    "bad-share", ("Links bad", "Link buruk"), _BAD, ("bad or silent", "buruk/senyap")
)
DEGRADED_SHARE = _share(
    "degraded-share",
    ("Links degraded", "Link menurun"),
    _WORSE,
    ("degraded or worse", "menurun atau lebih buruk"),
)
LOSS = Alert(
    "loss",
    ("Packet loss", "Kehilangan paket"),
    (
        f"{_WHERE}: {value('loss', 1)} % of probes lost",
        f"{_WHERE}: {value('loss', 1)} % paket hilang",
    ),
    _both(
        f.summed("loss", '100.0 * sum("lost") / sum("sent")', _ANCHOR, f.LINK),
        _EXPECTED,
    ),
    "$loss > {limit} && $expected >= {least}",
    ("region", 4),
    voting=_LINK_VOTING,
    labels=_LINK_LABELS,
)
_USUAL = Ask(
    "usual",
    'SELECT last("rtt_sum_us") / last("received") / 1000.0 AS "value" FROM "baseline" '
    f"WHERE $timeFilter AND {f.OPERATORS} AND WHERE_AREA "
    'GROUP BY "province", "regency", "operator"',
    f.BASELINE,
)
RTT = Alert(
    "rtt",
    ("Delay over its baseline", "Waktu tunda di atas acuan"),
    (
        f"{_WHERE}: {value('delay')} ms, before the election {value('usual')} ms",
        f"{_WHERE}: {value('delay')} ms, sebelum pemilu {value('usual')} ms",
    ),
    _both(
        f.summed(
            "delay", 'sum("rtt_sum_us") / sum("received") / 1000.0', _ANCHOR, f.LINK
        ),
        _USUAL,
        _EXPECTED,
    ),
    "$delay > {limit} * $usual && $delay - $usual > 50 && $expected >= {least}",
    ("overview", 11),
    voting=_LINK_VOTING,
    labels=_LINK_LABELS,
)
THROUGHPUT = Alert(
    "throughput",
    ("Slow downloads", "Unduhan lambat"),
    (
        f"{_WHERE}: {value('slow')} % of {value('tests')} tests under 2 Mbit/s",
        f"{_WHERE}: {value('slow')} % dari {value('tests')} uji di bawah 2 Mbit/s",
    ),
    _both(
        f.summed(
            "slow",
            '100.0 * (sum("tests") - sum("rate_ge_2")) / sum("tests")',
            _DOWN,
            f.LINK,
            f.REPEATED,
        ),
        f.summed("tests", 'sum("tests")', _DOWN, f.LINK, f.REPEATED),
    ),
    "$slow > {limit} && $tests >= {least}",
    ("operators", 3),
    voting=_LINK_VOTING,
    labels=_LINK_LABELS,
)
UPLOAD = Alert(
    "upload",
    ("Slow form uploads", "Unggah formulir lambat"),
    (
        f"{_WHERE}: {value('slow')} % of {value('uploads')} forms took over a minute",
        (
            f"{_WHERE}: {value('slow')} % dari {value('uploads')} formulir "
            "lebih dari satu menit"
        ),
    ),
    _both(
        f.summed(
            "slow",
            '100.0 * (sum("uploads") - sum("upload_le_60")) / sum("uploads")',
            ("web", ""),
            f.LINK,
        ),
        f.summed("uploads", 'sum("uploads")', ("web", ""), f.LINK),
    ),
    "$slow > {limit} && $uploads >= {least}",
    ("operators", 4),
    # Forms are sent after the vote: critical for twelve hours from its beginning on.
    voting=f.voting(f.OPERATORS, f.LINK, f.VOTE_AND_COUNT),
    labels=_LINK_LABELS,
)
OUTAGE_PLACE = Alert(
    "outage-place",
    ("Several operators down at one place", "Beberapa operator mati di satu tempat"),
    (
        (
            f"{{{{ $labels.regency }}}}: {value('operators')} operators down together; "
            "power or site, not one network"
        ),
        (
            f"{{{{ $labels.regency }}}}: {value('operators')} operator mati bersamaan; "
            "listrik atau lokasi, bukan satu jaringan"
        ),
    ),
    _both(
        f.last("operators", '"operators_down"', f.ALL, f.PLACE),
        f.last("expected", '"expected"', f.ALL, f.PLACE),
    ),
    "$operators > {limit} && $expected >= {least}",
    ("region", 3),
    voting=_PLACE_VOTING,
)
OUTAGE_OPERATOR = Alert(
    "outage-operator",
    ("One operator down over several places", "Satu operator mati di banyak tempat"),
    (
        (
            "{{ $labels.operator }} in province {{ $labels.province }}: down in "
            f"{value('places')} regencies where others work; its network"
        ),
        (
            "{{ $labels.operator }} di provinsi {{ $labels.province }}: mati di "
            f"{value('places')} kabupaten/kota, operator lain jalan; jaringannya"
        ),
    ),
    _both(f.places_down("places")),
    "$places > {limit}",
    ("operators", 7),
    voting=f.voting(f.OPERATORS, f.NETWORK),
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
