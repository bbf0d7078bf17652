"""Alerts on the monitoring system itself, for the platform team."""

from __future__ import annotations

from grafana.alerts.network import value
from grafana.alerts.rule import Alert, AlertQuery, Window
from grafana.panels import Text

_PIPELINE = Window(300)
_ACTION = (
    "Act on the page below. Boards and alerts may be out of date until then.",
    "Ikuti halaman di bawah. Sampai pulih, dashboard dan alarm bisa tidak mutakhir.",
)
_COLLECTOR = "{{ $labels.collector }}"
_ALL = "\"operator\" = 'all'"


def _pipeline(
    name: str,
    texts: tuple[Text, Text],
    query: AlertQuery,
    condition: str,
    no_data: str = "OK",
    exec_error: str = "Error",
    panel: tuple[str, int] = ("agents", 7),
    action: Text = _ACTION,
) -> Alert:
    """Return an alert for the platform team; `texts`: title and summary."""
    title, summary = texts
    return Alert(
        name,
        title,
        summary,
        (query,),
        condition,
        panel,
        team="platform",
        no_data=no_data,
        exec_error=exec_error,
        action=action,
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
    f"WHERE $timeFilter AND {_ALL} "
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
# The witness writes every five minutes.
_SEALS = Window(420)
_WRONG_SEALS = AlertQuery(
    "wrong",
    'SELECT sum("problems") AS "value" FROM "witness" WHERE $timeFilter '
    "GROUP BY time(5m) fill(none)",
    _SEALS,
)
_LATE_SEALS = AlertQuery(
    "late",
    'SELECT 100 * (sum("late") + sum("missing")) / sum("stations") AS "value" '
    'FROM "witness" WHERE $timeFilter GROUP BY time(5m) fill(none)',
    _SEALS,
)
# The newest state of each part, also if its points have stopped: see below.
_PARTS = AlertQuery(
    "ok",
    'SELECT last("ok") AS "value" FROM "platform" WHERE $timeFilter '
    'GROUP BY "part", "name"',
    Window(6 * 3600),
)
# Number of points in five minutes of each part that had one in six hours.
_CHECKED = AlertQuery(
    "checked",
    'SELECT moving_average(count("ok"), 5) AS "value" FROM "platform" '
    'WHERE $timeFilter GROUP BY time(1m), "part", "name" fill(0)',
    Window(6 * 3600),
)
_SEAL_ACTION = (
    "Act on the page below. Keep devices and cards as evidence.",
    "Ikuti halaman di bawah. Simpan perangkat dan kartu sebagai bukti.",
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
                "not counted for five minutes",
                "tidak dihitung selama lima menit",
            ),
        ),
        _COUNTED,
        "$counted <= {limit}",
        panel=("overview", 1),
    ),
    _pipeline(
        "seals",
        (
            ("Forged or contradicting seals", "Segel palsu atau bertentangan"),
            (
                f"The witness refused seals of {value('wrong')} stations",
                f"Saksi menolak segel dari {value('wrong')} TPS",
            ),
        ),
        _WRONG_SEALS,
        "$wrong > {limit}",
        panel=("agents", 19),
        action=_SEAL_ACTION,
    ),
    _pipeline(
        "seals-late",
        (
            ("Late or missing seals", "Segel terlambat atau hilang"),
            (
                f"{value('late')} % of the devices have no new seal",
                f"{value('late')} % perangkat tidak punya segel baru",
            ),
        ),
        _LATE_SEALS,
        "$late > {limit}",
        panel=("agents", 19),
    ),
    Alert(
        "platform-part",
        ("Part of the centre not working", "Bagian pusat tidak berfungsi"),
        (
            (
                "{{ $labels.part }} {{ $labels.name }}: not working, or not checked "
                "for five minutes"
            ),
            (
                "{{ $labels.part }} {{ $labels.name }}: tidak berfungsi, atau tidak "
                "diperiksa selama lima menit"
            ),
        ),
        (_PARTS, _CHECKED),
        "$ok <= {limit} || $checked <= {limit}",
        ("agents", 24),
        team="platform",
        action=_ACTION,
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
MONITORING = _PIPELINE_ALERTS
