"""The signature of a release, with a real gpg."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.packages import __main__ as builder
from deploy.packages.architecture import ARCHITECTURES
from deploy.packages.deb import deb
from deploy.packages.tree import tree
from tests.support.requirement import require

SIGNER = "release@example.id"
OTHER = "other@example.id"


@pytest.fixture
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Use a keyring with the keys of a release manager and of another person."""
    found = shutil.which("gpg") and shutil.which("gpg-agent")
    require(bool(found), "gpg", "apt-get install gpg gpg-agent")
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    for name in (SIGNER, OTHER):
        _gpg("--passphrase", "", "--quick-gen-key", name, "ed25519", "sign", "never")
    yield
    subprocess.run(["gpgconf", "--kill", "all"], check=False)


def _gpg(*arguments: str) -> int:
    command = ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", *arguments]
    return subprocess.run(command, check=False, capture_output=True).returncode


@pytest.fixture
def release(keyring: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a signed release, with one small package."""

    def build(_: object, __: Path, out: Path, *, fast: bool) -> list[Path]:
        names = [f"qos-agent_1_amd64.{ending}" for ending in ("deb", "run", "cdx.json")]
        for name in names:
            (out / name).write_text(f"{name} {fast}")
        architecture = ARCHITECTURES["amd64"]
        content = deb(tree("1", []), "1", architecture, 0, fast=True)
        (out / names[0]).write_bytes(content)
        return [out / name for name in names]

    monkeypatch.setattr(builder, "build", build)
    monkeypatch.setattr(builder, "own_wheel", lambda folder: folder)
    monkeypatch.setenv("QOS_SIGNING_KEY", SIGNER)
    out = tmp_path / "dist"
    assert builder.main(["--arch", "amd64", "--out", str(out)]) == 0
    return out


def _check(folder: Path) -> tuple[bool, bool]:
    """Return whether the signature and the sums are right, as the guide checks them."""
    signature, sums = folder / "SHA256SUMS.asc", folder / "SHA256SUMS"
    signed = _gpg("--verify", str(signature), str(sums)) == 0
    command = ["sha256sum", "--check", "--status", "SHA256SUMS"]
    return signed, subprocess.run(command, cwd=folder, check=False).returncode == 0


def test_a_release_is_signed(release: Path) -> None:
    """The signature covers each file, and the script that installs them."""
    assert _check(release) == (True, True)
    lines = (release / "SHA256SUMS").read_text().splitlines()
    named = {line.split()[1] for line in lines}
    present = {path.name for path in release.iterdir() if path.is_file()}
    assert named == present - {"SHA256SUMS", "SHA256SUMS.asc"}
    assert "install.sh" in named
    assert _gpg("--verify", str(release / "apt/dists/stable/InRelease")) == 0


def test_a_changed_file_is_found(release: Path) -> None:
    """A changed package has another sum, and changed sums have no signature."""
    with (release / "qos-agent_1_amd64.deb").open("ab") as file:
        file.write(b".")
    assert _check(release) == (True, False)
    sums = release / "SHA256SUMS"
    fresh = subprocess.run(
        ["sha256sum", *sorted(p.name for p in release.glob("qos-agent_*"))],
        cwd=release,
        check=True,
        capture_output=True,
    )
    sums.write_bytes(fresh.stdout)
    assert _check(release) == (False, True)


def test_an_unknown_key_is_not_accepted(release: Path) -> None:
    """A keyring without the release key refuses the signature."""
    _gpg("--export", "--output", str(release.parent / "other.pgp"), OTHER)
    keys = ("--no-default-keyring", "--keyring", str(release.parent / "other.pgp"))
    signature, sums = release / "SHA256SUMS.asc", release / "SHA256SUMS"
    assert _gpg(*keys, "--verify", str(signature), str(sums)) != 0
    assert _gpg("--verify", str(signature), str(sums)) == 0
