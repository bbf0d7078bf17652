"""Alerts on the monitoring system itself: agents, delivery, census and Grafana."""

from __future__ import annotations

from grafana.alerts import queries as q
from grafana.alerts.network import value
from grafana.alerts.rule import Alert, AlertQuery, Window
from grafana.panels import Text

_AGENT = ("agent", "")
_VOTING = q.voting(q.ALL, q.PLACE)
# Heartbeats come once a minute. A window contains seven of them, or six at its edges.
_AGENTS = q.summed("agents", 'sum("beats") / 6', _AGENT, q.PLACE)
_PIPELINE = Window(300)
_REGENCY = "{{ $labels.regency }}"
_COLLECTOR = "{{ $labels.collector }}"


def _of_agents(name: str, title: Text, figure: str, summary: Text, panel: int) -> Alert:
    """Return an alert on a figure per heartbeat, by regency."""
    queries = (q.summed("figure", figure, _AGENT, q.PLACE), _AGENTS)
    return Alert(
        name,
        title,
        (
            f"{_REGENCY}: {value('figure')} {summary[0]}",
            f"{_REGENCY}: {value('figure')} {summary[1]}",
        ),
        {"warning": queries, "critical": queries},
        "$figure > {limit} && $agents >= {min_count}",
        ("agents", panel),
        voting=_VOTING,
    )


def _share_of_agents(field: str) -> str:
    return f'100.0 * sum("{field}") / sum("beats")'


_AGENT_ALERTS = (
    _of_agents(
        "backlog",
        ("Delivery backlog", "Antrean pengiriman"),
        'sum("backlog_points") / sum("beats")',
        (
            "undelivered data points per agent on average",
            "titik data belum terkirim per agen, rata-rata",
        ),
        1,
    ),
    _of_agents(
        "unsent",
        ("Data pending for over an hour", "Data tertunda lebih dari satu jam"),
        _share_of_agents("unsent_old"),
        (
            "% of agents have undelivered data older than an hour",
            "% agen menyimpan data tertunda lebih dari satu jam",
        ),
        15,
    ),
    _of_agents(
        "clock",
        ("Unreliable clocks", "Jam tidak akurat"),
        _share_of_agents("clock_poor"),
        ("% of agents have an unreliable clock", "% agen jamnya tidak akurat"),
        3,
    ),
    _of_agents(
        "allowance",
        ("Data allowance running out", "Kuota data hampir habis"),
        _share_of_agents("allowance_low"),
        (
            "% of agents have less than 10 % of their data left",
            "% agen sisa kuotanya di bawah 10 %",
        ),
        2,
    ),
)
_OLD = '(sum("acked_le_1h") + sum("acked_le_1d") + sum("acked_older"))'
_DELIVERED = f'(sum("acked_le_2m") + {_OLD[1:-1]})'
_LATE_QUERIES = (
    q.summed(
        "figure",
        f"100.0 * {_OLD} / {_DELIVERED}",
        _AGENT,
        q.PLACE,
        q.LATE_HEARTBEATS,
    ),
    q.summed("acked", _DELIVERED, _AGENT, q.PLACE, q.LATE_HEARTBEATS),
)
LATE = Alert(
    "late",
    ("Late delivery", "Pengiriman terlambat"),
    (
        (
            f"{_REGENCY}: {value('figure')} % of data points were over two minutes old "
            "when delivered"
        ),
        (
            f"{_REGENCY}: {value('figure')} % titik data berumur lebih dari dua menit "
            "saat terkirim"
        ),
    ),
    {"warning": _LATE_QUERIES, "critical": _LATE_QUERIES},
    "$figure > {limit} && $acked >= {min_count}",
    ("agents", 4),
    voting=_VOTING,
)


def _pipeline(
    name: str,
    texts: tuple[Text, Text],
    query: AlertQuery,
    condition: str,
    no_data: str = "OK",
    exec_error: str = "Error",
    panel: tuple[str, int] = ("agents", 7),
) -> Alert:
    """Return a national alert for the platform team; `texts`: title and summary."""
    title, summary = texts
    return Alert(
        name,
        title,
        summary,
        {"warning": (query,), "critical": (query,), "none": (query,)},
        condition,
        panel,
        team="platform",
        national=True,
        no_data=no_data,
        exec_error=exec_error,
        labels=(),
    )


_CENSUS_POINTS = AlertQuery(
    "beats",
    'SELECT count("failed") AS "value" FROM "pipeline" WHERE $timeFilter',
    _PIPELINE,
)
# Number of regencies counted in each minute; 0 if a province was counted before and is
# not counted now. The mean of five minutes hides a minute that is cut by the window.
_COUNTED = AlertQuery(
    "counted",
    'SELECT moving_average(count("expected"), 5) AS "value" FROM "census" '
    f"WHERE $timeFilter AND {q.ALL} "
    'GROUP BY time(1m), "province" fill(0)',
    Window(6 * 3600),
)
_FAILURES = AlertQuery(
    "failures",
    'SELECT mean("failed") AS "value" FROM "pipeline" WHERE $timeFilter '
    'GROUP BY "collector"',
    _PIPELINE,
)
_BEHIND = AlertQuery(
    "behind",
    'SELECT last("behind_s") AS "value" FROM "pipeline" WHERE $timeFilter '
    'GROUP BY "collector"',
    _PIPELINE,
)
_PIPELINE_ALERTS = (
    _pipeline(
        "pipeline-dead",
        (
            ("Census not running", "Sensus tidak berjalan"),
            (
                "No census for five minutes: all dashboards and alerts are out of date",
                (
                    "Tidak ada sensus selama lima menit: semua dashboard dan alarm "
                    "tidak mutakhir"
                ),
            ),
        ),
        _CENSUS_POINTS,
        "$beats <= {limit}",
        no_data="Alerting",
    ),
    _pipeline(
        "pipeline-failed",
        (
            ("Census fails for a collector", "Sensus gagal untuk satu kolektor"),
            (
                f"Collector {_COLLECTOR}: census or roll-ups fail",
                f"Kolektor {_COLLECTOR}: sensus atau agregasi gagal",
            ),
        ),
        _FAILURES,
        "$failures > {limit}",
    ),
    _pipeline(
        "pipeline-behind",
        (
            ("Roll-ups delayed", "Agregat terlambat"),
            (
                f"Collector {_COLLECTOR}: roll-ups are {value('behind')} s late",
                f"Kolektor {_COLLECTOR}: agregat terlambat {value('behind')} s",
            ),
        ),
        _BEHIND,
        "$behind > {limit}",
    ),
    _pipeline(
        "census-missing",
        (
            ("Province not counted", "Provinsi tidak dihitung"),
            (
                "Province {{ $labels.province }}: not counted for five minutes",
                "Provinsi {{ $labels.province }}: tidak dihitung selama lima menit",
            ),
        ),
        _COUNTED,
        "$counted <= {limit}",
        panel=("overview", 1),
    ),
    _pipeline(
        "heartbeat",
        (
            ("Grafana heartbeat", "Heartbeat Grafana"),
            (
                "This alert always fires. Act if it stops",
                "Alarm ini selalu aktif. Bertindaklah jika berhenti",
            ),
        ),
        _CENSUS_POINTS,
        "$beats >= {limit}",
        no_data="Alerting",
        exec_error="Alerting",
    ),
)
MONITORING = (*_AGENT_ALERTS, LATE, *_PIPELINE_ALERTS)
