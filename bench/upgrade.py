"""Bytes of an upgrade by apt, and of the differences that another fetcher would load.

`python -m bench.upgrade` upgrades a booted device. It needs root, systemd-nspawn, gpg
and zstd. The package of the device has little compression. xdelta3 is measured if it is
installed.
"""

from __future__ import annotations

import lzma
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.table import show
from deploy.packages.archives import xz
from deploy.packages.repository import (
    members,
    sign_repository,
    source_of,
    write_repository,
)
from tests.deploy.device import (
    EARLIER,
    NEW,
    SETUP,
    TOKEN,
    Device,
    booted,
    build,
    build_earlier,
    plug_in,
)
from tests.lab.network import SERVER
from tests.support.waiting import eventually

_PORT = 8088
_KEY = "release@example.id"
_REACHED = f"exec 3<>/dev/tcp/{SERVER}/{_PORT}"
_SIM_BYTES = 1e9
# Each command compresses the new archive as a difference to the old one.
_DELTAS = {
    "zstd --patch-from": "zstd -qq -19 --long=27 --patch-from=old new -o out",
    "xdelta3": "xdelta3 -e -9 -S lzma -B 67108864 -s old new out",
}
_PATCHES = {
    "zstd --patch-from": "zstd -q -d --long=27 --patch-from=old out -o x",
    "xdelta3": "xdelta3 -d -B 67108864 -s old out x",
}


def _make_key(home: Path) -> None:
    home.mkdir(mode=0o700)
    os.environ["GNUPGHOME"] = str(home)
    options = ("--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "")
    create = ("--quick-gen-key", _KEY, "ed25519", "sign", "never")
    subprocess.run(["gpg", *options, *create], check=True)


def _apt_bytes(device: Device, folder: Path, packages: Sequence[Path]) -> list[int]:
    """Return the bytes sent for the lists, and for all of an upgrade."""
    release = write_repository(packages, folder / "apt", int(time.time()))
    sign_repository(release, _KEY)
    served = ("--directory", str(folder / "apt"), "--bind", SERVER, str(_PORT))
    server = ("python3", "-m", "http.server", "--protocol", "HTTP/1.1", *served)
    device.lab.popen(server, "server", stderr=subprocess.DEVNULL)
    container = device.container
    url = f"http://{SERVER}:{_PORT}"
    eventually(lambda: container.run("bash", "-c", _REACHED, check=False).stdout == "")
    container.write("/etc/apt/sources.list.d/qos-agent.sources", source_of(url, [_KEY]))
    config = container.output("cat", "/etc/qos-agent/agent.toml")
    sent = []
    for version in ("9.9.9", NEW):
        text = f'{config}\n[fleet]\nversion = "{version}"\n'
        container.write("/etc/qos-agent/agent.toml", text)
        before = device.lab.interface_bytes("server", "tx")
        container.run("systemctl", "start", "qos-agent-upgrade", check=False)
        sent.append(device.lab.interface_bytes("server", "tx") - before)
    shown = ("dpkg-query", "-W", "-f", "${Version}", "qos-agent")
    installed = container.output(*shown)
    assert installed == NEW, installed
    return sent


def _archive(package: Path) -> bytes:
    return lzma.decompress(members(package.read_bytes())["data.tar.xz"])


def _delta_rows(old: bytes, new: bytes) -> Iterator[tuple[str, ...]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "old").write_bytes(old)
        (folder / "new").write_bytes(new)
        for tool, command in _DELTAS.items():
            if shutil.which(command.split()[0]) is None:
                continue
            subprocess.run(command.split(), cwd=folder, check=True)
            size = (folder / "out").stat().st_size
            timed = ["/usr/bin/time", "-f", "%M %e", *_PATCHES[tool].split()]
            done = subprocess.run(
                timed, cwd=folder, check=True, capture_output=True, text=True
            )
            peak_kib, seconds = done.stderr.split()[-2:]
            assert (folder / "x").read_bytes() == new
            yield _row(tool, size, f"{int(peak_kib) / 1024:.0f} MiB", f"{seconds} s")
            for file in ("out", "x"):
                (folder / file).unlink()


def _row(name: str, size: float, memory: str = "", time_: str = "") -> tuple[str, ...]:
    share = f"{size / _SIM_BYTES:.3%}"
    return (name, f"{size / 1e6:.3f} MB", share, memory, time_)


def _own(files: bytes) -> int:
    """Return the compressed size of a package without its libraries."""
    import io
    import tarfile

    output = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(files)) as source,
        tarfile.open(fileobj=output, mode="w") as target,
    ):
        for member in source:
            library = "/usr/lib/qos-agent/" in member.name
            if not library or "/qos_agent/" in member.name.split("qos-agent/", 1)[-1]:
                target.addfile(member, source.extractfile(member))
    return len(xz(output.getvalue()))


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make_key(folder / "gnupg")
        (folder / "new").mkdir()
        built = build(folder / "new")
        earlier = build_earlier(folder)
        (folder / "device").mkdir()
        with booted(folder / "device") as device:
            plug_in(device.container, built)
            device.install("old.deb")
            device.container.run(*SETUP, stdin=f"{TOKEN}\n")
            packages = (earlier, built.old, built.new)
            lists, whole = _apt_bytes(device, folder, packages)
        new, size_mb = _archive(built.new), built.new.stat().st_size / 1e6
        rows = [
            _row("apt: lists only, wanted version absent", lists),
            _row(f"apt: a package of {size_mb:.2f} MB, and the lists", whole),
            _row("package of a release", len(xz(new))),
            _row("package without libraries", _own(new)),
        ]
        for title, old in (("the same code", built.old), ("earlier code", earlier)):
            found = _delta_rows(_archive(old), new)
            rows += [(f"{tool}, from {title}", *rest) for tool, *rest in found]
        subprocess.run(["gpgconf", "--kill", "all"], check=False)
    head = ("what", "bytes", "of 1 GB", "memory to apply", "time to apply")
    show(f"An upgrade from {EARLIER} to {NEW}, n 1", head, rows)


if __name__ == "__main__":
    main()
