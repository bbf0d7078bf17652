"""`make demo`: starts the demonstration with containers or with installed programs.

Without containers, QOS_GRAFANA names Grafana's home folder and QOS_INFLUXD the program
`influxd` of InfluxDB 1.8 or a later 1.x. `python -m deploy.demo nation URL FOLDER` runs
only the simulated stations and the census, with the InfluxDB at that address.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from deploy.demo import engine, grafana, influxd
from deploy.demo.alert_log import AlertLog
from deploy.demo.drill import RAW_DB, ROLLUP_DB
from deploy.demo.grafana import PASSWORD, USER, Grafana
from deploy.demo.nation import live

GRAFANA_PORT = 3000
ALERT_LOG_PORT = 9095
# Nothing listens on port 9 of this machine.
_NOWHERE = "http://127.0.0.1:9/"
_BOARD = "/d/qos-overview-en"
_MISSING = (
    "make demo: no container engine is running. Fix: start Docker, or run "
    "`apt-get install podman podman-compose`, or set QOS_GRAFANA to the home folder of "
    "an installed Grafana and QOS_INFLUXD to an influxd 1.8."
)


def main(arguments: list[str]) -> int:
    """Run the demonstration until interrupted. Containers run in the background."""
    if arguments[:1] == ["nation"] and len(arguments) == 3:
        _nation(arguments[1], Path(arguments[2]))
        return 0
    if arguments:
        print("usage: python -m deploy.demo [nation URL FOLDER]", file=sys.stderr)
        return 2
    try:
        home, program = grafana.configured_home(), influxd.configured_program()
    except FileNotFoundError as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 2
    if home is not None and program is not None:
        _local(home, program)
        return 0
    compose = engine.compose_command()
    if compose is None:
        print(_MISSING, file=sys.stderr)
        return 1
    return _contained(compose)


def _nation(url: str, folder: Path) -> None:
    """Run the simulated stations, the census and the alert log of the containers."""
    # Grafana runs in another container, so loopback is not enough. compose.yaml
    # publishes no port of this one.
    log = AlertLog(folder / "alerts.log", ("0.0.0.0", ALERT_LOG_PORT))  # noqa: S104
    log.start()
    live(folder, url, _print, _stop_event())
    log.stop()


def _contained(compose: tuple[str, ...]) -> int:
    stop = f"{' '.join(compose)} -f deploy/demo/compose.yaml down -v"
    if not engine.start(compose):
        print(f"The demonstration did not start. To remove it: {stop}", file=sys.stderr)
        return 1
    _print_addresses(f"http://127.0.0.1:{GRAFANA_PORT}", stop)
    return 0


def _local(home: Path, program: Path) -> None:
    """Run both servers and the simulated stations; stop the servers at the end."""
    stop = _stop_event()
    with ExitStack() as started:
        folder = Path(started.enter_context(tempfile.TemporaryDirectory()))
        port = influxd.free_port()
        database = influxd.start(program, folder / "influxdb", port)
        started.callback(database.wait)
        started.callback(database.terminate)
        url = f"http://127.0.0.1:{port}"
        alerts = AlertLog(Path(tempfile.gettempdir()) / "qos-demo-alerts.log")
        alerts.start()
        started.callback(alerts.stop)
        boards = Grafana(
            home, folder / "grafana", influxd.free_port(), variables(url, alerts.url)
        )
        started.callback(_print, "stopping Grafana and InfluxDB …")
        started.callback(boards.stop)
        _print("starting Grafana …")
        boards.start()

        def report(text: str) -> None:
            _print(text)
            if text == "ready":
                _print_addresses(boards.url, "Ctrl-C")

        live(folder / "drill", url, report, stop)


def variables(url: str, alerts: str = _NOWHERE) -> dict[str, str]:
    """Return the variables of the provisioning files; `alerts` receives all alerts."""
    return {
        "QOS_RAW_URL": url,
        "QOS_RAW_DB": RAW_DB,
        "QOS_ROLLUP_URL": url,
        "QOS_ROLLUP_DB": ROLLUP_DB,
        "QOS_INFLUX_USER": "drill",
        "QOS_INFLUX_TOKEN": "drill",
        "QOS_ALERT_WEBHOOK_URL": alerts,
        "QOS_HEARTBEAT_URL": _NOWHERE,
        "QOS_ALERT_EMAIL": "noc@drill.invalid",
        "QOS_PLATFORM_EMAIL": "platform@drill.invalid",
        "QOS_TELEGRAM_TOKEN": "drill",
        "QOS_TELEGRAM_CHAT": "1",
        "QOS_ALERT_LANGUAGE": "en",
        "QOS_DOCS_URL": "http://127.0.0.1:9/docs/operations",
    }


def _stop_event() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _print(text: str) -> None:
    print(text, flush=True)


def _print_addresses(url: str, stop: str) -> None:
    _print(f"""
  boards      {url}{_BOARD}
  wall screen {url}{_BOARD}?kiosk
  Indonesian  {url}{_BOARD.removesuffix("en")}id
  login       not needed; administrator: {USER}, {PASSWORD}
  note        all stations and all faults are simulated
  to stop     {stop}
""")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
