"""The scenario of the demonstration, and its calendar, in which all zones vote now."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from qos_agent.noc.settings import NocSettings, load
from qos_agent.noc.simulator.scenario import Scenario
from qos_agent.noc.simulator.scenario import load as load_scenario

HERE = Path(__file__).parent
BACK_MINUTES = 90
PRE_MINUTES = 20
# A new demonstration drops these databases, so their names must not be used elsewhere.
RAW_DB, ROLLUP_DB = "qos-drill", "qos-drill-rollup"
_VOTING = timedelta(hours=6)


def opening(now: datetime) -> datetime:
    """Return the local time at which voting opens: two hours ago in WIB.

    In WITA it opened one hour earlier and in WIT two hours earlier. In WIT voting lasts
    at least another hour.
    """
    wib = now.astimezone(ZoneInfo("Asia/Jakarta")).replace(tzinfo=None)
    return wib.replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)


def calendar_text(now: datetime) -> str:
    """Return the election calendar of a demonstration that starts now."""
    opens = opening(now)
    closes = opens + _VOTING
    edges = (
        ("pre", opens - timedelta(days=14), opens),
        ("voting", opens, closes),
        ("counting", closes, closes + timedelta(hours=23)),
        ("recapitulation", closes + timedelta(hours=23), closes + timedelta(days=3)),
    )
    periods = "".join(
        f'\n[[election.period]]\nkind = "{kind}"\n'
        f"start = {start.isoformat()}\nend = {end.isoformat()}\n"
        for kind, start, end in edges
    )
    return f'# A drill: no election.\n[[election]]\nname = "drill"\n{periods}'


def planned() -> Scenario:
    """Return the scenario of drill.toml."""
    return load_scenario(str(HERE / "drill.toml"))


def started(plan: Scenario, now: datetime, calendar: Path) -> Scenario:
    """Return the plan with a start an hour and a half ago."""
    start = now - timedelta(minutes=BACK_MINUTES)
    return plan.model_copy(update={"start": start, "calendar": str(calendar)})


def days_before(drill: Scenario, now: datetime) -> Scenario:
    """Return the same stations two days earlier without faults, for the baseline."""
    start = now - timedelta(days=2, minutes=PRE_MINUTES)
    return drill.model_copy(
        update={"start": start, "minutes": PRE_MINUTES, "fault": ()}
    )


def configuration_text(url: str, folder: Path, provinces: tuple[str, ...]) -> str:
    """Return a noc.toml with both databases on one server."""
    return f"""\
folder = {json.dumps(str(folder))}

[[collectors]]
url = {json.dumps(url)}
bucket = "{RAW_DB}"
provinces = {json.dumps(provinces)}

[rollup]
url = {json.dumps(url)}
bucket = "{ROLLUP_DB}"

[rollups]
back = "3h"                                # older data does not exist

[election]
calendar = {json.dumps(str(folder / "calendar.toml"))}
"""


def prepare(
    folder: Path, url: str, plan: Scenario, now: datetime
) -> tuple[Scenario, NocSettings]:
    """Write calendar.toml and noc.toml; return the scenario and the settings."""
    folder.mkdir(parents=True, exist_ok=True)
    calendar = folder / "calendar.toml"
    calendar.write_text(calendar_text(now), encoding="utf-8")
    scenario = started(plan, now, calendar)
    configuration = folder / "noc.toml"
    configuration.write_text(
        configuration_text(url, folder, scenario.provinces), encoding="utf-8"
    )
    return scenario, load(configuration)
