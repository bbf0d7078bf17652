"""Writes the configuration of an installed system and starts its service."""

from __future__ import annotations

import grp
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from qos_agent.agent.answers import (
    STATION,
    Answers,
    check_collector,
    check_operator,
    check_station,
)
from qos_agent.config import token
from qos_agent.config.calendar_file import named
from qos_agent.config.loading import Loaded, load
from qos_agent.config.sources import DEFAULT_PATH, Sources
from qos_agent.model.errors import ConfigError, InvalidConfigError, ProbeError
from qos_agent.probes.registry import PROBES
from qos_agent.system.child_process import run_child
from qos_agent.system.files import create_private, read_bytes, replace_private, sync
from qos_agent.system.network.tls import client_context

TOKEN_PATH = DEFAULT_PATH.with_name("collector.token")
CA_PATH = DEFAULT_PATH.with_name("collector-ca.pem")
GROUP = "qos-agent"
_SERVICE, _ENROLMENT = "qos-agent.service", "qos-agent-enrol.service"
_QUICK_S = 30.0
# A little more than TimeoutStartSec of the unit.
_START_S = 660.0
_OUTPUT_MAX_BYTES = 100_000
_CA_MAX_BYTES = 1_000_000
_TEMPLATE = """\
# Written by qos-agent setup. All other settings and their defaults:
# qos-agent config init -
[station]
id = {station}
province = {province}
regency = {regency}

[[links]]
name = "main"
operator = {operator}
interface = {interface}
"""


def present() -> Answers:
    """Return the answers of the installed configuration; none if it is invalid."""
    if not DEFAULT_PATH.is_file():
        return Answers()
    try:
        settings = load(Sources(DEFAULT_PATH, {}, None), PROBES).settings
    except InvalidConfigError:
        return Answers()
    link, ca_file = settings.links[0], settings.collector.ca_file
    return Answers(
        settings.station.id if STATION.fullmatch(settings.station.id) else None,
        link.operator if link.operator != "unknown" else None,
        link.interface,
        settings.collector.url,
        settings.election.calendar,
        str(ca_file) if ca_file is not None else None,
    )


def config_text(answers: Answers) -> str:
    """Return the configuration file of these answers. Raises ConfigError."""
    station = check_station(answers.station or "")
    if answers.calendar:
        named(answers.calendar)
    values = {
        "station": station,
        "province": station[:2],
        "regency": station[:4],
        "operator": check_operator(answers.operator or ""),
        "interface": answers.interface,
    }
    text = _TEMPLATE.format_map({name: _toml(value) for name, value in values.items()})
    if answers.collector:
        text += f"\n[collector]\nurl = {_toml(check_collector(answers.collector))}\n"
        if answers.ca_file:
            text += f"ca_file = {_toml(answers.ca_file)}\n"
    if answers.calendar:
        text += f"\n[election]\ncalendar = {_toml(answers.calendar)}\n"
    return text


def _toml(value: str | None) -> str:
    # A basic string of TOML has the escapes of JSON, except those of surrogate pairs.
    # It must also escape DEL.
    text = (value or "").encode("utf-8", "replace").decode()
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def write_config(text: str, path: Path = DEFAULT_PATH, *, keep: bool = True) -> Loaded:
    """Check a configuration, then replace the file in one step.

    With `keep` the earlier file is kept with the suffix `.before-setup`. Raises
    InvalidConfigError, and the earlier file stays in force.
    """
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    create_private(new, text.encode())
    try:
        loaded = load(Sources(new, {}, None), PROBES)
    except InvalidConfigError:
        new.unlink()
        raise
    new.chmod(0o640)
    # The sandbox of qos-agent-enrol.service forbids chown, and gives the group itself.
    if (group := _group_id()) not in (-1, new.stat().st_gid):
        os.chown(new, -1, group)
    if keep and path.exists():
        shutil.copy2(path, path.with_name(f"{path.name}.before-setup"))
    new.replace(path)
    sync(path.parent)
    return loaded


def write_authority(source: Path, path: Path = CA_PATH) -> None:
    """Copy the certificate of the collector's authority. Raises ConfigError."""
    fix = "name a file with a certificate in PEM form"
    try:
        content = read_bytes(source, _CA_MAX_BYTES)
        client_context(source)
    except OSError as error:  # an SSLError too
        problem = error.strerror or "contains no certificate"
        raise ConfigError("ca_file", repr(str(source)), problem, fix) from error
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    create_private(new, content)
    new.chmod(0o644)
    new.replace(path)
    sync(path.parent)


def write_token(text: str, path: Path = TOKEN_PATH) -> None:
    """Write the token for root only. Raises ConfigError without the token in it."""
    try:
        checked = token.checked_token(text)
    except ValueError as error:
        found = f"hidden, {len(text)} characters"
        raise ConfigError("token", found, str(error), token.FIX) from error
    write_private(path, f"{checked}\n".encode())


def write_private(path: Path, content: bytes) -> None:
    """Replace a file that only its owner reads, on disk when this returns."""
    replace_private(path, content)
    sync(path.parent)


def _group_id() -> int:
    """Return the group that may read the configuration; -1 keeps the present one."""
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return -1


def start_service() -> str | None:
    """Enable and restart the service. Return the reason if it does not run."""
    for arguments, timeout_s in ((["enable"], _QUICK_S), (["restart"], _START_S)):
        problem = _systemctl([*arguments, _SERVICE], timeout_s)
        if problem is not None:
            return problem
    return None


def start_enrolment() -> str | None:
    """Start the service that completes an enrolment. Return the reason if it fails."""
    return _systemctl(["enable", "--now", "--no-block", _ENROLMENT], _QUICK_S)


def _systemctl(arguments: list[str], timeout_s: float) -> str | None:
    environment: Mapping[str, str] = {**os.environ, "LC_ALL": "C"}
    try:
        result = run_child(
            ["systemctl", *arguments],
            timeout_s=timeout_s,
            output_limit_bytes=_OUTPUT_MAX_BYTES,
            env=environment,
        )
    except ProbeError as error:
        return str(error)
    failure = result.failure()
    return None if failure is None else f"systemctl {arguments[0]}: {failure.detail}"
