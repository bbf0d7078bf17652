"""Checks of the service: state, restarts, watchdog, permissions, ping sockets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from qos_agent.agent.doctor.check import Check, bad, ok, warn
from qos_agent.agent.doctor.software import REINSTALL
from qos_agent.agent.doctor.subject import FRESH_S, Subject, User
from qos_agent.agent.doctor.unit import Unit
from qos_agent.config import calendar_file
from qos_agent.config.settings import Settings
from qos_agent.model.units import duration_text
from qos_agent.probes.latency.icmp import FIX as PING_FIX
from qos_agent.probes.latency.icmp import is_permitted
from qos_agent.system.files import matching, may_exist, read_text

_START = "sudo systemctl enable --now qos-agent"
_INSTALL = f"{REINSTALL}; {_START}"
_RECENT_S = 3600.0
_PING_GROUPS = Path("/proc/sys/net/ipv4/ping_group_range")


def state(subject: Subject) -> Check:
    """Check that the service runs, that it starts at boot, and that it stays up."""
    name, unit = "service", subject.unit
    if unit is None:
        return ok(name, "not used: the agent runs by hand")
    if not unit.properties:
        return bad(name, "systemd does not answer", "sudo systemctl reboot")
    if not unit.is_active:
        return _not_running(unit)
    if unit["UnitFileState"] == "disabled":
        text = "runs, but does not start at the next boot"
        return warn(name, text, "sudo systemctl enable qos-agent")
    return _restarts(unit)


def _not_running(unit: Unit) -> Check:
    state, result = unit["ActiveState"], unit["Result"]
    if unit["LoadState"] == "masked":
        text = "the service is disabled by a mask"
        return bad("service", text, f"sudo systemctl unmask qos-agent && {_START}")
    if unit["LoadState"] != "loaded":
        return bad("service", "the service is not installed", _INSTALL)
    if result in {"", "success"}:
        text = "the service does not run ({state})"
        return bad("service", text, _START, state=state)
    text = "the service does not run ({state}: {result}, status {status})"
    values = {"state": state, "result": result, "status": unit["ExecMainStatus"]}
    return bad("service", text, "sudo systemctl restart qos-agent", **values)


def _restarts(unit: Unit) -> Check:
    count = unit.number("NRestarts")
    age_s = unit.active_s()
    values = {"count": count, "age": duration_text(age_s)}
    if count and age_s < _RECENT_S:
        text = "runs for {age}, after {count} restarts by systemd"
        fix = "sudo qos-agent doctor --support qos-support.tar.gz"
        return warn("service", text, fix, **values)
    return ok("service", "runs for {age}, restarts: {count}", **values)


def watchdog(subject: Subject) -> Check:
    """Check that systemd watches the agent, and that the agent makes progress."""
    name, unit = "watchdog", subject.unit
    if unit is None or not unit.is_active:
        return ok(name, "not used: the service does not run")
    age_s = subject.status_age_s()
    if (age_s is None or age_s > FRESH_S) and unit.active_s() > FRESH_S:
        text = "the agent has written no status for {age}"
        age = duration_text(age_s) if age_s is not None else "?"
        return bad(name, text, "sudo systemctl restart qos-agent", age=age)
    age_s, limit = age_s or 0.0, unit["WatchdogUSec"]
    if limit in {"", "0", "infinity"}:
        text = "systemd does not watch the agent"
        fix = "sudo systemctl revert qos-agent && sudo systemctl restart qos-agent"
        return warn(name, text, fix)
    return ok(
        name,
        "limit {limit}, last status {age} ago",
        limit=limit,
        age=duration_text(age_s),
    )


def permissions(subject: Subject) -> Check:
    """Check that the service's user may write its folders and read its files."""
    problem = next(_denied(subject), None)
    if problem is not None:
        return problem
    return ok("permissions", "checked for user {user}", user=subject.user.name)


def _denied(subject: Subject) -> Iterator[Check]:
    user, all_rights = subject.user, os.R_OK | os.W_OK | os.X_OK
    for folder in dict.fromkeys((subject.folder, subject.settings.runtime_folder())):
        if may_exist(folder):
            if user.may(folder, all_rights) is False:
                yield _not_writable(subject, folder)
        elif subject.unit is None:  # systemd creates the folders of the service
            above = next(p for p in folder.absolute().parents if may_exist(p))
            if user.may(above, all_rights) is False:
                yield _no_folder(user, folder)
    for path in matching(subject.folder, "journal.*"):
        if user.may(path, os.R_OK | os.W_OK) is False:
            yield _not_writable(subject, path)
    for path in _files_to_read(subject.settings, subject.file):
        if user.may(path, os.R_OK) is False:
            yield _not_readable(user, path)


def _no_folder(user: User, folder: Path) -> Check:
    text = "{user} cannot write {path}"
    fix = f"sudo install -d -o {quote(user.name)} {quote(str(folder))}"
    return bad("permissions", text, "{fix}", user=user.name, path=folder, fix=fix)


def _not_writable(subject: Subject, path: Path) -> Check:
    """Return the check for a folder of the agent, or for a file of the journal."""
    user, text = subject.user.name, "{user} cannot write {path}"
    folder = path if path.is_dir() else path.parent
    owner, shown = quote(user), quote(str(folder))
    fix = f"sudo chown -R {owner}: {shown} && sudo chmod -R u+rwX {shown}"
    if subject.unit is not None:
        fix += f" && {subject.restart()}"
    return bad("permissions", text, "{fix}", user=user, path=path, fix=fix)


def _not_readable(user: User, path: Path) -> Check:
    text = "{user} cannot read {path}"
    owner, file = quote(user.name), quote(str(path))
    fix = f"sudo chgrp {owner} {file} && sudo chmod g+r {file}"
    return bad("permissions", text, "{fix}", user=user.name, path=path, fix=fix)


def _files_to_read(settings: Settings, file: Path | None) -> Iterator[Path]:
    """Yield the files that the settings name; systemd reads the token for the agent."""
    sections = (settings.collector, settings.fallback)
    named = [file, settings.latency.stamp_key_file]
    named += [settings.web.ca_file, settings.form.ca_file, settings.throughput.ca_file]
    for section in sections:
        named += [section.token_file, section.ca_file]
        named += [section.client_cert_file, section.client_key_file]
    calendar = settings.election.calendar
    if calendar and calendar not in calendar_file.shipped():
        named.append(Path(calendar))
    yield from (path for path in named if path is not None)


def probes(subject: Subject) -> Check:
    """Check that the service's user may send ICMP echoes, see icmp(7)."""
    name, user = "probes", subject.user
    unit = subject.unit
    if is_permitted() if unit is None else _may_ping(unit, user):
        return ok(name, "{user} may send pings", user=user.name)
    text = "{user} may not send pings"
    return bad(name, text, "{fix}", user=user.name, fix=PING_FIX)


def _may_ping(unit: Unit, user: User) -> bool:
    if "cap_net_raw" in unit["AmbientCapabilities"] or user.uid == 0:
        return True
    return in_ping_groups(user.groups, read_text(_PING_GROUPS) or "")


def in_ping_groups(groups: frozenset[int], text: str) -> bool:
    """Return True if one of the groups is in the range that icmp(7) describes."""
    numbers = re.findall(r"\d+", text)
    if len(numbers) != 2:
        return False
    low, high = map(int, numbers)
    return any(low <= group <= high for group in groups)
