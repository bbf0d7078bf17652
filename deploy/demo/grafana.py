"""An installed Grafana with the project's provisioning, for demonstration and tests.

It uses the committed files. Only the folder with the boards is different. It listens
on the loopback address, sends no usage report and looks for no update.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

HERE = Path(__file__).parent
FILES = HERE.parent.parent / "grafana"
VARIABLE = "QOS_GRAFANA"
USER, PASSWORD = "admin", "drill"
# Where the provider looks for boards in a container or after an installation.
INSTALLED = "/var/lib/grafana/dashboards"
START_LIMIT_S = 180.0
_TIMEOUT_S = 60.0
_EMPTIED_WITHIN_S = 30.0


def configured_home() -> Path | None:
    """Return the home folder that QOS_GRAFANA names, by itself or by its program.

    Raises FileNotFoundError if the variable names something else.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    path = Path(named).resolve()
    home = path.parent.parent if path.is_file() else path
    if not (home / "conf" / "defaults.ini").exists():
        raise FileNotFoundError(
            f"{VARIABLE}: has no conf/defaults.ini (found: {named}). "
            "Fix: name the home folder of Grafana, such as /usr/share/grafana."
        )
    return home


def shared_environment() -> dict[str, str]:
    """Return the variables of grafana.env, which the compose file uses too."""
    lines = (HERE / "grafana.env").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line and line[0] != "#")
    return {name: value for name, _, value in pairs}


@dataclass(frozen=True, slots=True)
class Response:
    """A response of Grafana's API."""

    status: int
    body: Any


class Grafana:
    """One process with its folder, and requests to its API."""

    def __init__(
        self, home: Path, folder: Path, port: int, variables: Mapping[str, str]
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._home = home
        self._folder = folder
        self._port = port
        self._variables = dict(variables)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Grafana:
        """Start and wait until it answers. Raises RuntimeError with its log."""
        self._folder.mkdir(parents=True, exist_ok=True)
        overlay = _overlay(self._home, self._folder / "home")
        _provisioning(self._folder / "provisioning")
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [*_program(self._home), "--homepath", str(overlay)],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.wait_until(lambda: self.ask("/api/health").status == 200, START_LIMIT_S)
        if self.ask("/api/health").body["version"].startswith("9.4."):
            self._name_databases_again()
        return self

    def stop(self) -> None:
        """Stop the process if it is running."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    @property
    def log(self) -> str:
        """Return the log."""
        return (self._folder / "log").read_text(errors="replace")

    def ask(self, path: str, body: Any = None) -> Response:
        """Send a GET, or a POST with a body, as administrator. Raises OSError."""
        secret = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        request = Request(  # noqa: S310  on the loopback address
            self.url + path,
            None if body is None else json.dumps(body).encode(),
            {"Authorization": f"Basic {secret}", "Content-Type": "application/json"},
        )
        try:
            with urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
                return Response(response.status, json.loads(response.read() or b"null"))
        except HTTPError as error:
            return Response(error.code, error.read().decode(errors="replace"))

    def wait_until(self, holds: Callable[[], bool], limit_s: float) -> None:
        """Wait until a condition is true. Raises RuntimeError with the log."""
        give_up_mono = time.monotonic() + limit_s
        while time.monotonic() < give_up_mono:
            try:
                if holds():
                    return
            except URLError:
                if self._process is None or self._process.poll() is not None:
                    break
            time.sleep(0.2)
        raise RuntimeError(
            f"Grafana: not ready within {limit_s:g} s:\n{self.log[-4000:]}"
        )

    def _name_databases_again(self) -> None:
        """Reload sources that 9.4 empties after its first start (grafana #62790)."""

        def named() -> list[bool]:
            sources = self.ask("/api/datasources").body
            return [bool(source["database"]) for source in sources]

        with suppress(RuntimeError):  # the last releases of 9.4 have the fix
            self.wait_until(lambda: False in named(), _EMPTIED_WITHIN_S)
        self.ask("/api/admin/provisioning/datasources/reload", {})
        self.wait_until(lambda: all(named()), _TIMEOUT_S)

    def _environment(self) -> dict[str, str]:
        folder = self._folder
        own = {
            "GF_SERVER_HTTP_ADDR": "127.0.0.1",
            "GF_SERVER_HTTP_PORT": str(self._port),
            "GF_SECURITY_ADMIN_USER": USER,
            "GF_SECURITY_ADMIN_PASSWORD": PASSWORD,
            "GF_PATHS_DATA": str(folder / "data"),
            "GF_DATABASE_URL": _database(folder / "data" / "grafana.db"),
            "GF_PATHS_LOGS": str(folder / "logs"),
            "GF_PATHS_PLUGINS": str(folder / "plugins"),
            "GF_PATHS_PROVISIONING": str(folder / "provisioning"),
            "GF_LOG_MODE": "console",
        }
        kept = {name: os.environ[name] for name in ("PATH", "HOME") & os.environ.keys()}
        return kept | shared_environment() | own | self._variables


def _database(path: Path) -> str:
    """Return the address of Grafana's SQLite file, like that in grafana.env."""
    options = shared_environment()["GF_DATABASE_URL"].partition("?")[2]
    return f"sqlite3://{path}?{options}"


def _program(home: Path) -> list[str]:
    """Return `grafana server`, or the separate program of versions before 9.4."""
    one = home / "bin" / "grafana"
    return [str(one), "server"] if one.exists() else [str(home / "bin/grafana-server")]


def _overlay(home: Path, overlay: Path) -> Path:
    """Build a copy of the home folder with the project's map, out of symbolic links."""
    shutil.rmtree(overlay, ignore_errors=True)
    maps = overlay / "public" / "maps"
    maps.mkdir(parents=True)
    _link(home, overlay, but="public")
    _link(home / "public", overlay / "public", but="maps")
    _link(home / "public" / "maps", maps)
    _link(FILES / "maps", maps)
    return overlay


def _link(source: Path, target: Path, but: str = "") -> None:
    for path in source.iterdir():
        if path.name != but:
            (target / path.name).symlink_to(path)


def _provisioning(target: Path) -> None:
    """Copy the provisioning files, with the path of the boards in this folder.

    The contact points are those of the demonstration, which reach nobody.
    """
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(FILES / "provisioning", target)
    shutil.copy(HERE / "contact-points.yaml", target / "alerting")
    for path in (target / "dashboards").iterdir():
        text = path.read_text(encoding="utf-8")
        path.write_text(
            text.replace(INSTALLED, str(FILES / "dashboards")), encoding="utf-8"
        )
