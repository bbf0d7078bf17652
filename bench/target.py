"""The measurement server of deploy/target, with iperf3, inside a laboratory."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.lab.network import SERVER, Lab, Node

TARGET = Path(__file__).parent.parent / "deploy" / "target"
ENDS: tuple[Node, ...] = ("server", "client")
_CONTROL = Path("/proc/sys/net/ipv4/tcp_congestion_control")
_ALLOWED = Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
_MAIN = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{ {temporary}
include {folder}/target.conf; }}
"""
# The requests of speedtest-cli to a Speedtest Mini server, with the real sizes.
_MINI = """
    location = /speedtest/latency.txt {{ return 200 "test=test"; }}
    location = /speedtest/upload.php {{
        client_max_body_size 0; return 200 "size=500"; }}
    location /speedtest/ {{ alias {folder}/mini/; }}
    location = / {{ return 200 'upload_extension: "php"'; }}
"""
_MINI_SIZES = {
    350: 245_388,
    500: 505_544,
    750: 1_118_012,
    1000: 1_986_284,
    1500: 4_468_241,
    2000: 7_907_740,
    2500: 12_407_926,
    3000: 17_816_816,
    3500: 24_262_167,
    4000: 31_625_365,
}
_KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextmanager
def target(
    lab: Lab, congestion_control: str | None = None, pem: Path | None = None
) -> Iterator[str]:
    """Run nginx and iperf3 on the laboratory's server; yield the URL.

    With `pem`, a certificate and its key, nginx also serves TLS.
    """
    with ExitStack() as stack:
        if congestion_control is not None:
            stack.enter_context(_congestion_control(lab, congestion_control))
        yield from _served(lab, pem)


def _served(lab: Lab, pem: Path | None) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="qos-target-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        subprocess.run(
            [TARGET / "make-body", folder], check=True, stdout=subprocess.DEVNULL
        )
        null = subprocess.DEVNULL
        servers = [
            lab.popen(["nginx", "-c", str(_configure(folder, pem))], "server"),
            lab.popen(iperf3_command(), "server", stdout=null, stderr=null),
        ]
        _wait(lab)
        yield f"http://{SERVER}"
        for server in servers:
            server.terminate()
            server.wait(5)


def iperf3_command(port: int = 5201) -> list[str]:
    """Return the command of the systemd unit."""
    lines = (TARGET / "iperf3@.service").read_text().splitlines()
    (command,) = [line for line in lines if line.startswith("ExecStart=")]
    return command.removeprefix("ExecStart=").replace("%i", str(port)).split()


def certificate(folder: Path) -> Path:
    """Create a self-signed certificate for the laboratory's server, with its key."""
    pem, public = folder / "pem", folder / "certificate"
    program = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    options = f"-days 2 -subj /CN=bench -addext subjectAltName=IP:{SERVER}"
    files = ["-keyout", str(pem), "-out", str(public)]
    argv = [*program.split(), *options.split(), *files]
    subprocess.run(argv, check=True, capture_output=True)
    pem.write_text(pem.read_text() + public.read_text())
    return pem


@contextmanager
def _congestion_control(lab: Lab, congestion_control: str) -> Iterator[None]:
    """Set the algorithm of both ends.

    A namespace may use only allowed algorithms. The list belongs to the whole machine,
    so it is restored.
    """
    allowed = _ALLOWED.read_text()
    if congestion_control not in allowed.split():
        _ALLOWED.write_text(f"{allowed.strip()} {congestion_control}")
    try:
        for node in ENDS:
            with lab.enter(node):
                _CONTROL.write_text(congestion_control)
        yield
    finally:
        if _ALLOWED.read_text() != allowed:
            _ALLOWED.write_text(allowed)


def _configure(folder: Path, pem: Path | None) -> Path:
    """Write the configuration of deploy/target with another path; return its file."""
    shipped = (TARGET / "nginx.conf").read_text()
    own = shipped.replace("/var/lib/qos-target", str(folder))
    if pem is not None:
        secure = f"ssl_certificate {pem}; ssl_certificate_key {pem};"
        own = own.replace("# listen 443 ssl", f"{secure} listen 443 ssl")
    head, _, tail = own.rpartition("    location / {")
    mini = _MINI.format(folder=folder)
    (folder / "target.conf").write_text(f"{head}{mini}    location / {{{tail}")
    (folder / "mini").mkdir()
    for width, size in _MINI_SIZES.items():
        with (folder / "mini" / f"random{width}x{width}.jpg").open("wb") as file:
            file.truncate(size)
    temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in _KINDS)
    main = folder / "main.conf"
    main.write_text(_MAIN.format(folder=folder, temporary=temporary))
    return main


def _wait(lab: Lab) -> None:
    end = time.monotonic() + 10
    for port in ("80", "5201"):
        while time.monotonic() < end:
            listening = lab.run(["ss", "-Hltn", f"sport = :{port}"], "server").stdout
            if listening.strip():
                break
