"""Pictures of the boards of a running Grafana, taken with headless Chromium.

`python -m deploy.demo.pictures http://127.0.0.1:3000 FOLDER` writes one PNG per board.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from deploy.demo.grafana import FILES

WIDTH = 1600
# Height of a grid row and of the gap between rows, as Grafana draws them.
_ROW_PX, _GAP_PX, _HEAD_PX = 30, 8, 96
_QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    # Only this machine is contacted, whatever addresses a page contains.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
# Virtual time of Chromium. It passes quickly and stops while requests are pending.
_SETTLE_MS = 30_000
_LIMIT_S = 300


def browser() -> str | None:
    """Return a Chromium on PATH, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def boards(language: str = "en") -> Iterator[tuple[str, int]]:
    """Yield the uid of each board and its height in pixels."""
    for path in sorted((FILES / "dashboards" / language).glob("*.json")):
        board = json.loads(path.read_text(encoding="utf-8"))
        rows = max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in board["panels"])
        yield board["uid"], rows * (_ROW_PX + _GAP_PX) + _HEAD_PX


def page(url: str, uid: str, query: str = "") -> str:
    """Return the address of a board without menus and without automatic refresh."""
    return f"{url}/d/{uid}?kiosk&refresh=1d{query}"


def take(address: str, height: int, path: Path) -> None:
    """Take a picture of a page once it is loaded. Raises CalledProcessError."""
    _run(f"--window-size={WIDTH},{height}", f"--screenshot={path}", address)


def text(address: str, height: int) -> str:
    """Return the document of a page once it is loaded. Raises CalledProcessError."""
    return _run(f"--window-size={WIDTH},{height}", "--dump-dom", address)


def _run(*arguments: str) -> str:
    program = browser()
    if program is None:
        raise FileNotFoundError("chromium: missing. Fix: run apt-get install chromium.")
    with tempfile.TemporaryDirectory() as profile:
        return subprocess.run(
            [
                program,
                *_QUIET,
                f"--user-data-dir={profile}",
                f"--virtual-time-budget={_SETTLE_MS}",
                *arguments,
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
        ).stdout


def main(arguments: list[str]) -> int:
    """Take a picture of every board."""
    if len(arguments) != 2:
        print("usage: python -m deploy.demo.pictures URL FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[1])
    folder.mkdir(parents=True, exist_ok=True)
    for uid, height in boards():
        path = folder / f"{uid.removeprefix('qos-').removesuffix('-en')}.png"
        take(page(arguments[0], uid), height, path)
        print(f"{path}: {path.stat().st_size // 1024} kB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
