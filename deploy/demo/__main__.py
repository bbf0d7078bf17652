"""`make demo`: by containers, or with an InfluxDB and a Grafana of this machine.

Without containers: QOS_GRAFANA names Grafana's home folder and QOS_INFLUXD the
program `influxd`, 1.8 or later of its line. `python -m deploy.demo nation URL FOLDER`
holds the drill alone, against an InfluxDB at that address.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path

from deploy.demo import engine, grafana, influxd
from deploy.demo.drill import RAW_DB, ROLLUP_DB
from deploy.demo.grafana import PASSWORD, USER, Grafana
from deploy.demo.nation import live

GRAFANA_PORT = 3000
_BOARD = "/d/qos-overview-en"
_MISSING = (
    "make demo: no container engine answers; start Docker, or "
    "`apt-get install podman podman-compose`; or set QOS_GRAFANA to an installed "
    "Grafana's home folder and QOS_INFLUXD to an influxd 1.8"
)


def main(arguments: list[str]) -> int:
    """Hold the drill until interrupted; by containers it goes on by itself."""
    if arguments[:1] == ["nation"] and len(arguments) == 3:
        live(Path(arguments[2]), arguments[1], _say, _stopped())
        return 0
    if arguments:
        print("usage: python -m deploy.demo [nation URL FOLDER]", file=sys.stderr)
        return 2
    try:
        home, program = grafana.found(), influxd.found()
    except FileNotFoundError as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 2
    if home is not None and program is not None:
        _local(home, program)
        return 0
    compose = engine.found()
    if compose is None:
        print(_MISSING, file=sys.stderr)
        return 1
    return _contained(compose)


def _contained(compose: tuple[str, ...]) -> int:
    stop = f"{' '.join(compose)} -f deploy/demo/compose.yaml down -v"
    if not engine.start(compose):
        print(f"the demonstration did not start; remove it: {stop}", file=sys.stderr)
        return 1
    _tell(f"http://127.0.0.1:{GRAFANA_PORT}", stop)
    return 0


def _local(home: Path, program: Path) -> None:
    """Both servers, the nation, and an end in good order."""
    stop = _stopped()
    with ExitStack() as started:
        folder = Path(started.enter_context(tempfile.TemporaryDirectory()))
        port = influxd.free_port()
        database = influxd.start(program, folder / "influxdb", port)
        started.callback(database.wait)
        started.callback(database.terminate)
        url = f"http://127.0.0.1:{port}"
        boards = Grafana(home, folder / "grafana", influxd.free_port(), variables(url))
        started.callback(boards.stop)
        boards.start()

        def say(text: str) -> None:
            _say(text)
            if text == "ready":
                _tell(boards.url, "Ctrl-C")

        live(folder / "drill", url, say, stop)


def variables(url: str) -> dict[str, str]:
    """What the provisioning files leave to the environment; no alert leaves here."""
    nowhere = "http://127.0.0.1:9/"
    return {
        "QOS_RAW_URL": url,
        "QOS_RAW_DB": RAW_DB,
        "QOS_ROLLUP_URL": url,
        "QOS_ROLLUP_DB": ROLLUP_DB,
        "QOS_INFLUX_USER": "drill",
        "QOS_INFLUX_TOKEN": "drill",
        "QOS_ALERT_WEBHOOK_URL": nowhere,
        "QOS_HEARTBEAT_URL": nowhere,
        "QOS_ALERT_EMAIL": "noc@drill.invalid",
        "QOS_PLATFORM_EMAIL": "platform@drill.invalid",
        "QOS_TELEGRAM_TOKEN": "drill",
        "QOS_TELEGRAM_CHAT": "1",
        "QOS_DOCS_URL": "http://127.0.0.1:9/docs/operations",
    }


def _stopped() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _say(text: str) -> None:
    print(text, flush=True)


def _tell(url: str, stop: str) -> None:
    _say(f"""
  boards      {url}{_BOARD}
  on a wall   {url}{_BOARD}?kiosk
  Indonesian  {url}{_BOARD.removesuffix("en")}id
  anyone may look; as the administrator: {USER}, {PASSWORD}
  a drill: every station and every trouble is simulated
  stop        {stop}
""")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
