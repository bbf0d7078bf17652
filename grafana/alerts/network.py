"""Alerts on troubles that the centre has decided on; Grafana only forwards them."""

from __future__ import annotations

from grafana.alerts.rule import Alert, AlertQuery, Window
from grafana.panels import Text
from grafana.titles import CAUSE_TITLES

LABELS = ("level", "place", "province", "operator", "severity")
# The last known state holds this long, so a stopped census resolves nothing.
_WINDOW = Window(6 * 3600)


def value(name: str, digits: int = 0) -> str:
    """Return the template of a number in an annotation."""
    return f'{{{{ printf "%.{digits}f" $values.{name}.Value }}}}'


def _query(alert: str, name: str, field: str) -> AlertQuery:
    """Query a field of the newest point of each trouble of a cause."""
    by = ", ".join(f'"{label}"' for label in LABELS)
    return AlertQuery(
        name,
        f'SELECT last("{field}") AS "value" FROM "trouble" WHERE $timeFilter '
        f"AND \"cause\" = '{alert}' GROUP BY {by}",
        _WINDOW,
    )


_SINCE = '{{ printf "%05.2f" $values.since.Value }}'
_OF = f"{value('affected')} / {value('stations')}"


def _trouble(name: str, unit: Text, action: Text) -> Alert:
    """Return the alert of one cause.

    `unit` names the affected things, and `action` the next step and whom to call.
    """
    facts = (
        f"since {_SINCE} local time; {_OF} {unit[0]}",
        f"sejak {_SINCE} waktu setempat; {_OF} {unit[1]}",
    )
    return Alert(
        name,
        CAUSE_TITLES[name],
        facts,
        (
            _query(name, "open", "open"),
            _query(name, "notify", "notify"),
            _query(name, "affected", "affected"),
            _query(name, "stations", "stations"),
            _query(name, "since", "since_clock"),
        ),
        "$open > 0 && $notify > 0",
        ("overview", 14),
        labels=LABELS,
        action=action,
        severities=("trouble",),
    )


_STATIONS = ("stations", "TPS")
_LINKS = ("links", "link")
_AGENTS = ("stations", "TPS")
_NOC_OF_OPERATOR = (
    "Open a ticket with the operator's NOC.",
    "Buka tiket ke NOC operator.",
)
_TECHNICIAN = (
    "Call the regency's technician.",
    "Telepon teknisi kabupaten/kota.",
)
NETWORK = (
    _trouble(
        "silent",
        _STATIONS,
        (
            "Call two stations, then the regency's technician.",
            "Telepon dua TPS, lalu teknisi kabupaten/kota.",
        ),
    ),
    _trouble(
        "bad-share",
        _LINKS,
        _NOC_OF_OPERATOR,
    ),
    _trouble(
        "degraded-share",
        _LINKS,
        _NOC_OF_OPERATOR,
    ),
    _trouble(
        "outage-place",
        ("station links", "link TPS"),
        (
            "Check power and site. Call the technician, then the power company.",
            "Periksa listrik dan lokasi. Telepon teknisi, lalu PLN.",
        ),
    ),
    _trouble(
        "outage-operator",
        _STATIONS,
        (
            "Call the operator's NOC now.",
            "Segera telepon NOC operator.",
        ),
    ),
    _trouble(
        "loss",
        ("links' worth of packets lost", "link setara paket yang hilang"),
        _NOC_OF_OPERATOR,
    ),
    _trouble(
        "rtt",
        _STATIONS,
        _NOC_OF_OPERATOR,
    ),
    _trouble(
        "throughput",
        ("tests below 2 Mbit/s", "uji di bawah 2 Mbit/s"),
        _NOC_OF_OPERATOR,
    ),
    _trouble(
        "upload",
        ("uploads over a minute", "upload lebih dari satu menit"),
        _NOC_OF_OPERATOR,
    ),
    _trouble(
        "backlog",
        _AGENTS,
        _TECHNICIAN,
    ),
    _trouble(
        "unsent",
        _AGENTS,
        _TECHNICIAN,
    ),
    _trouble(
        "late",
        ("stations' worth of data", "TPS setara data"),
        _TECHNICIAN,
    ),
    _trouble(
        "clock",
        _AGENTS,
        _TECHNICIAN,
    ),
    _trouble(
        "allowance",
        _AGENTS,
        (
            "Add data to the SIM cards. Call the regency's technician.",
            "Tambah kuota kartu SIM. Telepon teknisi kabupaten/kota.",
        ),
    ),
)
