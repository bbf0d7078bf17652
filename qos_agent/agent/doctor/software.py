"""Checks of the program: its version, its Python and the files of its package."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from qos_agent import __version__
from qos_agent.agent.doctor.check import Check, bad, ok, warn
from qos_agent.agent.doctor.subject import Subject
from qos_agent.model.errors import ProbeError
from qos_agent.system.child_process import run_child

_OLDEST = (3, 11)
# A slow card reads the 25 MB of the package in about five seconds.
_VERIFY_S = 15.0
_OUTPUT_MAX_BYTES = 100_000
_PROGRAM = ("/usr/bin/qos-agent", "/usr/lib/qos-agent/", "/usr/lib/systemd/")
# The stick has this name, and one script for every processor.
REINSTALL = "sudo mount LABEL=QOS /mnt; sudo sh /mnt/install.sh"


def version(subject: Subject) -> Check:
    """Check the running and installed versions, and those of Python and the fleet."""
    name, python = "version", platform.python_version()
    values = {"version": __version__, "python": python}
    if sys.version_info < _OLDEST:
        text = "Python {python} is too old, 3.11 or newer is needed"
        return bad(name, text, "sudo apt-get install python3", **values)
    running = subject.running()
    if running is not None and running.figures.version != __version__:
        text = "{version} is installed, but {running} still runs"
        values["running"] = running.figures.version
        return warn(name, text, "{fix}", fix=subject.restart(), **values)
    fleet = subject.settings.fleet.version
    if fleet is not None and _as_text(fleet) != _as_text(__version__):
        text = "{version} is installed, but the fleet has {fleet}"
        return warn(name, text, REINSTALL, fleet=fleet, **values)
    return ok(name, "{version}, Python {python}", **values)


def _as_text(version: str) -> str:
    """Return a version without the spelling of Debian."""
    return version.replace("~dev", ".dev")


def package(_: Subject) -> Check:
    """Check the files of the program against the checksums of dpkg."""
    name = "package"
    if not Path(__file__).is_relative_to("/usr/lib/qos-agent"):
        return ok(name, "not installed by a package")
    try:
        result = run_child(
            ["dpkg", "--verify", "qos-agent"],
            timeout_s=_VERIFY_S,
            output_limit_bytes=_OUTPUT_MAX_BYTES,
        )
    except ProbeError:
        return ok(name, "installed without dpkg")
    if result.stopped_by is not None:
        text = "the files of the program could not be read in time"
        return warn(name, text, REINSTALL)
    changed = list(changed_files(result.stdout.decode("utf-8", "replace")))
    if changed:
        text = "{count} files of the program are missing or changed: {file}"
        values = {"count": len(changed), "file": changed[0]}
        return bad(name, text, REINSTALL, **values)
    return ok(name, "all files are as installed")


def changed_files(text: str) -> Iterator[str]:
    """Yield the files of the program in the output of `dpkg --verify`.

    A line has a result, perhaps the letter of a configuration file, and the path.
    """
    for line in text.splitlines():
        fields = line.split()
        if fields and fields[-1].startswith(_PROGRAM):
            yield fields[-1]
