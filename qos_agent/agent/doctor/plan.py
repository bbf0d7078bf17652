"""Checks of the plan: calendar and phase, data allowance, and seals."""

from __future__ import annotations

import os
from zoneinfo import ZoneInfo

from qos_agent.agent.build import demand
from qos_agent.agent.doctor.check import Check, bad, ok, warn
from qos_agent.agent.doctor.subject import Subject
from qos_agent.config import calendar_file
from qos_agent.config.settings import Settings
from qos_agent.evidence import keys
from qos_agent.model import Phase
from qos_agent.model.calendar import StationCalendar
from qos_agent.model.errors import InvalidConfigError, SigningError
from qos_agent.probes.registry import make_probes
from qos_agent.schedule.allowance_account import allowances
from qos_agent.schedule.allowance_forecast import shortfalls


def station_calendar(settings: Settings) -> StationCalendar:
    """Return the calendar of this station. Raises InvalidConfigError."""
    identity = settings.identity()
    timeline = calendar_file.named(settings.election.calendar).timeline(identity)
    return StationCalendar(timeline, ZoneInfo(identity.time_zone))


def calendar(subject: Subject) -> Check:
    """Check that the calendar has a phase for this station, now or later."""
    name, settings = "calendar", subject.settings
    if settings.election.calendar is None:
        text = "none: the phase is always idle"
        return warn(name, text, "sudo qos-agent setup --calendar NAME")
    try:
        station = station_calendar(settings)
    except InvalidConfigError as error:
        problem, _, fix = str(error.faults[0]).partition(" Fix: ")
        return bad(name, "{problem}", "{fix}", problem=problem, fix=fix)
    now_ns = subject.clock.wall_ns()
    phase = station.timeline.phase_at(now_ns)
    values = {"calendar": settings.election.calendar, "phase": phase.value}
    running = subject.running()
    if running is not None and running.phase != phase.value:
        values["other"] = running.phase
        text = "phase {phase} by {calendar}, but the agent runs in phase {other}"
        return warn(name, text, "{fix}", fix=subject.restart(), **values)
    if phase is Phase.IDLE and station.timeline.next_change(now_ns) is None:
        text = "{calendar}: all its phases are over"
        return warn(name, text, "sudo qos-agent setup --calendar NAME", **values)
    return ok(name, "phase {phase} by {calendar}", **values)


def allowance(link: str, subject: Subject) -> Check:
    """Check that the schedule fits into the data allowance of a link."""
    name, settings = f"allowance {link}", subject.settings
    limit = allowances(settings)[link]
    used_up = _used_up(link, subject)
    if used_up is not None:
        return used_up
    if limit.month_bytes is None and limit.day_bytes is None:
        return ok(name, "no limit")
    needed = demand(settings, make_probes(settings))
    now_ns = subject.clock.wall_ns()
    lines = shortfalls(needed, link, station_calendar(settings), limit, now_ns)
    if not lines:
        return ok(name, "the schedule fits")
    text = "too small for the schedule: {problem}"
    problem = lines[0].removeprefix(f"{link}: ")
    advice = "raise the allowance, or run throughput tests less often"
    return warn(name, text, advice, problem=problem)


def _used_up(link: str, subject: Subject) -> Check | None:
    """Return the check for an allowance of which nothing is left; else None."""
    running = subject.running()
    for state in running.links if running is not None else ():
        left = [
            b for b in (state.month_left_bytes, state.day_left_bytes) if b is not None
        ]
        if state.name == link and left and min(left) <= 0:
            text = "used up: throughput tests and deliveries of a backlog wait"
            return bad(f"allowance {link}", text, "raise the allowance of the SIM")
    return None


def seal(subject: Subject) -> Check:
    """Check that the device key can sign, which needs openssl.

    A user who may not read the key gets the state that the agent reports.
    """
    name, path = "seal", keys.key_path(subject.folder, os.environ)
    running = subject.running()
    if running is not None and not os.access(path, os.R_OK) and path.parent.is_dir():
        if running.not_sealed is None:
            return ok(name, "sealed by the running agent")
        text = "not sealed: {reason}"
        return warn(name, text, _enrol(subject), reason=running.not_sealed)
    try:
        signer = keys.load_signer(path)
        if signer is None:
            text = "not sealed: there is no device key"
            return warn(name, text, _enrol(subject))
        signer.sign(b"qos-agent doctor\n")
    except SigningError as error:
        problem, _, fix = str(error).partition(" Fix: ")
        return bad(name, "not sealed: {reason}", "{fix}", reason=problem, fix=fix)
    return ok(name, "sealed with key {key}", key=signer.public_key.fingerprint)


def _enrol(subject: Subject) -> str:
    if subject.unit is None:
        return "qos-agent enrol --self"
    return f"sudo qos-agent enrol --self && {subject.restart()}"
