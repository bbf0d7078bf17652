"""From an event to its alert: median and worst time for each cause of trouble.

Some causes are measured on a simulated day: real census, roll-ups and decisions with an
InfluxDB, and the rules as Grafana evaluates them. The others follow from windows over
roll-ups. For these, a figure rises in one minute, and the decision is made each minute.

`python -m bench.alerts [RUNS]` takes about a minute for each run.
"""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench.table import show
from qos_agent.config.calendar_file import named
from qos_agent.model.line_protocol import decode
from qos_agent.noc.census.voting_window import VotingWindow
from qos_agent.noc.simulator.scenario import Scenario
from qos_agent.noc.troubles.decide import decide
from qos_agent.noc.troubles.signals import Key
from qos_agent.noc.troubles.standing import Trouble
from tests.grafana import test_alerts_day as day
from tests.grafana.evaluations import FOREVER, EvaluationLog
from tests.grafana.platform_events import EVENT, EVENTS, minutes_to_firing
from tests.noc.troubles.rising import Rising
from tests.servers import influxd
from tests.servers.influxdb import InfluxDB

RUNS = 3
# The witness writes every five minutes, so an event in each of five minutes differs.
_WITNESS_MINUTES = 5
Times = dict[str, list[float]]
# (cause, labels, kind of fault, its settings)
_SIMULATED: tuple[tuple[str, Mapping[str, str], str, Mapping[str, Any]], ...] = (
    ("outage-place", {"place": "3171"}, "power_cut", {}),
    ("outage-operator", {"place": "3172"}, "core_failure", {"operator": "telkomsel"}),
    ("degraded-share", {"place": "3175"}, "overload", {"amount": 7.0}),
    ("clock", {"place": "3174"}, "wrong_clock", {"amount": 3.0}),
    ("allowance", {"place": "3172"}, "allowance", {"amount": 5.0}),
)
_MINUTES = 34


def simulated(runs: int) -> Times:
    """Return the minutes from the fault to the firing alert, by cause."""
    times: Times = defaultdict(list)
    program = influxd.find()
    if program is None:
        sys.exit(f"{influxd.MISSING}; {influxd.INSTALL}")
    for run in range(runs):
        begins = 12 + 3 * run % 5
        with tempfile.TemporaryDirectory() as folder:
            server = InfluxDB(program, Path(folder) / "influxdb").start()
            try:
                scenario = _scenario(run, begins)
                log = day._simulate(scenario, server.view, Path(folder))
            finally:
                server.stop()
        for cause, labels, *_ in _SIMULATED:
            times[cause].append(_first(log, cause, labels) - begins)
    return times


def _scenario(run: int, begins: int) -> Scenario:
    faults = [
        {"kind": kind, "regency": labels["place"], "from": begins, **settings}
        for _, labels, kind, settings in _SIMULATED
    ]
    scenario = day._scenario("alerts", 130, begins + _MINUTES, faults)
    return scenario.model_copy(update={"seed": run + 1})


def _first(log: EvaluationLog, cause: str, labels: Mapping[str, str]) -> float:
    """Return the minute in which an alert fired first; FOREVER if it did not."""
    return min(
        (
            period[0]
            for severity in ("warning", "critical")
            for period in log.firing_periods(cause, severity, **labels)
        ),
        default=FOREVER,
    )


_START_NS = int(datetime(2024, 2, 14, 3, tzinfo=UTC).timestamp()) * 10**9
# Affected shares from little above the limit to all stations.
_WINDOWED: Mapping[str, Sequence[float]] = {
    "silent": (0.25, 0.28),
    "bad-share": (0.28, 0.29),
    "loss": (0.2, 0.3, 0.6, 1.0),
    "rtt": (0.8, 1.0),
    "throughput": (0.7, 0.8, 0.9, 1.0),
    "upload": (0.4, 0.6, 0.8, 1.0),
    "backlog": (0.3, 0.5, 0.8, 1.0),
    "unsent": (0.3, 0.5, 0.7, 1.0),
    "late": (0.7, 0.8, 0.9, 1.0),
}


def windowed() -> Times:
    """Return the minutes from the rise to the decision, by cause."""
    voting = VotingWindow(named("2024-02-14"))
    return {
        cause: [_decided(cause, most, voting) for most in shares]
        for cause, shares in _WINDOWED.items()
    }


def _decided(cause: str, most: float, voting: VotingWindow) -> float:
    """Return the first minute with an open trouble after a rise at minute 0."""
    standing: Mapping[Key, Trouble] = {}
    rising = Rising(cause, lambda at: most if at >= 0 else 0.0, _START_NS)
    for minute in range(-2, 120):
        decision = decide(rising.facts(minute), standing, voting)
        standing = decision.troubles
        records = map(decode, decision.lines)
        if any(r.tags.get("cause") == cause for r in records):
            return minute
    return FOREVER


def platform(events: int = _WITNESS_MINUTES) -> Times:
    """Return the minutes from a failure of the centre to its firing rule."""
    times: Times = defaultdict(list)
    program = influxd.find()
    if program is None:
        sys.exit(f"{influxd.MISSING}; {influxd.INSTALL}")
    with tempfile.TemporaryDirectory() as folder:
        server = InfluxDB(program, Path(folder) / "influxdb").start()
        try:
            for alert, points in EVENTS.items():
                for offset in range(events):
                    database = server.view.fresh()
                    minutes = minutes_to_firing(database, alert, points, EVENT + offset)
                    times[alert].append(minutes)
        finally:
            server.stop()
    return times


def rows(times: Times, how: str) -> Iterator[tuple[str, ...]]:
    """Yield the table row of each cause."""
    for cause, minutes in times.items():
        found = [m for m in minutes if m < FOREVER - 100]
        yield (
            cause,
            f"{median(found):g}" if found else "-",
            f"{max(found):g}" if len(found) == len(minutes) else "not fired",
            str(len(minutes)),
            how,
        )


def main(arguments: Sequence[str] = ()) -> int:
    """Print the table."""
    runs = int(arguments[0]) if arguments else RUNS
    found = [
        *rows(simulated(runs) if runs else {}, "simulated day"),
        *rows(windowed(), "window"),
        *rows(platform(), "points"),
    ]
    show("event to alert", ("cause", "median min", "worst min", "n", "how"), found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
