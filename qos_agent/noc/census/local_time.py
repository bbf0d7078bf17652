"""Moments as a place's own clock shows them, for boards that span three zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from qos_agent.config.places import province_zones, regencies

# An older moment needs its day.
_SAME_DAY = timedelta(hours=12)


def local_time(moment_ns: int, now_ns: int, zone: ZoneInfo) -> str:
    """Return a moment such as `13:05 WIB`, with its day if it is half a day ago."""
    moment = _at(moment_ns).astimezone(zone)
    form = "%H:%M %Z" if _at(now_ns) - moment < _SAME_DAY else "%d/%m %H:%M %Z"
    return moment.strftime(form)


def zone_of(code: str) -> ZoneInfo | None:
    """Return the time zone of a regency or province, or None for another code."""
    regency = regencies().get(code)
    name = regency.time_zone if regency else province_zones().get(code)
    return ZoneInfo(name) if name else None


def _at(moment_ns: int) -> datetime:
    return datetime.fromtimestamp(moment_ns // 10**9, UTC)
