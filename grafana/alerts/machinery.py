# ruff: noqa: S608  InfluxQL from literals of this package, no input of anybody
"""Alerts on the instrument itself: agents, their way to us, and the census."""

from __future__ import annotations

from grafana.alerts import figures as f
from grafana.alerts.network import value
from grafana.alerts.rule import Alert, Ask, Window
from grafana.panels import Words

_AGENT = ("agent", "")
_VOTING = f.voting(f.ALL, f.PLACE)
# Heartbeats come once a minute; a window holds seven or, at its edges, six.
_AGENTS = f.summed("agents", 'sum("beats") / 6', _AGENT, f.PLACE)
_PIPELINE = Window(300)


def _of_agents(name: str, title: Words, figure: str, words: Words, panel: int) -> Alert:
    """An alert on a figure per heartbeat, by regency."""
    place = "{{ $labels.regency }}: "
    asks = (f.summed("figure", figure, _AGENT, f.PLACE), _AGENTS)
    return Alert(
        name,
        title,
        (
            f"{place}{value('figure')} {words[0]}",
            f"{place}{value('figure')} {words[1]}",
        ),
        {"warning": asks, "critical": asks},
        "$figure > {limit} && $agents >= {least}",
        ("agents", panel),
        voting=_VOTING,
    )


def _per_beat(field: str) -> str:
    return f'100.0 * sum("{field}") / sum("beats")'


_AGENT_ALERTS = (
    _of_agents(
        "backlog",
        ("Backlog", "Antrean"),
        'sum("backlog_points") / sum("beats")',
        ("points wait at each agent, on average",
         "titik menunggu di tiap agen, rata-rata"),
        1,
    ),
    _of_agents(
        "unsent",
        ("Unsent for over an hour", "Belum terkirim lebih dari satu jam"),
        _per_beat("unsent_old"),
        ("% of agents hold points older than an hour",
         "% agen menyimpan titik lebih dari satu jam"),
        15,
    ),
    _of_agents(
        "clock",
        ("Clocks not trusted", "Jam tidak tepercaya"),
        _per_beat("clock_poor"),
        ("% of agents have a poor clock", "% agen jamnya tidak tepercaya"),
        3,
    ),
    _of_agents(
        "allowance",
        ("Data allowance running out", "Kuota data hampir habis"),
        _per_beat("allowance_low"),
        ("% of agents have under 10 % of their data left",
         "% agen sisa kuotanya di bawah 10 %"),
        2,
    ),
)  # fmt: skip
_OLD = '(sum("acked_le_1h") + sum("acked_le_1d") + sum("acked_older"))'
_ACKED = f'(sum("acked_le_2m") + {_OLD[1:-1]})'
_LATE_ASKS = (
    f.summed("figure", f"100.0 * {_OLD} / {_ACKED}", _AGENT, f.PLACE, f.LATECOMERS),
    f.summed("acked", _ACKED, _AGENT, f.PLACE, f.LATECOMERS),
)
LATE = Alert(
    "late",
    ("Delivered late", "Terkirim terlambat"),
    (
        (
            f"{{{{ $labels.regency }}}}: {value('figure')} % of points "
            "over two minutes old when delivered"
        ),
        (
            f"{{{{ $labels.regency }}}}: {value('figure')} % titik "
            "berumur lebih dari dua menit saat terkirim"
        ),
    ),
    {"warning": _LATE_ASKS, "critical": _LATE_ASKS},
    "$figure > {limit} && $acked >= {least}",
    ("agents", 4),
    voting=_VOTING,
)


def _pipeline(
    name: str,
    words: tuple[Words, Words],
    ask: Ask,
    when: str,
    no_data: str = "OK",
    exec_error: str = "Error",
    shown: tuple[str, int] = ("agents", 7),
) -> Alert:
    title, summary = words
    return Alert(
        name,
        title,
        summary,
        {"warning": (ask,), "critical": (ask,), "none": (ask,)},
        when,
        shown,
        team="platform",
        national=True,
        no_data=no_data,
        exec_error=exec_error,
        labels=(),
    )


_BEATING = Ask(
    "beats", 'SELECT count("failed") AS "value" FROM "pipeline" WHERE $timeFilter',
    _PIPELINE,
)  # fmt: skip
# Every minute's count of regencies, 0 where a province was counted before and is not
# now: the sum of five buckets, so that one bucket's edge says nothing.
_COUNTED = Ask(
    "counted",
    'SELECT moving_average(count("expected"), 5) AS "value" FROM "census" '
    f"WHERE $timeFilter AND {f.ALL} "
    'GROUP BY time(1m), "province" fill(0)',
    Window(6 * 3600),
)
_DEAD: Words = ("The census does not run", "Sensus tidak berjalan")
_FAILED: Words = ("A collector fails the census", "Pengumpul gagal bagi sensus")
_BEHIND: Words = ("Sums are behind", "Penjumlahan tertinggal")
_MISSING: Words = ("A province is not counted", "Satu provinsi tidak dihitung")
_HEARTBEAT: Words = ("Grafana is alive", "Grafana hidup")
_PIPELINE_ALERTS = (
    _pipeline(
        "pipeline-dead",
        (_DEAD, (
            "No census for five minutes: every board and alert shows the past",
            "Lima menit tanpa sensus: semua papan dan peringatan menunjukkan masa lalu",
        )),
        _BEATING,
        "$beats <= {limit}",
        no_data="Alerting",
    ),
    _pipeline(
        "pipeline-failed",
        (_FAILED, (
            "Collector {{ $labels.collector }}: its census or sums fail",
            "Pengumpul {{ $labels.collector }}: sensus atau penjumlahannya gagal",
        )),
        Ask(
            "failures",
            'SELECT mean("failed") AS "value" FROM "pipeline" WHERE $timeFilter '
            'GROUP BY "collector"',
            _PIPELINE,
        ),
        "$failures > {limit}",
    ),
    _pipeline(
        "pipeline-behind",
        (_BEHIND, (
            f"Collector {{{{ $labels.collector }}}}: sums {value('behind')} s behind",
            (f"Pengumpul {{{{ $labels.collector }}}}: jumlah tertinggal "
            f"{value('behind')} s"),
        )),
        Ask(
            "behind",
            'SELECT last("behind_s") AS "value" FROM "pipeline" WHERE $timeFilter '
            'GROUP BY "collector"',
            _PIPELINE,
        ),
        "$behind > {limit}",
    ),
    _pipeline(
        "census-missing",
        (_MISSING, (
            "Province {{ $labels.province }} has not been counted for five minutes",
            "Provinsi {{ $labels.province }} tidak dihitung selama lima menit",
        )),
        _COUNTED,
        "$counted <= {limit}",
        shown=("overview", 1),
    ),
    _pipeline(
        "heartbeat",
        (_HEARTBEAT, (
            "Always firing; act when it stops",
            "Selalu aktif; bertindak bila berhenti",
        )),
        _BEATING,
        "$beats >= {limit}",
        no_data="Alerting",
        exec_error="Alerting",
    ),
)  # fmt: skip
MACHINERY = (*_AGENT_ALERTS, LATE, *_PIPELINE_ALERTS)
