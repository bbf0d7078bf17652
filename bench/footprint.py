"""Memory, processor time and disk writes of the agent with everything on.

`python -m bench.footprint [SECONDS] [sealed] [remote]` uses the voting intervals
with latency, pages, form uploads, throughput and delivery to a real InfluxDB. It runs
in a laboratory with the environment of the systemd unit, by default for five minutes.
With `sealed` the agent has a key and seals its journal at each start and stop. With
`remote` it checks for a remote configuration every 20 s, and loads one at its start.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.table import show
from bench.target import target
from qos_agent.config.remote.index import toml_text
from qos_agent.evidence import keys
from tests.lab.network import SERVER, Lab
from tests.lab.shape import Shape
from tests.noc.remote.centre import make_centre
from tests.servers import influxd
from tests.servers.influxdb import InfluxDB
from tests.servers.influxdb import Settings as Server

_LENGTH_S = 300
_SETTLED_S = 60
_FIRST_S = 20
_UNIT = Path(__file__).parent.parent / "deploy/systemd/qos-agent.service"
_CONFIG = """
[station]
id = "3171010001001"
province = "31"
regency = "3171"
[[links]]
name = "main"
operator = "operator"
interface = "eth0"
[schedule.idle]
latency = "1m"
throughput = "4m"
web = "2m"
form = "2m"
host = "1m"
[throughput]
server = "{url}"
[web]
pages = [{{name = "page", url = "{url}/", status = 404}}]
[form]
url = "{url}/empty.php"
method = "POST"
[collector]
url = "{collector.url}"
org = "{collector.org}"
bucket = "{collector.bucket}"
token = "{collector.token}"
[journal]
folder = "{folder}/journal"
[runtime]
folder = "{runtime}"
"""
_NGINX = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}
http {{
    access_log off; client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2;
    fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4;
    scgi_temp_path {folder}/t5;
    server {{ listen 127.0.0.1:8078; root {published}; }}
}}
"""


@dataclass(frozen=True, slots=True)
class Use:
    """The resources that a process has used so far."""

    peak_kib: int
    resident_kib: int
    cpu_s: float
    written_bytes: int


def use(pid: int) -> Use:
    """Read the counters of a process, with its threads and without its children."""
    place = Path(f"/proc/{pid}")
    status = (place / "status").read_text()
    ticks = (place / "stat").read_text().rsplit(")", 1)[1].split()
    written = (place / "io").read_text().split("\nwrite_bytes:")[1].split()[0]
    return Use(
        int(status.split("VmHWM:")[1].split()[0]),
        int(status.split("VmRSS:")[1].split()[0]),
        (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK"),
        int(written),
    )


def unit_environment(cache: Path) -> dict[str, str]:
    """Return the environment of the unit without settings, and with another cache."""
    lines = (line.partition("=") for line in _UNIT.read_text().splitlines())
    pairs = (value.partition("=") for key, _, value in lines if key == "Environment")
    assigned = {n: value for n, _, value in pairs if not n.startswith("QOS_AGENT_")}
    inherited = {n: v for n, v in os.environ.items() if not n.startswith("PYTHON")}
    return inherited | assigned | {"PYTHONPYCACHEPREFIX": str(cache)}


def measured(
    lab: Lab, folder: Path, collector: InfluxDB, length_s: float, remote: str = ""
) -> tuple[Use, Use]:
    """Return the use one minute after the start and at the end.

    `remote` is the table `[remote]` of the configuration, if there is one.
    """
    with target(lab) as url, tempfile.TemporaryDirectory(dir="/dev/shm") as runtime:
        config = folder / "agent.toml"
        config.write_text(
            _CONFIG.format(url=url, collector=collector, folder=folder, runtime=runtime)
            + remote
        )
        command = [sys.executable, "-m", "qos_agent", "run", "-c", str(config)]
        environment = unit_environment(folder / "cache")
        null = subprocess.DEVNULL
        # The first start after an installation compiles bytecode and is larger.
        first = [*command, "--for", f"{_FIRST_S}s"]
        lab.popen(first, "client", stdout=null, env=environment).wait()
        agent = lab.popen(command, "client", stdout=null, env=environment)
        time.sleep(_SETTLED_S)
        start = use(agent.pid)
        time.sleep(length_s - _SETTLED_S)
        end = use(agent.pid)
        agent.terminate()
        agent.wait(20)
    return start, end


def _remote(lab: Lab, folder: Path) -> tuple[str, subprocess.Popen[bytes]]:
    """Publish a configuration for the client; return its table and the web server."""
    centre = make_centre(folder / "noc")
    centre.write("nation/settings.toml", "[latency]\ncount = 19\n")
    centre.publish(now_s=int(time.time()))
    folder.chmod(0o755)
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, published=centre.published))
    command = ["nginx", "-c", str(config), "-g", "user root;"]
    values = centre.section("http://127.0.0.1:8078").model_dump(exclude_unset=True)
    table = "[remote]\n" + toml_text({**values, "check": "20s"})
    return table, lab.popen(command, "client")


def main(arguments: Sequence[str] = ()) -> None:
    """Print the table."""
    length_s = float(arguments[0]) if arguments else _LENGTH_S
    is_sealed = "sealed" in arguments[1:]
    program = influxd.find()
    if program is None:
        sys.exit("influxd: missing. Fix: run apt-get install influxdb.")
    with (
        Lab(Shape(rate_mbps=20, delay_ms=30)) as lab,
        tempfile.TemporaryDirectory() as t,
    ):
        server = InfluxDB(
            program,
            Path(t) / "influxdb",
            Server(),
            namespace=lab.name("server"),
            address=SERVER,
        )
        server.start()
        if is_sealed:
            keys.create_key(Path(t) / "journal" / keys.FILE_NAME)
        remote, nginx = (
            _remote(lab, Path(t)) if "remote" in arguments[1:] else ("", None)
        )
        start, end = measured(lab, Path(t), server, length_s, remote)
        if nginx is not None:
            nginx.terminate()
            nginx.wait(20)
        stored = sum(
            len(server.rows(name)) for name in ("latency", "web", "throughput")
        )
        seals = len(server.rows("seal")) if is_sealed else 0
        server.stop()
    length_s -= _SETTLED_S
    written_mb_day = (end.written_bytes - start.written_bytes) / length_s * 86400 / 1e6
    cpu_share = (end.cpu_s - start.cpu_s) / length_s
    show(
        f"Everything on, {length_s:.0f} s after the first minute (n 1, {stored} points "
        f"of latency, web and throughput in InfluxDB, {seals} seals)",
        ("figure", "measured", "goal"),
        [
            ("peak memory", f"{end.peak_kib / 1024:.1f} MiB", "64 MiB"),
            ("memory at the end", f"{end.resident_kib / 1024:.1f} MiB", ""),
            ("processor, share of a core", f"{cpu_share:.2%}", "1 %"),
            ("written to disk", f"{written_mb_day:.0f} MB a day", "stated"),
        ],
    )


if __name__ == "__main__":
    main(sys.argv[1:])
